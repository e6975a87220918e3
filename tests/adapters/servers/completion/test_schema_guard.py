"""Schemas that may be compiled pass unchanged; all others name the place and the cure, before any compiler runs."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tramontane.adapters.servers.completion.schema_guard import MAX_DEPTH, check_schema
from tramontane.foundation.errors import InvalidFields

_PLACE = ("response_format", "json_schema", "schema")
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["type", "properties", "items", "anyOf", "$ref", "enum", "pattern", "required", "minLength", "x"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=30,
)


def nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(depth):
        schema = {"type": "object", "properties": {"a": schema}, "required": ["a"]}
    return schema


_TREE = {"$ref": "#/$defs/n", "$defs": {"n": {"type": "object", "properties": {"next": {"$ref": "#/$defs/n"}}}}}


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": ["string", "null"]},
        nested(MAX_DEPTH - 1),
        _TREE,
        {"enum": list(range(256))},
        {"type": "string", "pattern": "^[a-z]{1,100}$"},
        {"type": "object", "properties": {"pattern": {"type": "string"}, "$ref": {"type": "string"}}},
    ],
)
def test_good_schemas_pass_unchanged(schema: dict[str, Any]) -> None:
    assert check_schema(schema, _PLACE) == schema


_BAD: list[tuple[dict[str, Any], str]] = [
    (nested(MAX_DEPTH + 1), "properties.a"),
    (nested(3000), ""),
    ({"type": "text"}, "type"),
    ({"type": 3}, "type"),
    ({"type": []}, "type"),
    ({"properties": {"a": {"type": "strin"}}}, "properties.a.type"),
    ({"properties": [1]}, "properties"),
    ({"items": "string"}, "items"),
    ({"anyOf": []}, "anyOf"),
    ({"anyOf": {"type": "string"}}, "anyOf"),
    ({"enum": [f"v{n}" for n in range(257)]}, "enum"),
    ({"enum": []}, "enum"),
    ({"enum": ["x" * 70_000]}, ""),
    ({"minLength": 10_001}, "minLength"),
    ({"minLength": -1}, "minLength"),
    ({"minLength": True}, "minLength"),
    ({"minItems": 2, "maxItems": 1}, "minItems"),
    ({"pattern": "a" * 257}, "pattern"),
    ({"pattern": "^(a{1,500}){1,500}$"}, "pattern"),
    ({"patternProperties": {"a{99999}": {}}}, "patternProperties.a{99999}"),
    ({"patternProperties": 5}, "patternProperties"),
    ({"pattern": 5}, "pattern"),
    ({"required": "a"}, "required"),
    ({"$ref": "https://example.com/schema"}, "$ref"),
    ({"properties": {"a": {"$ref": "other.json#/x"}}}, "properties.a.$ref"),
    ({"$ref": "#"}, "$ref"),
    ({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}, "$ref"),
    ({"$ref": "#/$defs/missing"}, "$ref"),
    ({"$ref": "#/anyOf/²", "anyOf": [{}]}, "$ref"),
    ({"$ref": "#/anyOf/" + "9" * 5000, "anyOf": [{}]}, "$ref"),
    ({"$dynamicRef": "#x"}, "$dynamicRef"),
    ({"properties": {"a": {"$id": "x"}}}, "properties.a.$id"),
    ({"properties": {f"p{n}": {} for n in range(600)}}, ""),
    ({"anyOf": [{"$ref": "#/$defs/a"}] * 65, "$defs": {"a": {}}}, ""),
    ({"const": float("nan"), "items": 7}, "items"),
]


@pytest.mark.parametrize(("schema", "field"), _BAD)
def test_refused_by_place(schema: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidFields) as caught:
        check_schema(schema, _PLACE)
    assert caught.value.param is not None
    assert caught.value.param.removeprefix("response_format.json_schema.schema").removeprefix(".").startswith(field)


def test_options_of_the_compiler_are_not_the_callers() -> None:
    assert check_schema({"type": "object", "x-guidance": {"lenient": True}, "$id": "a"}, _PLACE) == {"type": "object"}


@settings(max_examples=300, deadline=None)
@given(
    schema=st.dictionaries(st.sampled_from(["type", "properties", "items", "anyOf", "$ref", "$defs", "enum"]), _JSON)
)
def test_anything_is_passed_or_refused(schema: dict[str, Any]) -> None:
    try:
        checked = check_schema(schema, _PLACE)
    except InvalidFields as error:
        assert error.message
    else:
        assert checked == schema or "$id" in schema
