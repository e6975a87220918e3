"""Taking conversations along and bringing them in: Markdown and JSON out, exports of other products in."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import msgspec
from fastapi import APIRouter, Request
from starlette.requests import ClientDisconnect
from starlette.responses import Response, StreamingResponse

from tramontane.entrypoints.api.answers import encoded_response, json_response, with_list
from tramontane.entrypoints.api.conversations.settings import checked_setting
from tramontane.entrypoints.api.policy import needs_inference
from tramontane.entrypoints.api.presence import ClientGone
from tramontane.features.assistant import exporting, importing, quota, store
from tramontane.features.assistant.assistant import Assistant
from tramontane.features.assistant.nouns import Owner
from tramontane.foundation.errors import BadRequest, Conflict, InvalidFields, Overloaded, TramontaneError

PAGE = 10
MOST_AT_ONCE = 4
SLOWEST_UPLOAD_S = 300
_HEAD = msgspec.json.encode({"format": exporting.FORMAT, "version": exporting.VERSION})[:-1] + b',"conversations":['


class Imports:
    """One at a time: an export is read whole, and what is made of two would take the memory of both.

    Uploads come in beside each other, one of each person, so that nobody waits for a slow one.
    """

    def __init__(self, assistant: Assistant) -> None:
        self._assistant = assistant
        self._turn = asyncio.Semaphore(1)
        self._inside: set[Owner] = set()

    async def take(self, request: Request, owner: Owner) -> Response:
        """Raises BadRequest, TooLarge; Conflict for a second one of one's own, Overloaded when several are at it."""
        if owner in self._inside:
            raise Conflict("an import of yours is under way; wait for its end", code="import_running")
        if len(self._inside) >= MOST_AT_ONCE:
            raise Overloaded("others are importing; try again in a minute", retry_after_s=30)
        self._inside.add(owner)
        try:
            upload = await _upload(request)
            async with self._turn:
                return await self._read_and_write(upload, owner)
        finally:
            self._inside.discard(owner)

    async def _read_and_write(self, upload: bytes, owner: Owner) -> Response:
        assistant = self._assistant
        reading = await asyncio.to_thread(importing.read_upload, upload, checked_setting)
        imported = 0
        for portion in reading.portions:
            now_ns = assistant.clock.now_ns()
            try:
                imported += await assistant.add(importing.write_portion, owner, portion, assistant.numbers, now_ns)
            except Conflict as refusal:
                if refusal.code != quota.FULL:
                    raise
                reading.refused(portion, refusal)
                break
        with suppress(TramontaneError):
            await assistant.write(importing.settle, imported)
        known = sum(len(portion) for portion in reading.portions) - imported
        result = {"source": reading.source, "imported": imported, "skipped": known + reading.unread}
        return json_response(result | {"problems": reading.problems})


async def _upload(request: Request) -> bytes:
    pieces = []
    try:
        async with asyncio.timeout(SLOWEST_UPLOAD_S):
            async for piece in request.stream():
                pieces.append(piece)
    except TimeoutError:
        raise BadRequest(
            f"the file took longer than {SLOWEST_UPLOAD_S} s; send it faster", code="request_timeout"
        ) from None
    except ClientDisconnect:
        raise ClientGone from None
    content = b"".join(pieces)
    if not content:
        raise InvalidFields.of("", "the body is empty; send the export's file as it is", "missing")
    return content


def add_routes(routes: APIRouter, assistant: Assistant) -> None:
    """`export` and `import` are words where other paths have an id, so these routes come before those."""
    imports = Imports(assistant)

    @routes.get("/v1/conversations/export", tags=["conversations"], summary="All your conversations as JSON")
    @needs_inference
    async def everything(request: Request) -> Response:
        owner = Owner.of(request.state.caller)
        ids = await assistant.read(store.ids, owner)
        return _file(StreamingResponse(_written(assistant, owner, ids), media_type="application/json"), "json")

    @routes.post("/v1/conversations/import", tags=["conversations"], summary="Bring an export of another product in")
    @needs_inference
    async def bring(request: Request) -> Response:
        return await imports.take(request, Owner.of(request.state.caller))

    @routes.get("/v1/conversations/{conversation_id}/export", tags=["conversations"], summary="One conversation")
    @needs_inference
    async def one(request: Request, conversation_id: str) -> Response:
        owner = Owner.of(request.state.caller)
        kind = request.query_params.get("format", "markdown")
        if kind == "json":
            found = await assistant.read(exporting.whole, owner, conversation_id)
            return _file(encoded_response(await asyncio.to_thread(_document, [found])), "json")
        if kind != "markdown":
            raise InvalidFields.of("format", "format must be markdown or json")
        written = await assistant.read(exporting.markdown, owner, conversation_id)
        return _file(Response(written, media_type="text/markdown; charset=utf-8"), "md")


# Long conversations are written beside the event loop.
def _encoded(found: list[dict[str, Any]]) -> bytes:
    """With commas between them."""
    return b",".join(
        with_list({name: value for name, value in one.items() if name != "entries"}, "entries", one["entries"])
        for one in found
    )


def _document(found: list[dict[str, Any]]) -> bytes:
    return b"".join((_HEAD, _encoded(found), b"]}"))


async def _written(assistant: Assistant, owner: Owner, ids: list[str]) -> AsyncIterator[bytes]:
    """Page by page, so that ten thousand conversations never stand in memory together; by ids that are known from the
    start, so that none is missed or written twice when one changes its place meanwhile."""
    yield _HEAD
    begun = False
    for first in range(0, len(ids), PAGE):
        page = await assistant.read(exporting.some, owner, ids[first : first + PAGE])
        if page:
            yield (b"," if begun else b"") + await asyncio.to_thread(_encoded, page)
            begun = True
    yield b"]}"


def _file(response: Response, ending: str) -> Response:
    response.headers["content-disposition"] = f'attachment; filename="conversations.{ending}"'
    response.headers["x-content-type-options"] = "nosniff"
    return response
