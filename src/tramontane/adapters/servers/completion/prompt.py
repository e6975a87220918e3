"""An ask read for one model: checked, rendered to token ids and fitted into the context.

Knows message-order rules, limits and which fields a model can honour; leaves the words themselves to the model's format.
The engine process calls `read` before a request enters the loop, and `count_tokens` for token counting.
"""

from dataclasses import dataclass, field

from tramontane.adapters.servers.completion.profile import ModelProfile
from tramontane.foundation.nouns import Ask


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


def read(ask: Ask, profile: ModelProfile) -> Rendered:
    """Check and render an ask.

    Raises InvalidFields (naming `messages.i` or the field), BadRequest for what this model cannot do, and
    ContextExceeded with both numbers when the prompt leaves no room for an answer.
    """
    raise NotImplementedError


def count_tokens(ask: Ask, profile: ModelProfile) -> int:
    """How many tokens the prompt of an ask has. Raises as `read` does, except for a prompt longer than the context."""
    raise NotImplementedError
