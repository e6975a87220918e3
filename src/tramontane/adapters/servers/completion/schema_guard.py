"""Decides whether a caller's JSON schema may be compiled: size, depth, counts, types and references.

Knows nothing of grammars or models; pure. Every schema passes here before any compiler sees it, so that an invalid or
hostile one is an error that names the place in the schema and the cure.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from tramontane.adapters.servers.completion.conversation import plain
from tramontane.foundation.errors import FieldProblem, InvalidFields

MAX_BYTES = 64 * 1024
MAX_NODES = 512
MAX_DEPTH = 16
MAX_REFERENCES = 64
MAX_ENUM = 256
MAX_COUNT = 10_000
MAX_PATTERN_CHARS = 256
_TYPES = ("string", "number", "integer", "boolean", "null", "array", "object")
_COUNTS = ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties")
_ONE_SCHEMA = ("items", "additionalProperties", "contains", "propertyNames", "not", "if", "then", "else")
_LIST_OF_SCHEMAS = ("anyOf", "oneOf", "allOf", "prefixItems")
_MAP_OF_SCHEMAS = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
_REFUSED = ("$dynamicRef", "$recursiveRef", "$dynamicAnchor", "$anchor")
_REPEAT = re.compile(r"\{(\d+)(?:,(\d*))?\}")
_INDEX = re.compile(r"[0-9]{1,4}")

Path = tuple[str | int, ...]


def check_schema(schema: Mapping[str, Any], place: Path) -> dict[str, Any]:
    """The schema as plain values, safe to compile. `place` is where it stands in the request, for the message.

    Raises InvalidFields for the part that is wrong. Recursion through properties or items is allowed; a `$ref` that
    leads to itself without one is not.
    """
    value = _bounded(schema, place)
    references = 0
    for number, (node, path) in enumerate(_walk(value, place)):
        if number == MAX_NODES:
            raise _problem(place, f"the schema has more than {MAX_NODES} parts; make it smaller")
        if isinstance(node, dict):
            _check_node(node, path, below=number > 0)
            references += "$ref" in node
            if "$ref" in node:
                _check_reference(value, node["$ref"], path)
    if references > MAX_REFERENCES:
        raise _problem(place, f"the schema has more than {MAX_REFERENCES} references; make it smaller")
    return {key: part for key, part in value.items() if key not in ("$id", "$schema", "x-guidance")}


def _problem(path: Path, message: str) -> InvalidFields:
    return InvalidFields([FieldProblem(("body", *path), message, "schema_error")])


def _bounded(schema: Mapping[str, Any], place: Path) -> dict[str, Any]:
    """Plain values of a schema whose bytes and nesting are bounded, so that all that follows may recurse."""
    levels: list[Any] = [schema]
    for _ in range(4 * MAX_DEPTH):
        levels = [part for value in levels for part in _children(value)]
        if not levels:
            break
    else:
        raise _problem(place, f"the schema is nested too deep; at most {MAX_DEPTH} schemas inside each other")
    value: dict[str, Any] = plain(schema)
    try:
        size = len(json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass"))
    except (TypeError, ValueError) as error:
        raise _problem(place, f"the schema is not JSON: {error}") from error
    if size > MAX_BYTES:
        raise _problem(place, f"the schema has {size} bytes; at most {MAX_BYTES} are compiled, make it smaller")
    return value


def _children(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        return list(value.values())
    return list(value) if isinstance(value, list | tuple) else []


def _walk(schema: Any, path: Path, depth: int = 0) -> Iterator[tuple[Any, Path]]:
    """Every subschema with its path, parents first."""
    if depth > MAX_DEPTH:
        raise _problem(path, f"the schema is nested deeper than {MAX_DEPTH}; make it flatter")
    if isinstance(schema, bool):
        yield schema, path
        return
    if not isinstance(schema, dict):
        raise _problem(path, f"a schema is an object or a boolean, not {type(schema).__name__}")
    yield schema, path
    for part, place in _parts(schema, path):
        yield from _walk(part, place, depth + 1)


def _parts(schema: dict[str, Any], path: Path) -> Iterator[tuple[Any, Path]]:
    for key in _ONE_SCHEMA:
        if key in schema:
            yield schema[key], (*path, key)
    for key in _LIST_OF_SCHEMAS:
        if key in schema:
            if not isinstance(schema[key], list) or (not schema[key] and key != "prefixItems"):
                raise _problem((*path, key), f"{key} is a list of schemas with at least one in it")
            for index, part in enumerate(schema[key]):
                yield part, (*path, key, index)
    for key in _MAP_OF_SCHEMAS:
        if key in schema:
            if not isinstance(schema[key], dict):
                raise _problem((*path, key), f"{key} is an object of schemas")
            for name, part in schema[key].items():
                yield part, (*path, key, name)


def _check_node(node: dict[str, Any], path: Path, below: bool) -> None:
    for key in _REFUSED:
        if key in node:
            raise _problem((*path, key), f"{key} is not supported; refer with a local $ref")
    if "$id" in node and below:
        raise _problem((*path, "$id"), "$id below the top changes what references mean; remove it")
    _check_type(node, path)
    _check_counts(node, path)
    if "pattern" in node:
        _check_pattern(node["pattern"], (*path, "pattern"))
    named = node.get("patternProperties", {})
    for name in named if isinstance(named, dict) else ():  # another type is `_parts`' to refuse
        _check_pattern(name, (*path, "patternProperties", name))
    if "enum" in node:
        values = node["enum"]
        if not isinstance(values, list) or not values:
            raise _problem((*path, "enum"), "enum is a list with at least one value")
        if len(values) > MAX_ENUM:
            raise _problem((*path, "enum"), f"enum has {len(values)} values; at most {MAX_ENUM} are compiled")
    required = node.get("required", [])
    if not isinstance(required, list) or not all(isinstance(name, str) for name in required):
        raise _problem((*path, "required"), "required is a list of property names")


def _check_type(node: dict[str, Any], path: Path) -> None:
    if "type" not in node:
        return
    types = node["type"] if isinstance(node["type"], list) else [node["type"]]
    for name in types:
        if not isinstance(name, str) or name not in _TYPES:
            raise _problem((*path, "type"), f"{name!r} is not a type; use one of {', '.join(_TYPES)}")
    if not types:
        raise _problem((*path, "type"), "type is empty; name at least one type")


def _check_counts(node: dict[str, Any], path: Path) -> None:
    for key in _COUNTS:
        if key in node:
            value = node[key]
            if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_COUNT:
                raise _problem((*path, key), f"{key} is a whole number from 0 to {MAX_COUNT}")
    for low, high in (("minLength", "maxLength"), ("minItems", "maxItems"), ("minProperties", "maxProperties")):
        if low in node and high in node and node[low] > node[high]:
            raise _problem((*path, low), f"{low} ({node[low]}) is greater than {high} ({node[high]}); nothing can fit")


def _check_pattern(pattern: Any, path: Path) -> None:
    if not isinstance(pattern, str):
        raise _problem(path, "a pattern is text")
    if len(pattern) > MAX_PATTERN_CHARS:
        raise _problem(path, f"the pattern has {len(pattern)} characters; at most {MAX_PATTERN_CHARS} are compiled")
    repeats = 1
    for match in _REPEAT.finditer(pattern):
        repeats *= max(1, int(match.group(2) or match.group(1)))
        if repeats > MAX_COUNT:
            raise _problem(path, f"the pattern's repeat counts multiply to more than {MAX_COUNT}; lower them")


def _check_reference(root: dict[str, Any], reference: Any, path: Path) -> None:
    """A reference is local, leads to a part that exists, and does not lead back to itself."""
    seen: set[str] = set()
    while True:
        if not isinstance(reference, str) or not reference.startswith("#"):
            raise _problem(
                (*path, "$ref"),
                f"{str(reference)[:100]!r} is not local; put the part under $defs and use '#/$defs/...'",
            )
        if reference in seen:
            raise _problem((*path, "$ref"), f"{reference!r} leads back to itself; describe the value somewhere")
        seen.add(reference)
        target = _resolve(root, reference)
        if target is None:
            raise _problem((*path, "$ref"), f"{reference!r} leads nowhere; add that part under $defs")
        if not (isinstance(target, dict) and "$ref" in target):
            return
        reference = target["$ref"]


def _resolve(root: dict[str, Any], reference: str) -> Any:
    value: Any = root
    for step in reference[1:].split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and name in value:
            value = value[name]
        elif isinstance(value, list) and _INDEX.fullmatch(name) and int(name) < len(value):
            value = value[int(name)]
        else:
            return None
    return value if isinstance(value, dict | bool) else None
