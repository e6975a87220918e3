"""`/web/models/events`: how models stand, as an event stream for as long as a page looks.

Each `state` event is complete in itself, so that a page which comes again needs nothing it has missed; its id names the
board it tells of. `progress` events say how far a fetch or a load is. All watchers share one look at the board.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tramontane.entrypoints.api.drain import Drain
from tramontane.entrypoints.api.presence import ClientGone, Presence
from tramontane.entrypoints.web.studio_ports import Board, Studio
from tramontane.foundation.clock import Clock
from tramontane.foundation.ids import random_word
from tramontane.foundation.store import scope as store_scope

LOOK_S = 0.25
PING_S = 15.0
LONGEST_S = 60.0
"""Then the page comes again, and whether its session still holds is looked at anew."""
PING = b": ping\n\n"
HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]


class Boards:
    """The board as all watchers see it, looked at four times a second at most while somebody watches."""

    def __init__(self, studio: Studio, clock: Clock) -> None:
        self.studio = studio
        self._clock = clock
        self._board: Board | None = None
        self._looked_ns = 0
        self._life = random_word(8)  # ids of an earlier process mean nothing here
        self._version = 0

    def now(self) -> tuple[str, Board]:
        """The board and the id of its standings."""
        now_ns = self._clock.monotonic_ns()
        if self._board is None or now_ns - self._looked_ns >= LOOK_S * 0.8e9:
            board = self.studio.board()
            if self._board is None or board.standings != self._board.standings:
                self._version += 1
            self._board, self._looked_ns = board, now_ns
        return f"{self._life}-{self._version}", self._board


def frame(event: str, content: Mapping[str, Any], event_id: str) -> bytes:
    """One event on the wire."""
    return b"id: %b\nevent: %b\ndata: %b\n\n" % (event_id.encode(), event.encode(), msgspec.json.encode(content))


class Telling:
    """What one watcher has been told, so that only news is written. Pure but for its memory."""

    def __init__(self, last_id: str = "") -> None:
        self._last_id = last_id
        self._standings: dict[str, Any] | None = None
        self._steps: dict[str, Any] = {}

    def news(self, board_id: str, board: Board, visible: frozenset[str]) -> bytes:
        """Frames for what has changed since the last call, for those who may know these names."""
        standings = {name: standing for name, standing in board.standings.items() if name in visible}
        steps = {name: step for name, step in board.steps.items() if name in visible}
        frames = []
        known = self._standings is None and board_id == self._last_id
        if standings != self._standings and not known:
            states = {name: standing.state for name, standing in standings.items()}
            frames.append(frame("state", {"states": states}, board_id))
        for name, step in steps.items():
            if step != self._steps.get(name):
                told = {"name": name, "stage": step.stage, "done_bytes": step.done, "total_bytes": step.total or None}
                frames.append(frame("progress", told, board_id))
        self._standings, self._steps = standings, steps
        return b"".join(frames)


class ModelEvents(Response):
    """The answer to one watcher: ends when the client goes, when the server closes, and after `LONGEST_S`."""

    def __init__(self, boards: Boards, whose: store_scope.Scope, drain: Drain, last_id: str) -> None:
        self.status_code = 200
        self._boards = boards
        self._whose = whose
        self._drain = drain
        self._telling = Telling(last_id)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with Presence(receive):
                await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
                await self._tell(send)
        except ClientGone:
            return

    async def _tell(self, send: Send) -> None:
        quiet_s = passed_s = 0.0
        while passed_s < LONGEST_S and not self._drain.closing:
            content = self._telling.news(*self._boards.now(), self._boards.studio.visible(self._whose))
            if not content and quiet_s >= PING_S:
                content = PING
            if content:
                quiet_s = 0.0
                await send({"type": "http.response.body", "body": content, "more_body": True})
            await asyncio.sleep(LOOK_S)
            quiet_s += LOOK_S
            passed_s += LOOK_S
        await send({"type": "http.response.body", "body": b"", "more_body": False})
