"""`/v1/projects`: conversations that belong together, and what a model is told in all of them."""

from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from tramontane.entrypoints.api.answers import empty, json_response
from tramontane.entrypoints.api.policy import needs_inference
from tramontane.features.assistant import projects
from tramontane.features.assistant.assistant import Assistant
from tramontane.features.assistant.nouns import Owner, clean
from tramontane.foundation.clock import iso_time

Title = Annotated[str, Field(min_length=1, max_length=200)]
Instructions = Annotated[str, Field(max_length=200_000)]


class ProjectBody(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")

    name: Title
    instructions: Instructions = ""


class ProjectChange(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    name: Title | None = None
    instructions: Instructions | None = None


def written(body: BaseModel) -> dict[str, str]:
    """What was sent, as it can be kept."""
    return {name: clean(value) for name, value in body.model_dump(exclude_none=True).items()}


def _shape(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": row["project_id"],
        "object": "project",
        "name": row["name"],
        "instructions": row["instructions"],
        "created_at": iso_time(row["created_ns"]),
        "updated_at": iso_time(row["updated_ns"]),
    }


def add_routes(routes: APIRouter, assistant: Assistant) -> None:
    now_ns = assistant.clock.now_ns

    @routes.get("/v1/projects", tags=["projects"], summary="Your projects")
    @needs_inference
    async def listed(request: Request) -> Response:
        found = await assistant.read(projects.listed, Owner.of(request.state.caller), "project")
        return json_response([_shape(row) for row in found])

    @routes.post("/v1/projects", tags=["projects"], summary="Make a project")
    @needs_inference
    async def make(request: Request, body: ProjectBody) -> Response:
        owner = Owner.of(request.state.caller)
        return json_response(_shape(await assistant.add(projects.add, owner, "project", written(body), now_ns())))

    @routes.patch("/v1/projects/{project_id}", tags=["projects"], summary="Change a project")
    @needs_inference
    async def change(request: Request, project_id: str, body: ProjectChange) -> Response:
        owner = Owner.of(request.state.caller)
        row = await assistant.add(projects.change, owner, "project", project_id, written(body), now_ns())
        return json_response(_shape(row))

    @routes.delete(
        "/v1/projects/{project_id}",
        tags=["projects"],
        summary="Delete a project, not its conversations",
        status_code=204,
    )
    @needs_inference
    async def remove(request: Request, project_id: str) -> Response:
        await assistant.write(projects.remove, Owner.of(request.state.caller), "project", project_id)
        return empty()
