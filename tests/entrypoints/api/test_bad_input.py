"""Hostile and mistaken requests: each gets a 4xx that names the field, and the server goes on."""

import asyncio
import json
from typing import Any

import httpx2
import pytest
from tests.fakes.doors import KEY, OTHER_KEY, fake_doors

from tramontane.entrypoints.api import build_app
from tramontane.foundation.settings import HttpSettings

CHAT = "/v1/chat/completions"
OPENAI_CHAT = "/openai/v1/chat/completions"


def chat(**fields: Any) -> dict[str, Any]:
    return {"model": "fake", "messages": [{"role": "user", "content": "hello"}], **fields}


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"temperature": -0.1}, "temperature"),
    ({"temperature": 1.51}, "temperature"),
    ({"temperature": "0.5"}, "temperature"),
    ({"temperature": True}, "temperature"),
    ({"top_p": 0}, "top_p"),
    ({"top_p": 1.5}, "top_p"),
    ({"max_tokens": -1}, "max_tokens"),
    ({"max_tokens": 2**31}, "max_tokens"),
    ({"max_tokens": 10**400}, "max_tokens"),
    ({"max_tokens": 1.5}, "max_tokens"),
    ({"min_tokens": 5, "max_tokens": 4}, "min_tokens"),
    ({"random_seed": -1}, "random_seed"),
    ({"random_seed": 2**63}, "random_seed"),
    ({"n": 9}, "n"),
    ({"n": 2, "prediction": {"type": "content", "content": "x"}}, "prediction"),
    ({"stop": ["x"] * 17}, "stop"),
    ({"stop": "x" * 257}, "stop"),
    ({"stop": [""]}, "stop"),
    ({"top_logprobs": 21, "logprobs": True}, "top_logprobs"),
    ({"top_logprobs": 2}, "top_logprobs"),
    ({"logit_bias": {"x": 1}}, "logit_bias"),
    ({"logit_bias": {str(token): 1 for token in range(301)}}, "logit_bias"),
    ({"logit_bias": {"1": 101}}, "logit_bias"),
    ({"presence_penalty": 2.1}, "presence_penalty"),
    ({"messages": []}, "messages"),
    ({"messages": "hello"}, "messages"),
    ({"messages": [{"role": "wizard", "content": "x"}]}, "messages"),
    ({"messages": [{"role": "user"}]}, "messages"),
    ({"messages": [{"role": "user", "content": [{"type": "hologram"}]}]}, "messages"),
    ({"model": ""}, "model"),
    ({"model": 5}, "model"),
    ({"tools": [{"type": "function", "function": {"name": "bad name"}}]}, "tools"),
    ({"tools": [{"type": "function", "function": {"name": "same"}}] * 2}, "tools"),
    ({"tools": [{"type": "function", "function": {"name": f"t{n}"}} for n in range(129)]}, "tools"),
    ({"tool_choice": "any"}, "tool_choice"),
    ({"tool_choice": "sometimes"}, "tool_choice"),
    ({"tool_choice": {"type": "function", "function": {"name": "absent"}}}, "tool_choice"),
    ({"response_format": {"type": "json_schema"}}, "response_format"),
    (
        {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"maximum": 2**70}}}},
        "response_format",
    ),
    ({"reasoning_effort": "heroic"}, "reasoning_effort"),
    ({"guardrails": [{"block_on_error": True}]}, "guardrails"),
    ({"prompt_logprobs": True}, "prompt_logprobs"),
    ({"stream": "yes"}, "stream"),
]


@pytest.mark.parametrize(("fields", "named"), WRONG, ids=lambda value: value if isinstance(value, str) else None)
async def test_wrong_fields_are_named(client: httpx2.AsyncClient, fields: dict[str, Any], named: str) -> None:
    response = await client.post(CHAT, content=json.dumps(chat(**fields)), headers={"content-type": "application/json"})
    assert response.status_code == 422
    body = response.json()
    assert any(item["loc"][:2] == ["body", named] and item["msg"] for item in body["detail"])
    assert body["param"].startswith(named)


