"""`/web/models`: which models there are, what this machine can hold, and the verbs on them.

Everybody sees them; builders load and unload; administrators fetch, remove, give other names and accept licences. What
a verb brings about is seen in the list and in `/web/models/events`.
"""

from typing import Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import Response

from tramontane.entrypoints.api.answers import empty, json_response
from tramontane.entrypoints.api.policy import needs_administrator, needs_builder, needs_person
from tramontane.entrypoints.web.answers import Fields, moment
from tramontane.entrypoints.web.model_events import Boards, ModelEvents
from tramontane.entrypoints.web.ports import WebDoors
from tramontane.entrypoints.web.studio_ports import ModelView, Studio
from tramontane.foundation.store.scope import Scope
from tramontane.records.catalog.aliases import NAME_LIMIT_CHARACTERS
from tramontane.records.catalog.nouns import HubSource, Machine, Source, UpstreamSource, WheelSource
from tramontane.records.catalog.purposes import good_for


class NewAlias(Fields):
    """The name by which requests shall reach the model too."""

    alias: str = Field(min_length=1, max_length=NAME_LIMIT_CHARACTERS)


def model_object(view: ModelView) -> dict[str, Any]:
    """One model as the pages read it; numbers nobody knows are null."""
    entry, acceptance, fit = view.entry, view.acceptance, view.fit
    return {
        "name": entry.name,
        "aliases": list(view.aliases),
        "own_aliases": list(view.own_aliases),
        "family": entry.family,
        "description": entry.description,
        "good_for": list(good_for(entry)),
        "licence": {
            "name": view.licence.name,
            "kind": view.licence.kind,
            "permits": list(view.licence.permits),
            "summary": view.licence.summary,
            "url": view.licence.url,
            "needs_acceptance": view.licence.needs_acceptance,
            "accepted_by": acceptance.accepted_by if acceptance else None,
            "accepted_at": moment(acceptance.accepted_ns) if acceptance else None,
        },
        "download_bytes": entry.size_bytes or None,
        "memory_bytes": view.memory_bytes or None,
        "context_tokens": view.context_tokens or None,
        "parameters": entry.parameters or None,
        "capabilities": list(entry.capabilities),
        "source": source_word(entry.source),
        "served_at": served_at(entry.source),
        "engine": view.engine or None,
        "installed": view.here,
        "partial_bytes": view.partial_bytes or None,
        "state": view.standing.state,
        "unloading": view.standing.unloading,
        "error": view.standing.error or None,
        "fit": {
            "fits": fit.verdict != "does_not_fit",
            "verdict": fit.verdict,
            "reason": fit.reason or None,
            "obstacle": fit.obstacle,
            "needed_bytes": fit.needed_bytes or None,
            "usable_bytes": fit.usable_bytes,
        },
        "default": view.default,
    }


def source_word(source: Source) -> str:
    """Where a model comes from, without a path or an address of this installation's own."""
    if isinstance(source, HubSource):
        return f"hub:{source.repository}"
    if isinstance(source, WheelSource):
        return f"wheel:{source.project}=={source.version}"
    return "upstream" if isinstance(source, UpstreamSource) else "local"


def served_at(source: Source) -> str | None:
    """The host of the other server that answers; None where this machine does.

    Whoever asks may know where the words go; of the server's address nothing but the host is told.
    """
    return urlsplit(source.url).hostname or "?" if isinstance(source, UpstreamSource) else None


def machine_object(machine: Machine) -> dict[str, int]:
    return {
        "memory_bytes": machine.memory_total_bytes,
        "available_bytes": machine.memory_available_bytes,
        "cores": machine.cores,
        "disk_free_bytes": machine.disk_free_bytes,
    }


def add_routes(routes: APIRouter, web: WebDoors, studio: Studio) -> None:
    _add_looks(routes, web, studio)
    _add_work(routes, studio)
    _add_changes(routes, studio)


def _add_looks(routes: APIRouter, web: WebDoors, studio: Studio) -> None:
    boards = Boards(studio, web.clock)

    @routes.get("/web/models", include_in_schema=False)
    @needs_person
    async def list_models(request: Request) -> Response:
        views, machine = await studio.models(Scope.of(request.state.caller))
        return json_response({"models": [model_object(view) for view in views], "machine": machine_object(machine)})

    @routes.get("/web/models/events", include_in_schema=False)
    @needs_person
    async def events(request: Request) -> Response:
        return ModelEvents(boards, Scope.of(request.state.caller), web.drain, request.headers.get("last-event-id", ""))


def _add_work(routes: APIRouter, studio: Studio) -> None:
    """What takes its time and is told of by events."""

    @routes.post("/web/models/{name}/pull", include_in_schema=False)
    @needs_administrator
    async def pull(request: Request, name: str) -> Response:
        await studio.pull(request.state.caller, name)
        return accepted()

    @routes.post("/web/models/{name}/cancel", include_in_schema=False)
    @needs_administrator
    async def cancel(request: Request, name: str) -> Response:
        await studio.cancel(request.state.caller, name)
        return accepted()

    @routes.post("/web/models/{name}/load", include_in_schema=False)
    @needs_builder
    async def load(request: Request, name: str) -> Response:
        await studio.load(request.state.caller, name)
        return accepted()

    @routes.post("/web/models/{name}/unload", include_in_schema=False)
    @needs_builder
    async def unload(request: Request, name: str) -> Response:
        await studio.unload(request.state.caller, name)
        return accepted()


def _add_changes(routes: APIRouter, studio: Studio) -> None:
    @routes.post("/web/models/{name}/accept-licence", include_in_schema=False)
    @needs_administrator
    async def accept_licence(request: Request, name: str) -> Response:
        await studio.accept_licence(request.state.caller, request.state.signed_in.person, name)
        return empty()

    @routes.post("/web/models/{name}/aliases", include_in_schema=False)
    @needs_administrator
    async def set_alias(request: Request, name: str, body: NewAlias) -> Response:
        await studio.set_alias(request.state.caller, name, body.alias)
        return empty()

    @routes.delete("/web/models/{name}/aliases/{alias}", include_in_schema=False)
    @needs_administrator
    async def drop_alias(request: Request, name: str, alias: str) -> Response:
        await studio.drop_alias(request.state.caller, name, alias)
        return empty()

    @routes.delete("/web/models/{name}", include_in_schema=False)
    @needs_administrator
    async def remove(request: Request, name: str) -> Response:
        await studio.remove(request.state.caller, name)
        return empty()


def accepted() -> Response:
    """It has begun; how it goes is said in the list and the events."""
    return json_response({"accepted": True}, 202)
