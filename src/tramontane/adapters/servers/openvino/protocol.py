"""Frames between the gateway and an engine process: four bytes of length, then one msgpack message of a closed set.

Knows every message, how it is packed and how large it may be; knows no socket and no process. The client and the
engine process use it from both ends; each decodes with the schema of the other's messages and trusts nothing else.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from tramontane.engine.ports import Capacity, Load
from tramontane.foundation.errors import (
    BadRequest,
    Conflict,
    ContextExceeded,
    DeadlineExceeded,
    EngineFailed,
    FieldProblem,
    InvalidFields,
    ModelUnavailable,
    NotFound,
    Overloaded,
    TooLarge,
    TramontaneError,
)
from tramontane.foundation.events import Event
from tramontane.foundation.nouns import Ask, EmbedAsk, Spend

MAX_FRAME_BYTES = 64 * 1024 * 1024
LENGTH_BYTES = 4
HEARTBEAT_S = 0.25


class FrameError(Exception):
    """The bytes are not frames of this protocol; the connection cannot be used any further."""


class Prepare(msgspec.Struct, frozen=True, array_like=True, tag="prepare"):
    """Read, check and count an ask; answered by PrepareDone or Refused."""

    ask: Ask
    namespace: bytes
    share: str
    weight: int


class Start(msgspec.Struct, frozen=True, array_like=True, tag="start"):
    """Generate for a prepared ask; answered by Step frames up to its last word."""

    id: str


class Discard(msgspec.Struct, frozen=True, array_like=True, tag="discard"):
    """Forget an ask that is prepared or being prepared."""

    id: str


class Cancel(msgspec.Struct, frozen=True, array_like=True, tag="cancel"):
    """Stop at the next step boundary; answered by CancelDone."""

    id: str


class Pause(msgspec.Struct, frozen=True, array_like=True, tag="pause"):
    id: str


class Resume(msgspec.Struct, frozen=True, array_like=True, tag="resume"):
    id: str


class Embed(msgspec.Struct, frozen=True, array_like=True, tag="embed"):
    """Answered by EmbedDone or Refused."""

    ask: EmbedAsk


class Stop(msgspec.Struct, frozen=True, array_like=True, tag="stop"):
    """End the process with status 0."""


ToEngine = Prepare | Start | Discard | Cancel | Pause | Resume | Embed | Stop


class Loading(msgspec.Struct, frozen=True, array_like=True, tag="loading"):
    stage: str
    done: int
    total: int


class Ready(msgspec.Struct, frozen=True, array_like=True, tag="ready"):
    """The model answers. `isolated` says whether the process has cut itself off from every network."""

    capacity: Capacity
    isolated: bool


class PrepareDone(msgspec.Struct, frozen=True, array_like=True, tag="prepared"):
    id: str
    prompt_tokens: int
    max_tokens: int


class Problem(msgspec.Struct, frozen=True, array_like=True):
    """One wrong field, as in the error tree's FieldProblem."""

    location: tuple[str | int, ...]
    message: str
    kind: str


class Refused(msgspec.Struct, frozen=True, array_like=True, tag="refused"):
    """An error of the foundation's tree by the name of its class. An empty `id` concerns the whole process."""

    id: str
    error: str
    code: str
    message: str
    param: str | None = None
    problems: tuple[Problem, ...] = ()


class Step(msgspec.Struct, frozen=True, array_like=True, tag="step"):
    """What one step brought for every request it touched, and the load after it."""

    batches: list[tuple[str, list[Event]]]
    load: Load


class EmbedDone(msgspec.Struct, frozen=True, array_like=True, tag="embedded"):
    id: str
    rows: list[bytes]
    dimensions: int
    spend: Spend


class CancelDone(msgspec.Struct, frozen=True, array_like=True, tag="cancelled"):
    """`spend` is None when the request was not known or had already ended."""

    id: str
    spend: Spend | None


class Heartbeat(msgspec.Struct, frozen=True, array_like=True, tag="heartbeat"):
    """Sent every `HEARTBEAT_S`; `load.progress` is counted by the computing thread only."""

    load: Load
    slowest_step_ns: int


ToGateway = Loading | Ready | PrepareDone | Refused | Step | EmbedDone | CancelDone | Heartbeat

