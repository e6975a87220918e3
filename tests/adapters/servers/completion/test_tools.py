"""Tool calls of every family are read, however the text is cut; what is no call stays text."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tramontane.adapters.servers.completion.profile import ToolFormat
from tramontane.adapters.servers.completion.tools import Call, tool_parser

NAMES = {"add", "get_weather"}
_ONE = Call("add", '{"x": 1}')
_TWO = Call("get_weather", '{"city": "Orléans"}')


def _read(syntax: ToolFormat, text: str, size: int = 3) -> tuple[str, list[Call]]:
    parser = tool_parser(syntax, NAMES)
    pieces: list[str | Call] = []
    for at in range(0, len(text), size):
        pieces += parser.push(text[at : at + size])
    pieces += parser.flush()
    return (
        "".join(piece for piece in pieces if isinstance(piece, str)),
        [piece for piece in pieces if isinstance(piece, Call)],
    )


_GOOD: list[tuple[ToolFormat, str, str, list[Call]]] = [
    ("tagged", '<tool_call>{"name": "add", "arguments": {"x": 1}}</tool_call>', "", [_ONE]),
    (
        "tagged",
        'Wait.\n<tool_call>\n{"name":"add","arguments":{"x":1}}\n</tool_call>\n<tool_call>\n'
        '{"name": "get_weather", "arguments": {"city": "Orléans"}}\n</tool_call>\n',
        "Wait.\n",
        [_ONE, _TWO],
    ),
    ("tagged", '<tool_call>{"name": "add", "arguments": {"x": 1}}', "", [_ONE]),
    ("tagged", '<tool_call>{"name": "add", "arguments": "{\\"x\\": 1}"}</tool_call>', "", [_ONE]),
    ("mistral_list", '[TOOL_CALLS][{"name": "add", "arguments": {"x": 1}, "id": "abcdefghi"}]', "", [_ONE]),
    (
        "mistral_list",
        '[TOOL_CALLS] [{"name": "add", "arguments": {"x": 1}}, {"name": "get_weather", "arguments": {"city": "Orléans"}}]',
        "",
        [_ONE, _TWO],
    ),
    (
        "mistral_named",
        'Ok[TOOL_CALLS]add[ARGS]{"x": 1}[TOOL_CALLS]get_weather[CALL_ID]abcdefghi[ARGS]{"city": "Orléans"}',
        "Ok",
        [_ONE, _TWO],
    ),
    ("llama_json", '{"name": "add", "parameters": {"x": 1}}', "", [_ONE]),
    (
        "llama_json",
        '<|python_tag|>{"name": "add", "parameters": {"x": 1}}; {"name": "add", "parameters": {"x": 1}}',
        "",
        [_ONE] * 2,
    ),
]


@pytest.mark.parametrize(("syntax", "text", "rest", "calls"), _GOOD)
@given(size=st.integers(1, 60))
def test_calls_are_read(syntax: ToolFormat, text: str, rest: str, calls: list[Call], size: int) -> None:
    assert _read(syntax, text, size) == (rest, calls)


_TEXT_ONLY: list[tuple[ToolFormat, str]] = [
    ("tagged", "Nothing to call.\n"),
    ("tagged", " \n "),
    ("tagged", '<tool_call>{"name": "add", "arguments": {"x": 1</tool_call> sorry'),
    ("tagged", '<tool_call>{"name": "rm", "arguments": {}}</tool_call>'),
    ("tagged", "<tool_call>[1, 2]</tool_call>"),
    ("tagged", "<tool_"),
    ("mistral_list", '[TOOL_CALLS][{"name": "add", "arg'),
    ("mistral_named", "[TOOL_CALLS]add[ARGS]{"),
    ("llama_json", '{"a": 1}'),
    ("llama_json", "Plain words {"),
    ("llama_json", "{" * 3000),
]


@pytest.mark.parametrize(("syntax", "text"), _TEXT_ONLY)
@given(size=st.integers(1, 60))
def test_the_rest_stays_text(syntax: ToolFormat, text: str, size: int) -> None:
    assert _read(syntax, text, size) == (text, [])


@given(
    arguments=st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=8), max_size=4),
    size=st.integers(1, 20),
)
def test_arguments_survive(arguments: dict[str, object], size: int) -> None:
    text = f'<tool_call>{{"name": "add", "arguments": {json.dumps(arguments)}}}</tool_call>'
    _, calls = _read("tagged", text, size)
    assert [json.loads(call.arguments) for call in calls] == [arguments]
