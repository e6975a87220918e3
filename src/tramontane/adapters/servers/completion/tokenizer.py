"""What every tokenizer offers here, the `tokenizer.json` kind of it, and the streaming way back from tokens to text.

Knows vocabularies and bytes; knows neither chat templates nor where the vocabulary came from. Prompt, answer and grammar
building call it. The `mistral-common` kind lives in `mistral_words`.
"""

import codecs
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from tokenizers import Tokenizer

from tramontane.foundation.errors import Misconfigured


class TextTokenizer(Protocol):
    """Text to token ids and back for one vocabulary. Ids run from 0 to `vocab_size` - 1."""

    @property
    def vocab_size(self) -> int: ...

    @property
    def bos_id(self) -> int | None:
        """The token every prompt must begin with, or None where the model wants none."""
        ...

    @property
    def special_ids(self) -> Mapping[str, int]:
        """Control tokens by name, such as `<|im_end|>`; user text never encodes to them unless asked to."""
        ...

    @property
    def strips_first_space(self) -> bool:
        """Whether an answer's first token carries a space that is no part of the text (sentencepiece vocabularies)."""
        ...

    def encode(self, text: str, special: bool = False) -> list[int]:
        """Token ids of `text`, nothing added; `special` True lets names of control tokens in it become those tokens."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """The text of `ids`; control tokens are left out, broken UTF-8 becomes U+FFFD."""
        ...

    def token_bytes(self, token: int) -> bytes:
        """The bytes one token stands for; a control token's are its name. Empty for ids the vocabulary leaves unused."""
        ...


_BYTE_LEVEL: dict[str, int] = {}


def byte_level_alphabet() -> dict[str, int]:
    """The printable character of every byte in byte-level BPE vocabularies (GPT-2's table), character to byte."""
    if not _BYTE_LEVEL:
        printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
        _BYTE_LEVEL.update({chr(byte): byte for byte in printable})
        others = [byte for byte in range(256) if byte not in set(printable)]
        _BYTE_LEVEL.update({chr(256 + position): byte for position, byte in enumerate(others)})
    return _BYTE_LEVEL


class FastTokenizer:
    """A `tokenizer.json` vocabulary (byte-level BPE, or sentencepiece-like with byte fallback). Fulfils TextTokenizer."""

    def __init__(self, description: str, bos_id: int | None = None) -> None:
        """`description` is the content of a `tokenizer.json`."""
        self.bos_id = bos_id
        content: dict[str, Any] = json.loads(description)
        added = content.get("added_tokens", [])
        self.added_ids: Mapping[str, int] = {token["content"]: token["id"] for token in added}
        self.special_ids: Mapping[str, int] = {
            token["content"]: token["id"] for token in added if token.get("special", False)
        }
        self._byte_level = _uses_byte_level(content.get("decoder"))
        self.strips_first_space = not self._byte_level and _strips_first_space(content.get("decoder"))
        self._tokenizer = _endless(description)
        self._plain = _endless(description)
        # No control token is reachable from text here, so that user input cannot forge one.
        self._plain.encode_special_tokens = True
        by_id = {index: text for text, index in self._tokenizer.get_vocab(with_added_tokens=True).items()}
        self.vocab_size = max(by_id) + 1
        names = set(self.added_ids.values())
        self._bytes = [self._bytes_of(by_id.get(index, ""), index in names) for index in range(self.vocab_size)]
        self._special = frozenset(self.special_ids.values())

    @classmethod
    def from_file(cls, path: Path, bos_id: int | None = None) -> "FastTokenizer":
        """Read a `tokenizer.json`. Raises Misconfigured when the file is missing or malformed."""
        try:
            return cls(path.read_text("utf-8"), bos_id)
        except Exception as error:  # the wheel raises bare Exception for every problem
            raise Misconfigured(
                f"{path.name} is not a readable tokenizer ({error}); prepare the model again"
            ) from error

    def encode(self, text: str, special: bool = False) -> list[int]:
        tokenizer = self._tokenizer if special else self._plain
        return tokenizer.encode(text, add_special_tokens=False).ids

    def decode(self, ids: Sequence[int]) -> str:
        table, hidden = self._bytes, self._special
        return b"".join(table[token] for token in ids if token not in hidden).decode("utf-8", "replace")

    def token_bytes(self, token: int) -> bytes:
        return self._bytes[token]

    def _bytes_of(self, text: str, is_name: bool) -> bytes:
        if is_name:
            return text.encode()
        if self._byte_level:
            alphabet = byte_level_alphabet()
            return bytes(alphabet[char] for char in text) if all(c in alphabet for c in text) else text.encode()
        if len(text) == 6 and text.startswith("<0x") and text.endswith(">"):
            return bytes([int(text[3:5], 16)])
        return text.replace("\u2581", " ").encode()


def _uses_byte_level(decoder: Mapping[str, Any] | None) -> bool:
    if decoder is None:
        return False
    return decoder.get("type") == "ByteLevel" or any(_uses_byte_level(part) for part in decoder.get("decoders", ()))


def _strips_first_space(decoder: Mapping[str, Any] | None) -> bool:
    if decoder is None:
        return False
    if decoder.get("type") == "Strip":
        return int(decoder.get("start", 0)) > 0
    if decoder.get("type") == "Metaspace":
        return decoder.get("prepend_scheme") in ("always", "first")
    return any(_strips_first_space(part) for part in decoder.get("decoders", ()))


def _endless(description: str) -> Tokenizer:
    """The tokenizer without the cutting and filling some files ask for."""
    tokenizer = Tokenizer.from_str(description)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


class IncrementalDecoder:
    """Tokens in, text out, as soon as the text is certain; bytes of a half character wait for the rest.

    The pieces joined equal the whole decoded at once, for every way of splitting the tokens. Constant work per token.
    """

    def __init__(
        self, tokenizer: TextTokenizer, visible: frozenset[int] = frozenset(), first_space: bool = True
    ) -> None:
        """`visible` control tokens show by name; `first_space` False drops one space at the very beginning."""
        self._token_bytes = tokenizer.token_bytes
        self._hidden = frozenset(tokenizer.special_ids.values()) - visible
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")
        self._drop_space = not first_space

    def push(self, ids: Sequence[int]) -> str:
        """The text that became certain with these tokens."""
        hidden, token_bytes = self._hidden, self._token_bytes
        raw = b"".join([token_bytes(token) for token in ids if token not in hidden])
        text = self._utf8.decode(raw)
        if self._drop_space and text:
            self._drop_space = False
            return text.removeprefix(" ")
        return text

    def flush(self) -> str:
        """What is left at the end: U+FFFD for an unfinished character, else nothing."""
        return self._utf8.decode(b"", True)
