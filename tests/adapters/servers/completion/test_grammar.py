"""Whatever the model prefers, a forced answer has the demanded form; a bad schema is an error and nothing else suffers."""

import dataclasses
import json
import random
import string
from collections.abc import Iterator
from typing import Any

import jsonschema
import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes.asks import ADD, WEATHER, assistant, chat, schema_ask, user

from tramontane.adapters.servers.completion.answer import AnswerReader
from tramontane.adapters.servers.completion.grammar import GrammarCompiler
from tramontane.adapters.servers.completion.profile import ModelProfile, ThinkingFormat, ToolFormat
from tramontane.adapters.servers.completion.prompt import Rendered
from tramontane.adapters.servers.tokens import Constraint
from tramontane.foundation.errors import InvalidFields
from tramontane.foundation.events import ChoiceEnd, ToolCallDelta
from tramontane.foundation.nouns import AnswerFormat, Ask, ToolChoice

pytestmark = pytest.mark.models
_STEPS = 400


@pytest.fixture(scope="module")
def compiler(profile: ModelProfile) -> Iterator[GrammarCompiler]:
    made = GrammarCompiler(profile)
    yield made
    made.close()


def _allowed(constraint: Constraint) -> np.ndarray:
    return np.nonzero(np.unpackbits(constraint.mask().view(np.uint8), bitorder="little"))[0]


def walk(constraint: Constraint, profile: ModelProfile, rng: random.Random, steps: int = _STEPS) -> list[int] | None:
    """A random answer under the mask, biased to short tokens and to ending; None when it did not end in time."""
    ends = np.array(sorted(profile.stop_ids))
    taken: list[int] = []
    for _ in range(steps):
        allowed = _allowed(constraint)
        assert len(allowed), "a mask allows nothing"
        if np.isin(ends, allowed).any():
            return taken
        assert not constraint.complete
        some = [int(allowed[rng.randrange(len(allowed))]) for _ in range(4)]
        closing = [
            int(token) for token in allowed if profile.tokenizer.token_bytes(int(token)) in (b'"', b"}", b"]", b'"}')
        ]
        token = (
            rng.choice(closing)
            if closing and rng.random() < 0.5
            else min(some, key=lambda t: len(profile.tokenizer.token_bytes(t)))
        )
        assert constraint.allowed_prefix([token]) == 1
        constraint.accept(token)
        taken.append(token)
    return None


_NAMES = st.text(string.ascii_lowercase, min_size=1, max_size=5)
_LEAVES = st.one_of(
    st.just({"type": "boolean"}),
    st.just({"type": "null"}),
    st.integers(-50, 50).map(lambda low: {"type": "integer", "minimum": low, "maximum": low + 7}),
    st.just({"type": "string", "maxLength": 6}),
    st.just({"type": "string", "pattern": "^[a-c]{1,3}$"}),
    st.just({"type": "string", "format": "date"}),
    st.lists(st.text(max_size=4) | st.integers(-9, 9), min_size=1, max_size=4, unique=True).map(
        lambda values: {"enum": values}
    ),
)


def _objects(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(_NAMES, inner, max_size=3).map(
        lambda parts: {"type": "object", "properties": parts, "required": sorted(parts), "additionalProperties": False}
    )


_SCHEMAS = st.recursive(
    _LEAVES,
    lambda inner: (
        _objects(inner)
        | inner.map(lambda part: {"type": "array", "items": part, "maxItems": 2})
        | st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"anyOf": parts})
    ),
    max_leaves=6,
)


@settings(max_examples=40, deadline=None)
@given(schema=_SCHEMAS, seed=st.integers(0, 2**32))
def test_random_answers_fit_random_schemas(
    profile: ModelProfile, compiler: GrammarCompiler, schema: dict[str, Any], seed: int
) -> None:
    try:
        (constraint,) = compiler.compile(schema_ask(schema))
    except InvalidFields as error:
        assert "cannot write" in error.message  # this vocabulary lacks the first bytes of unassigned planes
        return
    taken = walk(constraint, profile, random.Random(seed))
    if taken is not None:
        jsonschema.validate(json.loads(profile.tokenizer.decode(taken)), schema)


@pytest.mark.parametrize("seed", range(5))
def test_json_mode_gives_an_object(profile: ModelProfile, compiler: GrammarCompiler, seed: int) -> None:
    (constraint,) = compiler.compile(chat(answer=AnswerFormat(kind="json_object")))
    taken = walk(constraint, profile, random.Random(seed))
    assert taken is None or isinstance(json.loads(profile.tokenizer.decode(taken)), dict)


