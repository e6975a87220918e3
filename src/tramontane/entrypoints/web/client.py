"""The pages of the web client: which paths are pages, which are files, and the headers that fence them in.

A page may run no script and show no style but the client's own, talk to no other host and stand in no foreign frame.
What a model wrote is drawn in frames under `/sandbox`, which have an origin of their own and no network.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from fastapi import APIRouter, Request
from starlette.datastructures import Headers
from starlette.responses import Response

from tramontane.entrypoints.api.policy import public
from tramontane.entrypoints.web.client_files import PAGE, ClientFile, ClientFiles
from tramontane.foundation.errors import NotFound

PAGES = (
    "/", "/chat/{rest:path}", "/projects", "/projects/{rest:path}", "/share/{rest:path}", "/studio", "/studio/{rest:path}",
    "/settings", "/settings/{rest:path}", "/people", "/join", "/sign-in", "/welcome",
)  # fmt: skip
FOLDERS = ("assets", "icons", "sandbox")
SINGLE = ("manifest.webmanifest", "sw.js", "offline.html", "licences.txt")
IMMUTABLE = "public, max-age=31536000, immutable"
ASK_AGAIN = "no-cache"

PAGE_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "font-src 'self'",
        "connect-src 'self'",
        "manifest-src 'self'",
        "worker-src 'self'",
        "frame-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        # Text becomes markup, and an address a script, only through these makers: the framework's templates, the
        # sanitiser, the two workers.
        "require-trusted-types-for 'script'",
        "trusted-types svelte-trusted-html dompurify tramontane-shell tramontane-highlight 'allow-duplicates'",
    )
)
SANDBOX_POLICY = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data: blob:; font-src data:; form-action 'none'; base-uri 'none'; frame-ancestors 'self'; webrtc 'block'"
)
# What the policy leaves open is closed by the list of nobody, in browsers that know it: calls, names looked up and
# connections opened ahead, addresses the frame would go to. The others are told what they know.
SANDBOX_FENCE = {
    "content-security-policy": SANDBOX_POLICY,
    "connection-allowlist": "()",
    "x-dns-prefetch-control": "off",
}
FENCE = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    # Browsers look up the hosts of links nobody has clicked: a name that a model wrote would tell its owner something.
    "x-dns-prefetch-control": "off",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "microphone=(self), camera=(), geolocation=(), payment=(), usb=(), serial=(), hid=(), midi=()",
}
NOT_BUILT = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Tramontane</title>
<style>body{font:16px/1.6 system-ui,sans-serif;max-width:36rem;margin:15vh auto;padding:0 1.5rem;color:#1a2024;background:#fff}
code{background:#eceeef;padding:.1em .35em;border-radius:4px}a{color:#17607c}
@media(prefers-color-scheme:dark){body{color:#e7eaec;background:#171b1e}code{background:#22282c}a{color:#7fc4de}}</style>
<h1>Tramontane is running</h1>
<p>Its API answers, but the web client has not been built here. To build it, install Node.js 20.19 or newer (with npm),
then run <code>make web</code> in Tramontane's folder and load this page again. The server need not be restarted.</p>
<p>Without it: <code>tramontane chat</code> in a terminal, or the API, described at <a href="/docs">/docs</a>.</p></html>
"""


def accepted(header: str) -> tuple[str, ...]:
    """The encodings a browser takes, from `Accept-Encoding`; those with weight zero are refused ones."""
    names = []
    for part in header.lower().split(","):
        name, _, weight = part.partition(";")
        quality = weight.replace(" ", "").removeprefix("q=")
        if not (quality and quality.strip("0.") == ""):
            names.append(name.strip())
    return tuple(names)


def known(headers: Headers, tag: str) -> bool:
    """Whether the browser has these bytes already, from `If-None-Match`."""
    given = headers.get("if-none-match", "")
    return given.strip() == "*" or tag in (one.strip().removeprefix("W/") for one in given.split(","))


def file_response(request: Request, file: ClientFile, caching: str, fence: dict[str, str]) -> Response:
    """The file, or 304 where the browser has it."""
    headers = {"cache-control": caching, "etag": file.tag, "vary": "accept-encoding", **FENCE, **fence}
    if known(request.headers, file.tag):
        return Response(status_code=304, headers=headers)
    if file.encoding:
        headers["content-encoding"] = file.encoding
    headers["content-length"] = str(len(file.content))
    headers["content-type"] = file.media_type
    return Response(b"" if request.method == "HEAD" else file.content, headers=headers)


def page_response(request: Request, file: ClientFile | None) -> Response:
    """The client's one page; without a client, the page that says how to get it."""
    if file is None:
        policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"
        headers = {"cache-control": "no-store", **FENCE, "content-security-policy": policy}
        return Response(NOT_BUILT, headers=headers, media_type="text/html")
    return file_response(request, file, "no-store", {"content-security-policy": PAGE_POLICY})


def file_rules(name: str) -> tuple[str, dict[str, str]]:
    """How long a file keeps, and its own fence. Names under assets hold their content; all others are asked for again."""
    if name.startswith("sandbox/") and name.endswith(".html"):
        return ASK_AGAIN, SANDBOX_FENCE
    caching = IMMUTABLE if name.startswith("assets/") else ASK_AGAIN
    return caching, {"content-security-policy": PAGE_POLICY} if name.endswith(".html") else {}


def add_routes(routes: APIRouter, files: ClientFiles) -> None:
    """Every page and file of the client; whether it is built is looked up as requests come."""

    async def read(request: Request, name: str) -> ClientFile | None:
        encodings = accepted(request.headers.get("accept-encoding", ""))
        return await asyncio.to_thread(files.read, name, encodings)

    @public
    async def page(request: Request, rest: str = "") -> Response:
        return page_response(request, await read(request, PAGE))

    @public
    async def file(request: Request, rest: str = "") -> Response:
        name = request.url.path.removeprefix("/")
        found = await read(request, name)
        if found is None:
            raise NotFound(f"the web client has no file {name[:200]}; load the page again")
        return file_response(request, found, *file_rules(name))

    _add(routes, PAGES, page)
    _add(routes, (f"/{folder}/{{rest:path}}" for folder in FOLDERS), file)
    _add(routes, (f"/{name}" for name in SINGLE), file)


def _add(routes: APIRouter, paths: Iterable[str], endpoint: Callable[..., Awaitable[Response]]) -> None:
    for path in paths:
        routes.add_api_route(path, endpoint, methods=["GET", "HEAD"], include_in_schema=False)
