"""Asks are read in turns of their shares: a burst of one delays nobody else's."""

import threading

import pytest
from tests.adapters.servers.completion.conftest import profile, words_folder  # noqa: F401

from tramontane.adapters.servers.completion.profile import ModelProfile
from tramontane.adapters.servers.openvino import prompts, protocol
from tramontane.foundation.errors import BadRequest
from tramontane.foundation.nouns import Ask, Message, TextChunk

SOON_S = 20.0


def question(share: str, number: int) -> protocol.Prepare:
    message = Message(role="user", content=(TextChunk("hello"),))
    return protocol.Prepare(Ask(id=f"{share}-{number}", model="m", messages=(message,)), bytes(32), share, 1)


def test_an_ask_waits_for_what_is_being_read_and_not_for_anothers_burst(
    profile: ModelProfile,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read_all = threading.Event()
    begun: list[str] = []

    def slow(ask: Ask, _: ModelProfile) -> None:
        begun.append(ask.id)
        read_all.wait(SOON_S)
        raise BadRequest("read enough")

    monkeypatch.setattr(prompts, "read", slow)
    answered = threading.Semaphore(0)
    desk = prompts.PromptDesk(profile, profile.tokenizer.vocab_size, lambda _: answered.release())
    try:
        for number in range(20):
            desk.prepare(question("loud", number))
        desk.prepare(question("quiet", 0))
        desk.discard("loud-19")
        read_all.set()
        for _ in range(20):
            assert answered.acquire(timeout=SOON_S)
    finally:
        desk.close()
    assert begun.index("quiet-0") <= prompts.PREPARING_THREADS + 1
    assert "loud-19" not in begun and len(begun) == 20
