"""The real gateway over another starter of servers: everything of `tramontane serve` but what runs the models.

Nothing is fetched: the home must already hold the default model. genai_front.py and gateway_front.py use it.
"""

import contextlib
import logging
import sys

import setproctitle
import uvloop

from tramontane.app import engine
from tramontane.app.gateway import run_gateway
from tramontane.app.records import opened_records
from tramontane.app.servers import Servers
from tramontane.entrypoints.api import listen
from tramontane.foundation.clock import SystemClock
from tramontane.foundation.settings import load_settings


def serve_over(servers: type[Servers]) -> None:
    """Serve with the settings of the environment until a signal stops it."""
    engine.Servers = servers  # type: ignore[misc]
    settings, clock = load_settings(), SystemClock()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("tramontane").setLevel(settings.log_level.upper())
    setproctitle.setproctitle("tramontane: gateway")
    with (
        contextlib.closing(listen(settings.host, settings.port)) as listener,
        opened_records(settings, clock, _silent) as records,
    ):
        uvloop.run(run_gateway(settings, clock, records, listener, _say))


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _silent(stage: str, done: int, total: int) -> None:
    """Nobody watches a benchmark start."""
