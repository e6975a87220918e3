"""What callers of `/v1/conversations` send, as Mistral's clients write it, with our own fields beside theirs."""

from typing import Annotated, Any, Literal

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from tramontane.entrypoints.api.conversations.inputs import Inputs, read_inputs
from tramontane.entrypoints.api.conversations.settings import CompletionArgs, Metadata, Tools, kept_tools
from tramontane.entrypoints.api.dialects.messages import Name
from tramontane.features.assistant.nouns import NewConversation, NewTurn, clean
from tramontane.foundation.errors import InvalidFields

Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
LongText = Annotated[str, Field(max_length=200_000)]
Label = Annotated[str, Field(min_length=1, max_length=200)]


class TurnBody(BaseModel):
    """What every asking says."""

    model_config = ConfigDict(strict=True, extra="allow")

    inputs: Inputs | None = None
    stream: bool | None = False
    store: bool | None = True
    completion_args: CompletionArgs | None = None
    handoff_execution: Literal["server", "client"] | None = None

    def turn(self, request_id: str, deadline_ms: int | None, send_key: str | None) -> NewTurn:
        return NewTurn(
            request_id=request_id,
            inputs=read_inputs(self.inputs),
            completion_args=self.completion_args.read() if self.completion_args is not None else None,
            store=self.store is not False,
            deadline_ms=deadline_ms,
            send_key=send_key,
        )


class StartBody(TurnBody):
    """`POST /v1/conversations`."""

    inputs: Inputs
    model: Name | None = None
    agent_id: str | None = None
    instructions: LongText | None = None
    tools: Tools | None = None
    guardrails: Annotated[list[Any], Field(max_length=0)] | None = None
    name: Label | None = None
    description: LongText | None = None
    metadata: Metadata | None = None
    project_id: Id | None = None

    def read(self) -> NewConversation:
        """Raises InvalidFields when no model is named."""
        if self.agent_id is not None:
            raise InvalidFields.of("agent_id", "agents are not served here; name a model instead")
        if self.model is None:
            raise InvalidFields.of("model", "name the model that answers; GET /v1/models lists them", "missing")
        return NewConversation(
            model=clean(self.model),
            name=None if self.name is None else clean(self.name),
            description=None if self.description is None else clean(self.description),
            instructions=None if self.instructions is None else clean(self.instructions),
            tools=kept_tools(self.tools),
            completion_args=self.completion_args.read() if self.completion_args is not None else {},
            metadata=self.metadata,
            project_id=self.project_id,
        )


class AppendBody(TurnBody):
    """`POST /v1/conversations/{id}`; `from_entry_id` and `model` are ours."""

    tool_confirmations: Annotated[list[Any], Field(max_length=0)] | None = None
    from_entry_id: Id | None = None
    model: Name | None = None

    def turn(self, request_id: str, deadline_ms: int | None, send_key: str | None) -> NewTurn:
        turn = super().turn(request_id, deadline_ms, send_key)
        return msgspec.structs.replace(
            turn, from_entry_id=self.from_entry_id, model=clean(self.model) if self.model else None
        )


class RestartBody(TurnBody):
    """`POST /v1/conversations/{id}/restart`."""

    from_entry_id: Id
    metadata: Metadata | None = None
    guardrails: Annotated[list[Any], Field(max_length=0)] | None = None

    def turn(self, request_id: str, deadline_ms: int | None, send_key: str | None) -> NewTurn:
        turn = super().turn(request_id, deadline_ms, send_key)
        return msgspec.structs.replace(turn, from_entry_id=self.from_entry_id)


class ChangeBody(BaseModel):
    """`PATCH /v1/conversations/{id}`: what is not sent stays."""

    model_config = ConfigDict(strict=True, extra="forbid")

    name: Label | None = None
    description: LongText | None = None
    pinned: bool | None = None
    archived: bool | None = None
    project_id: Id | None = None
    head_entry_id: Id | None = None
    model: Name | None = None
    instructions: LongText | None = None
    completion_args: CompletionArgs | None = None
    metadata: Metadata | None = None

    def read(self) -> dict[str, Any]:
        """Only what was sent. Raises InvalidFields for emptying what must be there."""
        values: dict[str, Any] = {}
        for field in self.model_fields_set:
            value = getattr(self, field)
            if isinstance(value, CompletionArgs):
                value = value.read()
            elif isinstance(value, str):
                value = clean(value)
            if value is None and field in ("pinned", "archived", "head_entry_id", "model", "completion_args"):
                raise InvalidFields.of(field, f"{field} cannot be emptied; send a value or leave it out")
            values[field] = value
        return values
