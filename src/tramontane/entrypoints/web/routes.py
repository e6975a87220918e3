"""The list of what `/web` offers; each file adds the routes of one subject."""

from fastapi import APIRouter

from tramontane.entrypoints.web import client, invitations, keys, models, people, person, session, usage
from tramontane.entrypoints.web.ports import WebDoors


def add_routes(routes: APIRouter, web: WebDoors) -> None:
    """Every route of the browser's way in; `routes` is the application's, whose class enforces the policies."""
    session.add_routes(routes, web)
    person.add_routes(routes, web)
    people.add_routes(routes, web)
    invitations.add_routes(routes, web)
    keys.add_routes(routes, web)
    usage.add_routes(routes, web)
    if web.studio is not None:
        models.add_routes(routes, web, web.studio)
    client.add_routes(routes, web.client_files)
