"""Grammars that force an answer's shape: JSON, JSON by schema, tool calls in the model's own syntax.

Knows how to write a grammar for an ask and how to have it compiled within limits of time and memory; the rules for
schemas live in `schema_guard`. The engine process calls `compile` before a request enters the loop.
"""

from tramontane.adapters.servers.completion.profile import ModelProfile
from tramontane.adapters.servers.openvino.request import Constraint
from tramontane.foundation.nouns import Ask


class GrammarCompiler:
    """Compiles for one model. Thread-safe; a call blocks for up to a second, so call it off the loop's thread."""

    def __init__(self, profile: ModelProfile) -> None:
        raise NotImplementedError

    def compile(self, ask: Ask) -> tuple[Constraint, ...]:
        """One constraint per choice (`ask.n`), or () when the answer is free.

        Raises InvalidFields naming the place in the schema and the cure for one that is invalid, hostile or too large.
        """
        raise NotImplementedError

    def close(self) -> None:
        """End the compiling child process."""
        raise NotImplementedError
