"""What goes into the next step: every answer being decoded, then prompts in fair order up to a budget of tokens.

Moves sequences through their life cycle and sees to their blocks: admission, preemption, pausing. Pure but for its own
state: no arrays, no model, no clock. Called by `loop`.
"""

from bisect import insort
from dataclasses import dataclass

from tramontane.adapters.servers.openvino.blocks import NoFreeBlock
from tramontane.adapters.servers.openvino.cache import KeyValueCache
from tramontane.adapters.servers.openvino.fairness import DECODE_COST, PREFILL_COST, FairOrder
from tramontane.adapters.servers.openvino.sequence import Sequence, State
from tramontane.adapters.servers.openvino.speculation import MAX_GUESSES, StepCost, guess_lengths

MAX_SAMPLED_ROWS = 64
"""Rows whose next token is asked for: each takes several buffers as wide as the vocabulary, which the graph then keeps."""


@dataclass(slots=True)
class Row:
    """A run of one sequence's positions in a step: [start, start + count), then the guesses.

    `sampled`: the run reaches the end of the text, so its last position and every guess ask for the next token.
    `decoding`: the one new token of an answer, not a piece of a prompt.
    """

    sequence: Sequence
    start: int
    count: int
    guesses: list[int]
    sampled: bool
    decoding: bool

    @property
    def positions(self) -> int:
        return self.count + len(self.guesses)

    @property
    def cache_reads(self) -> int:
        """Cached positions attended to, a position's own among them."""
        return self.positions * self.start + self.positions * (self.positions + 1) // 2


