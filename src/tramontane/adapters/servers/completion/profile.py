"""All a model's words need besides its weights: vocabulary, chat format, stop tokens, tool and thinking syntax.

Knows the prepared folder's `profile.json`; knows neither weights nor requests. The engine process loads it, `prepared`
models get it from `profile_writer`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from tramontane.adapters.servers.completion.tokenizer import TextTokenizer
from tramontane.foundation.nouns import Ask, Sampling

PROFILE_FILE = "profile.json"
TEMPLATE_FILE = "chat_template.jinja"
TOKENIZER_FILE = "tokenizer.json"
TEKKEN_FILE = "tekken.json"

ToolFormat = Literal["tagged", "mistral_list", "mistral_named", "llama_json"]


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


class FimFormat(Protocol):
    """How one model wants the text around a gap."""

    def encode(self, prefix: str, suffix: str) -> list[int]: ...


@dataclass(frozen=True, slots=True)
class ThinkingFormat:
    """The marks around a reasoning model's thoughts."""

    begin: str
    end: str


@dataclass(frozen=True, kw_only=True)
class ModelProfile:
    """One model's words. `capabilities` are among chat, tools, vision, fim, reasoning, completion."""

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
    sampling: Sampling = Sampling()


def load_profile(folder: Path, name: str | None = None) -> ModelProfile:
    """The profile of a prepared folder. Raises Misconfigured naming the file that is missing or malformed."""
    raise NotImplementedError


def readable_files() -> Sequence[str]:
    """The files of a prepared folder this room owns."""
    return (PROFILE_FILE, TEMPLATE_FILE, TOKENIZER_FILE, TEKKEN_FILE)
