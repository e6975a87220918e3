"""What an engine process is told when it starts: one JSON argument. The supervisor writes it, the process reads it."""

import msgspec


class EngineOptions(msgspec.Struct, frozen=True, kw_only=True):
    """`folder` is the prepared model's; `threads` 0 means all cores the process may use."""

    model: str
    folder: str
    threads: int
    cache_bytes: int
    max_sequences: int
    prefill_chunk_tokens: int


def to_argument(options: EngineOptions) -> str:
    return msgspec.json.encode(options).decode()


def from_argument(argument: str) -> EngineOptions:
    """Raises msgspec.ValidationError."""
    return msgspec.json.decode(argument, type=EngineOptions)
