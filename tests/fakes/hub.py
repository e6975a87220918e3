"""A model hub on the loopback: listings, pinned revisions, large files behind a redirect, ranges, and broken transfers.

Speaks the part of the Hugging Face protocol that its client library uses. Runs on a thread of its own.
"""

import asyncio
import hashlib
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from aiohttp import web

DROP_BYTES = 1024
_RANGE = re.compile(r"bytes=(\d+)-")


@dataclass
class Repository:
    """One repository at one commit. `lfs` names the files kept by checksum; `gated` asks for a token."""

    files: dict[str, bytes]
    commit: str
    lfs: frozenset[str] = frozenset()
    licence: str = "apache-2.0"
    gated: bool = False


@dataclass
class FakeHub:
    """What the server serves and what it was asked. `cut_after` breaks a file's transfer once at that many bytes.

    `drips_after` sends that many bytes at once and the rest by drops, and not the last of them until `go` is set.
    """

    repositories: dict[str, Repository] = field(default_factory=dict)
    cut_after: dict[str, int] = field(default_factory=dict)
    drips_after: dict[str, int] = field(default_factory=dict)
    go: threading.Event = field(default_factory=threading.Event)
    promised_sha256: dict[str, str] = field(default_factory=dict)
    ignores_ranges: bool = False
    served: list[tuple[str, int]] = field(default_factory=list)
    url: str = ""

    def add(self, name: str, files: dict[str, bytes], **options: object) -> Repository:
        """A repository whose weights are large files, its commit made from its contents."""
        commit = hashlib.sha1(repr(sorted(files.items())).encode()).hexdigest()
        lfs = frozenset(path for path in files if path.endswith((".safetensors", ".gguf", ".bin")))
        self.repositories[name] = Repository(files, commit, lfs, **options)  # type: ignore[arg-type]
        return self.repositories[name]

    async def listing(self, request: web.Request) -> web.Response:
        name, revision = "{owner}/{name}".format(**request.match_info), request.match_info["revision"]
        repository = self.repositories.get(name)
        if repository is None:
            return _error(404, "RepoNotFound")
        if revision not in ("main", repository.commit):
            return _error(404, "RevisionNotFound")
        siblings = [self._sibling(repository, path, content) for path, content in repository.files.items()]
        card = {"license": repository.licence}
        return web.json_response({"id": name, "sha": repository.commit, "siblings": siblings, "cardData": card})

    def _sibling(self, repository: Repository, path: str, content: bytes) -> dict[str, object]:
        sibling: dict[str, object] = {"rfilename": path, "size": len(content), "blobId": "0" * 40}
        if path in repository.lfs:
            sha256 = self.promised_sha256.get(path) or hashlib.sha256(content).hexdigest()
            sibling["lfs"] = {"sha256": sha256, "size": len(content), "pointerSize": 130}
        return sibling

    async def resolve(self, request: web.Request) -> web.StreamResponse:
        name, path = "{owner}/{name}".format(**request.match_info), request.match_info["path"]
        repository = self.repositories[name]
        if request.match_info["revision"] != repository.commit:
            return _error(404, "RevisionNotFound")
        if repository.gated and "Authorization" not in request.headers:
            return _error(403, "GatedRepo")
        if path in repository.lfs:
            raise web.HTTPFound(f"{self.url}/cdn/{name}/{path}")
        return await self._send(request, path, repository.files[path])

    async def cdn(self, request: web.Request) -> web.StreamResponse:
        name, path = "{owner}/{name}".format(**request.match_info), request.match_info["path"]
        return await self._send(request, path, self.repositories[name].files[path])

    async def _send(self, request: web.Request, path: str, content: bytes) -> web.StreamResponse:
        found = None if self.ignores_ranges else _RANGE.match(request.headers.get("Range", ""))
        begin = int(found.group(1)) if found else 0
        self.served.append((path, begin))
        headers = {"Content-Length": str(len(content) - begin), "Accept-Ranges": "bytes", "ETag": '"x"'}
        if found:
            headers["Content-Range"] = f"bytes {begin}-{len(content) - 1}/{len(content)}"
        response = web.StreamResponse(status=206 if found else 200, headers=headers)
        await response.prepare(request)
        cut = self.cut_after.pop(path, None)
        if cut is not None:
            await response.write(content[begin : begin + cut])
            await asyncio.sleep(0.05)
            assert request.transport is not None
            request.transport.close()
            return response
        if path in self.drips_after:
            begin = await self._drip(request, response, content[begin:], self.drips_after[path] - begin) + begin
        await response.write(content[begin:])
        await response.write_eof()
        return response

    async def _drip(self, request: web.Request, response: web.StreamResponse, content: bytes, at_once: int) -> int:
        """Send slowly until told to go, or nobody listens any more; how far it got."""
        done = max(0, at_once)
        await response.write(content[:done])
        while not self.go.is_set() and request.transport is not None:
            if done + DROP_BYTES < len(content):
                await response.write(content[done : done + DROP_BYTES])
                done += DROP_BYTES
            await asyncio.sleep(0.02)
        return done


def _error(status: int, code: str) -> web.Response:
    return web.json_response({"error": code}, status=status, headers={"X-Error-Code": code, "X-Error-Message": code})


@contextmanager
def running_hub() -> Iterator[FakeHub]:
    """A hub on a free port of the loopback."""
    hub = FakeHub()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    application = web.Application()
    application.router.add_get("/api/models/{owner}/{name}/revision/{revision}", hub.listing)
    application.router.add_get("/{owner}/{name}/resolve/{revision}/{path:.+}", hub.resolve)
    application.router.add_get("/cdn/{owner}/{name}/{path:.+}", hub.cdn)
    runner = web.AppRunner(application, shutdown_timeout=0.1)

    async def start() -> None:
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        hub.url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"  # type: ignore[union-attr]

    asyncio.run_coroutine_threadsafe(start(), loop).result(10)
    try:
        yield hub
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
