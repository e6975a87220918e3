"""Which kind of server runs which installed model: the one place that chooses between engines."""

import asyncio
import logging
import os
from pathlib import Path

from tramontane.adapters.formats.errors import FileRefused
from tramontane.adapters.servers.llamacpp import LlamaCppStarter
from tramontane.adapters.servers.openvino.supervisor import OpenVinoStarter
from tramontane.adapters.servers.upstream import UpstreamSettings, connect
from tramontane.adapters.sources.errors import ChecksumMismatch
from tramontane.adapters.sources.transfer import Transfer
from tramontane.adapters.sources.verify import Verifier
from tramontane.engine.ports import ModelServer
from tramontane.foundation.clock import Clock
from tramontane.foundation.errors import ModelUnavailable, NotFound, TramontaneError
from tramontane.foundation.progress import ProgressReport
from tramontane.foundation.settings import Settings
from tramontane.records.catalog.catalogue import Catalogue
from tramontane.records.catalog.fit import need_of
from tramontane.records.catalog.nouns import UpstreamSource

DAMAGED = frozenset({"model_file_damaged", FileRefused.code, ChecksumMismatch.code})
"""How engine processes, whose errors arrive by their codes, say the same."""
DAMAGED_RETRY_S = 60.0
log = logging.getLogger(__name__)


class Servers:
    """Starts the server of any installed model, its files checked first. Fulfils the engine's `ServerStarter`."""

    def __init__(self, settings: Settings, catalogue: Catalogue, clock: Clock) -> None:
        self._settings = settings
        self._catalogue = catalogue
        self._clock = clock
        self._verifier = Verifier()
        self._needed_bytes: dict[str, int] = {}
        logs = settings.home / "logs"
        self._openvino = OpenVinoStarter(settings.engine, logs, clock)
        self._llamacpp = LlamaCppStarter(settings.engine, logs, clock)

    async def start(self, model: str, report: ProgressReport) -> ModelServer:
        """Check the model's files and start its server. Raises the error that names the cure."""
        try:
            return await self._started(model, report)
        except TramontaneError as error:
            if not isinstance(error, FileRefused) and error.code not in DAMAGED:
                raise
            # What is wrong with a file of ours is for the log: whoever asked cannot mend it, and paths are not theirs.
            log.error("%s is damaged: %s", model, error.message)
            raise ModelUnavailable(
                f"{model} cannot be loaded, its files are damaged or missing; whoever runs this server finds which with "
                f"`tramontane models verify {model}` and then pulls or adds the model again",
                retry_after_s=DAMAGED_RETRY_S,
            ) from error

    async def _started(self, model: str, report: ProgressReport) -> ModelServer:
        installed = self._catalogue.by_name(model)
        source = installed.entry.source
        if isinstance(source, UpstreamSource):
            return await connect(model, _upstream(source))
        await asyncio.to_thread(self._verifier.verify, installed, Transfer(report))
        if installed.engine == "openvino":
            return await self._openvino.start(model, Path(installed.prepared or installed.files_folder), report)
        return await self._llamacpp.start(
            model,
            Path(installed.weights),
            report,
            context_tokens=installed.context_tokens,
            token_bytes=installed.cache.bytes_per_token(),
            embedding=installed.entry.kind == "embedding",
        )

    def memory_bytes(self, model: str) -> int:
        """What the model takes once loaded with its cache full; of one removed while it is loaded, what it took."""
        try:
            installed = self._catalogue.by_name(model)
        except NotFound:
            if model not in self._needed_bytes:
                raise
            return self._needed_bytes[model]
        needed = need_of(installed, installed.engine, self._settings.engine.cache_bytes).memory_bytes
        self._needed_bytes[model] = needed
        return needed


def _upstream(source: UpstreamSource) -> UpstreamSettings:
    """The key comes from the variable the entry names, so that no secret stands in the catalogue."""
    key = os.environ.get(source.key_variable, "") if source.key_variable else ""
    return UpstreamSettings(base_url=source.url, upstream_model=source.model, api_key=key)
