"""What callers of `/v1/conversations` send, as Mistral's clients write it, with our own fields beside theirs.

Inputs are a text or a list of entries; each becomes an entry of the room, files read and addresses refused on the way.
"""

from typing import Annotated, Any, Literal, TypeVar

import msgspec
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, ValidationError

from tramontane.entrypoints.api.dialects.fields import (
    Effort,
    Penalty,
    Prediction,
    ResponseFormat,
    Share,
    Stop,
    TokenCount,
)
from tramontane.entrypoints.api.dialects.messages import (
    ImagePart,
    Items,
    Name,
    Part,
    TextPart,
    ThinkingPart,
    ToolDefinition,
    check_schema_numbers,
    read_tools,
)
from tramontane.entrypoints.api.dialects.mistral import MistralTemperature, Seed
from tramontane.features.assistant.content import read_file
from tramontane.features.assistant.nouns import NewConversation, NewEntry, NewTurn, clean
from tramontane.foundation.errors import InvalidFields

MOST_INPUTS = 10_000
MOST_METADATA_BYTES = 16_384
MOST_SETTINGS_BYTES = 262_144
"""Of tools and of completion_args each, as they are kept: lists show them for every conversation."""
Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Settings = TypeVar("Settings")
LongText = Annotated[str, Field(max_length=200_000)]
Label = Annotated[str, Field(min_length=1, max_length=200)]
BUILT_IN = frozenset({
    "web_search", "web_search_premium", "code_interpreter", "image_generation", "document_library", "connector",
})  # fmt: skip


def _small(written: dict[str, Any]) -> dict[str, Any]:
    if len(msgspec.json.encode(written)) > MOST_METADATA_BYTES:
        raise ValueError(f"metadata takes up to {MOST_METADATA_BYTES} bytes of JSON")
    return written


Metadata = Annotated[dict[str, Any], AfterValidator(_small)]


class Document(Part):
    type: Literal["document_url"]
    document_url: str
    document_name: Annotated[str, Field(max_length=400)] | None = None


class OtherPart(Part):
    """Parts of answers that clients send back and no model reads."""

    model_config = ConfigDict(strict=True, extra="allow")

    type: Literal["reference", "tool_reference"]


InputPart = Annotated[TextPart | ImagePart | Document, Field(discriminator="type")]
OutputPart = Annotated[TextPart | ThinkingPart | OtherPart, Field(discriminator="type")]


class MessageInput(Part):
    type: Literal["message.input"] = "message.input"
    role: Literal["user", "assistant"]
    content: str | Annotated[Items[InputPart], Field(min_length=1, max_length=100)]
    prefix: bool | None = False


class MessageOutput(Part):
    type: Literal["message.output"]
    role: Literal["assistant"] = "assistant"
    content: str | Items[OutputPart]
    model: str | None = None


class FunctionCalled(Part):
    type: Literal["function.call"]
    tool_call_id: Name
    name: Name
    arguments: str | dict[str, Any]


class FunctionResult(Part):
    type: Literal["function.result"]
    tool_call_id: Name
    result: Annotated[str, Field(max_length=2_000_000)]


def _kind(written: Any) -> str:
    """Clients leave the type out of a plain message."""
    kind = written.get("type") if isinstance(written, dict) else getattr(written, "type", None)
    return "message.input" if kind is None else str(kind)


AnyInput = Annotated[
    Annotated[MessageInput, Tag("message.input")]
    | Annotated[MessageOutput, Tag("message.output")]
    | Annotated[FunctionCalled, Tag("function.call")]
    | Annotated[FunctionResult, Tag("function.result")],
    Discriminator(_kind),
]


def _form(written: Any) -> str:
    """Told apart first, so that a wrong entry is not answered with "should be a string"."""
    return "text" if isinstance(written, str) else "entries"


Inputs = Annotated[
    Annotated[str, Tag("text")] | Annotated[Annotated[Items[AnyInput], Field(max_length=MOST_INPUTS)], Tag("entries")],
    Discriminator(_form),
]


