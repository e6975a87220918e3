"""How often somebody may try to sign in. Pure but for the clock it is given; bounded memory; nobody is shut out for good.

Failures are counted for an e-mail address and for a client's address. Beyond a few, each one doubles the wait before the
next, up to a minute, and failures fade with time. From where a person has signed in before, they are counted apart, so
that a stranger's guessing does not keep the person out.
"""

import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import TypeVar

from tramontane.foundation.clock import Clock
from tramontane.foundation.errors import RateLimited

SECOND_NS = 1_000_000_000
LONGEST_WAIT_S = 60
CAPACITY = 10_000

Key = TypeVar("Key")
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Allowance:
    """`free` failures cost no wait; one is forgotten every `fades_s`."""

    free: int
    fades_s: int


BY_EMAIL = Allowance(free=5, fades_s=120)
BY_ADDRESS = Allowance(free=30, fades_s=6)


@dataclass(slots=True)
class _Count:
    failures: float
    at_ns: int


class Attempts:
    """One per gateway. `begin` counts an attempt as failed until `succeeded` says otherwise, so that guesses sent all at
    once are bounded like guesses sent one by one."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._counts: OrderedDict[tuple[str, ...], _Count] = OrderedDict()
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()

    def begin(self, email: str, address: str) -> None:
        """Raises RateLimited with the seconds to wait; such an attempt is not counted."""
        now_ns = self._clock.monotonic_ns()
        keys = self._keys(email, address)
        wait_ns = max(self._wait_ns(key, allowance, now_ns) for key, allowance in keys)
        if wait_ns > 0:
            raise RateLimited(
                "too many attempts to sign in; wait a little and try again",
                retry_after_s=wait_ns / SECOND_NS,
                code="too_many_attempts",
            )
        for key, allowance in keys:
            count = _Count(self._failures(key, allowance, now_ns) + 1, now_ns)
            _remember(self._counts, key, count)

    def succeeded(self, email: str, address: str) -> None:
        """Forget the person's failures here and remember the place; the address's own count loses this attempt only."""
        mine, place = (key for key, _ in self._keys(email, address))
        self._counts.pop(mine, None)
        self._uncount(place)
        _remember(self._known, (email, address), None)

    def void(self, email: str, address: str) -> None:
        """The attempt that was begun could not be judged."""
        for key, _ in self._keys(email, address):
            self._uncount(key)

    def _uncount(self, key: tuple[str, ...]) -> None:
        count = self._counts.get(key)
        if count is not None:
            count.failures = max(0.0, count.failures - 1)

    def _keys(self, email: str, address: str) -> list[tuple[tuple[str, ...], Allowance]]:
        at_home = (email, address) in self._known
        mine = ("home", email, address) if at_home else ("email", email)
        return [(mine, BY_EMAIL), (("address", address), BY_ADDRESS)]

    def _failures(self, key: tuple[str, ...], allowance: Allowance, now_ns: int) -> float:
        count = self._counts.get(key)
        if count is None:
            return 0.0
        return max(0.0, count.failures - (now_ns - count.at_ns) / SECOND_NS / allowance.fades_s)

    def _wait_ns(self, key: tuple[str, ...], allowance: Allowance, now_ns: int) -> int:
        count = self._counts.get(key)
        beyond = math.ceil(self._failures(key, allowance, now_ns)) - allowance.free
        if count is None or beyond < 0:
            return 0
        wait_s = min(LONGEST_WAIT_S, 2 ** min(beyond, 10))
        return count.at_ns + wait_s * SECOND_NS - now_ns


def _remember(kept: "OrderedDict[Key, Value]", key: Key, value: Value) -> None:
    kept[key] = value
    kept.move_to_end(key)
    if len(kept) > CAPACITY:
        kept.popitem(last=False)