def _calls(profile: ModelProfile, ask: Ask, ids: list[int]) -> list[ToolCallDelta]:
    rendered = Rendered(tokens=[1], max_tokens=1, stop_tokens=profile.stop_ids)
    reader = AnswerReader(ask, profile, rendered, 0)
    events = reader.push(ids) + reader.finish("stop")
    assert events[-1] == ChoiceEnd(0, "tool_calls")
    assert all(isinstance(event, ToolCallDelta | ChoiceEnd) for event in events)
    return [event for event in events if isinstance(event, ToolCallDelta)]


@pytest.mark.parametrize("syntax", ["tagged", "mistral_list", "mistral_named", "llama_json"])
@pytest.mark.parametrize(
    "choice",
    [ToolChoice(mode="any"), ToolChoice(mode="any", parallel=False), ToolChoice(mode="named", name="get_weather")],
)
def test_forced_calls_are_read_back_as_calls(profile: ModelProfile, syntax: ToolFormat, choice: ToolChoice) -> None:
    speaker = dataclasses.replace(profile, tool_format=syntax)
    compiler = GrammarCompiler(speaker)
    ask = chat(tools=(ADD, WEATHER), tool_choice=choice)
    try:
        for seed in range(4):
            taken = walk(compiler.compile(ask)[0], speaker, random.Random(seed))
            assert taken is not None
            calls = _calls(speaker, ask, taken)
            assert len(calls) == 1 or (choice.parallel and choice.mode == "any")
            for call in calls:
                assert choice.name in (None, call.name)
                tool = {"add": ADD, "get_weather": WEATHER}[call.name]
                jsonschema.validate(json.loads(call.arguments), dict(tool.parameters))
    finally:
        compiler.close()


def _accepts(constraint: Constraint, profile: ModelProfile, text: str) -> bool:
    ids = profile.tokenizer.encode(text)
    if constraint.allowed_prefix(ids) != len(ids):
        return False
    for token in ids:
        constraint.accept(token)
    return bool(np.isin(sorted(profile.stop_ids), _allowed(constraint)).any())


_CALL = '<tool_call>{"name": "add", "arguments": {"x": 1}}</tool_call>'


@pytest.mark.parametrize(
    ("text", "fits"),
    [("Hello <b>", True), (f"So: {_CALL}", True), (f"{_CALL}\n{_CALL}", True), ('<tool_call>{"name": "rm', False)],
)
def test_strict_tools_leave_text_free(profile: ModelProfile, compiler: GrammarCompiler, text: str, fits: bool) -> None:
    (constraint,) = compiler.compile(chat(tools=(msgspec.structs.replace(ADD, strict=True),)))
    assert _accepts(constraint, profile, text) is fits


def test_a_character_the_vocabulary_lacks_is_refused(compiler: GrammarCompiler) -> None:
    with pytest.raises(InvalidFields, match=r"U\+40000"):
        compiler.compile(schema_ask({"enum": ["a", "\U00040000"]}))


_X = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"], "additionalProperties": False}


@pytest.mark.parametrize(("text", "fits"), [('{"x": 1}', True), (_CALL, True), ("No.", False)])
def test_schema_with_tools_is_one_or_the_other(
    profile: ModelProfile, compiler: GrammarCompiler, text: str, fits: bool
) -> None:
    assert _accepts(compiler.compile(schema_ask(_X, tools=(ADD,)))[0], profile, text) is fits


@pytest.mark.parametrize(
    ("text", "opened", "fits"),
    [
        ('{"x": 1}', False, True),
        ('<think>a {b}</think>\n\n{"x": 1}', False, True),
        ('a {b}</think>\n\n{"x": 1}', True, True),
        ("<think>a</think>b", False, False),
        ("a</think>b", True, False),
    ],
)
def test_thoughts_come_free_before_the_form(profile: ModelProfile, text: str, opened: bool, fits: bool) -> None:
    thinker = dataclasses.replace(profile, thinking=ThinkingFormat("<think>", "</think>"))
    compiler = GrammarCompiler(thinker)
    try:
        assert _accepts(compiler.compile(schema_ask(_X), thinking=opened)[0], thinker, text) is fits
    finally:
        compiler.close()


def test_a_prefix_counts_as_the_answers_beginning(profile: ModelProfile, compiler: GrammarCompiler) -> None:
    ask = schema_ask(_X)
    begun = msgspec.structs.replace(ask, messages=(user("a"), assistant('{"x": 4', prefix=True)))
    (constraint,) = compiler.compile(begun)
    assert _accepts(constraint, profile, "2}")
    wrong = msgspec.structs.replace(ask, messages=(user("a"), assistant("Sure", prefix=True)))
    with pytest.raises(InvalidFields, match="prefix"):
        compiler.compile(wrong)


