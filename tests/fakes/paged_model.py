"""A paged model whose next token depends on every token of its context, read back through the block tables.

It keeps tokens and positions where a real one keeps keys and values, so a wrong block, a stale slot or a shared block
written twice shows as a wrong token or as a recorded violation. Deterministic; used wherever a batching loop is tested.
"""

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from types import SimpleNamespace

import numpy as np

from tramontane.adapters.servers.openvino.steps import StepInput, StepOutput

_ROWS = np.random.default_rng(7).normal(0.0, 3.0, (211, 1024)).astype(np.float32)


class FakePagedModel:
    """`window`: only the last so many tokens decide, which makes text repeat. `fail_at`: steps (from 0) that raise."""

    def __init__(
        self,
        block_count: int = 64,
        block_tokens: int = 4,
        vocabulary: int = 97,
        window: int | None = None,
        fail_at: Iterable[int] = (),
    ) -> None:
        self.block_count = block_count
        self.block_tokens = block_tokens
        self.architecture = SimpleNamespace(vocab_size=vocabulary)
        self.violations: list[str] = []
        self.steps: list[StepInput] = []
        self._window = window
        self._fail_at = frozenset(fail_at)
        self._tokens = np.full((block_count, block_tokens), -1, np.int64)
        self._positions = np.full((block_count, block_tokens), -1, np.int64)

    def start(self, step: StepInput) -> None:
        self.steps.append(step)

    def wait(self) -> StepOutput:
        step = self.steps[-1]
        tables = self._write(step)
        if len(self.steps) - 1 in self._fail_at:
            raise RuntimeError("out of order")
        rows = [self._logits_at(step, tables, int(row)) for row in step.sampled]
        vocabulary = self.architecture.vocab_size
        return output_of(np.array(rows, np.float32).reshape(-1, vocabulary), step.inverse_temperature)

    def step(self, step: StepInput) -> StepOutput:
        self.start(step)
        return self.wait()

    def logits_for(self, context: Sequence[int]) -> np.ndarray:
        """What the model says after these tokens, [V]; the definition of the model."""
        seen = list(context if self._window is None else context[-self._window :])
        digest = int.from_bytes(blake2b(np.array(seen, np.int64).tobytes(), digest_size=8).digest(), "little")
        vocabulary = self.architecture.vocab_size
        return np.roll(_ROWS[digest % 211, :vocabulary], digest // 211 % vocabulary)

    def greedy(self, prompt: Sequence[int], count: int) -> list[int]:
        """The answer any correct batching must give at temperature 0."""
        text = list(prompt)
        for _ in range(count):
            text.append(int(self.logits_for(text).argmax()))
        return text[len(prompt) :]

    def _write(self, step: StepInput) -> list[np.ndarray]:
        written: set[tuple[int, int]] = set()
        tables = []
        for s in range(len(step.past_lens)):
            table = step.block_indices[step.block_begins[s] : step.block_begins[s + 1]]
            tables.append(table)
            first, last = int(step.begins[s]), int(step.begins[s + 1])
            for offset, row in enumerate(range(first, last)):
                position = int(step.past_lens[s]) + offset
                if position != step.positions[row]:
                    self.violations.append(f"row {row} says position {step.positions[row]}, is {position}")
                place = (int(table[position // self.block_tokens]), position % self.block_tokens)
                if place in written:
                    self.violations.append(f"slot {place} written twice in one step")
                written.add(place)
                self._tokens[place] = step.tokens[row]
                self._positions[place] = position
            if int(step.past_lens[s]) + last - first > step.max_context_len:
                self.violations.append("max_context_len is too small")
        return tables

    def _logits_at(self, step: StepInput, tables: list[np.ndarray], row: int) -> np.ndarray:
        s = int(np.searchsorted(step.begins, row, side="right")) - 1
        length = int(step.positions[row]) + 1
        places = np.arange(length)
        blocks, slots = tables[s][places // self.block_tokens], places % self.block_tokens
        if not np.array_equal(self._positions[blocks, slots], places):
            self.violations.append(f"row {row} reads slots that hold other positions")
        return self.logits_for(self._tokens[blocks, slots].tolist())


def output_of(logits: np.ndarray, inverse_temperature: np.ndarray, candidates: int = 64) -> StepOutput:
    """What a graph computes from logits [R, V]: candidates best first, and log-sums."""
    order = np.argsort(-logits, axis=1, kind="stable")[:, :candidates].astype(np.int32)
    wide = logits.astype(np.float64)
    return StepOutput(
        top_values=np.take_along_axis(logits, order.astype(np.int64), axis=1),
        top_indices=order,
        lse=np.log(np.exp(wide).sum(axis=1)).astype(np.float32),
        lse_scaled=np.log(np.exp(wide * inverse_temperature[:, None]).sum(axis=1)).astype(np.float32),
        logits=logits,
    )
