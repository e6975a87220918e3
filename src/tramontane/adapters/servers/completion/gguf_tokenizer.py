"""Builds a `tokenizers.Tokenizer` from the vocabulary in a GGUF header.

Knows byte-level BPE with the splitting rule named by `tokenizer.ggml.pre`, and sentencepiece BPE with byte fallback;
knows no file and no template. Profile writing calls it once and keeps the result as `tokenizer.json`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, normalizers, pre_tokenizers
from tokenizers.models import BPE

from tramontane.foundation.errors import Misconfigured

_CONTROL, _USER_DEFINED = 3, 4
_CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_SPACES = r"\s*[\r\n]+|\s+(?!\S)|\s+"
_UPPER, _LOWER = r"\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}", r"\p{Ll}\p{Lm}\p{Lo}\p{M}"
_LEAD = r"[^\r\n\p{L}\p{N}]?"
_O200K_TAIL = rf"{_CONTRACTIONS}?|\p{{N}}{{1,3}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*|{_SPACES}"

_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_LLAMA3 = rf"{_CONTRACTIONS}|{_LEAD}\p{{L}}+|\p{{N}}{{1,3}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|{_SPACES}"
_QWEN2 = rf"{_CONTRACTIONS}|{_LEAD}\p{{L}}+|\p{{N}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|{_SPACES}"
_TEKKEN = (
    rf"{_LEAD}[{_UPPER}]*[{_LOWER}]+|{_LEAD}[{_UPPER}]+[{_LOWER}]*|"
    rf"\p{{N}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*|{_SPACES}"
)
_GPT4O = rf"{_LEAD}[{_UPPER}]*[{_LOWER}]+{_CONTRACTIONS}?|{_LEAD}[{_UPPER}]+[{_LOWER}]*{_O200K_TAIL}"
_ONE_DIGIT = r"\p{N}"

# Splitting rules by name: each text is cut by every pattern in turn, the pieces are never merged across a cut.
_PATTERNS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("gpt-2", "gpt2", "mpt", "olmo", "phi-2", "jais", "dbrx-gpt2"), (_GPT2,)),
    **dict.fromkeys(("smollm", "starcoder", "refact", "command-r", "codeshell", "exaone"), (_ONE_DIGIT, _GPT2)),
    **dict.fromkeys(("llama-bpe", "llama3", "llama-v3", "dbrx", "smaug-bpe", "falcon3", "chatglm-bpe"), (_LLAMA3,)),
    **dict.fromkeys(("qwen2", "deepseek-r1-qwen", "stablelm2", "megrez"), (_QWEN2,)),
    **dict.fromkeys(("tekken", "pixtral"), (_TEKKEN,)),
    **dict.fromkeys(("gpt-4o", "llama4"), (_GPT4O,)),
}
_IGNORE_MERGES = ("llama-bpe", "llama3", "llama-v3", "falcon3", "tekken", "pixtral", "gpt-4o", "llama4")


def build_tokenizer(metadata: Mapping[str, Any]) -> Tokenizer:
    """The tokenizer a GGUF header describes; token ids are the header's. Raises Misconfigured for an unknown kind."""
    kind = metadata.get("tokenizer.ggml.model")
    if kind == "gpt2":
        tokenizer = _byte_level(metadata)
    elif kind == "llama":
        tokenizer = _sentencepiece(metadata)
    else:
        raise Misconfigured(
            f"tokenizer.ggml.model {kind!r} is not known here (known: gpt2, llama); serve this model with llama.cpp"
        )
    _add_control_tokens(tokenizer, metadata)
    return tokenizer


def _field(metadata: Mapping[str, Any], name: str) -> Any:
    try:
        return metadata[f"tokenizer.ggml.{name}"]
    except KeyError:
        raise Misconfigured(f"GGUF header: tokenizer.ggml.{name} is missing; fetch the file again") from None


def _byte_level(metadata: Mapping[str, Any]) -> Tokenizer:
    rule = metadata.get("tokenizer.ggml.pre", "gpt-2")
    if rule not in _PATTERNS:
        raise Misconfigured(
            f"tokenizer.ggml.pre {rule!r} is not known here (known: {', '.join(sorted(_PATTERNS))}); "
            "serve this model with llama.cpp or add it with its tokenizer.json"
        )
    vocabulary = {text: index for index, text in enumerate(_field(metadata, "tokens"))}
    pairs = [tuple(merge.split(" ", 1)) for merge in _field(metadata, "merges")]
    known = [pair for pair in pairs if len(pair) == 2 and "".join(pair) in vocabulary]
    tokenizer = Tokenizer(BPE(vocabulary, known, ignore_merges=rule in _IGNORE_MERGES))
    cuts = [pre_tokenizers.Split(Regex(pattern), "isolated") for pattern in _PATTERNS[rule]]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [*cuts, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _sentencepiece(metadata: Mapping[str, Any]) -> Tokenizer:
    tokens, scores = _field(metadata, "tokens"), _field(metadata, "scores")
    vocabulary = {text: index for index, text in enumerate(tokens)}
    unknown = tokens[int(metadata.get("tokenizer.ggml.unknown_token_id", 0))]
    model = BPE(vocabulary, _merges_by_score(tokens, scores), unk_token=unknown, fuse_unk=True, byte_fallback=True)
    tokenizer = Tokenizer(model)
    prefixed = bool(metadata.get("tokenizer.ggml.add_space_prefix", True))
    steps = [normalizers.Prepend("\u2581")] if prefixed else []
    tokenizer.normalizer = normalizers.Sequence([*steps, normalizers.Replace(" ", "\u2581")])
    back = [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()]
    tokenizer.decoder = decoders.Sequence([*back, decoders.Strip(" ", 1, 0)] if prefixed else back)
    return tokenizer


def _merges_by_score(tokens: Sequence[str], scores: Sequence[float]) -> list[tuple[str, str]]:
    """Every way to join two pieces into a third, the best-scored third first, as sentencepiece would choose."""
    known = {text: index for index, text in enumerate(tokens)}
    found: list[tuple[float, int, int, str, str]] = []
    for index, text in enumerate(tokens):
        for cut in range(1, len(text)):
            left, right = text[:cut], text[cut:]
            if left in known and right in known:
                found.append((-scores[index], index, known[left], left, right))
    found.sort()
    return [(left, right) for _, _, _, left, right in found]


def _add_control_tokens(tokenizer: Tokenizer, metadata: Mapping[str, Any]) -> None:
    tokens, kinds = _field(metadata, "tokens"), metadata.get("tokenizer.ggml.token_type", [])
    special, plain = [], []
    for text, kind in zip(tokens, kinds, strict=False):
        if kind == _CONTROL:
            special.append(AddedToken(text, special=True, normalized=False))
        elif kind == _USER_DEFINED:
            plain.append(AddedToken(text, special=False, normalized=False))
    tokenizer.add_special_tokens(special)
    tokenizer.add_tokens(plain)
