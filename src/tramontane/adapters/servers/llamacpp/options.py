"""What a llama.cpp process is told when it starts, and the one message it answers with. JSON both ways."""

import msgspec


class LlamaOptions(msgspec.Struct, frozen=True, kw_only=True):
    """`weights` is a GGUF file; `threads` 0 leaves the choice to llama.cpp; `embedding` serves vectors, not text.

    `context_tokens` is each slot's.
    """

    model: str
    weights: str
    threads: int
    slots: int
    context_tokens: int
    embedding: bool = False


class Listening(msgspec.Struct, frozen=True, tag="listening"):
    """Where the server answers and the key that it wants, made up for this process alone."""

    address: str
    key: str


class LoadFailed(msgspec.Struct, frozen=True, tag="failed"):
    message: str


Answer = Listening | LoadFailed
STOP = b"stop\n"
