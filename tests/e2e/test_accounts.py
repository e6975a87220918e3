"""The first administrator's link as the real server prints it, and a session that outlives the server."""

import re
from pathlib import Path

import httpx2
from tests.e2e.platform import Platform, run, serving

LINK = re.compile(r"(http://127\.0\.0\.1:\d+)/join#([\w-]{43})")
PAGE = {"sec-fetch-site": "same-origin"}
ADA = {"name": "Ada", "email": "ada@example.org", "password": "four plain words here"}


def first_link(platform: Platform) -> str | None:
    found = LINK.search(platform.said)
    assert found is None or found[1] == platform.address
    return found[2] if found else None


def test_from_the_first_link_to_the_second_start(installed_home: Path) -> None:
    with serving(installed_home) as platform:
        replaced = first_link(platform)
    with serving(installed_home) as platform, httpx2.Client(base_url=platform.address, headers=PAGE) as page:
        secret = first_link(platform)
        assert replaced and secret and secret != replaced
        assert page.post("/web/invitation/accept", json={"secret": replaced, **ADA}).status_code == 404
        joined = page.post("/web/invitation/accept", json={"secret": secret, **ADA})
        assert joined.status_code == 200, joined.text
        assert joined.json()["workspace"]["role"] == "administrator"
        page.headers["x-tramontane-csrf"] = joined.json()["csrf"]
        asked = {"model": "smollm2-135m-instruct", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 2}
        assert page.post("/v1/chat/completions", json=asked).status_code == 200
        forged = page.post("/v1/chat/completions", json=asked, headers={"x-tramontane-csrf": "x"})
        assert forged.status_code == 403
        cookies = page.cookies
    assert "Ada" in run(installed_home, "people", "list").stdout
    with serving(installed_home) as platform:
        assert first_link(platform) is None
        with httpx2.Client(base_url=platform.address, headers=PAGE, cookies=dict(cookies)) as page:
            session = page.get("/web/session").json()
            assert session["signed_in"] and session["person"]["name"] == "Ada"
            link = run(installed_home, "people", "reset", "ada@example.org").stdout.strip().partition("#")[2]
            new = {"secret": link, "password": "another four words"}
            assert httpx2.post(f"{platform.address}/web/invitation/accept", json=new).status_code == 200
        assert link and link not in platform.said and ADA["password"] not in platform.said
