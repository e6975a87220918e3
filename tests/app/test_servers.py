"""Which server an installed model gets, and how much context within the memory it may have."""

from pathlib import Path

import pytest
from tests.adapters.servers.openvino.conftest import chat_gguf, models_dir  # noqa: F401  # fixtures
from tests.fakes.engines import no_report

from tramontane.adapters.servers.llamacpp.starter import installed as llamacpp_installed
from tramontane.adapters.servers.upstream import UpstreamServer
from tramontane.adapters.sources.folders import ModelFolders
from tramontane.adapters.sources.install import Engines, Installer, Request, draft_entry
from tramontane.adapters.sources.transfer import Transfer
from tramontane.app.servers import Servers
from tramontane.foundation.clock import SystemClock
from tramontane.foundation.settings import EngineSettings, Settings
from tramontane.records.catalog.nouns import InstalledModel, LocalSource

PADDED_TO = 256  # llama.cpp rounds a slot's context up to a multiple of this


class OneModel:
    """A catalogue of one installed model."""

    def __init__(self, model: InstalledModel) -> None:
        self.model = model

    def by_name(self, name: str) -> InstalledModel:
        assert name == self.model.name
        return self.model


def installed_for_llamacpp(gguf: Path, home: Path) -> InstalledModel:
    registered: list[InstalledModel] = []
    engines = Engines(lambda weights: "kept from the embedded engine", lambda *_: None, True)
    entry = draft_entry("small", LocalSource(path=str(gguf)), "apache-2.0")
    Installer(ModelFolders(home), engines, registered.append).pull(entry, Request(), Transfer())
    (model,) = registered
    return model


@pytest.mark.models
@pytest.mark.skipif(not llamacpp_installed(), reason="the optional wheel xllamacpp is not installed")
@pytest.mark.parametrize("cache_mib", [32, 1024])
async def test_llama_cpp_gets_the_models_context_within_the_cache_it_may_have(
    home: Path,
    chat_gguf: Path,  # noqa: F811
    cache_mib: int,
) -> None:
    model = installed_for_llamacpp(chat_gguf, home)
    assert model.engine == "llamacpp" and model.context_tokens and model.cache.bytes_per_token()
    cache_bytes = cache_mib * 1024 * 1024
    settings = Settings(home=home, engine=EngineSettings(threads=1, cache_bytes=cache_bytes))
    server = await Servers(settings, OneModel(model), SystemClock()).start("small", no_report)  # type: ignore[arg-type]
    assert isinstance(server, UpstreamServer)
    await server.close()
    slots, context = server.capacity.slots, server.capacity.context_tokens
    cache_tokens = cache_bytes // model.cache.bytes_per_token()
    assert slots * (context - PADDED_TO) < cache_tokens
    if cache_mib == 1024:
        assert (slots, context) == (4, model.context_tokens)
    else:
        assert slots == 1 and cache_tokens <= context < cache_tokens + PADDED_TO