async def test_every_wrong_field_is_listed_at_once(client: httpx2.AsyncClient) -> None:
    response = await client.post(CHAT, json=chat(temperature=9, top_p=9, n=99))
    assert [item["loc"][1] for item in response.json()["detail"]] == ["temperature", "top_p", "n"]


async def test_the_openai_dialect_allows_its_own_temperatures(client: httpx2.AsyncClient) -> None:
    assert (await client.post(OPENAI_CHAT, json=chat(temperature=2.0))).status_code == 200
    response = await client.post(OPENAI_CHAT, json=chat(temperature=2.1))
    assert (response.status_code, response.json()["error"]["param"]) == (400, "temperature")


async def test_unknown_fields_are_ignored_and_named(client: httpx2.AsyncClient) -> None:
    response = await client.post(CHAT, json=chat(tempreature=1, **{"x\r\nevil": 1, "prompt_mode": "reasoning"}))
    assert response.status_code == 200
    assert response.headers["x-tramontane-ignored"] == "tempreature,prompt_mode"


BODIES: list[tuple[str, bytes, int, str]] = [
    ("empty", b"", 422, "empty"),
    ("not_json", b"{model: fake}", 422, "JSON"),
    ("cut", b'{"model": "fake"', 422, "JSON"),
    ("list", b"[]", 422, "object"),
    ("null", b"null", 422, "object"),
    ("nan", b'{"model":"fake","temperature":NaN,"messages":[{"role":"user","content":"x"}]}', 422, "temperature"),
    ("infinity", b'{"model":"fake","top_p":Infinity,"messages":[{"role":"user","content":"x"}]}', 422, "top_p"),
    ("huge_number", b'{"model":"fake","max_tokens":1e999,"messages":[]}', 422, "max_tokens"),
    ("digits", b'{"model":"fake","max_tokens":' + b"9" * 5000 + b"}", 422, ""),
    ("bad_utf8", b'{"model":"\xff\xfe"}', 400, "UTF-8"),
    ("surrogate", b'{"model":"\\ud800","messages":[{"role":"user","content":"x"}]}', 422, ""),
    ("deep_lists", b'{"messages":' + b"[" * 10_000 + b"]" * 10_000 + b"}", 400, "deep"),
    ("deep_objects", b'{"a":' * 10_000 + b"1" + b"}" * 10_000, 400, "deep"),
    ("unclosed_depth", b"[" * 10_000, 400, "deep"),
    ("wide", b"[" + b"[]," * 120_000 + b"1]", 400, "lists and objects"),
    ("many_values", b'{"model":"fake","stop":[' + b"1," * 200_000 + b"1]}", 400, "values"),
    ("many_names", b"{" + b",".join(b'"k%d":1' % number for number in range(150_000)) + b"}", 400, "values"),
    ("escaped_quotes", b'{"a":"' + b'\\"' * 500_000 + b"[" * 100, 422, "JSON"),
]


@pytest.mark.parametrize(("content", "status", "word"), [row[1:] for row in BODIES], ids=[row[0] for row in BODIES])
@pytest.mark.parametrize("path", [CHAT, OPENAI_CHAT, "/v1/embeddings", "/v1/fim/completions"])
async def test_broken_bodies(client: httpx2.AsyncClient, path: str, content: bytes, status: int, word: str) -> None:
    response = await client.post(path, content=content, headers={"content-type": "application/json"})
    assert response.status_code == (400 if path == OPENAI_CHAT else status)
    if path == CHAT:
        assert word in response.text
    assert (await client.post(CHAT, json=chat())).status_code == 200


