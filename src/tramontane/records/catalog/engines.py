"""Which engine runs a model: the embedded one, a managed llama.cpp server, or none that is installed here.

Pure: whether the embedded engine takes the model is asked of it beforehand and comes in as its refusal.
"""

from tramontane.records.catalog.errors import NoEngine
from tramontane.records.catalog.nouns import EngineKind, ModelEntry, UpstreamSource


def choose_engine(name: str, architecture: str, file_format: str, refusal: str | None, llamacpp: bool) -> EngineKind:
    """`refusal` None means the embedded engine runs it; `llamacpp` says whether that extra is installed.

    Raises NoEngine naming the architecture, the reason and what can run it.
    """
    if refusal is None:
        return "openvino"
    if file_format == "gguf" and llamacpp:
        return "llamacpp"
    if file_format == "gguf":
        cure = "install the extra `llamacpp`, whose server runs every GGUF architecture"
    else:
        cure = (
            "fetch a GGUF file of this model and install the extra `llamacpp`, or serve the model with vLLM and add it "
            "as an upstream server"
        )
    raise NoEngine(f"{name}: architecture {architecture!r}: {refusal.rstrip('.')}; {cure}", param="model")


def expected_engine(entry: ModelEntry, embedded_families: frozenset[str], llamacpp: bool) -> EngineKind:
    """The engine an entry will get once fetched, judged by its family alone. Raises NoEngine as `choose_engine` does."""
    if isinstance(entry.source, UpstreamSource):
        return "upstream"
    refusal = None if entry.family in embedded_families else "it has no graph in the embedded engine"
    return choose_engine(entry.name, entry.family, entry.formats[0] if entry.formats else "", refusal, llamacpp)
