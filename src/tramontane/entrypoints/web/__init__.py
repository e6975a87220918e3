"""The browser's way in: sessions, people and pages under `/web`. Stands on the HTTP doors' policies, bodies and errors."""

from tramontane.entrypoints.web.ports import WebDoors
from tramontane.entrypoints.web.routes import add_routes

__all__ = ["WebDoors", "add_routes"]
