"""One choice's tokens turned into events: text, thoughts, tool calls, log-probabilities, the end.

Knows stop strings, the model's tool-call and thinking formats and half characters; knows neither sampling nor sockets.
The engine process keeps one reader per choice and feeds it every step.
"""

from collections.abc import Callable, Sequence

from tramontane.adapters.servers.completion.profile import ModelProfile
from tramontane.adapters.servers.completion.prompt import Rendered
from tramontane.adapters.servers.openvino.request import TokenLogprobs
from tramontane.foundation.events import Event
from tramontane.foundation.ids import random_word
from tramontane.foundation.nouns import Ask


def new_call_id() -> str:
    """Nine letters and digits, the form every Mistral client accepts."""
    return random_word(9)


class AnswerReader:
    """Reads one choice. After `stopped` turns True the caller ends the sequence and calls `finish("stop")`."""

    stopped: bool
    reasoning_tokens: int

    def __init__(
        self,
        ask: Ask,
        profile: ModelProfile,
        rendered: Rendered,
        index: int,
        call_id: Callable[[], str] = new_call_id,
    ) -> None:
        raise NotImplementedError

    def push(self, tokens: Sequence[int], logprobs: Sequence[TokenLogprobs] | None = None) -> list[Event]:
        """Events that became certain with these tokens (stop tokens not among them)."""
        raise NotImplementedError

    def finish(self, reason: str) -> list[Event]:
        """What was held back, then ChoiceEnd; `reason` is the loop's: stop, length or error."""
        raise NotImplementedError
