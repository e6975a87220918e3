"""The moving half of the engine: requests in, steps of the model, tokens and accounts out.

Knows when a step starts and ends, and sees that whatever goes wrong ends the requests concerned and no others. What
goes into a step is `batch`'s decision, what comes out of it `choosing`'s. Called by the engine process, from one thread.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from tramontane.adapters.servers.openvino.batch import Batcher, Row
from tramontane.adapters.servers.openvino.cache import KeyValueCache
from tramontane.adapters.servers.openvino.choosing import Chooser, Taken
from tramontane.adapters.servers.openvino.prefix import root_name
from tramontane.adapters.servers.openvino.request import ChoiceStep, StepReport, TokenRequest
from tramontane.adapters.servers.openvino.request_check import check_request
from tramontane.adapters.servers.openvino.sampler import SamplingRules
from tramontane.adapters.servers.openvino.sequence import Account, RunningRequest, Sequence, State
from tramontane.adapters.servers.openvino.speculation import PromptLookup
from tramontane.adapters.servers.openvino.step_arrays import build_step
from tramontane.adapters.servers.openvino.steps import StepInput, StepOutput
from tramontane.engine.ports import Load
from tramontane.foundation.errors import Conflict, EngineFailed
from tramontane.foundation.nouns import Spend

_FAILED_STEPS_ALLOWED = 2


class HasVocabulary(Protocol):
    @property
    def vocab_size(self) -> int: ...


class SteppedModel(Protocol):
    """What the loop needs of a model; `PagedModel` is one."""

    block_tokens: int
    block_count: int

    @property
    def architecture(self) -> HasVocabulary: ...

    def start(self, step: StepInput) -> None:
        """Begin a step and return at once."""

    def wait(self) -> StepOutput:
        """Its output, valid until the next start."""


@dataclass(slots=True)
class _Flight:
    """The step under way."""

    rows: list[Row]
    started_ns: int
    positions: int
    chooser: Chooser | None = None
    step: StepInput | None = None
    error: Exception | None = None


class EngineLoop:
    """Continuous batching over one model.

    A step has two halves: `begin_step` starts the model and returns at once, `finish_step` waits for it and reports.
    Everything else may be called between the two; what concerns a sequence of the running step takes effect when it
    ends. `finish_step` must follow every `begin_step`.
    """

    def __init__(
        self,
        model: SteppedModel,
        *,
        max_sequences: int = 32,
        prefill_chunk_tokens: int = 128,
        clock_ns: Callable[[], int] = time.monotonic_ns,
        speculate: bool = True,
    ) -> None:
        self._model = model
        self._clock_ns = clock_ns
        self._speculate = speculate
        # One block stays out of the pool for positions of no consequence.
        self._spare_block = model.block_count - 1
        self._cache = KeyValueCache(model.block_count - 1, model.block_tokens)
        self._batcher = Batcher(self._cache, max_sequences, prefill_chunk_tokens)
        self._requests: dict[str, RunningRequest] = {}
        self._finished: dict[str, Spend] = {}
        self._flight: _Flight | None = None
        self._arrivals = 0
        self._steps = 0
        self._failed_steps = 0

    @property
    def has_work(self) -> bool:
        """Whether another step would do or report something; paused requests alone are no work."""
        return self._batcher.has_work or bool(self._finished) or self._flight is not None

    @property
    def broken(self) -> bool:
        """Several steps in a row have failed; the process had better be replaced."""
        return self._failed_steps > _FAILED_STEPS_ALLOWED

    @property
    def load(self) -> Load:
        """`resident_bytes` is left to the process."""
        return Load(
            running=self._batcher.running,
            waiting_prefill_tokens=self._batcher.waiting_tokens,
            cache_used_tokens=self._cache.used_tokens,
            progress=self._steps,
        )

    def submit(self, request: TokenRequest) -> None:
        """Take a request on; its first tokens come with a later step.

        Raises BadRequest for an empty prompt, unknown token ids or odd counts, ContextExceeded for more tokens than the
        cache holds, Conflict for an id that is running, EngineFailed once the loop is broken.
        """
        if self.broken:
            raise EngineFailed("the model has failed several steps in a row; its process is being replaced")
        if request.id in self._requests:
            raise Conflict(f"request {request.id!r} is already running; give each request an id of its own")
        check_request(request, self._model.architecture.vocab_size, self._cache.pool.count, self._cache.block_tokens)
        stop_tokens = request.stop_tokens
        if request.limits.ignore_eos and not request.constraints:
            stop_tokens = frozenset()
        # Guesses are checked several rows at a time, which rounds differently from one at a time: not with a seed.
        repeatable = request.sampling.seed is not None
        speculate = self._speculate and not repeatable
        running = RunningRequest(
            request, SamplingRules.of(request.sampling), Account(self._clock_ns()), stop_tokens, repeatable
        )
        root = root_name(request.namespace)
        for index in range(request.n):
            sequence = Sequence(
                owner=running,
                index=index,
                arrival=self._arrivals,
                tokens=list(request.prompt),
                root=root,
                lookup=PromptLookup(request.prompt, request.guess_from) if speculate else None,
                constraint=request.constraints[index] if request.constraints else None,
            )
            self._arrivals += 1
            running.choices.append(sequence)
            self._batcher.add(sequence)
        running.open_choices = request.n
        self._requests[request.id] = running

    def cancel(self, request_id: str) -> Spend | None:
        """Drop a request; it appears in no later report. Returns what it has cost, the running step's part included.

        None when no such request runs.
        """
        running = self._requests.pop(request_id, None)
        if running is None:
            return self._finished.pop(request_id, None)
        now_ns = self._clock_ns()
        if self._flight is not None:
            self._apportion(self._flight, now_ns, running)
        for sequence in running.choices:
            self._close(sequence)
        return running.account.spend(len(running.request.prompt), now_ns)

    def pause(self, request_id: str) -> None:
        """Leave a request out of the next steps. Unknown ids are ignored: the request may just have ended."""
        for sequence in self._choices(request_id):
            self._batcher.pause(sequence)

    def resume(self, request_id: str) -> None:
        for sequence in self._choices(request_id):
            self._batcher.resume(sequence)

    def end_choice(self, request_id: str, index: int) -> None:
        """The caller has seen the end of this choice: what was reported so far counts, the running step's tokens do not.

        When it was the last open choice, the next report lists the request as finished.
        """
        running = self._requests.get(request_id)
        if running is None:
            return
        sequence = running.choices[index]
        if sequence.state is State.DONE or sequence.closing:
            return
        in_flight = sequence.in_flight
        self._close(sequence)
        if not in_flight:
            self._choice_over(running, self._clock_ns())

    def step(self) -> StepReport:
        """`begin_step` and `finish_step` in one."""
        self.begin_step()
        return self.finish_step()

    def begin_step(self) -> bool:
        """Start the model on the next batch. False when there is nothing to compute; `finish_step` still reports."""
        if self._flight is not None:
            raise RuntimeError("a step is under way; call finish_step before the next begin_step")
        started_ns = self._clock_ns()
        rows = self._batcher.compose()
        if not rows:
            return False
        flight = _Flight(rows, started_ns, sum(row.positions for row in rows))
        self._flight = flight
        flight.step = build_step(rows, self._cache.block_tokens, self._spare_block)
        try:
            self._model.start(flight.step)
        except Exception as error:
            flight.error = error
        for row in rows:
            row.sequence.in_flight = True
            _count(row, started_ns)
        flight.chooser = Chooser(rows)
        return True

    def finish_step(self) -> StepReport:
        """Wait for the model and hand out what it brought."""
        flight = self._flight
        report = StepReport([], self._finished, {}, 0, 0, 0, 0)
        self._finished = {}
        if flight is None:
            return report
        try:
            if flight.error is None and flight.chooser is not None:
                flight.chooser.settle(self._model.wait())
        except Exception as error:
            flight.error = error
        for row in flight.rows:
            row.sequence.in_flight = False
        self._flight = None
        if flight.error is None:
            self._failed_steps = 0
            self._steps += 1
            self._collect(flight, report)
        else:
            self._failed_steps += 1
            self._fail_step(flight, report)
        return report

    def _collect(self, flight: _Flight, report: StepReport) -> None:
        ended: list[Sequence] = []
        for place, row in enumerate(flight.rows):
            if row.decoding:
                report.decode_tokens += row.positions
            else:
                report.prefill_tokens += row.positions
            report.cache_reads += row.cache_reads
            if row.sequence.closing:
                ended.append(row.sequence)
            elif not row.sampled:
                self._batcher.settle(row, row.count)
            elif self._take(flight, place, row, report):
                ended.append(row.sequence)
        now_ns = self._clock_ns()
        report.step_ns = now_ns - flight.started_ns
        self._apportion(flight, now_ns)
        for request_id in report.failed:
            running = self._requests[request_id]
            report.failed_spend[request_id] = running.account.spend(len(running.request.prompt), now_ns)
            self._drop(running, spoiled=False)
        for sequence in ended:
            if sequence.state is State.DONE:
                continue
            self._batcher.remove(sequence)
            if self._is_current(sequence.owner):
                self._choice_over(sequence.owner, now_ns)
        report.finished.update(self._finished)
        self._finished = {}

    def _take(self, flight: _Flight, place: int, row: Row, report: StepReport) -> bool:
        """Give a sequence its tokens; true when its answer is complete."""
        assert flight.chooser is not None
        sequence, request = row.sequence, row.sequence.owner.request
        if request.id in report.failed:
            return False
        if not flight.chooser.healthy(place, row):
            report.failed[request.id] = "the model gave no finite probabilities for this request; try it again"
            return False
        try:
            taken = flight.chooser.take(place, row)
        except Exception as error:
            # A grammar is foreign code over hostile input: it may end its own request, never another's.
            report.failed[request.id] = f"the answer could not be continued: {error}"
            return False
        self._batcher.settle(row, row.count + len(taken.tokens) - 1)
        sequence.owner.account.generated_tokens += len(taken.tokens)
        _learn(sequence, row, taken)
        visible = taken.tokens[:-1] if taken.stopped else taken.tokens
        report.choices.append(ChoiceStep(request.id, sequence.index, visible, taken.logprobs, taken.reason))
        return taken.reason is not None

    def _fail_step(self, flight: _Flight, report: StepReport) -> None:
        now_ns = self._clock_ns()
        report.step_ns = now_ns - flight.started_ns
        self._apportion(flight, now_ns)
        for sequence in [row.sequence for row in flight.rows if row.sequence.closing]:
            self._batcher.remove(sequence, spoiled=True)
            if self._is_current(sequence.owner):
                self._choice_over(sequence.owner, now_ns)
        for running in [row.sequence.owner for row in flight.rows]:
            if self._is_current(running):
                report.failed[running.request.id] = f"the model failed in the middle of a step: {flight.error}"
                report.failed_spend[running.request.id] = running.account.spend(len(running.request.prompt), now_ns)
                self._drop(running, spoiled=True)
        report.finished.update(self._finished)
        self._finished = {}

    def _is_current(self, running: RunningRequest) -> bool:
        """False once it was cancelled, even if its id has been given to another since."""
        return self._requests.get(running.request.id) is running

    def _drop(self, running: RunningRequest, *, spoiled: bool) -> None:
        del self._requests[running.request.id]
        for sequence in running.choices:
            if sequence.state is not State.DONE:
                self._batcher.remove(sequence, spoiled=spoiled)

    def _close(self, sequence: Sequence) -> None:
        """End a sequence now, or with the running step where that writes to its blocks."""
        if sequence.in_flight:
            sequence.closing = True
        elif sequence.state is not State.DONE:
            self._batcher.remove(sequence)

    def _choice_over(self, running: RunningRequest, now_ns: int) -> None:
        running.open_choices -= 1
        if running.open_choices:
            return
        del self._requests[running.request.id]
        self._finished[running.request.id] = running.account.spend(len(running.request.prompt), now_ns)

    def _apportion(self, flight: _Flight, now_ns: int, only: RunningRequest | None = None) -> None:
        """Share the step's time so far out by positions, to the nanosecond; with `only`, to that request alone."""
        elapsed_ns = now_ns - flight.started_ns
        done = 0
        for row in flight.rows:
            before, done = done, done + row.positions
            if only is not None and row.sequence.owner is not only:
                continue
            part_ns = elapsed_ns * done // flight.positions - elapsed_ns * before // flight.positions
            if row.decoding:
                row.sequence.owner.account.decode_ns += part_ns
            else:
                row.sequence.owner.account.prefill_ns += part_ns

    def _choices(self, request_id: str) -> list[Sequence]:
        running = self._requests.get(request_id)
        choices = running.choices if running else []
        return [sequence for sequence in choices if sequence.state is not State.DONE and not sequence.closing]


def _count(row: Row, now_ns: int) -> None:
    """Enter a row in its request's account when the step starts, so that a request cancelled during it pays for it."""
    sequence = row.sequence
    account = sequence.owner.account
    if account.started_ns is None:
        account.started_ns = now_ns
    account.cache_reads += row.cache_reads
    new_from = max(row.start, sequence.prompt_tokens, sequence.reached)
    new = row.positions if row.decoding else max(0, row.start + row.count - new_from)
    account.decode_positions += new
    account.computed_tokens += row.positions - new


def _learn(sequence: Sequence, row: Row, taken: Taken) -> None:
    if sequence.lookup is None or taken.reason is not None:
        return
    sequence.lookup.append(taken.tokens)
    if row.guesses:
        sequence.lookup.learn(len(row.guesses), len(taken.tokens) - 1)
