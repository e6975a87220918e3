"""The words every floor shares about one piece of work: who asks, what is asked, what was spent.

All are frozen msgspec structs, so they cross the engine process's socket as they are. No dialect, no JSON, no HTTP here.
"""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Who is asking. No look-up anywhere happens without one.

    `person_id` is the signed-in person, or the one who made the key; a key from the terminal has none. `models` None:
    every model of the workspace; else only these, by name or by an alias.
    """

    organisation_id: str
    workspace_id: str
    principal_id: str
    key_id: str | None = None
    person_id: str | None = None
    roles: frozenset[str] = frozenset()
    weight: int = 1
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    models: frozenset[str] | None = None

    @property
    def owner_id(self) -> str:
        """Whose is what this caller makes: the person's, so that browser and key see the same; else the key's own."""
        return self.person_id or self.key_id or self.principal_id


class TextChunk(msgspec.Struct, frozen=True, tag="text"):
    text: str


class ThinkingChunk(msgspec.Struct, frozen=True, tag="thinking"):
    """A reasoning model's thoughts, replayed by clients in the history."""

    text: str
    closed: bool = True


class ImageChunk(msgspec.Struct, frozen=True, tag="image"):
    """An image by `data:` URL; a served model without vision refuses it."""

    url: str
    detail: str | None = None


Chunk = TextChunk | ThinkingChunk | ImageChunk


class ToolCall(msgspec.Struct, frozen=True):
    """One function call by the model; `arguments` is JSON text."""

    id: str
    name: str
    arguments: str


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One turn. `prefix` (last assistant turn only) asks the model to continue this text."""

    role: Literal["system", "user", "assistant", "tool"]
    content: tuple[Chunk, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    name: str | None = None
    prefix: bool = False


class Tool(msgspec.Struct, frozen=True, kw_only=True):
    """A function the model may call; `parameters` is a JSON schema."""

    name: str
    description: str = ""
    parameters: Mapping[str, Any] = {}
    strict: bool = False


class ToolChoice(msgspec.Struct, frozen=True, kw_only=True):
    """`auto` leaves it to the model, `none` forbids, `any` forces some call, `named` forces that one."""

    mode: Literal["auto", "none", "any", "named"] = "auto"
    name: str | None = None
    parallel: bool = True


class AnswerFormat(msgspec.Struct, frozen=True, kw_only=True):
    """Free text, any JSON object, or JSON that fits `schema` (enforced by grammar when `strict` or not)."""

    kind: Literal["text", "json_object", "json_schema"] = "text"
    name: str | None = None
    schema: Mapping[str, Any] | None = None
    strict: bool = True


ADVISED = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty")
"""The fields of `Sampling` that a model's makers advise, and callers may leave open."""


class Sampling(msgspec.Struct, frozen=True, kw_only=True):
    """How the next token is chosen. None is open: the catalogue's entry may fill it, then the weights' own settings."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    seed: int | None = None
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    repetition_penalty: float | None = None
    logit_bias: Mapping[int, float] = {}

    def filled_from(self, advised: "Sampling") -> "Sampling":
        """The same with what is open here as `advised` has it; a value that was given always stays.

        Temperature 0 asks for the weights' own likeliest text, which no penalty changes that was not asked for.
        """
        missing = {name: getattr(advised, name) for name in ADVISED if getattr(self, name) is None}
        if self.temperature == 0:
            missing.pop("repetition_penalty", None)
        return msgspec.structs.replace(self, **missing) if missing else self


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """When an answer ends. `max_tokens` None means up to the end of the context."""

    max_tokens: int | None = None
    min_tokens: int = 0
    stop: tuple[str, ...] = ()
    ignore_eos: bool = False


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """One request for generated text, whatever dialect it came in.

    `kind` says which fields count: chat reads `messages`, fim `prompt` and `suffix`, text `prompt` or `prompt_tokens`.
    `logprobs` None is off; 0 gives the chosen token's alone; k adds the k best. `deadline_ms` is the whole time allowed.
    """

    id: str
    model: str
    kind: Literal["chat", "fim", "text"] = "chat"
    messages: tuple[Message, ...] = ()
    prompt: str = ""
    prompt_tokens: tuple[int, ...] = ()
    suffix: str = ""
    echo: bool = False
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice = ToolChoice()
    answer: AnswerFormat = AnswerFormat()
    sampling: Sampling = Sampling()
    limits: Limits = Limits()
    n: int = 1
    logprobs: int | None = None
    reasoning_effort: str | None = None
    prediction: str | None = None
    deadline_ms: int | None = None


class EmbedAsk(msgspec.Struct, frozen=True, kw_only=True):
    """One request for embeddings of several texts; each input is text or token ids."""

    id: str
    model: str
    inputs: tuple[str | tuple[int, ...], ...]
    dimensions: int | None = None


class Spend(msgspec.Struct, frozen=True, kw_only=True):
    """What one request cost, counted where the work was done. Times in nanoseconds.

    `prompt_tokens` = `cached_tokens` + first-time prefill; `computed_tokens` counts every prompt position really computed
    (recomputed ones after a preemption too); `decode_positions` counts verified guesses too; `cache_reads` sums the
    key-value positions attended to.
    """

    prompt_tokens: int = 0
    cached_tokens: int = 0
    computed_tokens: int = 0
    generated_tokens: int = 0
    reasoning_tokens: int = 0
    decode_positions: int = 0
    cache_reads: int = 0
    queued_ns: int = 0
    prefill_ns: int = 0
    decode_ns: int = 0
