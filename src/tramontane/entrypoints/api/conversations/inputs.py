"""What callers put into a turn: a text or a list of entries, as Mistral's clients write them.

Each becomes an entry of the room, files read and addresses refused on the way.
"""

from typing import Annotated, Any, Literal

import msgspec
from pydantic import ConfigDict, Discriminator, Field, Tag

from tramontane.entrypoints.api.dialects.messages import ImagePart, Items, Name, Part, TextPart, ThinkingPart
from tramontane.features.assistant.files import taken_file
from tramontane.features.assistant.nouns import NewEntry
from tramontane.foundation.errors import InvalidFields

MOST_INPUTS = 10_000


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
        url = taken_file(part.document_url, part.document_name or "file", f"{field}.document_url")
        return part.model_dump(mode="json", exclude_none=True) | {"document_url": url}
    if isinstance(part, ImagePart):
        address = part.image_url if isinstance(part.image_url, str) else part.image_url.url
        if not address.startswith("data:"):
            message = "only images sent along are read; send a data: URL, nothing is fetched"
            raise InvalidFields.of(f"{field}.image_url", message)
    return part.model_dump(mode="json", exclude_none=True)