_Message = TypeVar("_Message")
_encoder = msgspec.msgpack.Encoder()
_engine_decoder = msgspec.msgpack.Decoder(ToEngine)
_gateway_decoder = msgspec.msgpack.Decoder(ToGateway)


def pack(message: ToEngine | ToGateway) -> bytes:
    """One whole frame. Raises TooLarge when the message does not fit one."""
    frame = bytearray(LENGTH_BYTES)
    _encoder.encode_into(message, frame, LENGTH_BYTES)
    size = len(frame) - LENGTH_BYTES
    if size > MAX_FRAME_BYTES:
        raise TooLarge(f"the request takes {size} bytes, the engine accepts {MAX_FRAME_BYTES}; send less")
    frame[:LENGTH_BYTES] = size.to_bytes(LENGTH_BYTES, "big")
    return bytes(frame)


def read_for_engine(frame: bytes) -> ToEngine:
    """Decode what a gateway sent. Raises FrameError."""
    return _decoded(_engine_decoder.decode, frame)


def read_for_gateway(frame: bytes) -> ToGateway:
    """Decode what an engine process sent. Raises FrameError."""
    return _decoded(_gateway_decoder.decode, frame)


def _decoded(decode: Callable[[bytes], _Message], frame: bytes) -> _Message:
    try:
        return decode(frame)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise FrameError(f"not a message of the protocol: {error}") from None


class FrameReader:
    """Cuts a stream of bytes into frames; keeps an unfinished one until its rest arrives."""

    def __init__(self, limit: int = MAX_FRAME_BYTES) -> None:
        self._limit = limit
        self._rest = bytearray()

    @property
    def pending(self) -> int:
        """Bytes of a frame that is not complete yet."""
        return len(self._rest)

    def feed(self, data: bytes) -> list[bytes]:
        """The frames completed by `data`, without their lengths. Raises FrameError for one beyond the limit."""
        if self._rest:
            self._rest += data
            data = bytes(self._rest) if self._has_frame() else b""
            if not data:
                return []
            self._rest.clear()
        frames = []
        begin, end = 0, len(data)
        while end - begin >= LENGTH_BYTES:
            stop = begin + LENGTH_BYTES + self._size(data, begin)
            if stop > end:
                break
            frames.append(data[begin + LENGTH_BYTES : stop])
            begin = stop
        self._rest += data[begin:]
        return frames

    def _has_frame(self) -> bool:
        rest = self._rest
        return len(rest) >= LENGTH_BYTES and len(rest) - LENGTH_BYTES >= self._size(rest, 0)

    def _size(self, data: bytes | bytearray, begin: int) -> int:
        size = int.from_bytes(data[begin : begin + LENGTH_BYTES], "big")
        if size > self._limit:
            raise FrameError(f"a frame of {size} bytes exceeds the limit of {self._limit}")
        return size


_PLAIN = (BadRequest, Conflict, ContextExceeded, DeadlineExceeded, EngineFailed, NotFound, TooLarge)
_RETRYABLE = (Overloaded, ModelUnavailable)
_RETRY_AFTER_S = 5.0


def refusal(request_id: str, error: TramontaneError) -> Refused:
    """An error as a message; a class the protocol does not carry travels as its nearest carried base."""
    carried = {kind.__name__ for kind in (*_PLAIN, *_RETRYABLE, InvalidFields)}
    names = [kind.__name__ for kind in type(error).__mro__ if kind.__name__ in carried]
    problems: Sequence[FieldProblem] = error.problems if isinstance(error, InvalidFields) else ()
    packed = tuple(Problem(problem.location, problem.message, problem.kind) for problem in problems)
    name = names[0] if names else EngineFailed.__name__
    return Refused(request_id, name, error.code, error.message, error.param, packed)


def refusal_error(refused: Refused) -> TramontaneError:
    """The error a message stands for; EngineFailed for one this protocol does not carry."""
    if refused.error == InvalidFields.__name__ and refused.problems:
        return InvalidFields([FieldProblem(p.location, p.message, p.kind) for p in refused.problems])
    for waiting in _RETRYABLE:
        if waiting.__name__ == refused.error:
            return waiting(refused.message, retry_after_s=_RETRY_AFTER_S, param=refused.param, code=refused.code)
    for plain in _PLAIN:
        if plain.__name__ == refused.error:
            return plain(refused.message, param=refused.param, code=refused.code)
    return EngineFailed(refused.message)
