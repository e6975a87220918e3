"""What entries hold, read three ways: as words to search, as a line to preview, and as messages for a model.

Attached text files go before the model as named files. Remote addresses never reach this room: the door refuses them.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from tramontane.features.assistant.files import kept_file
from tramontane.features.assistant.nouns import Entry, clean
from tramontane.features.assistant.words import MOST_CHARACTERS
from tramontane.foundation.nouns import Chunk, ImageChunk, Message, TextChunk, ThinkingChunk, ToolCall

PREVIEW = 140


def text_of(body: dict[str, Any]) -> str:
    """What a person would read of an entry: its text, without thoughts, images and files."""
    content = body.get("content")
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(str(part.get("text", "")) for part in content if part.get("type") == "text")
    return str(body.get("result", "") or body.get("name", ""))[:MOST_CHARACTERS]


def preview_of(text: str) -> str:
    return clean(" ".join(text[: PREVIEW * 4].split())[:PREVIEW])


def messages_of(entries: Iterable[Entry], instructions: Sequence[str]) -> tuple[Message, ...]:
    """The messages a model reads: instructions as one system message, then the entries of one path."""
    messages: list[Message] = []
    system = "\n\n".join(text for text in instructions if text.strip())
    if system:
        messages.append(Message(role="system", content=(TextChunk(system),)))
    for one in entries:
        _add(messages, one)
    return tuple(messages)


def _add(messages: list[Message], one: Entry) -> None:
    body = one.body
    if one.kind == "function.result":
        content = (TextChunk(str(body.get("result", ""))),)
        messages.append(Message(role="tool", content=content, tool_call_id=body.get("tool_call_id")))
    elif one.kind == "function.call":
        _add_call(messages, ToolCall(str(body["tool_call_id"]), str(body["name"]), str(body["arguments"])))
    elif one.kind == "message.output":
        content_read = _chunks(body.get("content", ""))
        # An answer that failed before its first word has nothing to say to the model.
        if content_read:
            messages.append(Message(role="assistant", content=content_read))
    else:
        prefix = bool(body.get("prefix"))
        read = _chunks(body.get("content", ""))
        mine = one.role == "assistant"
        messages.append(Message(role="assistant" if mine else "user", content=read, prefix=prefix))


def _add_call(messages: list[Message], call: ToolCall) -> None:
    """Calls made in one answer stand on one message."""
    last = messages[-1] if messages else None
    if last is not None and last.role == "assistant":
        messages[-1] = Message(role="assistant", content=last.content, tool_calls=(*last.tool_calls, call))
    else:
        messages.append(Message(role="assistant", tool_calls=(call,)))


def _chunks(content: str | list[dict[str, Any]]) -> tuple[Chunk, ...]:
    if isinstance(content, str):
        return (TextChunk(content),) if content else ()
    return tuple(chunk for part in content if (chunk := _chunk(part)) is not None)


def _chunk(part: dict[str, Any]) -> Chunk | None:
    kind = part.get("type")
    if kind == "text":
        return TextChunk(str(part.get("text", "")))
    if kind == "thinking":
        thoughts = part.get("thinking", "")
        text = thoughts if isinstance(thoughts, str) else "".join(str(piece.get("text", "")) for piece in thoughts)
        return ThinkingChunk(text, closed=part.get("closed") is not False)
    if kind == "image_url":
        address = part.get("image_url", "")
        return ImageChunk(address if isinstance(address, str) else str(address.get("url", "")))
    if kind == "document_url":
        name = str(part.get("document_name") or "file")
        text = kept_file(str(part["document_url"]))
        return TextChunk(f"\n[file: {_one_line(name)}]\n{text}\n[end of file]\n")
    return None


def _one_line(name: str) -> str:
    return " ".join(name.split())[:200]
