"""Writes the grammar of an ask: JSON, JSON by schema, tool calls in the model's syntax, thoughts before them.

Knows Lark as llguidance reads it and the families' syntaxes; compiles nothing. `grammar` calls it, `tools` reads back
what these grammars force.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tramontane.adapters.servers.completion.conversation import plain, wants_tools
from tramontane.adapters.servers.completion.profile import ThinkingFormat, ToolFormat
from tramontane.adapters.servers.completion.schema_guard import check_schema
from tramontane.adapters.servers.completion.tools import CALL_BEGIN, CALL_END, MISTRAL_ARGS, MISTRAL_CALLS
from tramontane.foundation.nouns import Ask, Tool

# One space, or a line break with its indentation: enough for any layout, and no model can lose itself in blanks.
_WHITE_SPACE = r"( |\n {0,16})"
# A small model that is forced to call rarely chooses to end; what it adds repeats itself.
_MAX_FORCED_CALLS = 4


@dataclass(frozen=True, slots=True)
class Syntax:
    """What of a model's format a grammar needs. `special_ids` are the control tokens by name."""

    tools: ToolFormat
    thinking: ThinkingFormat | None
    special_ids: Mapping[str, int]

    def mark(self, name: str) -> str:
        """A mark as a Lark term: the control token of that name, or its text."""
        token = self.special_ids.get(name)
        return json.dumps(name) if token is None else f"<[{token}]>"


def grammar_for(ask: Ask, syntax: Syntax, thinking: bool) -> str | None:
    """The Lark grammar of an ask's answers, or None where they are free. `thinking`: the prompt opened the thoughts.

    Raises InvalidFields for a schema that may not be compiled.
    """
    schema = _answer_schema(ask)
    offered = ask.tools if ask.kind == "chat" and wants_tools(ask) else ()
    forced = ask.tool_choice.mode in ("any", "named")
    if not forced and schema is None:
        strict = any(tool.strict for tool in offered)
        return _optional_calls(offered, ask, syntax) if strict else None
    rules: list[str] = []
    bodies = []
    if offered and (forced or schema is not None):
        bodies.append(_calls(_choosable(ask, offered), ask, syntax, rules))
    if schema is not None and not forced:
        bodies.append(_json(schema, ask.answer.strict))
    rules.append(f"body: {' | '.join(bodies)}")
    return "\n".join([_start(syntax, thinking, rules), *rules])


def _start(syntax: Syntax, thinking: bool, rules: list[str]) -> str:
    """The start rule: thoughts, free, come before what is forced."""
    if syntax.thinking is None:
        return "start: body"
    begin, end = syntax.mark(syntax.thinking.begin), syntax.mark(syntax.thinking.end)
    rules += _until("thought", end)
    rules.append("thoughts: thought BLANK")
    rules.append("BLANK: /\\n{0,2}/")
    return "start: thoughts body" if thinking else f"start: ({begin} thoughts)? body"


def _answer_schema(ask: Ask) -> dict[str, Any] | None:
    if ask.answer.kind == "json_schema" and ask.answer.schema is not None:
        return check_schema(ask.answer.schema, ("response_format", "json_schema", "schema"))
    return {"type": "object"} if ask.answer.kind in ("json_object", "json_schema") else None


def _choosable(ask: Ask, offered: Sequence[Tool]) -> list[Tool]:
    named = ask.tool_choice.name if ask.tool_choice.mode == "named" else None
    return [tool for tool in offered if named is None or tool.name == named]


def _json(schema: Mapping[str, Any], strict: bool) -> str:
    options = {"whitespace_pattern": _WHITE_SPACE, "coerce_one_of": True, "lenient": not strict}
    return "%json " + json.dumps({**schema, "x-guidance": options}, ensure_ascii=False)


def _parameters(ask: Ask, tool: Tool) -> str:
    place = ("tools", ask.tools.index(tool), "function", "parameters")
    schema = check_schema(plain(tool.parameters), place)
    if "$ref" not in schema:
        schema.setdefault("type", "object")
    return _json(schema, tool.strict)


def _calls(tools: Sequence[Tool], ask: Ask, syntax: Syntax, rules: list[str]) -> str:
    """A rule for one call or several, its parts appended to `rules`."""
    for number, tool in enumerate(tools):
        rules.append(f"call_{number}: {_call(tool, _parameters(ask, tool), syntax)}")
    rules.append("call: " + " | ".join(f"call_{number}" for number in range(len(tools))))
    many = ask.tool_choice.parallel and ask.tool_choice.mode != "named"
    rules.append(f"calls: {_sequence(syntax, _MAX_FORCED_CALLS if many else 1)}")
    return "calls"


def _call(tool: Tool, parameters: str, syntax: Syntax) -> str:
    """One call without what stands between calls."""
    name = json.dumps(tool.name)
    if syntax.tools == "mistral_named":
        return f"{syntax.mark(MISTRAL_CALLS)} {name} {syntax.mark(MISTRAL_ARGS)} {parameters}"
    field = "parameters" if syntax.tools == "llama_json" else "arguments"
    head = json.dumps(f'{{"name": {name}, "{field}": ')
    inner = f'{head} {parameters} "}}"'
    if syntax.tools == "tagged":
        return f'{syntax.mark(CALL_BEGIN)} "\\n"? {inner} "\\n"? {syntax.mark(CALL_END)}'
    return inner


def _sequence(syntax: Syntax, most: int) -> str:
    between = {"tagged": '"\\n"?', "mistral_named": "", "mistral_list": '", "', "llama_json": '"; "'}[syntax.tools]
    calls = "call" if most == 1 else f"call ({between} call){{0,{most - 1}}}"
    return f'{syntax.mark(MISTRAL_CALLS)} "[" {calls} "]"' if syntax.tools == "mistral_list" else calls


def _optional_calls(tools: Sequence[Tool], ask: Ask, syntax: Syntax) -> str | None:
    """Free text in which every call that is begun must be a right one; for tools declared strict."""
    if syntax.tools in ("llama_json", "mistral_list"):
        return None  # their beginnings cannot be told from text before it is too late
    begin = CALL_BEGIN if syntax.tools == "tagged" else MISTRAL_CALLS
    rules = []
    mark = syntax.mark(begin)
    for number, tool in enumerate(tools):
        call = _call(tool, _parameters(ask, tool), syntax).removeprefix(mark).strip()
        rules.append(f"call_{number}: {call}")
    alternatives = " | ".join(f"call_{number}" for number in range(len(tools)))
    repeat = "*" if ask.tool_choice.parallel else "?"
    return "\n".join(
        [f"start: (lead ({alternatives})){repeat} TEXT", *_until("lead", mark), "TEXT: /(.|\\n)*/", *rules]
    )


def _until(rule: str, mark: str) -> list[str]:
    """Rules for any text up to and with a mark."""
    if mark.startswith("<["):
        return [f"{rule}: {rule.upper()}_TEXT {mark}", f"{rule.upper()}_TEXT: /(.|\\n)*/"]
    return [f"{rule}[suffix={mark}]: {rule.upper()}_TEXT", f"{rule.upper()}_TEXT: /(.|\\n)*/"]