@pytest.mark.parametrize(
    ("path", "field", "items"),
    [
        ("/openai/v1/completions", "prompt", b"1," * 130_000 + b"-1"),
        ("/openai/v1/completions", "prompt", b'"a",' * 130_000 + b"1"),
        ("/v1/embeddings", "input", b"1," * 130_000 + b"1.5"),
        (CHAT, "messages", b"1," * 130_000 + b"1"),
        (CHAT, "stop", b"1," * 130_000 + b"1"),
    ],
)
async def test_a_long_list_is_given_up_at_its_first_wrong_item(
    client: httpx2.AsyncClient, path: str, field: str, items: bytes
) -> None:
    """One error for every item would cost gigabytes; a list of wrong items is as wrong as its first."""
    content = b'{"model":"fake","%s":[%s]}' % (field.encode(), items)
    response = await client.post(path, content=content, headers={"content-type": "application/json"})
    assert response.status_code == (400 if path.startswith("/openai") else 422)
    assert len(response.content) < 4000


async def test_a_text_full_of_commas_is_just_text(client: httpx2.AsyncClient) -> None:
    body = chat(messages=[{"role": "user", "content": "," * 300_000 + '"'}])
    assert (await client.post(CHAT, json=body)).status_code == 200


async def test_deep_brackets_inside_text_are_just_text(client: httpx2.AsyncClient) -> None:
    body = chat(messages=[{"role": "user", "content": 'quote " and ' + "[{" * 5000}])
    assert (await client.post(CHAT, json=body)).status_code == 200


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("path", [CHAT, OPENAI_CHAT])
def test_ten_megabytes_and_more_are_refused_over_a_real_socket(url: str, path: str, chunked: bool) -> None:
    content = b'{"model":"' + b"x" * (11 * 1024 * 1024) + b'"}'
    sent = iter([content[:100], content[100:]]) if chunked else content
    headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
    response = httpx2.post(url + path, content=sent, headers=headers)
    assert response.status_code == 413
    assert "max_body_bytes" in response.text
    assert httpx2.post(url + CHAT, json=chat(), headers=headers).status_code == 200


def test_a_body_just_under_the_limit_is_read(url: str) -> None:
    body = chat(messages=[{"role": "user", "content": "x" * (10 * 1024 * 1024 - 200)}])
    response = httpx2.post(url + CHAT, json=body, headers={"authorization": f"Bearer {KEY}"}, timeout=30)
    assert response.status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"content-type": "text/plain"}, 415),
        ({"content-type": "application/x-www-form-urlencoded"}, 415),
        ({"content-type": "application/json; charset=latin-1"}, 415),
        ({"content-type": "application/json", "content-encoding": "gzip"}, 415),
        ({"content-type": "application/json; charset=utf-8"}, 200),
        ({"content-type": "application/problem+json"}, 200),
        ({}, 200),
    ],
)
async def test_content_types(client: httpx2.AsyncClient, headers: dict[str, str], status: int) -> None:
    response = await client.post(CHAT, content=json.dumps(chat()), headers=headers)
    assert response.status_code == status


@pytest.mark.parametrize("value", ["0", "-5", "soon", "1.5", "9" * 30, "0" * 11 + "19" * 9, "٣"])
async def test_a_senseless_time_limit_is_named(client: httpx2.AsyncClient, value: str) -> None:
    response = await client.post(CHAT, json=chat(), headers={"x-request-timeout-ms": value.encode()})
    assert (response.status_code, response.json()["param"]) == (422, "x-request-timeout-ms")


async def test_unknown_model_lists_near_names_and_unknown_paths_have_our_shape(client: httpx2.AsyncClient) -> None:
    response = await client.post(CHAT, json=chat(model="fakk"))
    assert (response.status_code, "near names: fake" in response.text) == (404, True)
    assert (await client.get("/v1/nothing")).json()["object"] == "error"
    assert (await client.get("/openai/v1/nothing")).json()["error"]["code"] == "not_found"
    wrong_method = await client.get(CHAT)
    assert (wrong_method.status_code, wrong_method.headers["allow"]) == (405, "POST")
    assert wrong_method.json()["code"] == "method_not_allowed"


