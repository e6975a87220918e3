"""The HTTP connection to another server: bounded answers, no redirects, no cookies, the credential in one place.

Knows aiohttp and limits; knows neither asks nor events. Transport errors leave as EngineFailed or ModelUnavailable.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import msgspec

from tramontane.adapters.servers.upstream.refusals import RETRY_AFTER_S, refusal
from tramontane.foundation.errors import DeadlineExceeded, EngineFailed, ModelUnavailable

MAX_ERROR_BYTES = 64 * 1024
MAX_ANSWER_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class UpstreamSettings:
    """Where a model is served. `base_url` ends in the API's version (`.../v1`); `upstream_model` is its name there.

    `context_tokens` 0 means that the server is asked. The key is never shown or logged.
    """

    base_url: str
    upstream_model: str
    api_key: str = field(default="", repr=False)
    slots: int = 32
    context_tokens: int = 0
    connect_s: float = 10.0
    silence_s: float = 120.0


class Link:
    """Requests to one server."""

    def __init__(self, model: str, settings: UpstreamSettings) -> None:
        self.model = model
        self._base = settings.base_url.rstrip("/")
        headers = {"Authorization": f"Bearer {settings.api_key}"} if settings.api_key else {}
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=settings.connect_s, sock_read=settings.silence_s)
        self._session = aiohttp.ClientSession(
            headers=headers,
            timeout=timeout,
            cookie_jar=aiohttp.DummyCookieJar(),
            connector=aiohttp.TCPConnector(limit=0),
            trust_env=False,
        )

    @asynccontextmanager
    async def stream(self, path: str, body: dict[str, Any]) -> AsyncIterator[AsyncIterator[bytes]]:
        """POST and read the answer as it comes; leaving the context hangs up. Raises errors of the tree."""
        async with self._errors(), self._session.post(self._url(path), json=body, allow_redirects=False) as response:
            await self._check(response)
            yield response.content.iter_any()

    async def post(self, path: str, body: dict[str, Any]) -> Any:
        """POST and read a whole JSON answer. Raises errors of the tree."""
        return await self._whole("POST", path, body)

    async def get(self, path: str) -> Any:
        """GET and read a whole JSON answer. Raises errors of the tree."""
        return await self._whole("GET", path, None)

    async def close(self) -> None:
        """Hang up everything that is still open."""
        await self._session.close()

    async def _whole(self, method: str, path: str, body: dict[str, Any] | None) -> Any:
        async with (
            self._errors(),
            self._session.request(method, self._url(path), json=body, allow_redirects=False) as response,
        ):
            await self._check(response)
            data = bytearray()
            async for part in response.content.iter_any():
                data += part
                if len(data) > MAX_ANSWER_BYTES:
                    raise EngineFailed(f"the server of {self.model} sent an answer without end")
        try:
            return msgspec.json.decode(bytes(data))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise EngineFailed(f"the server of {self.model} sent something unreadable; try again") from None

    def _url(self, path: str) -> str:
        """`path` is relative to the API's base; `../` steps out of the version (for a server's own routes)."""
        if path.startswith("../"):
            return f"{self._base.rsplit('/', 1)[0]}/{path[3:]}"
        return f"{self._base}{path}"

    async def _check(self, response: aiohttp.ClientResponse) -> None:
        if response.status == 200:
            return
        body = await response.content.read(MAX_ERROR_BYTES)
        raise refusal(self.model, response.status, body, response.headers.get("Retry-After"))

    @asynccontextmanager
    async def _errors(self) -> AsyncIterator[None]:
        try:
            yield
        except aiohttp.ClientConnectorError:
            message = f"the server of {self.model} cannot be reached; an administrator must see that it runs"
            raise ModelUnavailable(message, retry_after_s=RETRY_AFTER_S) from None
        except TimeoutError:
            raise DeadlineExceeded(f"the server of {self.model} has been silent for too long; try again") from None
        except (aiohttp.ClientError, RuntimeError, OSError):
            raise EngineFailed(f"the connection to the server of {self.model} broke; try again") from None
