"""The engine process's end of the socket: blocking, one reader, any number of writers.

Knows frames and the socket; knows no engine. The process reads it on one thread and writes from all of them.
"""

import socket
import threading
from collections.abc import Iterator

from tramontane.adapters.servers.openvino import protocol

_READ_BYTES = 256 * 1024


class Channel:
    """Messages from and to the gateway."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(True)
        self._socket = sock
        self._frames = protocol.FrameReader()
        self._writing = threading.Lock()

    def messages(self) -> Iterator[protocol.ToEngine]:
        """Everything the gateway says, until it hangs up. Raises FrameError for what is no message."""
        while data := self._receive():
            for frame in self._frames.feed(data):
                yield protocol.read_for_engine(frame)

    def _receive(self) -> bytes:
        try:
            return self._socket.recv(_READ_BYTES)
        except ConnectionError:
            return b""

    def send(self, message: protocol.ToGateway) -> None:
        """Write one whole message. Raises OSError when the gateway is gone."""
        frame = protocol.pack(message)
        with self._writing:
            self._socket.sendall(frame)