def test_free_answers_have_no_constraint(compiler: GrammarCompiler) -> None:
    assert compiler.compile(chat()) == ()
    assert compiler.compile(chat(tools=(ADD,))) == ()
    assert compiler.compile(chat(tools=(ADD,), tool_choice=ToolChoice(mode="none"))) == ()


def test_every_choice_walks_alone(profile: ModelProfile, compiler: GrammarCompiler) -> None:
    first, second = compiler.compile(schema_ask(_X, n=2))
    assert _accepts(first, profile, '{"x": 1}') and first.complete
    assert not second.complete and _accepts(second, profile, '{"x": 22}')


def test_the_mask_is_as_wide_as_the_logits(profile: ModelProfile) -> None:
    compiler = GrammarCompiler(profile, vocab_size=profile.tokenizer.vocab_size + 100)
    try:
        (constraint,) = compiler.compile(schema_ask(_X))
        assert constraint.mask().dtype == np.uint32
        assert len(constraint.mask()) == (profile.tokenizer.vocab_size + 100 + 31) // 32
        assert _allowed(constraint).max() < profile.tokenizer.vocab_size
    finally:
        compiler.close()


_REFUSED: list[tuple[dict[str, Any], bool]] = [
    ({"type": "string", "pattern": "(?=a)b"}, True),
    ({"type": "string", "pattern": "(unclosed"}, True),
    ({"type": "array", "uniqueItems": True}, True),
    ({"not": {"type": "string"}}, True),
    ({"allOf": [{"type": "string", "pattern": f"(.*{letter}.{{10}}){{1,9}}"} for letter in "abcdefghijklmnop"]}, True),
    ({"enum": [], "type": "string"}, True),
    ({"type": "integer", "minimum": 5, "maximum": 4}, True),
]


@pytest.mark.parametrize(("schema", "strict"), _REFUSED)
def test_what_cannot_be_enforced_is_refused_and_others_go_on(
    profile: ModelProfile, compiler: GrammarCompiler, schema: dict[str, Any], strict: bool
) -> None:
    with pytest.raises(InvalidFields) as caught:
        compiler.compile(schema_ask(schema, strict))
    assert (caught.value.param or "").startswith("response_format.json_schema.schema")
    assert "start:" not in caught.value.message
    assert _accepts(compiler.compile(schema_ask(_X))[0], profile, '{"x": 1}')


_HOSTILE: list[dict[str, Any]] = [
    {"type": "string", "pattern": "^(a+)+$"},
    {"type": "string", "minLength": 10_000},
    {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "string"}}}, "minItems": 10_000},
    {"type": "object", "properties": {f"p{n}": {"type": "string"} for n in range(400)}},
    {"anyOf": [{"type": "string", "pattern": f"(a|b|.)*x{n}"} for n in range(100)]},
    {"allOf": [{"type": "string", "pattern": f".*{letter}.*"} for letter in "abcdefghijklmnop"]},
    {
        "$ref": "#/$defs/n",
        "$defs": {
            "n": {"anyOf": [{"$ref": "#/$defs/m"}, {"type": "null"}]},
            "m": {"type": "array", "items": {"$ref": "#/$defs/n"}},
        },
    },
]


@pytest.mark.parametrize("schema", _HOSTILE)
def test_hostile_schemas_are_walked_or_refused(
    profile: ModelProfile, compiler: GrammarCompiler, schema: dict[str, Any]
) -> None:
    try:
        (constraint,) = compiler.compile(schema_ask(schema))
    except InvalidFields as error:
        assert error.message
        return
    walk(constraint, profile, random.Random(1), steps=30)


def test_a_stopped_schema_is_remembered_for_a_while(profile: ModelProfile) -> None:
    now = [0]
    compiler = GrammarCompiler(profile, monotonic_ns=lambda: now[0])
    hostile = schema_ask(_REFUSED[4][0])
    try:
        for _ in range(2):
            with pytest.raises(InvalidFields):
                compiler.compile(hostile)
        (tried,) = compiler._tried.values()
        now[0] = int(tried.until_ns)
        with pytest.raises(InvalidFields):
            compiler.compile(hostile)
        assert next(iter(compiler._tried.values())) is not tried
    finally:
        compiler.close()


def test_the_cache_is_bounded(compiler: GrammarCompiler) -> None:
    for number in range(80):
        compiler.compile(schema_ask({"const": number}))
    assert len(compiler._tried) <= 64
    assert compiler._tried_chars == sum(tried.chars for tried in compiler._tried.values())
