"""Frames survive any split of the bytes, every message survives the trip, and nothing else is accepted."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tramontane.adapters.servers.openvino import protocol
from tramontane.engine.ports import Capacity, Load
from tramontane.foundation import errors
from tramontane.foundation.events import (
    Candidate,
    ChoiceEnd,
    Failed,
    Finished,
    TextDelta,
    ThinkingDelta,
    TokenChoice,
    ToolCallDelta,
)
from tramontane.foundation.nouns import (
    AnswerFormat,
    Ask,
    EmbedAsk,
    ImageChunk,
    Message,
    Sampling,
    Spend,
    TextChunk,
    ThinkingChunk,
    Tool,
    ToolCall,
)

FULL_ASK = Ask(
    id="r1",
    model="m",
    messages=(
        Message(role="user", content=(TextChunk("a"), ThinkingChunk("b", closed=False), ImageChunk("data:x"))),
        Message(role="assistant", tool_calls=(ToolCall("abcdefghi", "f", "{}"),), prefix=True),
    ),
    tools=(Tool(name="f", parameters={"type": "object", "properties": {"x": {"enum": [1, 2.5, None, "é"]}}}),),
    answer=AnswerFormat(kind="json_schema", schema={"type": "object"}),
    sampling=Sampling(temperature=0.5, logit_bias={17: -100.0}),
    prompt_tokens=(1, 2),
)
TOKEN = Candidate("é", b"\xc3", -0.5)
TO_ENGINE = [
    protocol.Prepare(FULL_ASK, b"\x00\xff", "workspace", 3),
    protocol.Start("r1"),
    protocol.Discard("r1"),
    protocol.Cancel("r1"),
    protocol.Pause("r1"),
    protocol.Resume("r1"),
    protocol.Embed(EmbedAsk(id="e", model="m", inputs=("text", (1, 2)), dimensions=3)),
    protocol.Stop(),
]
TO_GATEWAY = [
    protocol.Loading("reading", 1, 2),
    protocol.Ready(Capacity(slots=2, context_tokens=3), True),
    protocol.PrepareDone("r1", 5, 6),
    protocol.Refused("r1", "BadRequest", "invalid_request", "no", "messages.0"),
    protocol.Step(
        [
            ("a", [TextDelta(0, "x", 1, (TokenChoice(TOKEN, (TOKEN, TOKEN)),)), ThinkingDelta(1, "y", closed=True)]),
            ("b", [ToolCallDelta(0, 0, "abcdefghi", "f", "{}"), ChoiceEnd(0, "tool_calls"), Finished(Spend())]),
            ("c", [Failed("engine_failed", "gone")]),
        ],
        Load(running=3, progress=9),
    ),
    protocol.EmbedDone("e", [b"1234"], 1, Spend(prompt_tokens=2)),
    protocol.CancelDone("r1", None),
    protocol.CancelDone("r1", Spend(generated_tokens=4)),
    protocol.Heartbeat(Load(progress=1), 5),
]


def payload(message: protocol.ToEngine | protocol.ToGateway) -> bytes:
    return protocol.pack(message)[protocol.LENGTH_BYTES :]


@pytest.mark.parametrize("message", TO_ENGINE, ids=lambda message: type(message).__name__)
def test_engine_reads_what_the_gateway_packs(message: protocol.ToEngine) -> None:
    assert protocol.read_for_engine(payload(message)) == message


@pytest.mark.parametrize("message", TO_GATEWAY, ids=lambda message: type(message).__name__)
def test_gateway_reads_what_the_engine_packs(message: protocol.ToGateway) -> None:
    assert protocol.read_for_gateway(payload(message)) == message


def test_messages_of_the_wrong_direction_are_refused() -> None:
    for message in TO_GATEWAY:
        with pytest.raises(protocol.FrameError):
            protocol.read_for_engine(payload(message))


@given(st.binary(max_size=200))
def test_garbage_is_a_frame_error_and_nothing_else(data: bytes) -> None:
    for read in (protocol.read_for_engine, protocol.read_for_gateway):
        with pytest.raises(protocol.FrameError):
            read(data)


def test_a_bomb_of_nested_lists_is_a_frame_error() -> None:
    with pytest.raises(protocol.FrameError):
        protocol.read_for_engine(b"\x91" * 100_000)


@given(st.lists(st.binary(max_size=300), max_size=8), st.data())
def test_frames_survive_any_split(frames: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(len(frame).to_bytes(4, "big") + frame for frame in frames)
    reader = protocol.FrameReader()
    got: list[bytes] = []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        got += reader.feed(stream[:size])
        stream = stream[size:]
    assert got == frames
    assert reader.pending == 0


def test_an_unfinished_frame_stays_pending() -> None:
    reader = protocol.FrameReader()
    assert reader.feed(protocol.pack(protocol.Stop())[:-1]) == []
    assert reader.pending > 0


@pytest.mark.parametrize("split", [4, 2])
def test_a_frame_beyond_the_limit_is_refused_before_it_is_stored(split: int) -> None:
    reader = protocol.FrameReader(limit=10)
    head = (11).to_bytes(4, "big")
    with pytest.raises(protocol.FrameError, match="11 bytes"):
        reader.feed(head[:split])
        reader.feed(head[split:])


def test_a_message_too_large_to_pack_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "MAX_FRAME_BYTES", 100)
    with pytest.raises(errors.TooLarge, match="accepts 100"):
        protocol.pack(protocol.Start("x" * 200))


class OwnError(errors.ContextExceeded):
    pass


CARRIED = [
    errors.BadRequest("m", param="p", code="special"),
    errors.ContextExceeded("m", param="messages"),
    errors.InvalidFields([errors.FieldProblem(("body", "messages", 0), "wrong", "type")]),
    errors.NotFound("m"),
    errors.Conflict("m"),
    errors.TooLarge("m"),
    errors.DeadlineExceeded("m"),
    errors.EngineFailed("m"),
    errors.Overloaded("m", retry_after_s=1),
    errors.ModelUnavailable("m", retry_after_s=1),
]


@pytest.mark.parametrize("error", CARRIED, ids=lambda error: type(error).__name__)
def test_errors_survive_the_trip(error: errors.TramontaneError) -> None:
    sent = protocol.read_for_gateway(payload(protocol.refusal("r", error)))
    assert isinstance(sent, protocol.Refused)
    back = protocol.refusal_error(sent)
    assert (type(back), back.code, back.message, back.param) == (type(error), error.code, error.message, error.param)
    if isinstance(error, errors.InvalidFields):
        assert isinstance(back, errors.InvalidFields)
        assert back.problems == error.problems


def test_a_subclass_travels_as_its_base_and_a_stranger_as_engine_failed() -> None:
    own = protocol.refusal_error(protocol.refusal("r", OwnError("m")))
    assert type(own) is errors.ContextExceeded
    assert type(protocol.refusal_error(protocol.refusal("r", errors.Forbidden("m")))) is errors.EngineFailed
    assert type(protocol.refusal_error(protocol.Refused("r", "SystemExit", "c", "m"))) is errors.EngineFailed


def test_structs_are_closed() -> None:
    frame = msgspec.msgpack.encode(["start", 5])
    with pytest.raises(protocol.FrameError):
        protocol.read_for_engine(frame)
