"""Which messages may follow which, and that the error names the message."""

import pytest
from tests.fakes.asks import assistant, system, user

from tramontane.adapters.servers.completion.message_order import check_order
from tramontane.foundation.errors import InvalidFields
from tramontane.foundation.nouns import Message, TextChunk, ToolCall

_CALLING = Message(
    role="assistant", tool_calls=(ToolCall("abcdefghi", "add", "{}"), ToolCall("abcdefghj", "add", "{}"))
)
_RESULT = Message(role="tool", content=(TextChunk("2"),), tool_call_id="abcdefghi")

_GOOD = [
    [user("a")],
    [system("s"), user("a")],
    [system("s"), system("s"), user("a"), system("s"), user("b")],
    [user("a"), assistant("b"), assistant("c"), user("d")],
    [user("a"), assistant("b", prefix=True)],
    [user("a"), _CALLING, _RESULT, _RESULT],
    [user("a"), _CALLING, _RESULT, _RESULT, assistant("x"), user("b")],
]

_BAD = [
    ([], "messages"),
    ([assistant("a"), user("b")], "messages.0.role"),
    ([_RESULT], "messages.0.role"),
    ([user("a"), _RESULT], "messages.1.role"),
    ([user("a"), assistant("b")], "messages.1.role"),
    ([system("s")], "messages.0.role"),
    ([user("a"), assistant("b", prefix=True), user("c")], "messages.1.prefix"),
    ([Message(role="user", content=(TextChunk("a"),), prefix=True)], "messages.0.prefix"),
    ([user("a"), assistant("b"), system("s"), user("c")], "messages.2.role"),
    ([user("a"), _CALLING, _RESULT], "messages.1.tool_calls"),
    ([user("a"), _CALLING, user("b")], "messages.1.tool_calls"),
    ([user("a"), _CALLING, _RESULT, _RESULT, _RESULT], "messages.1.tool_calls"),
]


@pytest.mark.parametrize("messages", _GOOD)
def test_allowed(messages: list[Message]) -> None:
    check_order(messages)


@pytest.mark.parametrize(("messages", "field"), _BAD)
def test_refused_by_name(messages: list[Message], field: str) -> None:
    with pytest.raises(InvalidFields) as caught:
        check_order(messages)
    assert field in [".".join(map(str, problem.location[1:])) for problem in caught.value.problems]
