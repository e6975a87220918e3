"""Starts llama.cpp's server as a child of ours and stands by it, behind the upstream adapter.

Knows how the child is started, told apart from a stranger on the same port, and ended; everything about asks and answers
is the upstream adapter's. The composition root uses it for weights the embedded engine cannot run.
"""

import asyncio
import contextlib
import importlib.util
import logging
from pathlib import Path

import msgspec

from tramontane.adapters.servers.llamacpp.context import divided
from tramontane.adapters.servers.llamacpp.options import STOP, Answer, LlamaOptions, LoadFailed
from tramontane.adapters.servers.processes.child import Child, ChildCommand, log_of, start_child
from tramontane.adapters.servers.processes.watch import Patience, ProgressWatch
from tramontane.adapters.servers.upstream import UpstreamServer, UpstreamSettings, connect
from tramontane.foundation.clock import Clock
from tramontane.foundation.errors import BadRequest, ModelUnavailable
from tramontane.foundation.progress import ProgressReport
from tramontane.foundation.settings import EngineSettings

PROCESS_MODULE = "tramontane.adapters.servers.llamacpp.process"
WHEEL = "xllamacpp"
MOST_SLOTS = 4
RETRY_AFTER_S = 10.0
MAX_ANSWER_BYTES = 65536
HANG_S = 300.0  # it reports no progress while it reads a long prompt

log = logging.getLogger(__name__)


def installed() -> bool:
    """Whether the optional wheel is there."""
    return importlib.util.find_spec(WHEEL) is not None


class LlamaCppStarter:
    """Starts llama.cpp servers, one process for each model."""

    def __init__(self, settings: EngineSettings, log_folder: Path, clock: Clock) -> None:
        self._settings = settings
        self._log_folder = log_folder
        self._clock = clock
        self._watchers: set[asyncio.Task[None]] = set()

    async def start(
        self,
        model: str,
        weights: Path,
        report: ProgressReport,
        *,
        context_tokens: int = 0,
        token_bytes: int = 0,
        embedding: bool = False,
    ) -> UpstreamServer:
        """Load a GGUF file, with as much context as the model has and the setting `engine.cache_bytes` allows.

        `token_bytes` is what one token of context takes; 0 for it or the model's `context_tokens` when not known.
        Raises BadRequest without the wheel, ModelUnavailable when the load fails or takes too long.
        """
        if not installed():
            message = f"{model} needs the llama.cpp engine; install tramontane with the extra `llamacpp`"
            raise BadRequest(message, param="model")
        options = self._options(model, weights, context_tokens, token_bytes, embedding)
        report("starting llama.cpp", 0, 2)
        child = start_child(self._command(options))
        try:
            async with asyncio.timeout(self._settings.load_timeout_s):
                settings = await _settings_of(child, options)
                report("reading the model", 1, 2)
                server = await connect(model, settings, on_close=lambda: _stop(child))
        except TimeoutError:
            await _stop(child)
            message = (
                f"loading {model} took longer than {self._settings.load_timeout_s} s (setting engine.load_timeout_s)"
            )
            raise ModelUnavailable(message, retry_after_s=RETRY_AFTER_S) from None
        except BaseException:
            await asyncio.shield(_stop(child))
            raise
        report("ready", 2, 2)
        watcher = asyncio.create_task(self._watch(server, child), name=f"llama.cpp of {model}")
        self._watchers.add(watcher)
        watcher.add_done_callback(self._watchers.discard)
        return server

    def _options(
        self, model: str, weights: Path, context_tokens: int, token_bytes: int, embedding: bool
    ) -> LlamaOptions:
        # An embedder keeps nothing between its inputs: only their length bounds what it holds.
        cache_tokens = self._settings.cache_bytes // token_bytes if token_bytes and not embedding else 0
        slots, context = divided(context_tokens, cache_tokens, min(MOST_SLOTS, self._settings.max_sequences))
        return LlamaOptions(
            model=model,
            weights=str(weights),
            threads=self._settings.threads,
            slots=slots,
            context_tokens=context,
            embedding=embedding,
        )

    def _command(self, options: LlamaOptions) -> ChildCommand:
        return ChildCommand(
            arguments=("-m", PROCESS_MODULE, "{fd}", msgspec.json.encode(options).decode()),
            log_path=log_of(self._log_folder, options.model),
        )

    async def _watch(self, server: UpstreamServer, child: Child) -> None:
        """See the process die or hang, and end the server's requests then."""
        patience = Patience(hang_s=HANG_S)
        watch = ProgressWatch(int(patience.hang_s * 1e9), unchanged_since_ns=self._clock.monotonic_ns())
        death = asyncio.create_task(child.wait())
        while not death.done():
            await asyncio.wait((death,), timeout=patience.look_s)
            now_ns = self._clock.monotonic_ns()
            watch.observe(server.load.progress, has_work=server.awaited > 0, now_ns=now_ns)
            if watch.hangs(now_ns):
                log.error("llama.cpp of %s (process %d) hangs and is killed", server.model, child.pid)
                child.kill()
        status = await death
        level = logging.INFO if status == 0 else logging.ERROR
        log.log(level, "llama.cpp of %s (process %d) ended with status %d", server.model, child.pid, status)
        await server.close()


async def _settings_of(child: Child, options: LlamaOptions) -> UpstreamSettings:
    """Wait for the child to say where it listens. Raises ModelUnavailable with what it says instead."""
    loop = asyncio.get_running_loop()
    line = b""
    while not line.endswith(b"\n") and len(line) < MAX_ANSWER_BYTES:
        part = await loop.sock_recv(child.socket, 4096)
        if not part:
            break
        line += part
    try:
        answer = msgspec.json.decode(line, type=Answer)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        message = f"the llama.cpp process of {options.model} ended while loading; its log ends with: {child.log_tail()}"
        raise ModelUnavailable(message, retry_after_s=RETRY_AFTER_S) from None
    if isinstance(answer, LoadFailed):
        message = f"{answer.message}; its log ends with: {child.log_tail()}"
        raise ModelUnavailable(message, retry_after_s=RETRY_AFTER_S)
    return UpstreamSettings(
        base_url=f"{answer.address}/v1",
        upstream_model=options.model,
        api_key=answer.key,
        slots=options.slots,
    )


async def _stop(child: Child) -> None:
    """Ask the process to end, make sure of it, and wait until it has."""
    with contextlib.suppress(OSError):  # it may be gone already
        child.socket.send(STOP)
    await child.end(Patience().stop_s)
    child.socket.close()
