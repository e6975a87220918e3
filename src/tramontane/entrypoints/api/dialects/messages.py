"""Messages and tools as clients write them, in either dialect, and how they become our nouns.

Knows which content a chat can carry; which order of roles a model accepts is the engine's matter.
"""

from typing import Annotated, Any, Literal, TypeVar

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from tramontane.foundation.errors import InvalidFields
from tramontane.foundation.nouns import Chunk, ImageChunk, Message, TextChunk, ThinkingChunk, Tool, ToolCall, ToolChoice

Name = Annotated[str, Field(min_length=1, max_length=256)]
FunctionName = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]


Item = TypeVar("Item")
# The first wrong item ends the list: a hundred thousand wrong ones would cost seconds and a page nobody reads.
Items = Annotated[list[Item], Field(fail_fast=True)]


class Part(BaseModel):
    """Base of everything nested in a request: exact types, unknown fields dropped."""

    model_config = ConfigDict(strict=True, extra="ignore")


class TextPart(Part):
    type: Literal["text"]
    text: str


class ImageAddress(Part):
    url: str
    detail: str | None = None


class ImagePart(Part):
    type: Literal["image_url"]
    image_url: str | ImageAddress


class ThinkingPart(Part):
    type: Literal["thinking"]
    thinking: str | Items[TextPart]
    closed: bool | None = True


class ReferencePart(Part):
    """A citation in an earlier answer; it carries no text of its own."""

    type: Literal["reference"]


TextOnly = str | Items[TextPart]
UserPart = Annotated[TextPart | ImagePart, Field(discriminator="type")]
AssistantPart = Annotated[TextPart | ThinkingPart | ReferencePart, Field(discriminator="type")]
ToolPart = Annotated[TextPart | ImagePart | ReferencePart, Field(discriminator="type")]


class FunctionCalled(Part):
    name: Name
    arguments: str | dict[str, Any]


class ToolCallPart(Part):
    id: str = Field("null", max_length=256)
    type: Literal["function"] = "function"
    function: FunctionCalled


class SystemMessage(Part):
    role: Literal["system", "developer"]
    content: TextOnly
    name: str | None = None


class UserMessage(Part):
    role: Literal["user"]
    content: str | Items[UserPart]
    name: str | None = None


class AssistantMessage(Part):
    role: Literal["assistant"]
    content: str | Items[AssistantPart] | None = None
    reasoning_content: str | None = None
    tool_calls: Items[ToolCallPart] | None = None
    prefix: bool = False
    name: str | None = None


class ToolMessage(Part):
    role: Literal["tool"]
    content: str | Items[ToolPart] | None = None
    tool_call_id: str | None = Field(None, max_length=256)
    name: str | None = None


AnyMessage = Annotated[SystemMessage | UserMessage | AssistantMessage | ToolMessage, Field(discriminator="role")]


class FunctionDefinition(Part):
    name: FunctionName
    description: str | None = ""
    parameters: dict[str, Any] | None = None
    strict: bool | None = False


class ToolDefinition(Part):
    type: Literal["function"] = "function"
    function: FunctionDefinition


class NamedFunction(Part):
    name: FunctionName


class NamedTool(Part):
    type: Literal["function"] = "function"
    function: NamedFunction


ToolChoiceField = Literal["auto", "none", "any", "required"] | NamedTool


def read_message(written: SystemMessage | UserMessage | AssistantMessage | ToolMessage) -> Message:
    """One turn in our nouns."""
    if isinstance(written, AssistantMessage):
        thoughts = (ThinkingChunk(written.reasoning_content),) if written.reasoning_content else ()
        return Message(
            role="assistant",
            content=thoughts + _chunks(written.content),
            tool_calls=tuple(_read_call(call) for call in written.tool_calls or ()),
            prefix=written.prefix,
            name=written.name,
        )
    if isinstance(written, ToolMessage):
        content = _chunks(written.content)
        return Message(role="tool", content=content, tool_call_id=written.tool_call_id, name=written.name)
    role: Literal["user", "system"] = "user" if isinstance(written, UserMessage) else "system"
    return Message(role=role, content=_chunks(written.content), name=written.name)


def _chunks(content: str | list[Any] | None) -> tuple[Chunk, ...]:
    if content is None or content == "":
        return ()
    if isinstance(content, str):
        return (TextChunk(content),)
    return tuple(chunk for part in content if (chunk := _chunk(part)) is not None)


def _chunk(part: Part) -> Chunk | None:
    if isinstance(part, TextPart):
        return TextChunk(part.text)
    if isinstance(part, ThinkingPart):
        text = part.thinking if isinstance(part.thinking, str) else "".join(piece.text for piece in part.thinking)
        return ThinkingChunk(text, closed=part.closed is not False)
    if isinstance(part, ImagePart):
        address = part.image_url
        return ImageChunk(address) if isinstance(address, str) else ImageChunk(address.url, address.detail)
    return None


def _read_call(call: ToolCallPart) -> ToolCall:
    arguments = call.function.arguments
    text = arguments if isinstance(arguments, str) else msgspec.json.encode(arguments).decode()
    return ToolCall(call.id, call.function.name, text)


def read_tools(written: list[ToolDefinition] | None) -> tuple[Tool, ...]:
    """Tool definitions in our nouns. Raises InvalidFields for a name given twice or a schema with endless numbers."""
    names: set[str] = set()
    tools = []
    for position, definition in enumerate(written or ()):
        function = definition.function
        if function.name in names:
            raise InvalidFields.of(f"tools.{position}.function.name", f"the name {function.name} is taken; rename it")
        names.add(function.name)
        parameters = function.parameters or {}
        check_schema_numbers(parameters, f"tools.{position}.function.parameters")
        tools.append(
            Tool(
                name=function.name,
                description=function.description or "",
                parameters=parameters,
                strict=bool(function.strict),
            )
        )
    return tuple(tools)


def read_tool_choice(written: ToolChoiceField | None, parallel: bool, tools: tuple[Tool, ...]) -> ToolChoice:
    """Raises InvalidFields when a call is demanded of a tool that was not given."""
    if isinstance(written, NamedTool):
        name = written.function.name
        if all(tool.name != name for tool in tools):
            raise InvalidFields.of("tool_choice.function.name", f"no tool is named {name}; add it to tools")
        return ToolChoice(mode="named", name=name, parallel=parallel)
    if written in ("any", "required"):
        if not tools:
            raise InvalidFields.of("tool_choice", "a call is required but tools is empty; send tools or use auto")
        return ToolChoice(mode="any", parallel=parallel)
    return ToolChoice(mode="none" if written == "none" else "auto", parallel=parallel)


def check_schema_numbers(schema: dict[str, Any], field: str) -> None:
    """A schema travels to another process, whose integers have 64 bits. Raises InvalidFields."""
    try:
        msgspec.msgpack.encode(schema)
    except OverflowError:
        raise InvalidFields.of(field, "a number in the schema needs more than 64 bits; use smaller numbers") from None
