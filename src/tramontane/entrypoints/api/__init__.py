"""The HTTP doors: outside words become asks, events become chunks; no decision is made here."""

from tramontane.entrypoints.api.application import build_app
from tramontane.entrypoints.api.ports import Doors, ModelCard

__all__ = ["Doors", "ModelCard", "build_app"]
