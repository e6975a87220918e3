"""Reads tool calls out of an answer's text while it arrives, in each family's syntax.

Knows the syntaxes and what counts as a call; a malformed call, or one of a tool nobody offered, stays text. `answer`
feeds it; the matching grammars are in `grammar_text`.
"""

import json
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Protocol

from tramontane.adapters.servers.completion.profile import ToolFormat
from tramontane.adapters.servers.marks import MarkFinder

CALL_BEGIN, CALL_END = "<tool_call>", "</tool_call>"
MISTRAL_CALLS, MISTRAL_ARGS, MISTRAL_ID = "[TOOL_CALLS]", "[ARGS]", "[CALL_ID]"
PYTHON_TAG = "<|python_tag|>"
# Names that must stay visible where the vocabulary has them as control tokens.
MARKS_SEEN = (CALL_BEGIN, CALL_END, MISTRAL_CALLS, MISTRAL_ARGS, MISTRAL_ID, PYTHON_TAG)


@dataclass(frozen=True, slots=True)
class Call:
    """One call: a tool's name and its arguments as JSON text."""

    name: str
    arguments: str


class ToolParser(Protocol):
    """Text in, text and calls out, in order."""

    def push(self, text: str) -> list[str | Call]: ...

    def flush(self) -> list[str | Call]:
        """Everything held back; an unfinished call that can be read counts."""
        ...


def tool_parser(syntax: ToolFormat, names: Collection[str]) -> ToolParser:
    """The parser of a model's syntax; only calls of `names` are calls."""
    if syntax == "llama_json":
        return _WholeParser(names)
    if syntax == "tagged":
        return _MarkedParser(CALL_BEGIN, CALL_END, lambda body: read_json_calls(body, names))
    if syntax == "mistral_named":
        return _MarkedParser(MISTRAL_CALLS, None, lambda body: _read_named(body, names))
    return _MarkedParser(MISTRAL_CALLS, None, lambda body: read_json_calls(body, names))


class _MarkedParser:
    """Calls between a begin mark and an end mark; without an end mark up to the next begin mark or the end."""

    def __init__(self, begin: str, end: str | None, read: Callable[[str], list[Call]]) -> None:
        self._begin, self._end, self._read = begin, end, read
        self._outside = True
        self._body: list[str] = []
        self._blank = ""
        self._may_drop_blank = True
        self._called = False
        self._finder = MarkFinder((begin,))

    def push(self, text: str) -> list[str | Call]:
        pieces: list[str | Call] = []
        while True:
            before, mark, text = self._finder.push(text)
            if self._outside:
                self._add_text(pieces, before)
            else:
                self._body.append(before)
            if mark is None:
                return pieces
            self._turn(pieces, mark)

    def flush(self) -> list[str | Call]:
        pieces: list[str | Call] = []
        rest = self._finder.flush()
        if self._outside:
            self._add_text(pieces, rest)
        else:
            self._body.append(rest)
            self._add_calls(pieces, "")
        if self._blank and not self._called:
            pieces.append(self._blank)
        return pieces

    def _turn(self, pieces: list[str | Call], mark: str) -> None:
        if not self._outside:
            self._add_calls(pieces, mark if mark == self._end else "")
        self._outside = mark == self._end
        self._finder = MarkFinder((self._begin if self._outside or self._end is None else self._end,))

    def _add_calls(self, pieces: list[str | Call], end: str) -> None:
        body = "".join(self._body)
        self._body = []
        calls = self._read(body)
        if calls:
            pieces += calls
            self._called = True
            self._blank, self._may_drop_blank = "", True
        else:
            self._add_text(pieces, self._begin + body + end)

    def _add_text(self, pieces: list[str | Call], text: str) -> None:
        """White space before, between and after calls belongs to the syntax; before text it belongs to the text."""
        if not text:
            return
        if self._may_drop_blank and not text.strip():
            self._blank += text
            return
        pieces.append(self._blank + text)
        self._blank, self._may_drop_blank = "", False


class _WholeParser:
    """Llama's syntax: the whole answer is one call or several, bare or after a tag; decided by its first character."""

    def __init__(self, names: Collection[str]) -> None:
        self._names = names
        self._held = ""
        self._decided_text = False

    def push(self, text: str) -> list[str | Call]:
        if self._decided_text:
            return [text] if text else []
        self._held += text
        start = self._held.lstrip()
        if not start or start.startswith("{") or PYTHON_TAG.startswith(start[: len(PYTHON_TAG)]):
            return []
        self._decided_text = True
        held, self._held = self._held, ""
        return [held]

    def flush(self) -> list[str | Call]:
        held, self._held = self._held, ""
        calls = read_json_calls(held.strip().removeprefix(PYTHON_TAG), self._names)
        if calls:
            return list(calls)
        return [held] if held else []


def read_json_calls(body: str, names: Collection[str]) -> list[Call]:
    """The calls in a body of one JSON object, several in a row, or a list of them; [] unless all of it is calls."""
    decoder = json.JSONDecoder()
    calls: list[Call] = []
    rest = body.strip()
    while rest:
        try:
            value, end = decoder.raw_decode(rest)
        except (ValueError, RecursionError):
            return []
        for entry in value if isinstance(value, list) else [value]:
            call = _call_of(entry, names)
            if call is None:
                return []
            calls.append(call)
        rest = rest[end:].lstrip(" \t\r\n;,")
    return calls


def _call_of(value: Any, names: Collection[str]) -> Call | None:
    if not isinstance(value, dict):
        return None
    inner = value.get("function")
    entry = inner if isinstance(inner, dict) else value
    name = entry.get("name")
    arguments = entry.get("arguments", entry.get("parameters", {}))
    if isinstance(arguments, str):
        arguments = _object_in(arguments)
    if not isinstance(name, str) or name not in names or not isinstance(arguments, dict):
        return None
    return Call(name, json.dumps(arguments, ensure_ascii=False))


def _read_named(body: str, names: Collection[str]) -> list[Call]:
    """`name[ARGS]{...}`, with a call id between in some versions; the old list form is read too."""
    if body.lstrip().startswith("["):
        return read_json_calls(body, names)
    head, _, text = body.partition(MISTRAL_ARGS)
    name = head.partition(MISTRAL_ID)[0].strip()
    arguments = _object_in(text)
    return [Call(name, json.dumps(arguments, ensure_ascii=False))] if name in names and arguments is not None else []


def _object_in(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
