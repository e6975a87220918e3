"""The program that renders one model's chat template: a Jinja sandbox inside a limited process.

Knows the conventions that published templates rely on; the template is hostile and comes with the model, never with a
request. Started by `template.ChatTemplate` through `limited.LimitedProcess`.
"""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import jinja2
import jinja2.ext
import jinja2.nodes
import jinja2.parser
import jinja2.sandbox

from tramontane.adapters.servers.completion.limited import Work, serve

_OUTPUT_BASE_CHARS = 1 << 20
_ERROR_CHARS = 500


class _Refusal(Exception):
    """The template itself called `raise_exception`: the conversation is not one it takes."""


class _GenerationTag(jinja2.ext.Extension):
    """`{% generation %}` marks the assistant's part for training; rendering keeps its body."""

    tags = {"generation"}

    def parse(self, parser: jinja2.parser.Parser) -> list[jinja2.nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def environment() -> jinja2.sandbox.ImmutableSandboxedEnvironment:
    """The sandbox with the filters and functions templates expect; no loader, so nothing can be included."""
    sandbox = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[jinja2.ext.loopcontrols, _GenerationTag]
    )
    sandbox.filters["tojson"] = _to_json
    sandbox.globals["raise_exception"] = _raise
    return sandbox


def _to_json(value: Any, ensure_ascii: bool = False, indent: int | None = None, **options: Any) -> str:
    return json.dumps(
        value,
        ensure_ascii=ensure_ascii,
        indent=indent,
        separators=options.get("separators"),
        sort_keys=bool(options.get("sort_keys", False)),
    )


def _raise(message: str) -> None:
    raise _Refusal(str(message))


def render(template: jinja2.Template, variables: dict[str, Any], limit_chars: int) -> str:
    """The rendered text. Raises ValueError once it grows beyond the limit."""
    pieces: list[str] = []
    total = 0
    for piece in template.generate(**variables):
        total += len(piece)
        if total > limit_chars:
            raise ValueError(f"the chat template writes more than {limit_chars} characters")
        pieces.append(piece)
    return "".join(pieces)


def prepare(setup: dict[str, Any]) -> Work:
    """Renders the set-up's template. Compiling waits for the first request: it computes constants, so it needs limits."""
    compiled: list[jinja2.Template] = []

    def work(request: dict[str, Any]) -> dict[str, Any]:
        variables = {**request["variables"], "strftime_now": _strftime_at(request["now_s"])}
        limit = _OUTPUT_BASE_CHARS + 2 * int(request["input_chars"])
        try:
            if not compiled:
                compiled.append(environment().from_string(setup["template"]))
            return {"text": render(compiled[0], variables, limit)}
        except _Refusal as error:
            return {"refusal": str(error)[:_ERROR_CHARS]}
        except MemoryError:
            raise
        except Exception as error:  # the template is somebody else's program: whatever it raises is its answer
            fault = "does not compile" if isinstance(error, jinja2.TemplateSyntaxError) else "fails"
            return {"error": f"the chat template {fault}: {error}"[:_ERROR_CHARS]}

    return work


def _strftime_at(now_s: float) -> Callable[[str], str]:
    return lambda form: datetime.fromtimestamp(now_s).strftime(form)


if __name__ == "__main__":
    serve(prepare)
