"""The process that holds one model's weights: confined first, then loaded, then answering frames until told to stop.

Knows threads, the order of starting and exit statuses; knows neither how text is made nor who asks. The supervisor runs
it as a module with the number of its socket and its options. Any exit that was not asked for is not 0.
"""

import importlib
import logging
import os
import socket
import sys
import threading
import time
from typing import Protocol

import msgspec
import setproctitle

from tramontane.adapters.servers.openvino import protocol
from tramontane.adapters.servers.openvino.channel import Channel
from tramontane.adapters.servers.openvino.options import from_argument
from tramontane.adapters.servers.processes.isolation import confine, resident_bytes
from tramontane.engine.ports import Capacity, Load
from tramontane.foundation.errors import ModelUnavailable, TramontaneError

LOADING_MODULE = "tramontane.adapters.servers.openvino.loading"
RETRY_AFTER_S = 10.0
GATEWAY_GONE = 1
PROTOCOL_BROKEN = 2
LOAD_FAILED = 3
ENGINE_BROKEN = 4
SWITCH_INTERVAL_S = 0.0005  # the step loop must not wait long for a thread that tokenises

log = logging.getLogger(__name__)


class Engine(Protocol):
    """What runs here: a chat engine or an embedding engine."""

    capacity: Capacity
    slowest_step_ns: int

    @property
    def load(self) -> Load: ...

    def take(self, message: protocol.ToEngine) -> None: ...

    def run(self) -> None: ...

    def stop(self) -> None: ...

    def close(self) -> None: ...


def main(descriptor: int, argument: str) -> int:
    """Serve one model; returns the exit status."""
    options = from_argument(argument)
    setproctitle.setproctitle(f"tramontane: engine {options.model}")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    isolated = confine()
    channel = Channel(socket.socket(fileno=descriptor))
    channel.send(protocol.Loading("starting", 0, 0))
    try:
        # Only now: the numeric libraries start threads, after which a process can no longer leave its network.
        engine: Engine = importlib.import_module(LOADING_MODULE).load_engine(options, channel.send)
    except Exception as error:
        log.exception("%s could not be loaded", options.model)
        channel.send(protocol.refusal("", _load_error(options.model, error)))
        return LOAD_FAILED
    channel.send(protocol.Ready(engine.capacity, isolated))
    return _serve(engine, channel)


def _load_error(model: str, error: Exception) -> TramontaneError:
    if isinstance(error, TramontaneError):
        return error
    return ModelUnavailable(f"{model} could not be loaded: {error}", retry_after_s=RETRY_AFTER_S)


def _serve(engine: Engine, channel: Channel) -> int:
    """Run the engine here, the reader and the heartbeat beside it."""
    reader = _Reader(engine, channel)
    threading.Thread(target=reader.run, name="reader", daemon=True).start()
    threading.Thread(target=_beat, args=(engine, channel), name="heartbeat", daemon=True).start()
    try:
        engine.run()
    except Exception:
        log.exception("the engine broke")
        reader.status = ENGINE_BROKEN
    engine.close()
    return reader.status


class _Reader:
    """Hands messages on and decides how the process ends: as asked, or because the gateway is gone or talks nonsense."""

    def __init__(self, engine: Engine, channel: Channel) -> None:
        self.status = GATEWAY_GONE
        self._engine = engine
        self._channel = channel

    def run(self) -> None:
        try:
            for message in self._channel.messages():
                if isinstance(message, protocol.Stop):
                    self.status = 0
                self._engine.take(message)
        except protocol.FrameError:
            log.exception("the gateway broke the protocol")
            self.status = PROTOCOL_BROKEN
        except Exception:
            log.exception("the reader broke")
            self.status = ENGINE_BROKEN
        self._engine.stop()


def _beat(engine: Engine, channel: Channel) -> None:
    """Tell the gateway every quarter of a second how far the computing thread has come."""
    try:
        while True:
            load = msgspec.structs.replace(engine.load, resident_bytes=resident_bytes())
            channel.send(protocol.Heartbeat(load, engine.slowest_step_ns))
            time.sleep(protocol.HEARTBEAT_S)
    except OSError:
        engine.stop()


if __name__ == "__main__":
    status = main(int(sys.argv[1]), sys.argv[2])
    logging.shutdown()
    # The libraries' own threads may hold up an ordinary exit for seconds; everything that needs closing is closed.
    os._exit(status)
