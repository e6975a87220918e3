"""All a model's words need besides its weights: vocabulary, chat format, stop tokens, tool and thinking syntax.

Knows the prepared folder's `profile.json`; knows neither weights nor requests. The engine process loads it; folders get
it from `profile_writer`.
"""

import importlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

import msgspec

from tramontane.adapters.servers.completion.conversation import Traits
from tramontane.adapters.servers.completion.tokenizer import TextTokenizer
from tramontane.foundation.errors import Misconfigured
from tramontane.foundation.nouns import Ask, Sampling

FORMAT_VERSION = 1
PROFILE_FILE = "profile.json"
TEMPLATE_FILE = "chat_template.jinja"
TOKENIZER_FILE = "tokenizer.json"
TEKKEN_FILE = "tekken.json"

ToolFormat = Literal["tagged", "mistral_list", "mistral_named", "llama_json"]
Vocabulary = Literal["tokenizer.json", "mistral"]


@dataclass(frozen=True, slots=True)
class EncodedChat:
    """A conversation in token ids, and the text just before the answer (to see what the prompt already opened)."""

    tokens: list[int]
    tail: str


class ChatFormat(Protocol):
    """How one model wants its conversations written."""

    def encode(self, ask: Ask) -> EncodedChat:
        """Token ids of a checked chat ask. Raises BadRequest or InvalidFields for what the format cannot express."""
        ...

    def start(self) -> None:
        """Begin whatever set-up the first request should not wait for."""
        ...

    def close(self) -> None:
        """Free what the format holds."""
        ...


class FimFormat(Protocol):
    """How one model wants the text around a gap; `stop_ids` end a filled gap besides the model's usual ends."""

    @property
    def stop_ids(self) -> frozenset[int]: ...

    def encode(self, prefix: str, suffix: str) -> list[int]: ...


class ThinkingFormat(msgspec.Struct, frozen=True):
    """The marks around a reasoning model's thoughts."""

    begin: str
    end: str


class ProfileFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The content of `profile.json`. `vocabulary_file` is the tokenizer's file in the same folder."""

    name: str
    family: str
    context_tokens: int
    vocabulary: Vocabulary
    vocabulary_file: str
    bos_id: int | None
    bos: str
    eos: str
    stop_ids: list[int]
    tool_format: ToolFormat
    template: Traits | None
    thinking: ThinkingFormat | None
    vision: bool = False
    sampling: Sampling = msgspec.field(default_factory=Sampling)
    format: int = FORMAT_VERSION


@dataclass(frozen=True, kw_only=True)
class ModelProfile:
    """One model's words. `capabilities` are among completion, chat, tools, vision, fim, reasoning."""

    name: str
    family: str
    context_tokens: int
    tokenizer: TextTokenizer
    stop_ids: frozenset[int]
    chat: ChatFormat | None
    fim: FimFormat | None
    tool_format: ToolFormat
    thinking: ThinkingFormat | None
    capabilities: frozenset[str]
    sampling: Sampling = field(default_factory=Sampling)

    def close(self) -> None:
        """End the processes behind the profile."""
        if self.chat is not None:
            self.chat.close()


def load_profile(folder: Path, name: str | None = None) -> ModelProfile:
    """The profile of a prepared folder, under another `name` where the catalogue calls it so.

    Raises Misconfigured naming the file that is missing or malformed. Call `close` when the model is unloaded.
    """
    file = read_profile_file(folder)
    # Each kind of vocabulary lives in a module of its own because mistral-common alone takes a second to import.
    module = "fast_words" if file.vocabulary == "tokenizer.json" else "mistral_words"
    words = importlib.import_module(f"{__package__}.{module}").load(folder, file)
    return ModelProfile(
        name=name or file.name,
        family=file.family,
        context_tokens=file.context_tokens,
        tokenizer=words.tokenizer,
        stop_ids=frozenset(file.stop_ids),
        chat=words.chat,
        fim=words.fim,
        tool_format=file.tool_format,
        thinking=file.thinking,
        capabilities=_capabilities(file, words),
        sampling=file.sampling,
    )


@dataclass(frozen=True, slots=True)
class Words:
    """What a kind of vocabulary brings: the tokenizer and the formats built on it."""

    tokenizer: TextTokenizer
    chat: ChatFormat | None
    fim: FimFormat | None


def read_profile_file(folder: Path) -> ProfileFile:
    """`profile.json` alone, cheap. Raises Misconfigured naming the file and the cure."""
    path = folder / PROFILE_FILE
    try:
        file = msgspec.json.decode(path.read_bytes(), type=ProfileFile)
    except (OSError, msgspec.MsgspecError) as error:
        raise Misconfigured(f"{path.name} of this model is not readable ({error}); prepare the model again") from error
    if file.format != FORMAT_VERSION:
        raise Misconfigured(f"{path.name} has format {file.format}, expected {FORMAT_VERSION}; prepare the model again")
    return file


def _capabilities(file: ProfileFile, words: Words) -> frozenset[str]:
    chat = words.chat is not None
    held = {
        "completion": True,
        "chat": chat,
        "tools": chat,
        "vision": chat and file.vision,
        "fim": words.fim is not None or chat,
        "reasoning": file.thinking is not None,
    }
    return frozenset(name for name, holds in held.items() if holds)
