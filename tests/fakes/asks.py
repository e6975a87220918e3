"""Short ways to write asks and messages in tests."""

from typing import Any

from tramontane.foundation.nouns import AnswerFormat, Ask, Message, TextChunk, Tool


def user(text: str) -> Message:
    return Message(role="user", content=(TextChunk(text),))


def system(text: str) -> Message:
    return Message(role="system", content=(TextChunk(text),))


def assistant(text: str, **fields: Any) -> Message:
    return Message(role="assistant", content=(TextChunk(text),) if text else (), **fields)


def chat(*messages: Message, **fields: Any) -> Ask:
    return Ask(id="ask_1", model="m", messages=messages or (user("Hello"),), **fields)


def schema_ask(schema: dict[str, Any], strict: bool = True, **fields: Any) -> Ask:
    return chat(answer=AnswerFormat(kind="json_schema", name="it", schema=schema, strict=strict), **fields)


WEATHER = Tool(
    name="get_weather",
    description="Weather of a city",
    parameters={
        "type": "object",
        "properties": {
            "city": {"type": "string", "maxLength": 12},
            "days": {"type": "integer", "minimum": 1, "maximum": 9},
        },
        "required": ["city"],
        "additionalProperties": False,
    },
)
ADD = Tool(
    name="add",
    parameters={
        "type": "object",
        "properties": {"x": {"type": "integer"}},
        "required": ["x"],
        "additionalProperties": False,
    },
)
