"""The program that tries out grammars: compiles each in a limited process and walks a few steps of it.

Knows llguidance; whatever a schema makes it do ends with this process and not with the engine. Started by
`grammar.GrammarCompiler` through `limited.LimitedProcess`.
"""

from collections.abc import Callable
from typing import Any

from llguidance import LLMatcher, LLParserLimits, LLTokenizer

from tramontane.adapters.servers.completion.limited import Work, serve

_PROBE_STEPS = 12
Encode = Callable[[str], list[int]]


class Vocabulary:
    """Token bytes in the shape llguidance asks for.

    Where a grammar leaves only one text, llguidance allows only the tokens `encode` writes it with: they must be the ones
    the model learned, or it is led through forced words byte by byte and loses its thread. Without `encode` (a grammar is
    merely tried out) bytes one by one will do.
    """

    is_tokenizer_wrapper = True

    def __init__(
        self, tokens: list[bytes], special_ids: list[int], stop_ids: list[int], encode: Encode | None = None
    ) -> None:
        self.tokens = tokens
        self._encode = encode
        self.special_token_ids = special_ids
        self.eos_token_id = stop_ids[0] if stop_ids else len(tokens) - 1
        self.bos_token_id = None
        self._single = {token: index for index, token in reversed(list(enumerate(tokens))) if len(token) == 1}

    def __call__(self, text: bytes | str) -> list[int]:
        raw = text.encode() if isinstance(text, str) else text
        if self._encode is not None:
            learned = self._encode(raw.decode("utf-8", "replace"))
            if b"".join(self.tokens[token] for token in learned) == raw:
                return learned
        return [self._single[raw[at : at + 1]] for at in range(len(raw)) if raw[at : at + 1] in self._single]


def grammar_tokenizer(vocabulary: Vocabulary, stop_ids: list[int], quick_masks: bool) -> LLTokenizer:
    """llguidance's own view of a vocabulary; `quick_masks` spends memory and 0.1 s on masks ten times as fast."""
    shape: Any = vocabulary
    return LLTokenizer(shape, eos_token=stop_ids or None, slices=None if quick_masks else [])


def parser_limits() -> LLParserLimits:
    """Bounds for compiling and for every step; a step that hits one ends that answer only."""
    return LLParserLimits(max_lexer_states=50_000, max_grammar_size=100_000, verbose_errors=False)


def prepare(setup: dict[str, Any]) -> Work:
    """Build the vocabulary once; every request then brings one grammar."""
    vocabulary = Vocabulary(setup["tokens"], setup["special_ids"], setup["stop_ids"])
    tokenizer = grammar_tokenizer(vocabulary, setup["stop_ids"], quick_masks=False)
    limits = parser_limits()

    def work(request: dict[str, Any]) -> dict[str, Any]:
        matcher = LLMatcher(tokenizer, LLMatcher.grammar_from_lark(request["grammar"]), log_level=0, limits=limits)
        _walk(matcher)
        return {"error": matcher.get_error() if matcher.is_error() else ""}

    return work


def _walk(matcher: LLMatcher) -> None:
    """Take the lowest allowed token a few times, so that a grammar whose masks explode shows it here."""
    for _ in range(_PROBE_STEPS):
        if matcher.is_error() or matcher.is_stopped():
            return
        mask = int.from_bytes(matcher.compute_bitmask(), "little")
        if mask == 0:
            return
        matcher.try_consume_tokens([(mask & -mask).bit_length() - 1])


if __name__ == "__main__":
    serve(prepare)
