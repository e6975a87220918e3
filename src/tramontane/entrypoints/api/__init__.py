"""The HTTP doors: outside words become asks, events become chunks; no decision is made here."""

from tramontane.entrypoints.api.application import build_app
from tramontane.entrypoints.api.ports import Doors, ModelCard
from tramontane.entrypoints.api.server import listen, serve, turn_away

__all__ = ["Doors", "ModelCard", "build_app", "listen", "serve", "turn_away"]
