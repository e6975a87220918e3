"""How a turn becomes an Ask: the conversation's model, tools and completion arguments, read as they were stored.

The arguments were checked at the door when they came in; here they only change shape. Knows no HTTP.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from tramontane.foundation.errors import InvalidFields
from tramontane.foundation.nouns import AnswerFormat, Ask, Limits, Message, Sampling, Tool, ToolChoice


def ask_for(
    request_id: str,
    model: str,
    messages: tuple[Message, ...],
    tools: Sequence[Mapping[str, Any]],
    args: Mapping[str, Any],
    deadline_ms: int | None,
) -> Ask:
    """One answer. Raises InvalidFields when there is nothing to answer."""
    if not messages:
        raise InvalidFields.of("inputs", "there is nothing to answer yet; send inputs", "missing")
    return Ask(
        id=request_id,
        model=model,
        messages=messages,
        tools=tuple(_tool(one["function"]) for one in tools),
        tool_choice=_choice(args.get("tool_choice"), bool(tools)),
        answer=_format(args.get("response_format")),
        sampling=_sampling(args),
        limits=Limits(max_tokens=args.get("max_tokens"), stop=_stop(args.get("stop"))),
        reasoning_effort=args.get("reasoning_effort"),
        prediction=(args.get("prediction") or {}).get("content") or None,
        deadline_ms=deadline_ms,
    )


def _tool(function: Mapping[str, Any]) -> Tool:
    return Tool(
        name=function["name"],
        description=function.get("description") or "",
        parameters=function.get("parameters") or {},
        strict=bool(function.get("strict")),
    )


def _choice(written: str | None, tools: bool) -> ToolChoice:
    if written in ("any", "required"):
        if not tools:
            raise InvalidFields.of(
                "completion_args.tool_choice", "a call is required but tools is empty; send tools or use auto"
            )
        return ToolChoice(mode="any")
    return ToolChoice(mode="none" if written == "none" else "auto")


def _format(written: Mapping[str, Any] | None) -> AnswerFormat:
    kind = (written or {}).get("type", "text")
    if written is None or kind == "text":
        return AnswerFormat()
    if kind == "json_object":
        return AnswerFormat(kind="json_object")
    schema = written["json_schema"]
    return AnswerFormat(
        kind="json_schema", name=schema.get("name"), schema=schema["schema"], strict=schema.get("strict") is True
    )


def _sampling(args: Mapping[str, Any]) -> Sampling:
    return Sampling(
        temperature=args.get("temperature"),
        top_p=args.get("top_p"),
        top_k=args.get("top_k"),
        min_p=args.get("min_p"),
        seed=args.get("random_seed"),
        presence_penalty=args.get("presence_penalty") or 0.0,
        frequency_penalty=args.get("frequency_penalty") or 0.0,
    )


def _stop(written: str | Sequence[str] | None) -> tuple[str, ...]:
    if not written:
        return ()
    return (written,) if isinstance(written, str) else tuple(written)
