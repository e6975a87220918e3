"""The built client's files as browsers get them: pages, hashed files, encodings, fences, and life without a build."""

import gzip
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.doors import fake_doors, serving

from tramontane.entrypoints.api import build_app
from tramontane.entrypoints.web import client
from tramontane.entrypoints.web.client_files import ClientFiles

PAGE = b"<!doctype html><title>Tramontane</title>"
SCRIPT = b"const words = 'the same words again and again and again';" * 20
ZIPPED = gzip.compress(SCRIPT, mtime=0)


def small_build(around: Path) -> Path:
    """The folder of a small build; beside it lies a file that must never be served."""
    folder = around / "built"
    for name, content in {
        "index.html": PAGE,
        "assets/app-1a2b3c4d.js": SCRIPT,
        "assets/app-1a2b3c4d.js.gz": ZIPPED,
        "assets/app-1a2b3c4d.js.br": b"as if brotli",
        "icons/mark.svg": b"<svg/>",
        "sandbox/canvas.html": b"<!doctype html>",
        "sandbox/canvas.html.gz": gzip.compress(b"<!doctype html>"),
        "sw.js": b"// worker",
        "offline.html": b"<!doctype html>",
        ".vite/manifest.json": b"{}",
    }.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (around / "secret.txt").write_text("not for you")
    (folder / "assets" / "leak.txt").symlink_to(around / "secret.txt")
    return folder


@contextmanager
def browsing(folder: Path) -> Iterator[httpx2.Client]:
    files = ClientFiles(folder)
    doors = fake_doors(more=(lambda routes: client.add_routes(routes, files),))
    with serving(build_app(doors)) as address, httpx2.Client(base_url=address) as browser:
        yield browser


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx2.Client]:
    with browsing(small_build(tmp_path_factory.mktemp("client"))) as browser:
        yield browser


@pytest.mark.parametrize(
    "path",
    ["/", "/chat/abc", "/projects", "/projects/p1", "/share/s1", "/studio", "/studio/models", "/settings",
     "/settings/security", "/people", "/join", "/sign-in", "/welcome"],
)  # fmt: skip
def test_every_page_is_the_one_page_and_is_kept_by_nobody(browser: httpx2.Client, path: str) -> None:
    answer = browser.get(path)
    assert (answer.status_code, answer.content) == (200, PAGE)
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-type"] == "text/html; charset=utf-8"


def test_a_page_runs_nothing_but_its_own_files(browser: httpx2.Client) -> None:
    headers = browser.get("/").headers
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["img-src"] == "'self' blob: data:"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert policy["require-trusted-types-for"] == "'script'"
    assert not any("unsafe" in value or "http" in value or "*" in value for value in policy.values())
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-dns-prefetch-control"] == "off"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["permissions-policy"].startswith("microphone=(self), camera=()")


def test_the_offline_page_is_fenced_like_the_others(browser: httpx2.Client) -> None:
    policy = browser.get("/").headers["content-security-policy"]
    assert browser.get("/offline.html").headers["content-security-policy"] == policy


def test_frames_for_what_a_model_wrote_have_no_origin_and_no_network(browser: httpx2.Client) -> None:
    policy = browser.get("/sandbox/canvas.html").headers["content-security-policy"]
    assert policy.startswith("sandbox allow-scripts; default-src 'none'; ")
    assert "allow-same-origin" not in policy and "connect-src" not in policy and "http" not in policy
    assert "script-src 'unsafe-inline'; " in policy  # what is sent into the frame, and no file, not even of ours
    assert "frame-ancestors 'self'" in policy and "webrtc 'block'" in policy
    headers = browser.get("/sandbox/canvas.html").headers
    assert headers["connection-allowlist"] == "()" and headers["x-dns-prefetch-control"] == "off"
    assert "connection-allowlist" not in browser.get("/").headers  # links of the page itself lead out


