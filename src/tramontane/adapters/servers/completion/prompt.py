"""An ask read for one model: checked, rendered to token ids and fitted into the context.

Knows limits and which fields a model can honour; message order lives in `message_order`, the words in the model's
format. The engine process calls `read` before a request enters the loop.
"""

from dataclasses import dataclass, field

from tramontane.adapters.servers.completion.conversation import text_of
from tramontane.adapters.servers.completion.message_order import check_order
from tramontane.adapters.servers.completion.profile import ModelProfile
from tramontane.foundation.errors import BadRequest, ContextExceeded, FieldProblem, InvalidFields
from tramontane.foundation.nouns import Ask, ImageChunk, Message, TextChunk

_FIM_RULES = (
    "Continue the text in the code block so that it joins what follows it. Write the missing part alone.\n"
    "What follows the missing part:\n```\n{suffix}\n```"
)
_MIN_ANCHOR_CHARS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """A prompt ready for the loop. `max_tokens` is clipped to the context.

    `answer_prefix` is text the answer begins with and the model is made to continue; `thinking` says that the prompt
    already opened the model's thoughts; `stop` are the caller's stop strings and those the prompt form needs;
    `guess_from` are extra tokens prompt lookup may copy from.
    """

    tokens: list[int]
    max_tokens: int
    stop_tokens: frozenset[int]
    stop: tuple[str, ...] = ()
    answer_prefix: str = ""
    thinking: bool = False
    guess_from: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Words:
    """A prompt before it is fitted: its tokens and what its form asks of the answer."""

    tokens: list[int]
    stop: tuple[str, ...] = ()
    stop_tokens: frozenset[int] = frozenset()
    answer_prefix: str = ""
    thinking: bool = False


def read(ask: Ask, profile: ModelProfile) -> Rendered:
    """Check and render an ask.

    Raises InvalidFields (naming `messages.i` or the field), BadRequest for what this model cannot do, and
    ContextExceeded with both numbers when the prompt leaves no room for an answer.
    """
    words = _words(ask, profile)
    room = profile.context_tokens - len(words.tokens)
    if room < 1:
        raise ContextExceeded(
            f"prompt has {len(words.tokens)} tokens, the context of {profile.name} is {profile.context_tokens}; "
            "shorten the prompt or choose a model with a longer context",
            param="messages" if ask.kind == "chat" else "prompt",
        )
    wanted = ask.limits.max_tokens
    return Rendered(
        tokens=words.tokens,
        max_tokens=room if wanted is None else min(wanted, room),
        stop_tokens=profile.stop_ids | words.stop_tokens,
        stop=tuple(dict.fromkeys((*(text for text in ask.limits.stop if text), *words.stop))),
        answer_prefix=words.answer_prefix,
        thinking=words.thinking,
        guess_from=profile.tokenizer.encode(ask.prediction) if ask.prediction else [],
    )


def _words(ask: Ask, profile: ModelProfile) -> _Words:
    _check_bias(ask, profile)
    if ask.kind == "chat":
        return _chat(ask, profile)
    words = _fim(ask, profile) if ask.kind == "fim" else _text(ask, profile)
    if not words.tokens:
        raise InvalidFields.of("prompt", "prompt is empty; send at least one token of text")
    return words


def _check_bias(ask: Ask, profile: ModelProfile) -> None:
    size = profile.tokenizer.vocab_size
    for token in ask.sampling.logit_bias:
        if not 0 <= token < size:
            raise InvalidFields.of(
                "logit_bias", f"token {token} is outside the vocabulary of {profile.name} (0 to {size - 1})"
            )


def _chat(ask: Ask, profile: ModelProfile) -> _Words:
    if profile.chat is None:
        raise BadRequest(
            f"{profile.name} is a base model without a chat template; use text completions or an instruct model",
            param="model",
        )
    check_order(ask.messages)
    _check_content(ask, profile)
    _check_tools(ask)
    encoded = profile.chat.encode(ask)
    opened = profile.thinking is not None and encoded.tail.rstrip().endswith(profile.thinking.begin)
    prefix = text_of(ask.messages[-1]) if ask.messages[-1].prefix else ""
    return _Words(encoded.tokens, answer_prefix=prefix, thinking=opened and not prefix)


def _check_content(ask: Ask, profile: ModelProfile) -> None:
    problems = []
    for index, message in enumerate(ask.messages):
        images = any(isinstance(chunk, ImageChunk) for chunk in message.content)
        if images and "vision" not in profile.capabilities:
            text = f"{profile.name} does not read images; remove the image or choose a model with vision"
            problems.append(FieldProblem(("body", "messages", index, "content"), text))
    if problems:
        raise InvalidFields(problems)


def _check_tools(ask: Ask) -> None:
    choice = ask.tool_choice
    if choice.mode in ("any", "named") and not ask.tools:
        raise InvalidFields.of("tool_choice", "tool_choice demands a call but tools is empty; send the tools")
    names = [tool.name for tool in ask.tools]
    if choice.mode == "named" and choice.name not in names:
        raise InvalidFields.of("tool_choice", f"no tool is named {choice.name!r}; the tools are {', '.join(names)}")
    if len(set(names)) != len(names):
        raise InvalidFields.of("tools", "two tools share a name; give each its own")
    if choice.mode in ("any", "named") and ask.answer.kind != "text":
        raise InvalidFields.of(
            "response_format", "a forced tool call leaves no room for a JSON answer; set tool_choice to auto or none"
        )


def _text(ask: Ask, profile: ModelProfile) -> _Words:
    tokenizer = profile.tokenizer
    if ask.prompt_tokens:
        wrong = next((token for token in ask.prompt_tokens if not 0 <= token < tokenizer.vocab_size), None)
        if wrong is not None:
            raise InvalidFields.of(
                "prompt", f"token {wrong} is outside the vocabulary of {profile.name} (0 to {tokenizer.vocab_size - 1})"
            )
        tokens = list(ask.prompt_tokens)
        return _Words(tokens, answer_prefix=tokenizer.decode(tokens) if ask.echo else "")
    tokens = tokenizer.encode(ask.prompt)
    if tokenizer.bos_id is not None:
        tokens.insert(0, tokenizer.bos_id)
    return _Words(tokens, answer_prefix=ask.prompt if ask.echo else "")


def _fim(ask: Ask, profile: ModelProfile) -> _Words:
    """The trained form where the vocabulary has one; plain continuation without a suffix; else a chat that explains."""
    if profile.fim is not None:
        return _Words(profile.fim.encode(ask.prompt, ask.suffix), stop_tokens=profile.fim.stop_ids)
    if not ask.suffix.strip():
        return _text(ask, profile)
    if profile.chat is None:
        raise BadRequest(
            f"{profile.name} has no fill-in-the-middle tokens and no chat template; leave out suffix or choose a code model",
            param="suffix",
        )
    chat = Ask(id=ask.id, model=ask.model, messages=_fim_messages(ask))
    return _Words(profile.chat.encode(chat).tokens, stop=("\n```", "```", *_anchor(ask.suffix)))


def _fim_messages(ask: Ask) -> tuple[Message, ...]:
    question = Message(role="user", content=(TextChunk(_FIM_RULES.format(suffix=ask.suffix)),))
    return question, Message(role="assistant", content=(TextChunk(f"```\n{ask.prompt}"),), prefix=True)


def _anchor(suffix: str) -> tuple[str, ...]:
    """The suffix's beginning as a stop string: where it begins, the gap is filled."""
    line = next((line for line in suffix.splitlines() if line.strip()), "").rstrip()
    return (line,) if len(line.strip()) >= _MIN_ANCHOR_CHARS else ()