async def test_another_workspaces_model_and_a_missing_one_look_alike(client: httpx2.AsyncClient) -> None:
    theirs = await client.get("/v1/models/private")
    nobodys = await client.get("/v1/models/privote")
    assert theirs.status_code == nobodys.status_code == 404
    assert theirs.text.replace("private", "privote") == nobodys.text
    own = await client.get("/v1/models/private", headers={"authorization": f"Bearer {OTHER_KEY}"})
    assert own.status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer"},
        {"authorization": "Bearer "},
        {"authorization": f"Basic {KEY}"},
        {"authorization": "Bearer tm_revoked"},
        {"authorization": f"Bearer {'x' * 600}"},
        {"x-api-key": "tm_revoked"},
        {"x-api-key": ""},
        {"authorization": f"Bearer {KEY}", "x-api-key": OTHER_KEY},
    ],
)
@pytest.mark.parametrize(
    "method_path", ["POST " + CHAT, "POST " + OPENAI_CHAT, "GET /v1/models", "POST /v1/embeddings"]
)
async def test_no_key_or_a_wrong_one(client: httpx2.AsyncClient, headers: dict[str, str], method_path: str) -> None:
    method, path = method_path.split()
    del client.headers["authorization"]
    response = await client.request(method, path, headers=headers, json=chat() if method == "POST" else None)
    assert (response.status_code, response.headers["www-authenticate"]) == (401, "Bearer")
    assert KEY not in response.text
    assert OTHER_KEY not in response.text


@pytest.mark.parametrize("header", ["Authorization", "x-api-key", "X-API-KEY", "AUTHORIZATION"])
async def test_every_way_to_present_a_key_is_the_same_caller(client: httpx2.AsyncClient, header: str) -> None:
    del client.headers["authorization"]
    value = KEY if "key" in header.lower() else f"bearer {KEY}"
    assert (await client.get("/v1/models", headers={header: value})).json()["data"][0]["id"] == "fake"


async def test_nobody_without_a_key_gets_a_body_parsed(client: httpx2.AsyncClient) -> None:
    del client.headers["authorization"]
    response = await client.post(CHAT, content=b"[" * 10_000)
    assert response.status_code == 401


async def test_two_hundred_clients_at_once(url: str) -> None:
    limits = httpx2.Limits(max_connections=200)
    headers = {"authorization": f"Bearer {KEY}"}
    async with httpx2.AsyncClient(base_url=url, headers=headers, limits=limits, timeout=60) as many:
        asked = [many.post(CHAT, json=chat(stream=number % 2 == 0)) for number in range(200)]
        answers = await asyncio.gather(*asked)
    assert {answer.status_code for answer in answers} == {200}
    assert all(answer.text.endswith(("[DONE]\n\n", "}")) for answer in answers)
    assert len({answer.headers["x-request-id"] for answer in answers}) == 200


async def test_the_limits_are_the_settings() -> None:
    doors = fake_doors(settings=HttpSettings(max_body_bytes=300, max_json_depth=4, max_header_bytes=600))
    transport = httpx2.ASGITransport(app=build_app(doors))
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        client.headers["authorization"] = f"Bearer {KEY}"
        assert (await client.post(CHAT, json=chat())).status_code == 200
        assert (await client.post(CHAT, json=chat(metadata={"a": "x" * 300}))).status_code == 413
        assert (await client.post(CHAT, json=chat(metadata={"a": [[[[1]]]]}))).status_code == 400
        assert (await client.get("/healthz", headers={"x-filler": "x" * 600})).status_code == 431
        assert (await client.get("/healthz", headers=[(f"x-{n}", "") for n in range(101)])).status_code == 431
        doubled = [("content-type", "application/json"), ("content-type", "text/plain")]
        assert (await client.get("/healthz", headers=doubled)).status_code == 400