def test_hashed_files_keep_for_good_and_others_are_asked_for_again(browser: httpx2.Client) -> None:
    assert "immutable" in browser.get("/assets/app-1a2b3c4d.js").headers["cache-control"]
    for path in ("/icons/mark.svg", "/sw.js", "/sandbox/canvas.html", "/offline.html"):
        assert browser.get(path).headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    ("takes", "gets"),
    [("gzip, deflate, br, zstd", "br"), ("gzip", "gzip"), ("br;q=0, gzip", "gzip"), ("identity", None), ("", None)],
)
def test_files_come_in_the_best_encoding_the_browser_takes(
    browser: httpx2.Client, takes: str, gets: str | None
) -> None:
    with browser.stream("GET", "/assets/app-1a2b3c4d.js", headers={"accept-encoding": takes}) as answer:
        sent = b"".join(answer.iter_raw())
    assert answer.headers.get("content-encoding") == gets
    assert sent == {"br": b"as if brotli", "gzip": ZIPPED, None: SCRIPT}[gets]
    assert answer.headers["vary"] == "accept-encoding"
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert int(answer.headers["content-length"]) == len(sent)


def test_what_the_browser_has_is_not_sent_again(browser: httpx2.Client) -> None:
    plain = browser.get("/sw.js", headers={"accept-encoding": "identity"})
    tag = plain.headers["etag"]
    again = browser.get("/sw.js", headers={"accept-encoding": "identity", "if-none-match": f'"old", W/{tag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert browser.get("/sw.js", headers={"if-none-match": '"old"'}).status_code == 200
    one, other = (
        browser.get("/assets/app-1a2b3c4d.js", headers={"accept-encoding": takes}).headers["etag"]
        for takes in ("gzip", "identity")
    )
    assert one != other


def test_head_tells_the_length_and_sends_nothing(browser: httpx2.Client) -> None:
    answer = browser.head("/sw.js", headers={"accept-encoding": "identity"})
    assert (answer.status_code, answer.headers["content-length"], answer.content) == (200, "9", b"")


@pytest.mark.parametrize(
    "path",
    ["/assets/gone.js", "/assets/leak.txt", "/assets/../../secret.txt", "/assets/%2e%2e/%2e%2e/secret.txt",
     "/assets/..%2f..%2fsecret.txt", "/assets//etc/passwd", "/assets/app-1a2b3c4d.js.gz", "/assets/.vite/manifest.json",
     "/.vite/manifest.json", "/assets/", "/assets/%00", "/index.html"],
)  # fmt: skip
def test_nothing_else_is_a_file(browser: httpx2.Client, path: str) -> None:
    answer = browser.get(path)
    assert answer.status_code == 404
    assert b"not for you" not in answer.content
    assert answer.json()["object"] == "error"


def test_a_build_that_comes_while_the_server_runs_is_seen(tmp_path: Path) -> None:
    built = small_build(tmp_path)
    with browsing(built) as browser:
        assert browser.get("/").content == PAGE
        (built / "assets" / "app-99999999.js").write_bytes(b"new")
        (built / "index.html").write_bytes(b"<!doctype html>new")
        os.utime(built / "index.html", ns=(1, 1))
        assert browser.get("/").content == b"<!doctype html>new"
        assert browser.get("/assets/app-99999999.js").content == b"new"


def test_without_a_client_the_page_says_how_to_get_one(tmp_path: Path) -> None:
    with browsing(tmp_path / "nothing") as browser:
        for path in ("/", "/chat/abc"):
            answer = browser.get(path)
            assert answer.status_code == 200
            assert "Node.js" in answer.text and "make web" in answer.text
            assert "script" not in answer.headers["content-security-policy"]
        assert browser.get("/assets/app.js").status_code == 404
        assert browser.get("/v1/models", headers={"authorization": "Bearer tm_test_key"}).status_code == 200


@given(st.text(max_size=200))
def test_any_accept_encoding_is_read(header: str) -> None:
    assert all(name == name.strip() for name in client.accepted(header))
