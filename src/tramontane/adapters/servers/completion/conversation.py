"""An ask's messages in the form chat templates read: dictionaries with role, content and tool calls.

Knows what to write where a template lacks tools or a system role; knows no Jinja and no tokens. `template` calls it.
"""

import json
from dataclasses import dataclass
from typing import Any

from tramontane.foundation.nouns import Ask, Message, TextChunk, ThinkingChunk, Tool

SCHEMA_SENTENCE = "Your output should be an instance of a JSON object following this schema: "
JSON_SENTENCE = "Your output should be a JSON object."
_TOOL_RULES = (
    "You can call functions. To call one, write nothing but\n"
    '<tool_call>{"name": "function name", "arguments": {"argument": "value"}}</tool_call>\n'
    "once for every call, with arguments that fit its schema. Results come back in <tool_response>.\n"
    "The functions, one JSON object a line:\n"
)


@dataclass(frozen=True, slots=True)
class Traits:
    """What a template was seen to honour when its profile was written: a `tools` variable, the system role."""

    tools: bool = False
    system: bool = True


def text_of(message: Message) -> str:
    """A message's text chunks joined; thoughts and images left out."""
    return "".join(chunk.text for chunk in message.content if isinstance(chunk, TextChunk))


def wants_tools(ask: Ask) -> bool:
    """Whether the model is to know of tools: there are some and the choice does not forbid them."""
    return bool(ask.tools) and ask.tool_choice.mode != "none"


def tool_definition(tool: Tool) -> dict[str, Any]:
    """The JSON form of a tool that templates print."""
    function = {"name": tool.name, "description": tool.description, "parameters": plain(tool.parameters)}
    return {"type": "function", "function": function}


def tools_for(ask: Ask, traits: Traits) -> list[dict[str, Any]] | None:
    """The template's `tools` variable, or None where the prompt text has to say it."""
    if not (traits.tools and wants_tools(ask)):
        return None
    return [tool_definition(tool) for tool in ask.tools]


def messages_for(ask: Ask, traits: Traits) -> list[dict[str, Any]]:
    """The template's `messages` variable."""
    messages = [_in_text(message) if not traits.tools else _as_is(message) for message in ask.messages]
    preamble = _preamble(ask, traits)
    if preamble:
        messages = with_preamble(messages, preamble)
    return messages if traits.system else _without_system(messages)


def _preamble(ask: Ask, traits: Traits) -> str:
    """What the platform itself has to tell the model, before the caller's own system prompt."""
    parts = []
    if wants_tools(ask) and not traits.tools:
        lines = [json.dumps(tool_definition(tool)["function"], ensure_ascii=False) for tool in ask.tools]
        parts.append(_TOOL_RULES + "\n".join(lines))
    return "\n\n".join([*parts, *json_sentence(ask)])


def json_sentence(ask: Ask) -> list[str]:
    """What tells the model to answer in JSON; empty where it need not."""
    if ask.answer.kind == "json_schema" and ask.answer.schema is not None:
        return [SCHEMA_SENTENCE + json.dumps(plain(ask.answer.schema), ensure_ascii=False)]
    return [JSON_SENTENCE] if ask.answer.kind == "json_object" else []


def with_preamble(messages: list[dict[str, Any]], preamble: str) -> list[dict[str, Any]]:
    """The same messages with `preamble` at the head of the system prompt."""
    if messages and messages[0]["role"] == "system":
        own = messages[0]["content"]
        return [{"role": "system", "content": f"{preamble}\n\n{own}" if own else preamble}, *messages[1:]]
    return [{"role": "system", "content": preamble}, *messages]


def _without_system(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """System texts moved to the front of the next user message."""
    kept: list[dict[str, Any]] = []
    waiting: list[str] = []
    for message in messages:
        if message["role"] == "system":
            waiting.append(message["content"])
        elif message["role"] == "user" and waiting:
            kept.append({**message, "content": "\n\n".join([*waiting, message["content"]])})
            waiting = []
        else:
            kept += _as_user(waiting)
            waiting = []
            kept.append(message)
    return kept + _as_user(waiting)


def _as_user(texts: list[str]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": "\n\n".join(texts)}] if texts else []


def _as_is(message: Message) -> dict[str, Any]:
    written: dict[str, Any] = {"role": message.role, "content": text_of(message)}
    thoughts = "".join(chunk.text for chunk in message.content if isinstance(chunk, ThinkingChunk))
    if thoughts:
        written["reasoning_content"] = thoughts
    if message.name:
        written["name"] = message.name
    if message.tool_call_id:
        written["tool_call_id"] = message.tool_call_id
    if message.tool_calls:
        written["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments(call.arguments)}}
            for call in message.tool_calls
        ]
    return written


def _in_text(message: Message) -> dict[str, Any]:
    """A message for a template that knows no tools: calls and results are written into the text."""
    text = text_of(message)
    if message.role == "tool":
        return {"role": "user", "content": f"<tool_response>{text}</tool_response>"}
    calls = [
        json.dumps({"name": call.name, "arguments": arguments(call.arguments)}, ensure_ascii=False)
        for call in message.tool_calls
    ]
    written = "\n".join(f"<tool_call>{call}</tool_call>" for call in calls)
    return {"role": message.role, "content": f"{text}\n{written}" if text and written else text or written}


def arguments(text: str) -> Any:
    """A call's arguments as a JSON value; text that is no JSON stays text."""
    try:
        return json.loads(text) if text else {}
    except ValueError:
        return text


def plain(value: Any) -> Any:
    """Mappings and sequences as dicts and lists, for JSON."""
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    if hasattr(value, "items"):
        return {key: plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    return value
