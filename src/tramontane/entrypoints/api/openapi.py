"""The published description of the API: what answers look like, and the document clients and tests read.

Request bodies come from the models the routes really use; answers are described here, since they are written as bytes.
"""

from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.openapi.utils import get_openapi
from starlette.responses import HTMLResponse, JSONResponse, Response

from tramontane.entrypoints.api.docs import docs_page
from tramontane.entrypoints.api.origins import API
from tramontane.entrypoints.api.policy import public

Responses = dict[int | str, dict[str, Any]]


def _object(required: str, optional: str = "", **known: dict[str, Any]) -> dict[str, Any]:
    names = required.split() + optional.split()
    return {"type": "object", "required": required.split(), "properties": {name: known.get(name, {}) for name in names}}


_TEXT = {"type": "string"}
_COUNT = {"type": "integer", "minimum": 0}
_USAGE = _object(
    "prompt_tokens total_tokens", "completion_tokens prompt_tokens_details completion_tokens_details",
    prompt_tokens=_COUNT, total_tokens=_COUNT, completion_tokens=_COUNT,
)  # fmt: skip
_CARD = _object("id object created owned_by", "type capabilities aliases max_context_length", id=_TEXT, object=_TEXT)
_ROWS = {"type": "array", "items": {"type": "object"}}
_ERROR: dict[str, Any] = {
    "description": "A refusal: flat with `object: error` under /v1, inside `error` under /openai/v1",
    "content": {"application/json": {"schema": {"type": "object"}}},
}


def _answer(schema: dict[str, Any], *, stream: bool = False) -> Responses:
    content: dict[str, Any] = {"application/json": {"schema": schema}}
    if stream:
        content["text/event-stream"] = {"schema": {"type": "string"}}
    answers: Responses = {200: {"description": "The answer", "content": content}}
    for status in ("400", "401", "404", "413", "415", "422", "429", "431", "503", "4XX", "5XX"):
        answers[status] = _ERROR
    return answers


_COMPLETION = _object("id object created model choices usage", choices=_ROWS, usage=_USAGE, id=_TEXT, model=_TEXT)

ANSWERS: dict[str, Responses] = {
    "mistral_chat": _answer(_COMPLETION, stream=True),
    "openai_chat": _answer(_COMPLETION, stream=True),
    "text": _answer(_COMPLETION, stream=True),
    "count": _answer(_object("count max_model_len", count=_COUNT, max_model_len=_COUNT)),
    "embeddings": _answer(_object("id object model data usage", data=_ROWS, usage=_USAGE)),
    "models": _answer(_object("object data", data={"type": "array", "items": _CARD})),
    "model": _answer(_CARD),
}


def describe(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document, with the two ways to present a key."""
    document = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
    document.setdefault("components", {})["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer"},
        "key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
    }
    for path, operations in document["paths"].items():
        if path.startswith(API):
            for operation in operations.values():
                operation["security"] = [{"bearer": []}, {"key": []}]
    return document


def add_routes(routes: APIRouter, app: FastAPI) -> None:
    """`/openapi.json` and a page that shows it; both written once."""
    written: dict[str, Any] = {}

    def document() -> dict[str, Any]:
        if not written:
            written.update(describe(app))
        return written

    @routes.get("/openapi.json", include_in_schema=False)
    @public
    async def openapi_json(request: Request) -> Response:
        return JSONResponse(document())

    @routes.get("/docs", include_in_schema=False)
    @public
    async def docs(request: Request) -> Response:
        policy = "default-src 'none'; style-src 'unsafe-inline'"
        return HTMLResponse(docs_page(document()), headers={"content-security-policy": policy})
