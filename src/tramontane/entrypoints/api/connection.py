"""One client's connection, bounded where no door can: bytes and time of a head, time in which nothing is read.

The HTTP parser itself would collect headers without end and wait for them for ever, before any door is asked. Ordinary
excess is refused by `limits` with an answer of our shape; this is the wall behind it. Called by `server`.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tramontane.foundation.settings import HttpSettings

HEAD_FACTOR = 4
HEAD_S = 30.0


class Connection(HttpToolsProtocol):
    """Ends beyond `most_head_bytes` of address, headers and trailers, when a head takes longer than `HEAD_S`, and when
    its client leaves a full buffer unread for `stalled_reader_s`."""

    most_head_bytes = 0
    stalled_reader_s = 0.0
    _stalled: asyncio.TimerHandle | None = None
    _head_bytes = 0
    _in_head = True
    _progressed = False
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._watch_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._rest()
        self._reads_again()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The client is behind. Whoever writes waits from now on, and a request holds its seat meanwhile."""
        super().pause_writing()
        if self._stalled is None:
            # Not `close`: it would wait for the client to read what is left.
            self._stalled = self.loop.call_later(self.stalled_reader_s, self.transport.abort)

    def resume_writing(self) -> None:
        self._reads_again()
        super().resume_writing()

    def data_received(self, data: bytes) -> None:
        self._progressed = False
        super().data_received(data)
        if self.transport.is_closing():
            return
        if not self._progressed:
            # A part of one header: the parser holds it back until its end.
            self._head_bytes += len(data)
            if self._head_bytes > self.most_head_bytes:
                self.send_400_response("The headers are too large.")
                return
        if self._in_head:
            self._watch_head()

    def on_message_begin(self) -> None:
        self._head_bytes, self._in_head, self._progressed = 0, True, True
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self._weigh(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._weigh(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._rest()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._progressed = True
        super().on_body(body)

    def _weigh(self, size_bytes: int) -> None:
        """Raising ends the parser, and with it the connection."""
        self._progressed = True
        self._head_bytes += size_bytes
        if self._head_bytes > self.most_head_bytes:
            raise ValueError("the headers are too large")

    def _watch_head(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(HEAD_S, self.transport.close)

    def _rest(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _reads_again(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None


def bounded_connection(settings: HttpSettings) -> type[asyncio.Protocol]:
    """The class of connections for these doors' limits."""
    limits = {
        "most_head_bytes": HEAD_FACTOR * settings.max_header_bytes,
        "stalled_reader_s": settings.stalled_reader_s,
    }
    return type("BoundedConnection", (Connection,), limits)
