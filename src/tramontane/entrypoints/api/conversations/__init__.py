"""`/v1/conversations`: Mistral's conversations, kept, and what people need around them. One file per group of verbs."""

from fastapi import APIRouter

from tramontane.entrypoints.api.conversations import asking, changing, documents, reading, transfer
from tramontane.entrypoints.api.generate import Generator
from tramontane.entrypoints.api.metrics import Metrics
from tramontane.entrypoints.api.ports import Doors

__all__ = ["add_routes"]


def add_routes(routes: APIRouter, doors: Doors, metrics: Metrics, generator: Generator) -> None:
    """All of it; nothing where the doors have no assistant behind them."""
    assistant = doors.assistant
    if assistant is None:
        return
    transfer.add_routes(routes, assistant)
    reading.add_routes(routes, assistant)
    changing.add_routes(routes, assistant)
    documents.add_routes(routes, assistant)
    asking.add_routes(routes, asking.Asking(doors, assistant, metrics, generator))
