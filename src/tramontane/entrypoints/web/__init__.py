"""The browser's way in: sessions, people and pages under `/web`. Stands on the HTTP doors' policies, bodies and errors."""

from fastapi import APIRouter

from tramontane.entrypoints.web.ports import WebDoors

__all__ = ["WebDoors", "add_routes"]


def add_routes(routes: APIRouter, web: WebDoors) -> None:
    """Every route of the browser's way in; `routes` is the application's, whose class enforces the policies."""
