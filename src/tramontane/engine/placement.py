"""Decides which loaded models make room: for one that is wanted, and for nothing when they were idle long enough.

Pure. A model with open requests is never unloaded; among idle ones the least recently used goes first.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tramontane.engine.nouns import SECOND_NS


@dataclass(frozen=True, slots=True, kw_only=True)
class Resident:
    """A loaded (or loading) model: what it holds, how many requests hold it, when the last one ended."""

    model: str
    size_bytes: int
    held_by: int
    last_used_ns: int
    idle_unload_s: int = 0


def to_unload_for(needed_bytes: int, limit_bytes: int, residents: Sequence[Resident]) -> list[Resident] | None:
    """Who goes so that `needed_bytes` fit under `limit_bytes` (0: no limit); None when even that is not enough."""
    if not limit_bytes:
        return []
    excess = sum(resident.size_bytes for resident in residents) + needed_bytes - limit_bytes
    chosen: list[Resident] = []
    idle = (resident for resident in residents if not resident.held_by)
    for resident in sorted(idle, key=lambda resident: resident.last_used_ns):
        if excess <= 0:
            break
        chosen.append(resident)
        excess -= resident.size_bytes
    return chosen if excess <= 0 else None


def idle_too_long(residents: Sequence[Resident], now_ns: int) -> list[Resident]:
    """Who has been idle for its own limit (0: never unloaded for that)."""
    return [
        resident
        for resident in residents
        if resident.idle_unload_s
        and not resident.held_by
        and now_ns - resident.last_used_ns >= resident.idle_unload_s * SECOND_NS
    ]
