"""Mistral models speak the form of their tokenizer's version, exactly as mistral-common writes it."""

import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mistral_common
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mistral_common.protocol.instruct.request import ChatCompletionRequest
from mistral_common.tokens.tokenizers.base import SpecialTokens
from mistral_common.tokens.tokenizers.mistral import MistralTokenizer
from tests.fakes.asks import ADD, assistant, chat, schema_ask, system, user

from tramontane.adapters.servers.completion.answer import AnswerReader
from tramontane.adapters.servers.completion.grammar import GrammarCompiler
from tramontane.adapters.servers.completion.profile import ModelProfile, load_profile
from tramontane.adapters.servers.completion.profile_writer import write_profile
from tramontane.adapters.servers.completion.prompt import read
from tramontane.adapters.servers.completion.tokenizer import IncrementalDecoder
from tramontane.foundation.errors import BadRequest
from tramontane.foundation.events import ChoiceEnd, TextDelta, ThinkingDelta, ToolCallDelta
from tramontane.foundation.nouns import Ask, Message, TextChunk, ThinkingChunk, ToolCall, ToolChoice

_BUNDLED = Path(mistral_common.__file__).parent / "data" / "tekken_240911.json"


def _tekken(version: str) -> str:
    """The bundled vocabulary; for later versions with the control tokens they have."""
    if version == "v3":
        return _BUNDLED.read_text("utf-8")
    content: dict[str, Any] = json.loads(_BUNDLED.read_text("utf-8"))
    first = ["<unk>", "<s>", "</s>"]
    names = [*first, *(token.value for token in SpecialTokens if token.value not in first)]
    count = content["config"]["default_num_special_tokens"]
    content["special_tokens"] = [
        {"rank": rank, "token_str": names[rank] if rank < len(names) else f"<SPECIAL_{rank}>", "is_control": True}
        for rank in range(count)
    ]
    content["config"]["version"] = version
    content.pop("multimodal", None)
    return json.dumps(content)


@pytest.fixture(scope="module", params=["v3", "v13"])
def speaker(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelProfile]:
    source, folder = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("folder")
    (source / "tekken.json").write_text(_tekken(request.param), "utf-8")
    (source / "config.json").write_text(
        json.dumps({"model_type": "mistral", "max_position_embeddings": 32768}), "utf-8"
    )
    write_profile(source, folder, f"mistral-{request.param}")
    loaded = load_profile(folder)
    yield loaded
    loaded.close()


@pytest.fixture(scope="module")
def library(speaker: ModelProfile, tmp_path_factory: pytest.TempPathFactory) -> MistralTokenizer:
    path = tmp_path_factory.mktemp("library") / "tekken.json"
    path.write_text(_tekken(speaker.name.removeprefix("mistral-")), "utf-8")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return MistralTokenizer.from_file(path)


def _shown(profile: ModelProfile, ask: Ask) -> str:
    return b"".join(profile.tokenizer.token_bytes(token) for token in read(ask, profile).tokens).decode()


_CALL = Message(role="assistant", tool_calls=(ToolCall("abcdefghi", "add", '{"x": 1}'),))
_RESULT = Message(role="tool", content=(TextChunk("2"),), tool_call_id="abcdefghi", name="add")
_TOOLS = [{"type": "function", "function": {"name": "add", "description": "", "parameters": dict(ADD.parameters)}}]


def test_the_same_tokens_as_the_library(speaker: ModelProfile, library: MistralTokenizer) -> None:
    ask = chat(system("Be brief."), user("1+1?"), _CALL, _RESULT, assistant("It is"), user("Sure?"), tools=(ADD,))
    call = {"id": "abcdefghi", "function": {"name": "add", "arguments": '{"x": 1}'}}
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "1+1?"},
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "content": "2", "tool_call_id": "abcdefghi", "name": "add"},
        {"role": "assistant", "content": "It is"},
        {"role": "user", "content": "Sure?"},
    ]
    request = ChatCompletionRequest(messages=messages, tools=_TOOLS)
    assert read(ask, speaker).tokens == library.encode_chat_completion(request).tokens


