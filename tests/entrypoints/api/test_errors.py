"""One table decides how every error looks: each class has a status, each dialect one shape on every route."""

import inspect
import json
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.doors import USAGE_KEY
from tests.fakes.engine_room import FakeRoom

from tramontane.entrypoints.api import errors as doors_errors
from tramontane.entrypoints.api.errors import RULES, error_body, error_headers, error_named, error_response, status_of
from tramontane.foundation import errors
from tramontane.foundation.errors import FieldProblem, InvalidFields, RateLimited, TramontaneError

TREE = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, TramontaneError) and not kind.__name__.startswith("_")
]
ROUTES = ["/v1/chat/completions", "/v1/fim/completions", "/v1/completions", "/v1/embeddings"]
OPENAI_ROUTES = ["/openai/v1/chat/completions", "/openai/v1/completions", "/openai/v1/embeddings"]
BODY = {"model": "fake", "messages": [{"role": "user", "content": "x"}], "prompt": "x", "input": "x"}


def made(kind: type[TramontaneError], message: str = "what went wrong; what to do") -> TramontaneError:
    if kind is InvalidFields:
        return InvalidFields([FieldProblem(("body", "messages", 0), message, "odd")])
    if "retry_after_s" in inspect.signature(kind.__init__).parameters:
        return kind(message, retry_after_s=2.5)  # type: ignore[call-arg]
    return kind(message, param="model")


@pytest.mark.parametrize("kind", TREE)
@pytest.mark.parametrize("path", ROUTES + OPENAI_ROUTES)
async def test_every_error_has_its_shape_on_every_route(
    client: httpx2.AsyncClient, room: FakeRoom, kind: type[TramontaneError], path: str
) -> None:
    room.refusal = made(kind)
    response = await client.post(path, json=BODY)
    shape = "openai" if path in OPENAI_ROUTES else "mistral"
    assert response.status_code == status_of(room.refusal, shape) >= 400
    body = response.json()
    core = body["error"] if shape == "openai" else body
    assert {"message", "type", "param", "code"} <= core.keys()
    assert (core["message"], core["code"]) == ("what went wrong; what to do", kind.code)
    if shape == "mistral":
        assert body["object"] == "error"
        if kind is InvalidFields:
            assert body["detail"] == [{"loc": ["body", "messages", 0], "msg": core["message"], "type": "odd"}]
        else:
            assert body.get("detail") in (None, "Unauthorized")


@pytest.mark.parametrize("path", ROUTES + OPENAI_ROUTES)
async def test_a_key_without_the_right_to_ask_may_only_look(client: httpx2.AsyncClient, path: str) -> None:
    key = {"authorization": f"Bearer {USAGE_KEY}"}
    assert (await client.post(path, json=BODY, headers=key)).status_code == 403
    assert (await client.get("/v1/models", headers=key)).status_code == 200


def test_every_class_of_the_tree_is_in_the_table_and_statuses_are_as_promised() -> None:
    expected = {
        "BadRequest": 400, "ContextExceeded": 400, "InvalidFields": 422, "Unauthenticated": 401, "Forbidden": 403,
        "NotFound": 404, "Conflict": 409, "TooLarge": 413, "RateLimited": 429, "QuotaExhausted": 429,
        "Overloaded": 503, "ModelUnavailable": 503, "DeadlineExceeded": 504, "StorageFull": 507, "EngineFailed": 502,
        "Misconfigured": 500, "TramontaneError": 500,
    }  # fmt: skip
    assert {kind.__name__: status_of(made(kind)) for kind in TREE} == expected
    assert set(RULES) | {errors.ContextExceeded} == set(TREE)


@given(st.floats(-1e9, 1e9))
def test_retry_after_is_a_whole_number_from_1_to_60(seconds: float) -> None:
    value = error_headers(RateLimited("wait", retry_after_s=seconds))["retry-after"]
    assert 1 <= int(value) <= 60
    assert int(value) >= min(seconds, 60)


def test_a_spent_budget_is_not_worth_retrying() -> None:
    headers = error_headers(errors.QuotaExhausted("spent; ask for more", retry_after_s=60))
    assert (headers["retry-after"], headers["x-should-retry"]) == ("60", "false")


@pytest.mark.parametrize("kind", TREE)
def test_the_last_word_of_a_stream_names_the_error_it_would_have_been(kind: type[TramontaneError]) -> None:
    named = error_named(kind.code, "what went wrong")
    assert (named.code, named.message) == (kind.code, "what went wrong")
    if kind is not InvalidFields:
        assert status_of(named) == status_of(made(kind))


def test_an_unknown_code_is_ours() -> None:
    assert status_of(error_named("no_such_code", "x")) == 500


@pytest.mark.parametrize(("code", "status"), [("draining", 503), ("cancelled", 409)])
def test_words_of_the_engine_itself_have_a_status(code: str, status: int) -> None:
    named = error_named(code, "x")
    assert (named.code, status_of(named)) == (code, status)
    assert ("retry-after" in error_headers(named)) == (status == 503)


def test_bodies_are_json_whatever_the_message() -> None:
    error = errors.BadRequest('quotes " and \x00 and é')
    content: Any = json.loads(error_response(error, "openai").body)
    assert content == error_body(error, "openai")
    assert doors_errors.shape_of("/openai/v1/x") == "openai"
    assert doors_errors.shape_of("/openai-like") == "mistral"
