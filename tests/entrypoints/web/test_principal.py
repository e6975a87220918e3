"""A request is a key's or a session's, never both; a change by cookie needs every sign that our own page asked for it."""

from collections.abc import AsyncIterator

import httpx2
import pytest
from fastapi import APIRouter, Request
from hypothesis import given
from hypothesis import strategies as st
from starlette.responses import JSONResponse, Response
from tests.fakes.doors import KEY, fake_doors
from tests.fakes.sessions import ADMINISTRATOR, BUILDER, MEMBER, browser, sessions

from tramontane.entrypoints.api import build_app
from tramontane.entrypoints.api.cookie import PLAIN_NAME, SECURE_NAME, session_cookie, session_token
from tramontane.entrypoints.api.csrf import check_same_origin
from tramontane.entrypoints.api.policy import needs_administrator, needs_builder, needs_key, needs_person, visitor
from tramontane.foundation.errors import Forbidden, Unauthenticated
from tramontane.foundation.settings import HttpSettings

CHANGES = ["POST", "PUT", "PATCH", "DELETE"]
BEARER = {"authorization": f"Bearer {KEY}"}


def add_probes(routes: APIRouter) -> None:
    """One route per policy, telling who came in."""

    async def who(request: Request) -> Response:
        signed_in = request.state.signed_in
        return JSONResponse({"person": signed_in.person.name if signed_in else None})

    for policy in (visitor, needs_key, needs_person, needs_builder, needs_administrator):

        async def probe(request: Request) -> Response:
            return await who(request)

        routes.add_api_route(f"/probe/{policy.__name__}", policy(probe), methods=["GET", *CHANGES])


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    app = build_app(fake_doors(sessions=sessions, more=(add_probes,)))
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://127.0.0.1") as opened:
        yield opened


@pytest.mark.parametrize("policy", ["needs_key", "needs_person"])
async def test_key_and_session_at_once_are_refused(client: httpx2.AsyncClient, policy: str) -> None:
    both = BEARER | browser(MEMBER)
    assert (await client.get(f"/probe/{policy}", headers=both)).status_code == 401
    assert (await client.get("/probe/visitor", headers=both)).status_code == 401
    wrong = {"x-api-key": ""} | browser(MEMBER)
    assert (await client.get(f"/probe/{policy}", headers=wrong)).status_code == 401


async def test_a_forged_session_opens_nothing(client: httpx2.AsyncClient) -> None:
    for token in ("x", "token-of-nobody", "a" * 500, "é", " ", "null", ADMINISTRATOR + "x", '"' + ADMINISTRATOR + '"'):
        headers = {"cookie": f"{PLAIN_NAME}={token}".encode()}
        answer = await client.get("/probe/needs_person", headers=headers)  # type: ignore[arg-type]
        assert answer.status_code == 401, token
        visiting = await client.get("/probe/visitor", headers=headers)  # type: ignore[arg-type]
        assert visiting.json() == {"person": None}
    two = {"cookie": f"{PLAIN_NAME}={ADMINISTRATOR}; {PLAIN_NAME}={MEMBER}"}
    assert (await client.get("/probe/needs_person", headers=two)).status_code == 401


async def test_roles_open_what_they_may(client: httpx2.AsyncClient) -> None:
    allowed = {
        ("needs_person", MEMBER): 200, ("needs_builder", MEMBER): 403, ("needs_administrator", MEMBER): 403,
        ("needs_builder", BUILDER): 200, ("needs_administrator", BUILDER): 403,
        ("needs_builder", ADMINISTRATOR): 200, ("needs_administrator", ADMINISTRATOR): 200,
    }  # fmt: skip
    for (policy, token), status in allowed.items():
        assert (await client.get(f"/probe/{policy}", headers=browser(token))).status_code == status, (policy, token)
    for policy in ("needs_person", "needs_builder", "needs_administrator"):
        assert (await client.get(f"/probe/{policy}", headers=BEARER)).status_code == 403
        assert (await client.get(f"/probe/{policy}")).status_code == 401
    assert (await client.get("/probe/needs_key", headers=browser(MEMBER))).json() == {"person": "Mia"}


