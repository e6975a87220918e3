"""Grammars that force an answer's shape: compiled within limits of time and memory, kept, and walked token by token.

Knows llguidance and the cache; what a grammar says is written by `grammar_text`, what a schema may say is decided by
`schema_guard`. The engine process calls `compile` before a request enters the loop.
"""

import hashlib
import math
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from llguidance import LLMatcher

from tramontane.adapters.servers.completion.conversation import text_of
from tramontane.adapters.servers.completion.grammar_text import Syntax, grammar_for
from tramontane.adapters.servers.completion.grammar_worker import Vocabulary, grammar_tokenizer, parser_limits
from tramontane.adapters.servers.completion.limited import LimitedProcess, LimitReached
from tramontane.adapters.servers.completion.profile import ModelProfile
from tramontane.adapters.servers.tokens import Constraint
from tramontane.foundation.errors import FieldProblem, InvalidFields
from tramontane.foundation.nouns import Ask

_WORKER = "tramontane.adapters.servers.completion.grammar_worker"
_TIME_LIMIT_S = 0.5
_MEMORY_BYTES = 256 << 20
_CACHE_ENTRIES = 64
_CACHE_CHARS = 4 << 20
_RETRY_NS = 60 * 10**9
_ERROR_CHARS = 300


class GrammarConstraint:
    """One answer's place in its grammar. Fulfils `tokens.Constraint`. For one thread at a time."""

    def __init__(self, matcher: LLMatcher, words: int, stop_ids: frozenset[int]) -> None:
        self._matcher = matcher
        self._words = words
        self._stop_ids = stop_ids
        self._ended = False
        self._end_mask = np.zeros(words, np.uint32)
        for token in stop_ids:
            self._end_mask[token // 32] |= np.uint32(1 << (token % 32))

    def mask(self) -> np.ndarray:
        """Bit set over the vocabulary, uint32 [ceil(V / 32)]; only the end tokens once nothing else may follow."""
        if self.complete:
            return self._end_mask
        raw = self._matcher.compute_bitmask()
        allowed = np.frombuffer(raw, np.uint32)[: self._words]
        return self._end_mask if self._matcher.is_error() or not allowed.any() else allowed

    def accept(self, token: int) -> None:
        """Move on by one token; an end token ends the answer."""
        if token in self._stop_ids:
            self._ended = True
        elif not self._ended:
            self._matcher.consume_token(token)

    def allowed_prefix(self, tokens: list[int]) -> int:
        """How many of these tokens could follow in order; changes nothing."""
        if self.complete:
            return 0
        end = next((place for place, token in enumerate(tokens) if token in self._stop_ids), len(tokens))
        return int(self._matcher.validate_tokens(tokens[:end])) if end else 0

    @property
    def complete(self) -> bool:
        """Nothing but the end of the answer is allowed now (also after a step's limits were hit)."""
        return self._ended or self._matcher.is_stopped()


class GrammarCompiler:
    """Compiles for one model. Thread-safe; a call blocks for up to a second, so call it off the loop's thread."""

    def __init__(
        self,
        profile: ModelProfile,
        vocab_size: int | None = None,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """`vocab_size` is the width of the model's logits where that exceeds the tokenizer's vocabulary."""
        tokenizer = profile.tokenizer
        width = max(vocab_size or 0, tokenizer.vocab_size)
        tokens = [tokenizer.token_bytes(token) for token in range(tokenizer.vocab_size)]
        tokens += [b""] * (width - len(tokens))
        special, stops = sorted(tokenizer.special_ids.values()), sorted(profile.stop_ids)
        self._profile = profile
        self._words = (width + 31) // 32
        self._bytes = frozenset(token[0] for token in tokens if len(token) == 1)
        self._syntax = Syntax(profile.tool_format, profile.thinking, tokenizer.special_ids)
        self._tokenizer = grammar_tokenizer(
            Vocabulary(tokens, special, stops, tokenizer.encode), stops, quick_masks=True
        )
        self._limits = parser_limits()
        self._process = LimitedProcess(
            _WORKER,
            {"tokens": tokens, "special_ids": special, "stop_ids": stops},
            time_limit_s=_TIME_LIMIT_S,
            memory_bytes=_MEMORY_BYTES,
        )
        self._monotonic_ns = monotonic_ns
        self._tried: OrderedDict[bytes, _Tried] = OrderedDict()
        self._tried_chars = 0
        self._lock = threading.Lock()

    def start(self) -> None:
        """Start the compiling child now, so that the first grammar does not wait for it."""
        self._process.start()

    def compile(self, ask: Ask, *, thinking: bool = False) -> tuple[Constraint, ...]:
        """One constraint per choice (`ask.n`), or () when the answer is free. `thinking` as in `Rendered`.

        Raises InvalidFields naming the place in the schema and the cure for one that is invalid, hostile or too large.
        """
        grammar = grammar_for(ask, self._syntax, thinking)
        if grammar is None:
            return ()
        self._check_writable(grammar, ask)
        matcher = self._matcher(grammar, ask)
        started = _prefix_tokens(ask, self._profile)
        constraints = []
        for _ in range(ask.n):
            own = matcher.deep_copy()
            if started and own.try_consume_tokens(started) != len(started):
                raise InvalidFields.of(
                    f"messages.{len(ask.messages) - 1}.content",
                    "the prefix does not begin an answer of the demanded form",
                )
            constraints.append(GrammarConstraint(own, self._words, self._profile.stop_ids))
        return tuple(constraints)

    def close(self) -> None:
        """End the compiling child process."""
        self._process.close()

    def _check_writable(self, grammar: str, ask: Ask) -> None:
        """A vocabulary without some byte cannot write every character; a grammar that demands one has no answer."""
        for char in sorted(set(grammar)):
            if char > "\x7f" and not self._bytes.issuperset(char.encode("utf-8", "surrogatepass")):
                text = f"{self._profile.name} cannot write the character U+{ord(char):04X}; remove it from the schema"
                raise InvalidFields([FieldProblem(_place(ask), text, "schema_error")])

    def _matcher(self, grammar: str, ask: Ask) -> LLMatcher:
        """The compiled grammar, from the cache or tried in the child beforehand. Failures are remembered too."""
        key = hashlib.sha256(grammar.encode("utf-8", "surrogatepass")).digest()
        with self._lock:
            known = self._tried.get(key)
            if known is not None and self._monotonic_ns() < known.until_ns:
                self._tried.move_to_end(key)
            else:
                known = None
        if known is None:
            known = self._try(grammar)
            self._keep(key, known)
        if isinstance(known.found, str):
            raise InvalidFields([FieldProblem(_place(ask), known.found, "schema_error")])
        return known.found

    def _try(self, grammar: str) -> "_Tried":
        try:
            problem = str(self._process.call({"grammar": grammar})["error"])
        except LimitReached as error:
            # The machine may have been busy: forgotten after a while, but not asked again at once.
            words = f"compiling this schema was stopped: {error}; make it smaller or simpler"
            return _Tried(words, len(grammar), self._monotonic_ns() + _RETRY_NS)
        if problem:
            return _Tried(_explained(problem), len(grammar))
        matcher = LLMatcher(self._tokenizer, LLMatcher.grammar_from_lark(grammar), log_level=0, limits=self._limits)
        return _Tried(_explained(matcher.get_error()) if matcher.is_error() else matcher, len(grammar))

    def _keep(self, key: bytes, tried: "_Tried") -> None:
        with self._lock:
            before = self._tried.pop(key, None)
            self._tried_chars += tried.chars - (before.chars if before else 0)
            self._tried[key] = tried
            while len(self._tried) > _CACHE_ENTRIES or self._tried_chars > _CACHE_CHARS:
                self._tried_chars -= self._tried.popitem(last=False)[1].chars


@dataclass(frozen=True, slots=True)
class _Tried:
    """What became of a grammar: the compiled one to copy from, or why there is none; true until `until_ns`."""

    found: LLMatcher | str
    chars: int
    until_ns: float = math.inf


def _explained(problem: str) -> str:
    """The compiler's words without its line numbers and without the grammar, which the caller never wrote."""
    words = " ".join(problem.partition("\n   1 |")[0].split())
    words = re.sub(r"^(at )?\d+\(\d+\): ", "", words).removeprefix("failed to compile JSON schema: ")
    return f"this schema cannot be enforced: {words[:_ERROR_CHARS]}; remove that part, or set strict to false"


def _place(ask: Ask) -> tuple[str | int, ...]:
    if ask.answer.kind == "json_schema":
        return ("body", "response_format", "json_schema", "schema")
    return ("body", "tools")


def _prefix_tokens(ask: Ask, profile: ModelProfile) -> list[int]:
    last = ask.messages[-1] if ask.messages else None
    return profile.tokenizer.encode(text_of(last)) if last is not None and last.prefix else []
