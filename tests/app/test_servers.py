"""Which server an installed model gets, and how much context within the memory it may have."""

import hashlib
from pathlib import Path

import msgspec
import pytest
from tests.adapters.servers.openvino.conftest import chat_gguf, models_dir  # noqa: F401  # fixtures
from tests.records.catalog.models import SMALL
from tests.records.catalog.models import installed as any_installed

from tramontane.adapters.formats.errors import FileRefused
from tramontane.adapters.servers.llamacpp.starter import installed as llamacpp_installed
from tramontane.adapters.servers.upstream import UpstreamServer
from tramontane.adapters.sources.folders import ModelFolders
from tramontane.adapters.sources.install import Engines, Installer, Request, draft_entry
from tramontane.adapters.sources.transfer import Transfer
from tramontane.app.servers import DAMAGED, Servers
from tramontane.entrypoints.api.errors import rule_of
from tramontane.foundation.clock import SystemClock
from tramontane.foundation.errors import ModelUnavailable, TramontaneError
from tramontane.foundation.progress import silent
from tramontane.foundation.settings import EngineSettings, Settings
from tramontane.records.catalog.nouns import FileSpec, InstalledModel, LocalSource

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


def installed_here(home: Path) -> InstalledModel:
    files = home / "models" / "small" / "files"
    files.mkdir(parents=True)
    (files / "config.json").write_bytes(b"{}")
    spec = FileSpec(path="config.json", size_bytes=2, sha256=hashlib.sha256(b"{}").hexdigest())
    return msgspec.structs.replace(
        any_installed(SMALL.entry), folder=str(files.parent), files_folder=str(files), files=(spec,)
    )


@pytest.mark.parametrize("fault", ["altered", "shorter", "gone"])
async def test_a_damaged_model_is_ours_to_mend_and_names_no_path(home: Path, fault: str) -> None:
    model = installed_here(home)
    path = Path(model.files_folder) / "config.json"
    path.unlink() if fault == "gone" else path.write_bytes(b"[]" if fault == "altered" else b"{")
    servers = Servers(Settings(home=home), OneModel(model), SystemClock())  # type: ignore[arg-type]
    with pytest.raises(ModelUnavailable, match=f"tramontane models verify {model.name}") as refusal:
        await servers.start(model.name, silent)
    assert refusal.value.code == "model_unavailable" and str(home) not in refusal.value.message
    assert rule_of(refusal.value).status == 503


@pytest.mark.parametrize("code", sorted(DAMAGED))
async def test_an_engine_process_that_finds_the_damage_is_told_of_alike(
    home: Path, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    async def damaged(*_: object) -> None:
        raise TramontaneError(f"{home}/weights: cut off", code=code)

    model = installed_here(home)
    servers = Servers(Settings(home=home), OneModel(model), SystemClock())  # type: ignore[arg-type]
    monkeypatch.setattr(servers._openvino, "start", damaged)
    with pytest.raises(ModelUnavailable, match="verify") as refusal:
        await servers.start(model.name, silent)
    assert str(home) not in refusal.value.message


async def test_other_failures_keep_their_own_words(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def failing(*_: object) -> None:
        raise ModelUnavailable("no memory", retry_after_s=1, code="out_of_memory")

    model = installed_here(home)
    servers = Servers(Settings(home=home), OneModel(model), SystemClock())  # type: ignore[arg-type]
    monkeypatch.setattr(servers._openvino, "start", failing)
    with pytest.raises(ModelUnavailable, match="no memory"):
        await servers.start(model.name, silent)


def test_a_file_the_operator_adds_is_still_theirs_to_change(home: Path, tmp_path: Path) -> None:
    odd = tmp_path / "odd.gguf"
    odd.write_bytes(b"not a model at all")
    engines = Engines(lambda weights: "", lambda *_: None, True)
    entry = draft_entry("odd", LocalSource(path=str(odd)), "apache-2.0")
    with pytest.raises(FileRefused) as refusal:
        Installer(ModelFolders(home), engines, lambda model: None).pull(entry, Request(), Transfer())
    assert rule_of(refusal.value).status == 400


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
    server = await Servers(settings, OneModel(model), SystemClock()).start("small", silent)  # type: ignore[arg-type]
    assert isinstance(server, UpstreamServer)
    await server.close()
    slots, context = server.capacity.slots, server.capacity.context_tokens
    cache_tokens = cache_bytes // model.cache.bytes_per_token()
    assert slots * (context - PADDED_TO) < cache_tokens
    if cache_mib == 1024:
        assert (slots, context) == (4, model.context_tokens)
    else:
        assert slots == 1 and cache_tokens <= context < cache_tokens + PADDED_TO
