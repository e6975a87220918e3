"""Starts engine processes and stands by them: load time, death and hangs end in a clear error, never in silence.

Knows one process at a time and how it ends; whether and when it is started again is the engine floor's decision.
The composition root hands `OpenVinoStarter` to whoever maps catalogue entries to servers.
"""

import asyncio
import logging
from pathlib import Path

from tramontane.adapters.servers.openvino.client import EngineServer
from tramontane.adapters.servers.openvino.options import EngineOptions, to_argument
from tramontane.adapters.servers.processes.child import Child, ChildCommand, log_of, start_child
from tramontane.adapters.servers.processes.watch import Patience
from tramontane.foundation.clock import Clock
from tramontane.foundation.errors import EngineFailed, ModelUnavailable
from tramontane.foundation.progress import ProgressReport
from tramontane.foundation.settings import EngineSettings

PROCESS_MODULE = "tramontane.adapters.servers.openvino.process"
RETRY_AFTER_S = 10.0

log = logging.getLogger(__name__)


async def start_engine(
    model: str, command: ChildCommand, patience: Patience, clock: Clock, report: ProgressReport
) -> EngineServer:
    """Start the process and return once its model answers.

    Raises ModelUnavailable with the end of its log when it dies or takes too long, or the error it names itself.
    """
    try:
        child = start_child(command)
    except OSError as error:
        message = f"no process could be started for {model}: {error}"
        raise ModelUnavailable(message, retry_after_s=RETRY_AFTER_S) from error
    server = EngineServer(model, clock, hang_after_s=patience.hang_s)
    server.report = report
    await asyncio.get_running_loop().create_unix_connection(lambda: server, sock=child.socket)
    server.supervision = asyncio.create_task(_supervise(server, child, patience), name=f"engine of {model}")
    try:
        async with asyncio.timeout(patience.load_s):
            await server.ready
    except TimeoutError:
        message = f"loading {model} took longer than {patience.load_s:.0f} s (setting engine.load_timeout_s)"
        await _abandon(server, message)
        raise ModelUnavailable(message, retry_after_s=RETRY_AFTER_S) from None
    except EngineFailed as error:
        await _abandon(server, error.message)
        message = f"the engine process of {model} ended while loading; its log ends with: {child.log_tail()}"
        raise ModelUnavailable(message, retry_after_s=RETRY_AFTER_S) from None
    except BaseException:
        await _abandon(server, f"loading {model} was given up")
        raise
    log.info("engine of %s runs as process %d, isolated from networks: %s", model, child.pid, server.isolated)
    return server


async def _abandon(server: EngineServer, reason: str) -> None:
    server.fail(reason)
    if server.supervision is not None:
        await asyncio.shield(server.supervision)


async def _supervise(server: EngineServer, child: Child, patience: Patience) -> None:
    """Stand by until the process is gone, and make sure that it goes when it hangs or the connection is over."""
    death = asyncio.create_task(child.wait())
    closed = asyncio.create_task(server.closed.wait())
    try:
        while server.alive and not death.done():
            await asyncio.wait((death, closed), timeout=patience.look_s, return_when=asyncio.FIRST_COMPLETED)
            if server.hangs():
                log.error("engine of %s (process %d) hangs and is killed", server.model, child.pid)
                child.kill()
                server.fail(f"the engine process of {server.model} hung and was stopped; try again")
        status = await child.end(patience.stop_s)
        level = logging.INFO if status == 0 else logging.ERROR
        log.log(level, "engine of %s (process %d) ended with status %d", server.model, child.pid, status)
        server.fail(f"the engine process of {server.model} ended (status {status}); try again")
    finally:
        closed.cancel()
        death.cancel()
        child.kill()


class OpenVinoStarter:
    """Starts the embedded engine for prepared models, one process each."""

    def __init__(self, settings: EngineSettings, log_folder: Path, clock: Clock) -> None:
        self._settings = settings
        self._log_folder = log_folder
        self._clock = clock

    async def start(self, model: str, folder: Path, report: ProgressReport) -> EngineServer:
        """Load the prepared model in `folder`. Raises ModelUnavailable or the error the process names."""
        patience = Patience(load_s=self._settings.load_timeout_s)
        return await start_engine(model, self._command(model, folder), patience, self._clock, report)

    def _command(self, model: str, folder: Path) -> ChildCommand:
        options = EngineOptions(
            model=model,
            folder=str(folder.resolve()),
            threads=self._settings.threads,
            cache_bytes=self._settings.cache_bytes,
            max_sequences=self._settings.max_sequences,
            prefill_chunk_tokens=self._settings.prefill_chunk_tokens,
        )
        return ChildCommand(
            arguments=("-m", PROCESS_MODULE, "{fd}", to_argument(options)),
            log_path=log_of(self._log_folder, model),
            environment={"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"},
        )
