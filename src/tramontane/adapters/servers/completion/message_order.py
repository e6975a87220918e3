"""The rules for which messages may follow which, and what a last message may be.

Knows roles and tool-call counts; knows no model. `prompt` checks every chat with it before anything is rendered.
"""

from collections.abc import Sequence

from tramontane.foundation.errors import FieldProblem, InvalidFields
from tramontane.foundation.nouns import Message

_MAY_FOLLOW = {
    None: ("system", "user"),
    "system": ("user", "assistant", "system"),
    "user": ("assistant", "system", "user"),
    "assistant": ("assistant", "user", "tool"),
    "tool": ("assistant", "tool", "user"),
}


def check_order(messages: Sequence[Message]) -> None:
    """Raise InvalidFields with every message that stands in the wrong place."""
    problems = [*_order(messages), *_prefixes(messages), *_tool_results(messages), *_last(messages)]
    if problems:
        raise InvalidFields(problems)


def _problem(index: int, message: str, field: str | None = None) -> FieldProblem:
    place: tuple[str | int, ...] = ("body", "messages", index)
    return FieldProblem((*place, field) if field else place, message)


def _order(messages: Sequence[Message]) -> list[FieldProblem]:
    found = []
    before: str | None = None
    for index, message in enumerate(messages):
        allowed = _MAY_FOLLOW[before]
        if message.role not in allowed:
            place = "must begin a conversation" if before is None else f"may follow role {before!r}"
            found.append(_problem(index, f"role {message.role!r} stands where only {_either(allowed)} {place}", "role"))
        before = message.role
    return found


def _prefixes(messages: Sequence[Message]) -> list[FieldProblem]:
    found = []
    for index, message in enumerate(messages):
        if message.prefix and message.role != "assistant":
            found.append(_problem(index, "prefix belongs to an assistant message only; remove it here", "prefix"))
        elif message.prefix and index != len(messages) - 1:
            found.append(_problem(index, "prefix is for the last message only; remove it here", "prefix"))
        elif message.prefix and message.tool_calls:
            found.append(_problem(index, "a prefix message continues text; remove its tool_calls", "tool_calls"))
    return found


def _tool_results(messages: Sequence[Message]) -> list[FieldProblem]:
    found = []
    calls, results, caller = 0, 0, -1
    for index, message in enumerate(messages):
        if message.role == "tool":
            results += 1
            continue
        if results != calls and caller >= 0:
            found.append(_count_problem(caller, calls, results))
        calls, results, caller = len(message.tool_calls), 0, index
    if messages and messages[-1].role == "tool" and results != calls:
        found.append(_count_problem(caller, calls, results))
    return found


def _count_problem(index: int, calls: int, results: int) -> FieldProblem:
    text = f"{calls} tool calls are followed by {results} tool messages; send one result for each call"
    return _problem(max(index, 0), text, "tool_calls")


def _last(messages: Sequence[Message]) -> list[FieldProblem]:
    if not messages:
        return [FieldProblem(("body", "messages"), "messages is empty; send at least one user message")]
    last = messages[-1]
    if last.role in ("user", "tool") or (last.role == "assistant" and last.prefix):
        return []
    cure = "set prefix to true to have it continued" if last.role == "assistant" else "add a user message"
    return [_problem(len(messages) - 1, f"the last message has role {last.role!r}; {cure}", "role")]


def _either(roles: Sequence[str]) -> str:
    return " or ".join(repr(role) for role in roles)
