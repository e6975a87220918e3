"""The request that asks how many tokens a prompt has, as vLLM's clients write it: a text, or a conversation."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from tramontane.entrypoints.api.dialects.messages import (
    AnyMessage,
    Items,
    Name,
    ToolDefinition,
    read_message,
    read_tools,
)
from tramontane.foundation.errors import InvalidFields
from tramontane.foundation.nouns import Ask, Limits


class TokenizeBody(BaseModel):
    """`POST /v1/tokenize` and `/openai/v1/tokenize`."""

    model_config = ConfigDict(strict=True, extra="allow")

    model: Name
    prompt: Annotated[str, Field(min_length=1)] | None = None
    messages: Annotated[Items[AnyMessage], Field(min_length=1, max_length=10_000)] | None = None
    tools: Annotated[Items[ToolDefinition], Field(max_length=128)] | None = None

    def read(self, request_id: str) -> Ask:
        """The prompt as it would be asked with. Raises InvalidFields unless exactly one of the two is there."""
        if (self.prompt is None) == (self.messages is None):
            raise InvalidFields.of("prompt", "send either prompt or messages")
        if self.prompt is not None:
            if self.tools:
                raise InvalidFields.of("tools", "tools belong to a conversation; send messages")
            return Ask(id=request_id, model=self.model, kind="text", prompt=self.prompt, limits=Limits(max_tokens=1))
        return Ask(
            id=request_id,
            model=self.model,
            messages=tuple(read_message(message) for message in self.messages or ()),
            tools=read_tools(self.tools),
            limits=Limits(max_tokens=1),
        )
