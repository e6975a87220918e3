"""How an engine process ends, and that its heart beats while it works: over a socket pair, without a model."""

import socket
import threading
import time

import pytest

from tramontane.adapters.servers.openvino import process, protocol
from tramontane.adapters.servers.openvino.channel import Channel
from tramontane.engine.ports import Capacity, Load


class WaitingEngine:
    """Waits until it is stopped or told to break."""

    capacity = Capacity(slots=1, context_tokens=1)
    slowest_step_ns = 7
    load = Load(progress=3)

    def __init__(self) -> None:
        self.taken: list[protocol.ToEngine] = []
        self.closed = False
        self._over = threading.Event()
        self._broken = False

    def take(self, message: protocol.ToEngine) -> None:
        self.taken.append(message)
        if message == protocol.Start("break"):
            self._broken = True
            self._over.set()
        if message == protocol.Start("choke"):
            raise ValueError("choked")

    def run(self) -> None:
        self._over.wait(20)
        if self._broken:
            raise RuntimeError("broken")

    def stop(self) -> None:
        self._over.set()

    def close(self) -> None:
        self.closed = True


def status_after(sent: bytes, *, hang_up: bool = True) -> tuple[int, WaitingEngine]:
    """The exit status once the gateway has sent these bytes and, perhaps, hung up."""
    ours, theirs = socket.socketpair()
    engine = WaitingEngine()
    with ours, theirs:
        ours.sendall(sent)
        if hang_up:
            ours.shutdown(socket.SHUT_WR)
        status = process._serve(engine, Channel(theirs))
    assert engine.closed
    return status, engine


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (protocol.pack(protocol.Stop()), 0),
        (b"", process.GATEWAY_GONE),
        (protocol.pack(protocol.Start("a"))[:-1], process.GATEWAY_GONE),
        ((5).to_bytes(4, "big") + b"noise", process.PROTOCOL_BROKEN),
        ((1 << 31).to_bytes(4, "big"), process.PROTOCOL_BROKEN),
        (protocol.pack(protocol.Start("break")), process.ENGINE_BROKEN),
        (protocol.pack(protocol.Start("choke")), process.ENGINE_BROKEN),
    ],
)
def test_only_an_end_that_was_asked_for_is_status_0(sent: bytes, status: int) -> None:
    assert status_after(sent, hang_up=not sent or status == process.GATEWAY_GONE)[0] == status


def test_messages_reach_the_engine_in_order() -> None:
    messages = [protocol.Start("a"), protocol.Pause("a"), protocol.Stop()]
    _, engine = status_after(b"".join(protocol.pack(message) for message in messages))
    assert engine.taken == messages


def test_the_heart_beats_while_the_engine_works() -> None:
    ours, theirs = socket.socketpair()
    engine = WaitingEngine()
    serving = threading.Thread(target=process._serve, args=(engine, Channel(theirs)), daemon=True)
    with ours, theirs:
        serving.start()
        ours.settimeout(20)
        frames, beats = protocol.FrameReader(), list[protocol.ToGateway]()
        while len(beats) < 2:
            beats += [protocol.read_for_gateway(frame) for frame in frames.feed(ours.recv(65536))]
        ours.sendall(protocol.pack(protocol.Stop()))
        serving.join(20)
        time.sleep(0)
    for beat in beats:
        assert isinstance(beat, protocol.Heartbeat)
        assert (beat.load.progress, beat.slowest_step_ns) == (3, 7)
        assert beat.load.resident_bytes > 0