class CompletionArgs(BaseModel):
    """How answers are made."""

    model_config = ConfigDict(strict=True, extra="ignore")

    stop: Annotated[str, Field(max_length=256)] | Annotated[Items[Stop], Field(max_length=16)] | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    temperature: MistralTemperature | None = None
    top_p: Share | None = None
    top_k: TokenCount | None = None
    min_p: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = None
    max_tokens: TokenCount | None = None
    random_seed: Seed | None = None
    prediction: Prediction | None = None
    response_format: ResponseFormat | None = None
    tool_choice: Literal["auto", "none", "any", "required"] | None = None
    reasoning_effort: Effort | None = None

    def read(self) -> dict[str, Any]:
        """As they are kept: only what was said. Raises InvalidFields for a format without its schema."""
        written = self.response_format
        if written is not None and written.type == "json_schema":
            field = "completion_args.response_format.json_schema"
            if written.json_schema is None:
                raise InvalidFields.of(field, "json_schema is missing; send {name, schema}", "missing")
            check_schema_numbers(written.json_schema.schema_, f"{field}.schema")
        return _bounded("completion_args", self.model_dump(mode="json", exclude_none=True, by_alias=True))


def _bounded(field: str, settings: Settings) -> Settings:
    """Raises InvalidFields for what would weigh on every list of conversations."""
    if len(msgspec.json.encode(settings)) > MOST_SETTINGS_BYTES:
        raise InvalidFields.of(field, f"{field} takes up to {MOST_SETTINGS_BYTES} bytes of JSON; send less")
    return settings


def _known_tools(written: Any) -> Any:
    """Named one by one, so that the refusal says what is served."""
    for one in written if isinstance(written, list) else ():
        kind = one.get("type") if isinstance(one, dict) else None
        if isinstance(kind, str) and kind in BUILT_IN:
            raise ValueError(f"{kind} is not served here; tools of the type function are, which the caller runs")
    return written


Tools = Annotated[Annotated[Items[ToolDefinition], Field(max_length=128)], BeforeValidator(_known_tools)]


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


class KeptSettings(BaseModel):
    """What a conversation keeps for all of its turns, checked alike wherever it comes from."""

    model_config = ConfigDict(strict=True, extra="forbid")

    tools: Tools | None = None
    completion_args: CompletionArgs | None = None
    metadata: Metadata | None = None


def kept_tools(tools: list[ToolDefinition] | None) -> list[dict[str, Any]]:
    """As they are kept. Raises InvalidFields."""
    read_tools(tools)
    return _bounded("tools", [tool.model_dump(mode="json", exclude_none=True) for tool in tools or ()])


def checked_setting(field: str, written: Any) -> Any:
    """One setting of a file as if it had been sent: what is kept of it. Raises InvalidFields."""
    _bounded(field, written)
    try:
        read = KeptSettings.model_validate({field: written})
    except (ValidationError, RecursionError):
        raise InvalidFields.of(field, f"{field} is not as the API takes it; send it as the API describes it") from None
    if read.completion_args is not None:
        return read.completion_args.read()
    return read.metadata if read.tools is None else kept_tools(read.tools)


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


def read_inputs(written: str | list[Any] | None) -> tuple[NewEntry, ...]:
    """Entries as the room keeps them. Raises InvalidFields, TooLarge, BadRequest for attachments that cannot be read."""
    if written is None:
        return ()
    if isinstance(written, str):
        if not written:
            raise InvalidFields.of("inputs", "inputs is empty; send a text or entries")
        return (NewEntry(kind="message.input", role="user", body={"content": written}),)
    return tuple(_entry(one, position) for position, one in enumerate(written))


def _entry(written: Any, position: int) -> NewEntry:
    if isinstance(written, FunctionResult):
        body = {"tool_call_id": written.tool_call_id, "result": written.result}
        return NewEntry(kind=written.type, body=body)
    if isinstance(written, FunctionCalled):
        arguments = written.arguments
        text = arguments if isinstance(arguments, str) else msgspec.json.encode(arguments).decode()
        body = {"tool_call_id": written.tool_call_id, "name": written.name, "arguments": text}
        return NewEntry(kind=written.type, body=body)
    content = written.content
    if not isinstance(content, str):
        content = [_part(part, f"inputs.{position}.content.{place}") for place, part in enumerate(content)]
    message: dict[str, Any] = {"content": content}
    if isinstance(written, MessageInput) and written.prefix:
        message["prefix"] = True
    return NewEntry(kind=written.type, role=written.role, body=message)


def _part(part: Part, field: str) -> dict[str, Any]:
    if isinstance(part, Document):
        read_file(part.document_url, part.document_name or "file", f"{field}.document_url")
    elif isinstance(part, ImagePart):
        address = part.image_url if isinstance(part.image_url, str) else part.image_url.url
        if not address.startswith("data:"):
            message = "only images sent along are read; send a data: URL, nothing is fetched"
            raise InvalidFields.of(f"{field}.image_url", message)
    return part.model_dump(mode="json", exclude_none=True)
