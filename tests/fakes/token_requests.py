"""Requests in token ids with everything but the point of a test filled in, and a driver that runs a loop dry."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tramontane.adapters.servers.openvino.loop import EngineLoop
from tramontane.adapters.servers.openvino.request import StepReport, TokenRequest
from tramontane.adapters.servers.tokens import TokenLogprobs
from tramontane.foundation.nouns import Limits, Sampling, Spend

GREEDY = Sampling(temperature=0.0)


def token_request(request_id: str, prompt: Sequence[int], max_tokens: int, **fields: Any) -> TokenRequest:
    """Greedy, one choice, no end token, namespace and share of its own kind unless said otherwise."""
    values: dict[str, Any] = {
        "namespace": b"house",
        "share": "house",
        "weight": 1,
        "sampling": GREEDY,
        "limits": Limits(),
        "stop_tokens": frozenset(),
    }
    return TokenRequest(id=request_id, prompt=list(prompt), max_tokens=max_tokens, **(values | fields))


@dataclass
class Outcome:
    """Everything a loop reported, put together by request and choice."""

    tokens: dict[tuple[str, int], list[int]] = field(default_factory=dict)
    logprobs: dict[tuple[str, int], list[TokenLogprobs]] = field(default_factory=dict)
    reasons: dict[tuple[str, int], str] = field(default_factory=dict)
    finished: dict[str, Spend] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    failed_spend: dict[str, Spend] = field(default_factory=dict)
    reports: list[StepReport] = field(default_factory=list)

    def add(self, report: StepReport) -> None:
        """Take a report in; nothing may come for what is already over."""
        for choice in report.choices:
            key = (choice.request_id, choice.index)
            assert key not in self.reasons, f"{key} went on after its end"
            assert choice.request_id not in self.finished
            self.tokens.setdefault(key, []).extend(choice.tokens)
            self.logprobs.setdefault(key, []).extend(choice.logprobs or [])
            if choice.reason:
                self.reasons[key] = choice.reason
        assert not (self.finished.keys() | self.failed.keys()) & (report.finished.keys() | report.failed.keys())
        self.finished |= report.finished
        self.failed |= report.failed
        self.failed_spend |= report.failed_spend
        self.reports.append(report)


def run_dry(loop: EngineLoop, outcome: Outcome | None = None, most_steps: int = 5000) -> Outcome:
    """Step until nothing is left to do."""
    outcome = outcome or Outcome()
    for _ in range(most_steps):
        if not loop.has_work:
            return outcome
        outcome.add(loop.step())
    raise AssertionError(f"still working after {most_steps} steps")


def answer(loop: EngineLoop, request: TokenRequest) -> list[int]:
    """The first choice's tokens of a request run alone."""
    loop.submit(request)
    return run_dry(loop).tokens[request.id, 0]


class OnlyThese:
    """A grammar over token ids: each position allows one set, and the answer is complete behind the last."""

    def __init__(self, sets: Sequence[set[int]], vocabulary: int, fail_at: int | None = None) -> None:
        self._sets = list(sets)
        self._words = -(-vocabulary // 32)
        self._fail_at = fail_at
        self.taken: list[int] = []

    def mask(self) -> np.ndarray:
        if self._fail_at == len(self.taken):
            raise ValueError("grammar out of memory")
        bits = np.zeros(self._words, np.uint32)
        for token in self._sets[len(self.taken)]:
            bits[token // 32] |= np.uint32(1 << (token % 32))
        return bits

    def accept(self, token: int) -> None:
        assert token in self._sets[len(self.taken)]
        self.taken.append(token)

    def allowed_prefix(self, tokens: list[int]) -> int:
        count = 0
        for token, allowed in zip(tokens, self._sets[len(self.taken) :], strict=False):
            if token not in allowed:
                break
            count += 1
        return count

    @property
    def complete(self) -> bool:
        return len(self.taken) == len(self._sets)
