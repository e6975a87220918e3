"""Asks made ready for the loop while it computes: read, rendered, tokenised, their grammar compiled.

Knows the model's words and what is prepared but not started; knows neither steps nor sockets. The chat engine calls it
from its reader thread, its own few threads do the work.
"""

import dataclasses
import logging
import secrets
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from tramontane.adapters.servers.completion.answer import AnswerReader
from tramontane.adapters.servers.completion.grammar import GrammarCompiler
from tramontane.adapters.servers.completion.profile import ModelProfile
from tramontane.adapters.servers.completion.prompt import read
from tramontane.adapters.servers.openvino import protocol
from tramontane.adapters.servers.openvino.request import TokenRequest
from tramontane.adapters.servers.openvino.rotation import Rotation
from tramontane.foundation.errors import EngineFailed, TramontaneError

PREPARING_THREADS = 2
_SEED_BITS = 63

log = logging.getLogger(__name__)
Send = Callable[[protocol.ToGateway], None]


@dataclasses.dataclass(slots=True)
class Prompt:
    """An ask the loop can run: its token request and one reader per choice."""

    request: TokenRequest
    readers: list[AnswerReader]


class PromptDesk:
    """Prepares asks and keeps them until they are taken or discarded. Thread-safe."""

    def __init__(self, profile: ModelProfile, vocab_size: int, send: Send) -> None:
        """`vocab_size` is the width of the model's logits."""
        self._profile = profile
        self._send = send
        self._grammars = GrammarCompiler(profile, vocab_size)
        self._grammars.start()
        self._pool = ThreadPoolExecutor(PREPARING_THREADS, "prepare")
        self._lock = threading.Lock()
        self._waiting: Rotation[protocol.Prepare] = Rotation()
        self._preparing: set[str] = set()
        self._prepared: dict[str, Prompt] = {}

    def prepare(self, question: protocol.Prepare) -> None:
        """Begin; PrepareDone or Refused is sent when it is done, neither when it is discarded before."""
        with self._lock:
            self._preparing.add(question.ask.id)
            self._waiting.add(question.share, question)
        self._pool.submit(self._prepare_next)

    def take(self, request_id: str) -> Prompt | None:
        """The prepared ask, once."""
        with self._lock:
            return self._prepared.pop(request_id, None)

    def discard(self, request_id: str) -> None:
        """Forget an ask that is prepared or being prepared."""
        with self._lock:
            self._preparing.discard(request_id)
            self._prepared.pop(request_id, None)

    def close(self) -> None:
        """End the threads and the processes behind templates and grammars."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._grammars.close()
        self._profile.close()

    def _prepare_next(self) -> None:
        """One share's burst delays another's ask by what is being read, not by all that came before."""
        with self._lock:
            question = self._waiting.next()
            request_id = question.ask.id
            if request_id not in self._preparing:
                return
        try:
            prompt = self._read(question)
        except TramontaneError as error:
            self._refuse(request_id, error)
        except Exception:
            log.exception("request %s could not be prepared", request_id)
            self._refuse(request_id, EngineFailed("the engine could not read this request; its log says why"))
        else:
            self._accept(request_id, prompt)

    def _read(self, question: protocol.Prepare) -> Prompt:
        ask, profile = question.ask, self._profile
        rendered = read(ask, profile)
        seed = ask.sampling.seed
        request = TokenRequest(
            id=ask.id,
            namespace=question.namespace,
            share=question.share,
            weight=question.weight,
            prompt=rendered.tokens,
            sampling=ask.sampling.filled_from(profile.sampling),
            limits=ask.limits,
            max_tokens=rendered.max_tokens,
            stop_tokens=rendered.stop_tokens,
            n=ask.n,
            seed=secrets.randbits(_SEED_BITS) if seed is None else seed,
            logprobs=ask.logprobs,
            constraints=self._grammars.compile(ask, thinking=rendered.thinking),
            guess_from=rendered.guess_from,
        )
        return Prompt(request, [AnswerReader(ask, profile, rendered, index) for index in range(ask.n)])

    def _accept(self, request_id: str, prompt: Prompt) -> None:
        with self._lock:
            if request_id not in self._preparing:
                return
            self._preparing.discard(request_id)
            self._prepared[request_id] = prompt
        self._send(protocol.PrepareDone(request_id, len(prompt.request.prompt), prompt.request.max_tokens))

    def _refuse(self, request_id: str, error: TramontaneError) -> None:
        with self._lock:
            if request_id not in self._preparing:
                return
            self._preparing.discard(request_id)
        self._send(protocol.refusal(request_id, error))
