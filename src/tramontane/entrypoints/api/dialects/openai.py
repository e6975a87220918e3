"""The OpenAI dialect's requests: which fields `/openai/v1` reads and how they become an Ask."""

from typing import Annotated, Any

from pydantic import Field

from tramontane.entrypoints.api.dialects.fields import ChatBody, GenerationBody
from tramontane.entrypoints.api.dialects.messages import Items
from tramontane.foundation.errors import InvalidFields
from tramontane.foundation.nouns import Ask

TokenIds = Annotated[Items[Annotated[int, Field(ge=0, le=2**31 - 1)]], Field(min_length=1)]
DEFAULT_COMPLETION_TOKENS = 16


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

    def read(self, request_id: str, deadline_ms: int | None = None) -> Ask:
        if self.best_of is not None and self.best_of != (self.n or 1):
            raise InvalidFields.of("best_of", "answers are not ranked; leave best_of out or set it to n")
        text, tokens = self._one_prompt()
        fim = bool(self.suffix)
        if fim and tokens:
            raise InvalidFields.of("suffix", "a suffix needs the prompt as text, not as token ids")
        return Ask(
            id=request_id,
            model=self.model,
            kind="fim" if fim else "text",
            prompt=text,
            prompt_tokens=tokens,
            suffix=self.suffix or "",
            echo=bool(self.echo),
            sampling=self.read_sampling(self.seed),
            limits=self.read_limits(DEFAULT_COMPLETION_TOKENS if self.max_tokens is None else self.max_tokens),
            n=self.n or 1,
            logprobs=self.logprobs,
            deadline_ms=deadline_ms,
        )

    def _one_prompt(self) -> tuple[str, tuple[int, ...]]:
        prompt = self.prompt
        if isinstance(prompt, str):
            return prompt, ()
        first = prompt[0]
        if isinstance(first, int):
            return "", tuple(prompt)  # type: ignore[arg-type]
        if len(prompt) > 1:
            raise InvalidFields.of("prompt", f"{len(prompt)} prompts came in one request; send one request per prompt")
        return (first, ()) if isinstance(first, str) else ("", tuple(first))
