"""An embedding model at work inside its process: texts of several requests in, one batch at a time, vectors out.

Knows how requests share a batch so that a long list does not hold up a short one; knows neither the encoder nor sockets.
The process runs it on its main thread and feeds it from its reader thread.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from tramontane.adapters.servers.openvino import protocol
from tramontane.adapters.servers.openvino.prompts import Send
from tramontane.engine.ports import Capacity, Load
from tramontane.foundation.errors import BadRequest, ContextExceeded, FieldProblem, InvalidFields, TramontaneError
from tramontane.foundation.nouns import EmbedAsk, Spend

BATCH_TEXTS = 64
TURN_TEXTS = 16  # of one request in one batch while others wait

Encode = Callable[[str], list[int]]


class TextEncoder(Protocol):
    """What the engine needs of an embedding model."""

    dimension: int
    vocab_size: int

    def embed(self, sequences: Sequence[Sequence[int]]) -> np.ndarray:
        """Unit vectors [N, dimension] float32."""
        ...


@dataclass(slots=True)
class _Job:
    ask: EmbedAsk
    texts: deque[list[int]]
    tokens: int
    dimension: int
    rows: list[bytes] = field(default_factory=list)
    spent_ns: int = 0


class EmbedEngine:
    """Embeds until stopped. `take` and `stop` may be called from any thread, `run` from one."""

    def __init__(
        self,
        name: str,
        encoder: TextEncoder,
        encode: Encode,
        capacity: Capacity,
        send: Send,
        clock_ns: Callable[[], int],
    ) -> None:
        self.capacity = capacity
        self.slowest_step_ns = 0
        self._name = name
        self._encoder = encoder
        self._encode = encode
        self._send = send
        self._clock_ns = clock_ns
        self._jobs: deque[_Job] = deque()
        self._lock = threading.Condition()
        self._progress = 0
        self._stopping = False

    @property
    def load(self) -> Load:
        with self._lock:
            waiting = sum(len(text) for job in self._jobs for text in job.texts)
            return Load(running=len(self._jobs), waiting_prefill_tokens=waiting, progress=self._progress)

    def take(self, message: protocol.ToEngine) -> None:
        """Take a message in. Texts are tokenised here, on the caller's thread, while the model computes."""
        match message:
            case protocol.Embed(ask=ask):
                try:
                    job = self._read(ask)
                except TramontaneError as error:
                    self._send(protocol.refusal(ask.id, error))
                    return
                with self._lock:
                    self._jobs.append(job)
                    self._lock.notify()
            case protocol.Prepare(ask=chat):
                text = f"{self._name} makes embeddings and no text; name a chat model"
                self._send(protocol.refusal(chat.id, BadRequest(text, param="model")))
            case protocol.Discard(id=request_id) | protocol.Cancel(id=request_id):
                with self._lock:
                    self._jobs = deque(job for job in self._jobs if job.ask.id != request_id)
            case protocol.Stop():
                self.stop()
            case _:
                pass  # nothing runs here that could be started, paused or resumed

    def stop(self) -> None:
        """Leave `run` after the batch under way."""
        with self._lock:
            self._stopping = True
            self._lock.notify()

    def run(self) -> None:
        """Embed while there is work, sleep while there is none."""
        while True:
            with self._lock:
                self._lock.wait_for(lambda: self._jobs or self._stopping)
                if self._stopping:
                    return
                batch = self._next_batch()
            self._compute(batch)

    def close(self) -> None:
        """Nothing to free."""

    def _read(self, ask: EmbedAsk) -> _Job:
        if not ask.inputs:
            raise InvalidFields.of("input", "input is empty; send at least one text")
        if ask.dimensions is not None and ask.dimensions != self._encoder.dimension:
            size = self._encoder.dimension
            raise BadRequest(
                f"{self._name} gives vectors of {size} numbers, not {ask.dimensions}; leave the field out",
                param="output_dimension",
            )
        texts = [self._encode(text) if isinstance(text, str) else list(text) for text in ask.inputs]
        self._check(texts)
        return _Job(ask, deque(texts), sum(len(text) for text in texts), self._encoder.dimension)

    def _check(self, texts: Sequence[Sequence[int]]) -> None:
        limit = self.capacity.context_tokens
        for index, text in enumerate(texts):
            if not text:
                raise InvalidFields([FieldProblem(("body", "input", index), "the input is empty; leave it out")])
            if len(text) > limit:
                raise ContextExceeded(
                    f"input {index} has {len(text)} tokens, {self._name} reads {limit}; split it", param="input"
                )
            # Past this point a wrong token would end the process and with it everybody's requests.
            if min(text) < 0 or max(text) >= self._encoder.vocab_size:
                last = self._encoder.vocab_size - 1
                raise InvalidFields([FieldProblem(("body", "input", index), f"token ids go from 0 to {last}")])

    def _next_batch(self) -> list[tuple[_Job, list[list[int]]]]:
        """Some texts of each waiting request in turn; a request alone fills the batch."""
        turn = BATCH_TEXTS if len(self._jobs) == 1 else TURN_TEXTS
        batch: list[tuple[_Job, list[list[int]]]] = []
        room = BATCH_TEXTS
        for _ in range(len(self._jobs)):
            job = self._jobs[0]
            taken = [job.texts.popleft() for _ in range(min(turn, room, len(job.texts)))]
            batch.append((job, taken))
            room -= len(taken)
            self._jobs.rotate(-1)
            if room == 0:
                break
        return batch

    def _compute(self, batch: list[tuple[_Job, list[list[int]]]]) -> None:
        started_ns = self._clock_ns()
        vectors = self._encoder.embed([text for _, texts in batch for text in texts]).astype("<f4")
        step_ns = self._clock_ns() - started_ns
        self.slowest_step_ns = max(self.slowest_step_ns, step_ns)
        done = []
        at = 0
        with self._lock:
            self._progress += 1
            for job, texts in batch:
                job.rows += [vector.tobytes() for vector in vectors[at : at + len(texts)]]
                job.spent_ns += step_ns * len(texts) // len(vectors)
                at += len(texts)
                if not job.texts:
                    done.append(job)
            self._jobs = deque(job for job in self._jobs if job.texts)
        for job in done:
            spend = Spend(prompt_tokens=job.tokens, computed_tokens=job.tokens, prefill_ns=job.spent_ns)
            self._send(protocol.EmbedDone(job.ask.id, job.rows, job.dimension, spend))
