"""The Mistral dialect's requests: which fields `/v1` reads and how they become an Ask.

Also takes the names OpenAI clients use where the shapes agree (`seed`, `max_completion_tokens`, `stream_options`).
"""

from typing import Annotated, Any, Literal

import msgspec
from pydantic import Field

from tramontane.entrypoints.api.dialects.fields import LARGEST_SEED, ChatBody, GenerationBody
from tramontane.foundation.errors import InvalidFields
from tramontane.foundation.nouns import Ask, Message, TextChunk

Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED)]
MistralTemperature = Annotated[float, Field(ge=0, le=1.5, allow_inf_nan=False)]
# Sent by clients that ask for the safe mode; in our own words.
SAFE_PROMPT = "Be helpful and careful: stay truthful, respectful and fair, and decline what would cause harm."


class MistralChat(ChatBody):
    """`POST /v1/chat/completions`."""

    temperature: MistralTemperature | None = None
    random_seed: Seed | None = None
    safe_prompt: bool | None = False
    prompt_logprobs: Literal[False] | None = None
    top_prompt_logprobs: Annotated[int, Field(ge=0, le=0)] | None = None
    guardrails: Annotated[list[Any], Field(max_length=0)] | None = None

    def read(self, request_id: str, deadline_ms: int | None = None) -> Ask:
        if self.tools is not None and self.response_format is not None and self.response_format.type != "text":
            choice = self.tool_choice
            if choice is not None and choice not in ("auto", "none"):
                message = "a forced tool call and a JSON answer exclude each other; drop response_format or tool_choice"
                raise InvalidFields.of("response_format", message)
        ask = self.read_chat(request_id, self.seed if self.random_seed is None else self.random_seed, deadline_ms)
        if not self.safe_prompt:
            return ask
        return with_system_first(ask, SAFE_PROMPT)


class MistralFim(GenerationBody):
    """`POST /v1/fim/completions`: the text before, the text after, and what goes between."""

    prompt: str
    suffix: str | None = None
    temperature: MistralTemperature | None = None
    random_seed: Seed | None = None

    def read(self, request_id: str, deadline_ms: int | None = None) -> Ask:
        return Ask(
            id=request_id,
            model=self.model,
            kind="fim",
            prompt=self.prompt,
            suffix=self.suffix or "",
            sampling=self.read_sampling(self.seed if self.random_seed is None else self.random_seed),
            limits=self.read_limits(self.max_tokens),
            n=self.n or 1,
            deadline_ms=deadline_ms,
        )


def with_system_first(ask: Ask, text: str) -> Ask:
    """The same ask with `text` at the head of its system prompt."""
    first = ask.messages[0]
    if first.role != "system":
        head = Message(role="system", content=(TextChunk(text),))
        return msgspec.structs.replace(ask, messages=(head, *ask.messages))
    head = Message(role="system", content=(TextChunk(text + "\n\n"), *first.content), name=first.name)
    return msgspec.structs.replace(ask, messages=(head, *ask.messages[1:]))
