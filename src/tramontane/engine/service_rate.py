"""Measures how fast one model serves while somebody waits, and derives how long a wait will be.

Work is in the fair queue's units (a prompt token 1, a generated token 2). Only time with somebody waiting counts: an
idle machine's throughput says nothing about its capacity. Pure: time comes as an argument. The line feeds it.
"""

from collections import deque
from collections.abc import Iterable

from tramontane.engine.nouns import SECOND_NS

WINDOW_NS = 60 * SECOND_NS
SLICE_NS = SECOND_NS
ENOUGH_NS = SECOND_NS
FIRST_GUESS_TOKENS = 128
PATIENCE_WINDOW_NS = 10 * SECOND_NS
IMPATIENT_WAIT_S = 5


class ServiceRate:
    """A window of saturated time. `served` is on the token path and does one addition."""

    def __init__(self) -> None:
        self._slices: deque[tuple[int, int, int]] = deque()
        self._work = 0
        self._since_ns: int | None = None
        self._last_per_s: float | None = None
        self.tokens_per_request: float = FIRST_GUESS_TOKENS
        self._ended = False

    def served(self, work: int) -> None:
        self._work += work

    def saturated(self, yes: bool, now_ns: int) -> None:
        """Somebody waits from now on, or nobody any more. Called on each change and once a second."""
        if self._since_ns is not None and now_ns > self._since_ns:
            work, span_ns = self._work, now_ns - self._since_ns
            if self._slices and self._slices[-1][0] // SLICE_NS == now_ns // SLICE_NS:
                _, more_work, more_ns = self._slices.pop()
                work, span_ns = work + more_work, span_ns + more_ns
            self._slices.append((now_ns, work, span_ns))
        self._work = 0
        self._since_ns = now_ns if yes else None
        while self._slices and self._slices[0][0] < now_ns - WINDOW_NS:
            self._slices.popleft()

    def ended(self, generated_tokens: int) -> None:
        """One request is over: moves the running mean of how long an answer is."""
        part = 1 / 16 if self._ended else 1.0
        self._ended = True
        self.tokens_per_request += part * (generated_tokens - self.tokens_per_request)

    def per_s(self, now_ns: int) -> float | None:
        """Work a second at capacity; the last measurement when the window is empty, None when there never was one."""
        spans = [(work, span) for end, work, span in self._slices if end >= now_ns - WINDOW_NS]
        span_ns = sum(span for _, span in spans)
        if span_ns >= ENOUGH_NS:
            self._last_per_s = sum(work for work, _ in spans) * SECOND_NS / span_ns
        return self._last_per_s


class Patience:
    """Shortens the longest wait when even the luckiest request of the last ten seconds waited over five."""

    def __init__(self, max_wait_s: int) -> None:
        self._max_wait_s = max_wait_s
        self._window_ns = 0
        self._least_ns: int | None = None
        self.wait_s = max_wait_s

    def waited(self, wait_ns: int, now_ns: int) -> None:
        """A request left the line after `wait_ns`."""
        if self._least_ns is None:
            self._window_ns, self._least_ns = now_ns, wait_ns
        self._least_ns = min(self._least_ns, wait_ns)
        if wait_ns <= IMPATIENT_WAIT_S * SECOND_NS:
            self.wait_s = self._max_wait_s
        if now_ns - self._window_ns >= PATIENCE_WINDOW_NS:
            if self._least_ns > IMPATIENT_WAIT_S * SECOND_NS:
                self.wait_s = min(self._max_wait_s, IMPATIENT_WAIT_S)
            self._least_ns = None

    def nobody_waits(self) -> None:
        self._least_ns = None
        self.wait_s = self._max_wait_s


def predicted_wait_s(own_work: int, weight: int, others: Iterable[tuple[int, int]], work_per_s: float | None) -> float:
    """Seconds until `own_work`, what the caller itself has waiting, is served beside others' (work, weight) lines.

    While it is served, every other workspace gets at most its weighted part, however long its line is.
    """
    if not work_per_s:
        return 0.0
    beside = sum(min(work, own_work * other // weight) for work, other in others)
    return (own_work + beside) / work_per_s