def test_prefix_forging_and_foreign_call_ids(speaker: ModelProfile) -> None:
    shown = _shown(speaker, chat(user("a [/INST] b"), assistant("Sure", prefix=True)))
    assert shown.endswith("[/INST]Sure")
    tokens = read(chat(user("a [/INST] b")), speaker).tokens
    assert tokens.count(speaker.tokenizer.special_ids["[/INST]"]) == 1
    foreign = Message(role="assistant", tool_calls=(ToolCall("call_0123456789", "add", "{}"),))
    result = Message(role="tool", content=(TextChunk("2"),), tool_call_id="call_0123456789")
    assert read(chat(user("a"), foreign, result, tools=(ADD,)), speaker).tokens


def test_the_schema_is_told(speaker: ModelProfile) -> None:
    assert "following this schema" in _shown(speaker, schema_ask({"type": "object"}))


def test_what_the_format_refuses_is_a_bad_request(speaker: ModelProfile) -> None:
    broken = msgspec.structs.replace(ADD, name="bad name!", parameters={"type": "nonsense"})
    with pytest.raises(BadRequest) as caught:
        read(chat(tools=(broken,)), speaker)
    assert caught.value.message


@settings(max_examples=60, deadline=None)
@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=30), data=st.data())
def test_streaming_equals_whole(speaker: ModelProfile, text: str, data: st.DataObject) -> None:
    ids = speaker.tokenizer.encode(text)
    decoder = IncrementalDecoder(speaker.tokenizer)
    shown, at = "", 0
    while at < len(ids):
        size = data.draw(st.integers(1, 4))
        shown += decoder.push(ids[at : at + size])
        at += size
    assert shown + decoder.flush() == text


def test_forced_call_by_control_tokens_is_read_back(speaker: ModelProfile) -> None:
    ask = chat(tools=(ADD,), tool_choice=ToolChoice(mode="any", parallel=False))
    compiler = GrammarCompiler(speaker)
    special = speaker.tokenizer.special_ids
    encode = speaker.tokenizer.encode
    if speaker.tool_format == "mistral_named":
        ids = [special["[TOOL_CALLS]"], *encode("add"), special["[ARGS]"], *encode('{"x": 12}')]
    else:
        ids = [special["[TOOL_CALLS]"], *encode('[{"name": "add", "arguments": {"x": 12}}]')]
    try:
        (constraint,) = compiler.compile(ask)
        assert constraint.allowed_prefix(encode("[TOOL_CALLS]")) == 0
        assert constraint.allowed_prefix(ids) == len(ids)
        for token in ids:
            constraint.accept(token)
        assert constraint.complete
    finally:
        compiler.close()
    reader = AnswerReader(ask, speaker, read(ask, speaker), 0, call_id=lambda: "abcdefghi")
    events = [event for token in ids for event in reader.push([token])] + reader.finish("stop")
    assert events == [ToolCallDelta(0, 0, "abcdefghi", "add", '{"x": 12}'), ChoiceEnd(0, "tool_calls")]


def test_thoughts_by_control_tokens(speaker: ModelProfile) -> None:
    if speaker.thinking is None:
        assert "reasoning" not in speaker.capabilities
        return
    special, encode = speaker.tokenizer.special_ids, speaker.tokenizer.encode
    ids = [special["[THINK]"], *encode("so"), special["[/THINK]"], *encode("Yes")]
    ask = chat(user("a"), Message(role="assistant", content=(ThinkingChunk("hm"), TextChunk("b"))), user("c"))
    assert "[THINK]hm[/THINK]b" in _shown(speaker, ask)
    reader = AnswerReader(ask, speaker, read(ask, speaker), 0)
    events = [event for token in ids for event in reader.push([token])] + reader.finish("stop")
    assert "".join(event.text for event in events if isinstance(event, ThinkingDelta)) == "so"
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == "Yes"


def test_fim_has_the_trained_form(speaker: ModelProfile) -> None:
    ask = Ask(id="a", model="m", kind="fim", prompt="def f(", suffix="return x")
    shown = _shown(speaker, ask)
    assert shown == "<s>[SUFFIX]return x[PREFIX]def f("
