"""The canvas beside a conversation: its documents and their versions."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from tramontane.entrypoints.api.answers import empty, json_response
from tramontane.entrypoints.api.conversations.bodies import Id
from tramontane.entrypoints.api.policy import needs_inference
from tramontane.features.assistant import documents
from tramontane.features.assistant.assistant import Assistant
from tramontane.features.assistant.documents import Document, NewDocument, Version
from tramontane.features.assistant.nouns import Owner, clean
from tramontane.foundation.clock import iso_time

PATH = "/v1/conversations/{conversation_id}/documents"
Title = Annotated[str, Field(min_length=1, max_length=200)]
Content = Annotated[str, Field(max_length=2_000_000)]
Author = Literal["person", "model"]


class DocumentBody(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")

    title: Title
    kind: Literal["markdown", "code", "html"]
    language: Annotated[str, Field(max_length=64)] | None = None
    content: Content
    entry_id: Id | None = None
    author: Author = "model"


class VersionBody(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")

    content: Content
    author: Author = "person"
    base_version: Annotated[int, Field(ge=1, le=10**6)]


class TitleBody(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")

    title: Title


def document_shape(one: Document) -> dict[str, Any]:
    return {
        "id": one.document_id,
        "object": "document",
        "conversation_id": one.conversation_id,
        "entry_id": one.entry_id,
        "title": one.title,
        "kind": one.kind,
        "language": one.language,
        "version": one.version,
        "created_at": iso_time(one.created_ns),
        "updated_at": iso_time(one.updated_ns),
    }


def _version_shape(one: Version) -> dict[str, Any]:
    created_at = iso_time(one.created_ns)
    return {"version": one.version, "content": one.content, "author": one.author, "created_at": created_at}


def add_routes(routes: APIRouter, assistant: Assistant) -> None:
    now_ns = assistant.clock.now_ns

    @routes.get(PATH, tags=["documents"], summary="A conversation's documents")
    @needs_inference
    async def listed(request: Request, conversation_id: str) -> Response:
        found = await assistant.read(documents.listed, Owner.of(request.state.caller), conversation_id)
        return json_response([document_shape(one) for one in found])

    @routes.post(PATH, tags=["documents"], summary="Make a document")
    @needs_inference
    async def make(request: Request, conversation_id: str, body: DocumentBody) -> Response:
        new = NewDocument(
            title=clean(body.title), kind=body.kind, language=None if body.language is None else clean(body.language),
            content=clean(body.content), entry_id=body.entry_id, author=body.author,
        )  # fmt: skip
        owner = Owner.of(request.state.caller)
        return json_response(document_shape(await assistant.add(documents.add, owner, conversation_id, new, now_ns())))

    @routes.get(PATH + "/{document_id}", tags=["documents"], summary="A document with its versions")
    @needs_inference
    async def one(request: Request, conversation_id: str, document_id: str) -> Response:
        owner = Owner.of(request.state.caller)
        found, versions = await assistant.read(documents.one, owner, conversation_id, document_id)
        shown = document_shape(found) | {"content": versions[-1].content}
        return json_response(shown | {"versions": [_version_shape(version) for version in versions]})

    @routes.post(PATH + "/{document_id}/versions", tags=["documents"], summary="Write a new version")
    @needs_inference
    async def write(request: Request, conversation_id: str, document_id: str, body: VersionBody) -> Response:
        owner = Owner.of(request.state.caller)
        version = Version(version=0, content=clean(body.content), author=body.author, created_ns=now_ns())
        changed = await assistant.add(
            documents.add_version, owner, conversation_id, document_id, body.base_version, version
        )
        return json_response(document_shape(changed))

    @routes.patch(PATH + "/{document_id}", tags=["documents"], summary="Rename a document")
    @needs_inference
    async def rename(request: Request, conversation_id: str, document_id: str, body: TitleBody) -> Response:
        owner, title = Owner.of(request.state.caller), clean(body.title)
        changed = await assistant.write(documents.rename, owner, conversation_id, document_id, title, now_ns())
        return json_response(document_shape(changed))

    @routes.delete(PATH + "/{document_id}", tags=["documents"], summary="Delete a document", status_code=204)
    @needs_inference
    async def remove(request: Request, conversation_id: str, document_id: str) -> Response:
        await assistant.write(documents.remove, Owner.of(request.state.caller), conversation_id, document_id)
        return empty()
