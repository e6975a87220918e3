"""Embedding requests share batches fairly, keep their own vectors, and a long list does not hold up a short one."""

import time
from collections.abc import Sequence
from threading import Thread

import numpy as np

from tramontane.adapters.servers.openvino import protocol
from tramontane.adapters.servers.openvino.embed_engine import BATCH_TEXTS, TURN_TEXTS, EmbedEngine
from tramontane.engine.ports import Capacity
from tramontane.foundation.nouns import EmbedAsk

SOON_S = 20.0


class LengthEncoder:
    """A vector is the text's tokens' sum and count; every batch is remembered."""

    dimension = 2
    vocab_size = 2000

    def __init__(self) -> None:
        self.batches: list[int] = []

    def embed(self, sequences: Sequence[Sequence[int]]) -> np.ndarray:
        self.batches.append(len(sequences))
        return np.array([(sum(tokens), len(tokens)) for tokens in sequences], np.float32)


def run(*asks: EmbedAsk) -> tuple[LengthEncoder, list[protocol.ToGateway]]:
    """Give an engine all asks before it starts, let it finish, and return what it did and sent."""
    encoder, sent = LengthEncoder(), list[protocol.ToGateway]()
    capacity = Capacity(slots=8, context_tokens=10)
    engine = EmbedEngine(
        "vectors", encoder, lambda text: [ord(c) for c in text], capacity, sent.append, time.monotonic_ns
    )
    for ask in asks:
        engine.take(protocol.Embed(ask))
    thread = Thread(target=engine.run, daemon=True)
    thread.start()
    limit = time.monotonic() + SOON_S
    while len(sent) < len(asks) and time.monotonic() < limit:
        time.sleep(0.002)
    engine.stop()
    thread.join(SOON_S)
    assert not thread.is_alive()
    return encoder, sent


def ask(name: str, count: int) -> EmbedAsk:
    return EmbedAsk(id=name, model="m", inputs=tuple((len(name), turn + 1) for turn in range(count)))


def test_everybody_gets_their_own_vectors_in_order() -> None:
    _, sent = run(ask("a", 100), ask("bb", 3), ask("ccc", 40))
    for done in sent:
        assert isinstance(done, protocol.EmbedDone)
        rows = np.stack([np.frombuffer(row, "<f4") for row in done.rows])
        assert rows[:, 0].tolist() == [len(done.id) + turn + 1 for turn in range(len(rows))]
        assert done.spend.prompt_tokens == 2 * len(rows)


def test_a_short_list_does_not_wait_for_a_long_one() -> None:
    encoder, sent = run(ask("long", 1000), ask("short", 3))
    assert [done.id for done in sent if isinstance(done, protocol.EmbedDone)] == ["short", "long"]
    assert encoder.batches[0] == TURN_TEXTS + 3
    assert max(encoder.batches) == BATCH_TEXTS


def test_what_cannot_be_embedded_is_refused_by_place_and_number() -> None:
    asks = (
        EmbedAsk(id="long", model="m", inputs=("ok", "x" * 11)),
        EmbedAsk(id="empty", model="m", inputs=("ok", "")),
        EmbedAsk(id="none", model="m", inputs=()),
        EmbedAsk(id="size", model="m", inputs=("ok",), dimensions=3),
        EmbedAsk(id="unknown", model="m", inputs=((7, 1999), (7, 2000))),
    )
    _, sent = run(*asks)
    refused = {message.id: message for message in sent if isinstance(message, protocol.Refused)}
    assert "input 1 has 11 tokens" in refused["long"].message
    assert refused["empty"].problems[0].location == ("body", "input", 1)
    assert refused["unknown"].problems[0].location == ("body", "input", 1)
    assert refused["none"].param == "input"
    assert "2 numbers, not 3" in refused["size"].message
