"""A place in the line, of whoever and however much."""

import itertools

from tramontane.engine.queue import Ticket

COUNTER = itertools.count()


def ticket(workspace: str = "w", **fields: object) -> Ticket:
    known: dict[str, object] = {
        "id": f"r{next(COUNTER)}",
        "workspace": workspace,
        "key": "k",
        "weight": 1,
        "prompt_tokens": 10,
        "expected_tokens": 5,
        "arrived_ns": 0,
        "give_up_ns": 10**12,
    }
    return Ticket(**{**known, **fields})  # type: ignore[arg-type]
