"""The words of a Mistral model with a `tekken.json`: tokenizer, chat and fill-in-the-middle forms by mistral-common.

Knows how an ask becomes mistral-common's request; every version's prompt form is that library's. Imported only for
models of this kind, because the library takes a second to import.
"""

import hashlib
import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mistral_common.exceptions import MistralCommonException
from mistral_common.protocol.fim.request import FIMRequest
from mistral_common.protocol.instruct.request import ChatCompletionRequest
from mistral_common.tokens.tokenizers.base import SpecialTokenPolicy, TokenizerVersion
from mistral_common.tokens.tokenizers.mistral import MistralTokenizer
from mistral_common.tokens.tokenizers.tekken import Tekkenizer
from pydantic import ValidationError

from tramontane.adapters.servers.completion.conversation import (
    json_sentence,
    plain,
    text_of,
    tool_definition,
    wants_tools,
    with_preamble,
)
from tramontane.adapters.servers.completion.profile import EncodedChat, ProfileFile, Words
from tramontane.foundation.errors import BadRequest, Misconfigured
from tramontane.foundation.ids import ALPHABET
from tramontane.foundation.nouns import Ask, Message, ThinkingChunk

_ID_FORM = re.compile(r"^[a-zA-Z0-9]{9}$")
_ERROR_CHARS = 500


def load(folder: Path, file: ProfileFile) -> Words:
    """Read the tokenizer. Raises Misconfigured naming the file when it is missing or malformed."""
    path = folder / file.vocabulary_file
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            library = MistralTokenizer.from_file(path)
    except (OSError, ValueError, KeyError, TypeError, AssertionError, MistralCommonException) as error:
        raise Misconfigured(f"{path.name} is not a readable tokenizer ({error}); prepare the model again") from error
    inner = library.instruct_tokenizer.tokenizer
    if not isinstance(inner, Tekkenizer):
        raise Misconfigured(f"{path.name} is not a tekken vocabulary; add the model with its tekken.json")
    tokenizer = TekkenTokenizer(inner)
    fim = MistralFim(library) if {"[SUFFIX]", "[PREFIX]"} <= tokenizer.special_ids.keys() else None
    return Words(tokenizer, MistralChat(library), fim)


class TekkenTokenizer:
    """A tekken vocabulary. Fulfils `tokenizer.TextTokenizer`."""

    strips_first_space = False

    def __init__(self, inner: Tekkenizer) -> None:
        self._inner = inner
        self.vocab_size: int = inner.n_words
        self.bos_id: int | None = inner.bos_id
        self.special_ids: Mapping[str, int] = {
            inner.id_to_piece(index): index for index in range(inner.num_special_tokens)
        }
        keep = SpecialTokenPolicy.KEEP
        self._bytes = [inner.id_to_byte_piece(index, keep) for index in range(self.vocab_size)]
        self._names = re.compile("|".join(re.escape(name) for name in self.special_ids))

    def encode(self, text: str, special: bool = False) -> list[int]:
        if not special:
            return list(self._inner.encode(text, bos=False, eos=False))
        tokens: list[int] = []
        end = 0
        for match in self._names.finditer(text):
            tokens += self.encode(text[end : match.start()])
            tokens.append(self.special_ids[match.group()])
            end = match.end()
        return tokens + self.encode(text[end:])

    def decode(self, ids: Sequence[int]) -> str:
        first = self._inner.num_special_tokens
        return b"".join(self._bytes[token] for token in ids if token >= first).decode("utf-8", "replace")

    def token_bytes(self, token: int) -> bytes:
        return self._bytes[token]


class MistralFim:
    """The trained form around a gap. Fulfils `profile.FimFormat`."""

    stop_ids: frozenset[int] = frozenset()

    def __init__(self, library: MistralTokenizer) -> None:
        self._library = library

    def encode(self, prefix: str, suffix: str) -> list[int]:
        return list(self._library.encode_fim(FIMRequest(prompt=prefix, suffix=suffix)).tokens)


class MistralChat:
    """Conversations in the form of the tokenizer's version. Fulfils `profile.ChatFormat`."""

    def __init__(self, library: MistralTokenizer) -> None:
        self._library = library
        self._version: TokenizerVersion = library.version

    def start(self) -> None:
        """Nothing to set up."""

    def close(self) -> None:
        """Nothing to free."""

    def encode(self, ask: Ask) -> EncodedChat:
        """Token ids of a checked chat. Raises BadRequest in the library's words for what the version cannot express."""
        try:
            request = ChatCompletionRequest(**self._request(ask))
            return EncodedChat(list(self._library.encode_chat_completion(request).tokens), "")
        except ValidationError as error:
            detail = "; ".join(str(found["msg"]) for found in error.errors())[:_ERROR_CHARS]
            raise BadRequest(f"this model's format refuses the messages: {detail}", param="messages") from error
        except (MistralCommonException, ValueError, AssertionError) as error:
            detail = str(error)[:_ERROR_CHARS]
            raise BadRequest(f"this model's format refuses the messages: {detail}", param="messages") from error

    def _request(self, ask: Ask) -> dict[str, Any]:
        messages = [_message(message) for message in ask.messages]
        request: dict[str, Any] = {"model": ask.model, "messages": messages}
        if wants_tools(ask):
            request["tools"] = [tool_definition(tool) for tool in ask.tools]
        if self._version >= TokenizerVersion.v15:
            if ask.reasoning_effort is not None:
                request["reasoning_effort"] = ask.reasoning_effort
            if ask.answer.kind == "json_schema" and ask.answer.schema is not None:
                schema = {"name": ask.answer.name or "answer", "schema": plain(ask.answer.schema)}
                request["response_format"] = {"type": "json_schema", "json_schema": schema}
            return request
        for sentence in json_sentence(ask):
            request["messages"] = with_preamble(messages, sentence)
        return request


def _message(message: Message) -> dict[str, Any]:
    text = text_of(message)
    if message.role == "tool":
        return {"role": "tool", "content": text, "tool_call_id": _call_id(message.tool_call_id), "name": message.name}
    written: dict[str, Any] = {"role": message.role, "content": text}
    if message.role != "assistant":
        return written
    thoughts = [
        {"type": "thinking", "thinking": chunk.text, "closed": chunk.closed}
        for chunk in message.content
        if isinstance(chunk, ThinkingChunk)
    ]
    if thoughts:
        written["content"] = [*thoughts, *([{"type": "text", "text": text}] if text else [])]
    if message.tool_calls:
        written["tool_calls"] = [
            {"id": _call_id(call.id), "function": {"name": call.name, "arguments": call.arguments or "{}"}}
            for call in message.tool_calls
        ]
    if message.prefix:
        written["prefix"] = True
    return written


def _call_id(given: str | None) -> str:
    """A call id in the form the older versions demand; others are mapped to one, always the same."""
    text = given or ""
    if _ID_FORM.match(text):
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return "".join(ALPHABET[byte % len(ALPHABET)] for byte in digest[:9])
