"""Limits per key: how many requests and how many tokens a minute, as token buckets in exact integers.

Pure: a bucket is a state, and time comes as an argument. Knows no queue and no server. Admission asks it, the account
settles what was reserved. The token bucket may go into debt, so that an answer longer than expected is paid later.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import NamedTuple

from tramontane.engine.nouns import RateView, RateViews
from tramontane.foundation.nouns import Caller

MINUTE_NS = 60_000_000_000
MAX_KEYS = 10_000


class Bucket(NamedTuple):
    """Level in units of one sixty-billionth (a nanosecond at one a minute adds exactly one), and when that was true."""

    level: int
    at_ns: int


def full(per_minute: int, now_ns: int) -> Bucket:
    return Bucket(per_minute * MINUTE_NS, now_ns)


def refill(bucket: Bucket, per_minute: int, now_ns: int) -> Bucket:
    """The bucket as it stands at `now_ns`; never above a minute's worth, and time running backwards adds nothing."""
    elapsed_ns = max(0, now_ns - bucket.at_ns)
    return Bucket(min(per_minute * MINUTE_NS, bucket.level + elapsed_ns * per_minute), max(now_ns, bucket.at_ns))


def take(bucket: Bucket, per_minute: int, amount: int, now_ns: int) -> tuple[Bucket, float]:
    """Take `amount`, or leave the bucket be and say how many seconds until it can be taken; 0.0 means taken.

    More than a minute's worth is taken from a full bucket and leaves it in debt, else it could never pass.
    """
    bucket = refill(bucket, per_minute, now_ns)
    needed = min(amount, per_minute) * MINUTE_NS
    if bucket.level >= needed:
        return Bucket(bucket.level - amount * MINUTE_NS, bucket.at_ns), 0.0
    return bucket, (needed - bucket.level) / per_minute / 1e9


def view(bucket: Bucket, per_minute: int, now_ns: int) -> RateView:
    bucket = refill(bucket, per_minute, now_ns)
    missing = per_minute * MINUTE_NS - bucket.level
    return RateView(limit=per_minute, remaining=max(0, bucket.level // MINUTE_NS), reset_s=missing / per_minute / 1e9)


@dataclass(slots=True)
class _Key:
    requests: Bucket | None = None
    tokens: Bucket | None = None


class KeyRates:
    """The buckets of all keys seen lately; the least recently used are forgotten, full again, beyond `MAX_KEYS`."""

    def __init__(self, default_requests_per_minute: int = 0, default_tokens_per_minute: int = 0) -> None:
        self._requests_default = default_requests_per_minute
        self._tokens_default = default_tokens_per_minute
        self._keys: OrderedDict[str, _Key] = OrderedDict()

    def limits(self, caller: Caller) -> tuple[int, int]:
        """Requests and tokens a minute for this caller; 0 means no limit."""
        requests, tokens = caller.requests_per_minute, caller.tokens_per_minute
        return (
            self._requests_default if requests is None else requests,
            self._tokens_default if tokens is None else tokens,
        )

    def take_request(self, caller: Caller, now_ns: int) -> float:
        """Count one request; the seconds to wait when the limit is reached, else 0.0."""
        limit, _ = self.limits(caller)
        if not limit:
            return 0.0
        key = self._key(caller)
        key.requests, wait_s = take(key.requests or full(limit, now_ns), limit, 1, now_ns)
        return wait_s

    def reserve_tokens(self, caller: Caller, expected: int, now_ns: int) -> float:
        """Set `expected` tokens aside; the seconds to wait when they are not there, else 0.0."""
        _, limit = self.limits(caller)
        if not limit:
            return 0.0
        key = self._key(caller)
        key.tokens, wait_s = take(key.tokens or full(limit, now_ns), limit, expected, now_ns)
        return wait_s

    def settle_tokens(self, caller: Caller, reserved: int, spent: int, now_ns: int) -> None:
        """Replace what was reserved by what was spent; the difference is given back or becomes a debt."""
        _, limit = self.limits(caller)
        if not limit:
            return
        key = self._key(caller)
        bucket = refill(key.tokens or full(limit, now_ns), limit, now_ns)
        level = min(limit * MINUTE_NS, bucket.level + (reserved - spent) * MINUTE_NS)
        key.tokens = Bucket(level, bucket.at_ns)

    def views(self, caller: Caller, now_ns: int) -> RateViews:
        requests, tokens = self.limits(caller)
        key = self._keys.get(_name(caller)) or _Key()
        return RateViews(
            requests=view(key.requests or full(requests, now_ns), requests, now_ns) if requests else None,
            tokens=view(key.tokens or full(tokens, now_ns), tokens, now_ns) if tokens else None,
        )

    def _key(self, caller: Caller) -> _Key:
        name = _name(caller)
        key = self._keys.get(name)
        if key is None:
            key = self._keys[name] = _Key()
            if len(self._keys) > MAX_KEYS:
                self._keys.popitem(last=False)
        else:
            self._keys.move_to_end(name)
        return key


def _name(caller: Caller) -> str:
    return f"{caller.workspace_id}\0{caller.key_id or caller.principal_id}"