class Batcher:
    """Sequences of one model, at most `max_sequences` of them holding a slot at a time."""

    def __init__(
        self, cache: KeyValueCache, max_sequences: int, prefill_chunk_tokens: int, cost: StepCost | None = None
    ) -> None:
        self.cache = cache
        self.fair = FairOrder()
        self._max_sequences = max_sequences
        self._chunk_tokens = prefill_chunk_tokens
        self._cost = cost or StepCost()
        self._running: list[Sequence] = []
        self._queues: dict[str, list[Sequence]] = {}
        self._paused: list[Sequence] = []

    @property
    def running(self) -> int:
        return len(self._running)

    @property
    def has_work(self) -> bool:
        return bool(self._running or self._queues)

    @property
    def waiting_tokens(self) -> int:
        """Prompt tokens still to be computed, paused sequences left out."""
        queued = sum(sequence.pending for queue in self._queues.values() for sequence in queue)
        return queued + sum(sequence.pending for sequence in self._running if sequence.state is State.PREFILL)

    def add(self, sequence: Sequence) -> None:
        """A new sequence, in state WAITING, joins its share's line."""
        self.fair.join(sequence.share, sequence.owner.request.weight)
        self.cache.name_blocks(sequence)
        self._enqueue(sequence)

    def pause(self, sequence: Sequence) -> None:
        """Leave a sequence out of the next steps; its blocks stay until they are needed."""
        if sequence.state in (State.PAUSED, State.DONE):
            return
        self._withdraw(sequence)
        sequence.move(State.PAUSED)
        self._paused.append(sequence)
        self.fair.leave(sequence.share)

    def resume(self, sequence: Sequence) -> None:
        """Back into the line, at the place its arrival gives it."""
        if sequence.state is not State.PAUSED:
            return
        self._paused.remove(sequence)
        sequence.move(State.WAITING)
        self.fair.join(sequence.share, sequence.owner.request.weight)
        self._enqueue(sequence)

    def remove(self, sequence: Sequence, *, spoiled: bool = False) -> None:
        """The sequence is over. Must not be called while a step writes to its blocks."""
        if sequence.state is State.PAUSED:
            self._paused.remove(sequence)
        else:
            self._withdraw(sequence)
            self.fair.leave(sequence.share)
        sequence.move(State.DONE)
        self.cache.release(sequence, spoiled=spoiled)

    def compose(self) -> list[Row]:
        """The rows of the next step; empty only when nothing can run."""
        rows = self._decode_rows()
        rows += self._prefill_rows()
        return rows

    def settle(self, row: Row, taken: int) -> None:
        """A step is done: `taken` positions of the row hold what they should, now that the tokens are appended."""
        sequence = row.sequence
        sequence.computed = row.start + taken
        sequence.reached = max(sequence.reached, sequence.computed)
        self.cache.publish(sequence)
        if row.decoding and sequence.state is State.DECODING:
            self.fair.charge(sequence.share, DECODE_COST * taken)
        if sequence.state is State.PREFILL and row.sampled:
            sequence.move(State.DECODING)

    def _decode_rows(self) -> list[Row]:
        decoding = [sequence for sequence in self._running if sequence.state is State.DECODING]
        for sequence in decoding:
            # An earlier one's growth may have preempted this one.
            if sequence.state is State.DECODING:
                self._grow_or_preempt(sequence)
        rows = [
            Row(sequence, sequence.computed, 1, [], True, True)
            for sequence in decoding
            if sequence.state is State.DECODING
        ]
        self._add_guesses(rows)
        return rows

    def _add_guesses(self, rows: list[Row]) -> None:
        """Guesses where they pay; none when even a certain one would not."""
        decoding = len(rows)
        if not rows or self._cost.of(decoding) <= decoding * (self._cost.of(decoding + 1) - self._cost.of(decoding)):
            return
        found = [self._guesses_for(row.sequence) for row in rows]
        if not any(found):
            return
        estimates = [
            row.sequence.lookup.estimate if row.sequence.lookup and guesses else 0.0
            for row, guesses in zip(rows, found, strict=True)
        ]
        lengths = guess_lengths(estimates, [len(guesses) for guesses in found], decoding, self._cost)
        room = max(0, MAX_SAMPLED_ROWS - decoding)
        for row, guesses, length in zip(rows, found, lengths, strict=True):
            lookup = row.sequence.lookup
            if guesses and not length and lookup is not None and lookup.worth_probing():
                length = 1
            row.guesses = self._with_blocks(row.sequence, guesses[: min(length, room)])
            room -= len(row.guesses)

    def _guesses_for(self, sequence: Sequence) -> list[int]:
        request = sequence.owner.request
        limit = min(MAX_GUESSES, request.max_tokens - sequence.generated - 1)
        if sequence.lookup is None or limit < 1:
            return []
        guesses = sequence.lookup.guess(limit)
        if guesses and sequence.constraint is not None:
            guesses = guesses[: sequence.constraint.allowed_prefix(guesses)]
        return guesses

    def _with_blocks(self, sequence: Sequence, guesses: list[int]) -> list[int]:
        """As many guesses as there are blocks for without taking any from others."""
        if not guesses:
            return guesses
        try:
            self.cache.grow(sequence, len(sequence.tokens) + len(guesses))
        except NoFreeBlock:
            room = len(sequence.table) * self.cache.block_tokens - len(sequence.tokens)
            return guesses[: max(0, room)]
        return guesses

    def _prefill_rows(self) -> list[Row]:
        """Pieces of prompts in fair order. A step that completes a short prompt beside another share's is kept short."""
        rows: list[Row] = []
        budget = self._chunk_tokens
        under_way: set[bytes] = set()
        lines = self._lines()
        contended = len(lines) > 1
        while budget > 0 and lines:
            share = self.fair.least_served(lines)
            sequence = self._next_in_line(lines[share], under_way)
            if sequence is None:
                del lines[share]
                continue
            if sequence.state is not State.PREFILL and not self._admit(sequence):
                # Nobody overtakes the one whose turn it is: only prompts under way go on.
                lines = {name: _in_prefill(line) for name, line in lines.items()}
                continue
            row = self._prefill_row(sequence, budget)
            self._mark(row, under_way)
            budget -= row.count
            if contended and row.sampled:
                budget = max(0, budget - self._chunk_tokens // 2)
            rows.append(row)
        return rows

    def _lines(self) -> dict[str, list[Sequence]]:
        """Sequences with something to prefill by share, prompts under way before waiting ones."""
        lines: dict[str, list[Sequence]] = {}
        for sequence in self._running:
            if sequence.state is State.PREFILL:
                lines.setdefault(sequence.share, []).append(sequence)
        for line in lines.values():
            line.sort(key=_arrival)
        if len(self._running) < self._max_sequences:
            for share, queue in self._queues.items():
                lines.setdefault(share, []).extend(queue)
        return lines

    def _next_in_line(self, line: list[Sequence], under_way: set[bytes]) -> Sequence | None:
        """Take the first sequence out of the line whose next block nobody else is computing in this very step."""
        while line:
            sequence = line.pop(0)
            if not under_way or not self._would_repeat(sequence, under_way):
                return sequence
        return None

    def _would_repeat(self, sequence: Sequence, under_way: set[bytes]) -> bool:
        position = self.cache.look_ahead(sequence)
        return position < len(sequence.names) and sequence.names[position] in under_way

    def _prefill_row(self, sequence: Sequence, budget: int) -> Row:
        gained = self.cache.catch_up(sequence)
        self._count_cached(sequence, gained)
        count = min(sequence.pending, budget)
        start = sequence.computed
        new = start + count - max(start, sequence.reached)
        self.fair.charge(sequence.share, PREFILL_COST * max(0, new))
        return Row(sequence, start, count, [], start + count == len(sequence.tokens), False)

    def _mark(self, row: Row, under_way: set[bytes]) -> None:
        """Remember the names of the blocks a row computes, so that a twin waits for them instead of repeating them."""
        first = row.start // self.cache.block_tokens
        last = (row.start + row.count - 1) // self.cache.block_tokens
        under_way.update(row.sequence.names[first : last + 1])

    def _admit(self, sequence: Sequence) -> bool:
        """Give a waiting sequence a slot and all its blocks; false when either is missing."""
        if len(self._running) >= self._max_sequences:
            return False
        # Each running answer may soon want one more block; a lone sequence may have all there is.
        needed = self.cache.missing_blocks(sequence) + len(self._running)
        if self.cache.pool.available < needed and not self._reclaim(needed, sequence):
            return False
        if self.cache.pool.available < self.cache.missing_blocks(sequence) + len(self._running):
            return False
        self._withdraw(sequence)
        self._count_cached(sequence, self.cache.attach(sequence))
        sequence.move(State.PREFILL)
        self._running.append(sequence)
        return True

    def _count_cached(self, sequence: Sequence, tokens: int) -> None:
        """Positions of the prompt found computed, counted once for a request however often it is preempted."""
        if sequence.index == 0:
            known = min(sequence.computed, sequence.prompt_tokens)
            new = known - max(known - tokens, min(sequence.reached, sequence.prompt_tokens))
            sequence.owner.account.cached_tokens += max(0, new)
        sequence.reached = max(sequence.reached, sequence.computed)

    def _grow_or_preempt(self, sequence: Sequence) -> None:
        """A block for the next token, taken from idle sequences, then from the newest of the most served share."""
        while sequence.state is State.DECODING:
            try:
                self.cache.grow(sequence, len(sequence.tokens))
            except NoFreeBlock:
                if not self._reclaim(1, sequence):
                    self._preempt(self._victim())
            else:
                return

    def _victim(self) -> Sequence:
        share = self.fair.most_served(sequence.share for sequence in self._running)
        return max((sequence for sequence in self._running if sequence.share == share), key=_arrival)

    def _preempt(self, sequence: Sequence) -> None:
        self._withdraw(sequence)
        sequence.move(State.PREEMPTED)
        self.cache.release(sequence)
        self._enqueue(sequence)

    def _reclaim(self, needed: int, beneficiary: Sequence) -> bool:
        """Take the blocks of paused and waiting sequences, newest first, until `needed` are available."""
        queued = [sequence for queue in self._queues.values() for sequence in queue]
        idle = [other for other in (*self._paused, *queued) if other.table and other is not beneficiary]
        if self.cache.pool.available + sum(len(other.table) for other in idle) < needed:
            return False
        idle.sort(key=_arrival)
        while self.cache.pool.available < needed:
            if not idle:
                return False
            self.cache.release(idle.pop())
        return True

    def _enqueue(self, sequence: Sequence) -> None:
        self.cache.name_blocks(sequence)
        insort(self._queues.setdefault(sequence.share, []), sequence, key=_arrival)

    def _withdraw(self, sequence: Sequence) -> None:
        """Out of the slots or out of the line, wherever it is."""
        if sequence.state in (State.PREFILL, State.DECODING):
            self._running.remove(sequence)
            return
        queue = self._queues[sequence.share]
        queue.remove(sequence)
        if not queue:
            del self._queues[sequence.share]


def _arrival(sequence: Sequence) -> int:
    return sequence.arrival


def _in_prefill(line: list[Sequence]) -> list[Sequence]:
    return [sequence for sequence in line if sequence.state is State.PREFILL]