@pytest.mark.parametrize("method", CHANGES)
@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({}, 200),
        ({"origin": "http://127.0.0.1"}, 200),
        ({"origin": "http://127.0.0.1:80"}, 200),
        ({"sec-fetch-site": None}, 200),
        ({"x-tramontane-csrf": None}, 403),
        ({"x-tramontane-csrf": ""}, 403),
        ({"x-tramontane-csrf": "csrf-of-bob"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "none"}, 403),
        ({"origin": "http://127.0.0.1:8080"}, 403),
        ({"origin": "https://127.0.0.1"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "http://127.0.0.1.evil.example"}, 403),
        ({"origin": "http://127.0.0.1@evil.example"}, 403),
    ],
)
async def test_a_change_by_cookie_needs_every_sign(
    client: httpx2.AsyncClient, method: str, change: dict[str, str | None], status: int
) -> None:
    headers = {name: value for name, value in (browser(MEMBER) | change).items() if value is not None}
    for policy in ("needs_key", "needs_person"):
        answer = await client.request(method, f"/probe/{policy}", headers=headers)
        assert answer.status_code == status, answer.text
        if status == 403 and "evil" not in str(change) and change.get("origin") != "null":
            assert answer.json()["code"] == "csrf"


async def test_looking_needs_no_token_and_visitors_change_only_from_our_page(client: httpx2.AsyncClient) -> None:
    cookie = {"cookie": browser(MEMBER)["cookie"]}
    assert (await client.get("/probe/needs_person", headers=cookie)).status_code == 200
    assert (await client.post("/probe/visitor")).status_code == 200
    assert (await client.post("/probe/visitor", headers={"sec-fetch-site": "cross-site"})).status_code == 403
    assert (await client.post("/probe/visitor", headers={"origin": "http://127.0.0.1:1"})).status_code == 403


async def test_without_sessions_no_cookie_opens_anything() -> None:
    app = build_app(fake_doors(more=(add_probes,)))
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://127.0.0.1") as client:
        assert (await client.get("/probe/needs_key", headers=browser(MEMBER))).status_code == 401
        assert (await client.get("/probe/needs_key", headers=BEARER | browser(MEMBER))).status_code == 200


def scope_of(*headers: tuple[bytes, bytes], scheme: str = "http") -> dict[str, object]:
    return {"type": "http", "scheme": scheme, "method": "POST", "headers": list(headers)}


def test_over_https_the_cookie_is_bound_to_this_host() -> None:
    behind_proxy = HttpSettings(public_url="https://ai.example.org")
    for scope, settings in ((scope_of(), behind_proxy), (scope_of(scheme="https"), HttpSettings())):
        written = session_cookie(scope, settings, "abc", 60)
        assert written.startswith(f"{SECURE_NAME}=abc;")
        assert {"Secure", "HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=60"} <= set(written.split("; "))
        assert "Domain" not in written
    plain = session_cookie(scope_of(), HttpSettings(), "abc", 60)
    assert plain.startswith(f"{PLAIN_NAME}=abc;") and "Secure" not in plain and "HttpOnly" in plain
    assert "Max-Age=0" in session_cookie(scope_of(), HttpSettings(), "", 60)
    planted = scope_of((b"cookie", f"{PLAIN_NAME}=planted".encode()))
    assert session_token(planted, behind_proxy) is None
    assert session_token(planted, HttpSettings()) == "planted"


def test_behind_a_proxy_the_public_origin_is_ours() -> None:
    settings = HttpSettings(public_url="https://ai.example.org")
    for origin, ours in (("https://ai.example.org", True), ("http://ai.example.org", False), ("https://x.org", False)):
        scope = scope_of((b"host", b"127.0.0.1:8400"), (b"origin", origin.encode()))
        if ours:
            check_same_origin(scope, settings)
        else:
            with pytest.raises(Forbidden):
                check_same_origin(scope, settings)


@given(st.binary(max_size=200))
def test_any_cookie_header_is_read_or_refused(value: bytes) -> None:
    try:
        token = session_token(scope_of((b"cookie", value)), HttpSettings())
    except Unauthenticated:
        return
    assert token is None or (token and token.isascii())


@given(st.binary(max_size=200), st.binary(max_size=50))
def test_any_origin_header_is_judged(origin: bytes, host: bytes) -> None:
    try:
        check_same_origin(scope_of((b"host", host), (b"origin", origin)), HttpSettings())
    except Forbidden:
        return
    assert host.lower().split(b":")[0] in origin.lower()
