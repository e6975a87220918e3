"""`/v1/shortcuts`: texts to begin a question with, by name."""

from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from tramontane.entrypoints.api.answers import empty, json_response
from tramontane.entrypoints.api.policy import needs_inference
from tramontane.entrypoints.api.projects import Title, written
from tramontane.features.assistant import projects
from tramontane.features.assistant.assistant import Assistant
from tramontane.features.assistant.nouns import Owner
from tramontane.foundation.clock import iso_time

Words = Annotated[str, Field(min_length=1, max_length=100_000)]


class ShortcutBody(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")

    name: Title
    text: Words


class ShortcutChange(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    name: Title | None = None
    text: Words | None = None


def _shape(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": row["shortcut_id"],
        "object": "shortcut",
        "name": row["name"],
        "text": row["text"],
        "created_at": iso_time(row["created_ns"]),
        "updated_at": iso_time(row["updated_ns"]),
    }


def add_routes(routes: APIRouter, assistant: Assistant) -> None:
    now_ns = assistant.clock.now_ns

    @routes.get("/v1/shortcuts", tags=["shortcuts"], summary="Your shortcuts")
    @needs_inference
    async def listed(request: Request) -> Response:
        found = await assistant.read(projects.listed, Owner.of(request.state.caller), "shortcut")
        return json_response([_shape(row) for row in found])

    @routes.post("/v1/shortcuts", tags=["shortcuts"], summary="Make a shortcut")
    @needs_inference
    async def make(request: Request, body: ShortcutBody) -> Response:
        owner = Owner.of(request.state.caller)
        return json_response(_shape(await assistant.add(projects.add, owner, "shortcut", written(body), now_ns())))

    @routes.patch("/v1/shortcuts/{shortcut_id}", tags=["shortcuts"], summary="Change a shortcut")
    @needs_inference
    async def change(request: Request, shortcut_id: str, body: ShortcutChange) -> Response:
        owner = Owner.of(request.state.caller)
        row = await assistant.add(projects.change, owner, "shortcut", shortcut_id, written(body), now_ns())
        return json_response(_shape(row))

    @routes.delete("/v1/shortcuts/{shortcut_id}", tags=["shortcuts"], summary="Delete a shortcut", status_code=204)
    @needs_inference
    async def remove(request: Request, shortcut_id: str) -> Response:
        await assistant.write(projects.remove, Owner.of(request.state.caller), "shortcut", shortcut_id)
        return empty()
