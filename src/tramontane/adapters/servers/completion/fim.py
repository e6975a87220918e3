"""Fill-in-the-middle: the token forms model families were trained on, found by the names in the vocabulary.

Knows names and orders; knows neither requests nor limits. Profile loading asks for a model's form, `prompt` uses it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from tramontane.adapters.servers.completion.tokenizer import TextTokenizer

_PREFIX, _SUFFIX = "prefix", "suffix"

# Control tokens and the two texts in the order each family was trained with.
_FORMS: tuple[tuple[str, ...], ...] = (
    ("<fim_prefix>", _PREFIX, "<fim_suffix>", _SUFFIX, "<fim_middle>"),
    ("<|fim_prefix|>", _PREFIX, "<|fim_suffix|>", _SUFFIX, "<|fim_middle|>"),
    ("<fim-prefix>", _PREFIX, "<fim-suffix>", _SUFFIX, "<fim-middle>"),
    ("<\uff5cfim▁begin\uff5c>", _PREFIX, "<\uff5cfim▁hole\uff5c>", _SUFFIX, "<\uff5cfim▁end\uff5c>"),
    ("▁<PRE>", _PREFIX, "▁<SUF>", _SUFFIX, "▁<MID>"),
    ("[SUFFIX]", _SUFFIX, "[PREFIX]", _PREFIX),
)
# Tokens that end a filled gap besides the model's usual ends.
_ENDS = (
    "<|endoftext|>",
    "<file_sep>",
    "<|file_sep|>",
    "<|fim_pad|>",
    "<fim_pad>",
    "<EOT>",
    "▁<EOT>",
    "<\uff5cend▁of▁sentence\uff5c>",
)


@dataclass(frozen=True)
class TokenFim:
    """A trained form. Fulfils `profile.FimFormat`."""

    tokenizer: TextTokenizer
    parts: tuple[int | str, ...]  # a control token's id, or which text comes here
    stop_ids: frozenset[int]

    def encode(self, prefix: str, suffix: str) -> list[int]:
        """Token ids of the text around the gap; the answer follows them directly."""
        texts = {_PREFIX: prefix, _SUFFIX: suffix}
        tokens = [] if self.tokenizer.bos_id is None else [self.tokenizer.bos_id]
        for part in self.parts:
            tokens += [part] if isinstance(part, int) else self.tokenizer.encode(texts[part])
        return tokens


def fim_format(tokenizer: TextTokenizer, added: Mapping[str, int]) -> TokenFim | None:
    """The form this vocabulary has all tokens of, or None. `added` maps every added token's name to its id."""
    for form in _FORMS:
        names = [part for part in form if part not in (_PREFIX, _SUFFIX)]
        if all(name in added for name in names):
            parts = tuple(part if part in (_PREFIX, _SUFFIX) else added[part] for part in form)
            ends = {added[name] for name in (*_ENDS, *names) if name in added}
            return TokenFim(tokenizer, parts, frozenset(ends))
    return None
