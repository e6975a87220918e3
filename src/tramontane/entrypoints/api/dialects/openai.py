"""The OpenAI dialect's requests: which fields `/openai/v1` reads and how they become an Ask."""

from typing import Annotated, Any, cast

import msgspec
from pydantic import Field

from tramontane.entrypoints.api.dialects.fields import ChatBody, GenerationBody
from tramontane.entrypoints.api.dialects.messages import Items
from tramontane.foundation.errors import InvalidFields
from tramontane.foundation.nouns import Ask

TokenIds = Annotated[Items[Annotated[int, Field(ge=0, le=2**31 - 1)]], Field(min_length=1)]
DEFAULT_COMPLETION_TOKENS = 16
MOST_PROMPTS = 64


class OpenAIChat(ChatBody):
    """`POST /openai/v1/chat/completions`."""

    store: bool | None = False
    safety_identifier: str | None = None
    verbosity: str | None = None
    modalities: list[Any] | None = None

    def read(self, request_id: str, deadline_ms: int | None = None) -> Ask:
        if self.modalities and any(kind != "text" for kind in self.modalities):
            raise InvalidFields.of("modalities", 'only text is answered; send ["text"] or leave it out')
        return self.read_chat(request_id, self.seed, deadline_ms)


class OpenAICompletion(GenerationBody):
    """`POST /openai/v1/completions`: text in, text out, without a chat template."""

    prompt: (
        str | TokenIds | Annotated[Items[str], Field(min_length=1)] | Annotated[Items[TokenIds], Field(min_length=1)]
    )
    suffix: str | None = None
    echo: bool | None = False
    best_of: Annotated[int, Field(ge=1, le=8)] | None = None
    logprobs: Annotated[int, Field(ge=0, le=5)] | None = None

    def read(self, request_id: str, deadline_ms: int | None = None) -> tuple[Ask, ...]:
        """One ask per prompt, in their order; the first bears the request's id. Raises InvalidFields."""
        if self.best_of is not None and self.best_of != (self.n or 1):
            raise InvalidFields.of("best_of", "answers are not ranked; leave best_of out or set it to n")
        prompts = self._prompts()
        fim = bool(self.suffix)
        if fim and not all(isinstance(prompt, str) for prompt in prompts):
            raise InvalidFields.of("suffix", "a suffix needs the prompt as text, not as token ids")
        ask = Ask(
            id=request_id,
            model=self.model,
            kind="fim" if fim else "text",
            suffix=self.suffix or "",
            echo=bool(self.echo),
            sampling=self.read_sampling(self.seed),
            limits=self.read_limits(DEFAULT_COMPLETION_TOKENS if self.max_tokens is None else self.max_tokens),
            n=self.n or 1,
            logprobs=self.logprobs,
            deadline_ms=deadline_ms,
        )
        return tuple(_asking(ask, place, prompt) for place, prompt in enumerate(prompts))

    def _prompts(self) -> list[str | list[int]]:
        if isinstance(self.prompt, str):
            return [self.prompt]
        if isinstance(self.prompt[0], int):
            return [cast(list[int], self.prompt)]
        if len(self.prompt) > MOST_PROMPTS:
            message = (
                f"{len(self.prompt)} prompts came in one request, the limit is {MOST_PROMPTS}; send several requests"
            )
            raise InvalidFields.of("prompt", message, "too_long")
        return cast(list[str | list[int]], self.prompt)


def _asking(ask: Ask, place: int, prompt: str | list[int]) -> Ask:
    asked = {"prompt": prompt} if isinstance(prompt, str) else {"prompt_tokens": tuple(prompt)}
    return msgspec.structs.replace(ask, id=f"{ask.id}-{place}" if place else ask.id, **asked)
