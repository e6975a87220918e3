"""What comes back while an answer is made: an ordered stream whose last event is always `Finished` or `Failed`.

Servers yield them in batches, one batch per engine step, so that the token path allocates per step and not per token.
"""

from typing import Literal

import msgspec

from tramontane.foundation.nouns import Spend

FinishReason = Literal["stop", "length", "model_length", "tool_calls", "error"]


class Candidate(msgspec.Struct, frozen=True, array_like=True):
    """One token the model considered: its text, its bytes, its natural-log probability, its id (-1 when unknown)."""

    text: str
    raw: bytes
    logprob: float
    token_id: int = -1


class TokenChoice(msgspec.Struct, frozen=True, array_like=True):
    """The token taken at one position and the best alternatives, best first."""

    taken: Candidate
    top: tuple[Candidate, ...] = ()


class TextDelta(msgspec.Struct, frozen=True, array_like=True, tag="t"):
    """More text of choice `index`; `tokens` says how many tokens it settles (0 while text is held back)."""

    index: int
    text: str
    tokens: int = 1
    logprobs: tuple[TokenChoice, ...] | None = None


class ThinkingDelta(msgspec.Struct, frozen=True, array_like=True, tag="h"):
    """More of a reasoning model's thoughts; `closed` on the one that ends them."""

    index: int
    text: str
    tokens: int = 1
    closed: bool = False


class ToolCallDelta(msgspec.Struct, frozen=True, array_like=True, tag="c"):
    """One complete tool call of choice `index`; `position` counts the calls of that choice from 0."""

    index: int
    position: int
    id: str
    name: str
    arguments: str


class ChoiceEnd(msgspec.Struct, frozen=True, array_like=True, tag="e"):
    """Choice `index` is complete."""

    index: int
    reason: FinishReason


class Finished(msgspec.Struct, frozen=True, array_like=True, tag="f"):
    """The last word of a request that went well."""

    spend: Spend


class Failed(msgspec.Struct, frozen=True, array_like=True, tag="x"):
    """The last word of a request that did not: `code` from the error tree, `message` for the caller."""

    code: str
    message: str
    spend: Spend = Spend()


Event = TextDelta | ThinkingDelta | ToolCallDelta | ChoiceEnd | Finished | Failed
