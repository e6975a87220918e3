"""The words between the batching loop and what surrounds it: a request in token ids, and what one step brought.

Text, templates and tools are unknown here; the loop never sees a string.
"""

from dataclasses import dataclass, field

from tramontane.adapters.servers.tokens import Constraint, TokenLogprobs
from tramontane.foundation.nouns import Limits, Sampling, Spend


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRequest:
    """One request as the loop sees it.

    `namespace` salts the prefix cache (no block is shared across two namespaces); `share` names who is served for the
    fair order of prefill, `weight` its part; `constraints` holds one grammar per choice, or is empty;
    `max_tokens` is already clipped to the context; `guess_from` gives extra tokens prompt lookup may copy from.
    """

    id: str
    namespace: bytes
    share: str
    weight: int
    prompt: list[int]
    sampling: Sampling
    limits: Limits
    max_tokens: int
    stop_tokens: frozenset[int]
    n: int = 1
    seed: int = 0
    logprobs: int | None = None
    constraints: tuple[Constraint, ...] = ()
    guess_from: list[int] = field(default_factory=list)


@dataclass(slots=True)
class ChoiceStep:
    """What one step brought for one choice: tokens in order and, when `reason` is set, its end.

    An end-of-answer token (in `stop_tokens`) is counted but not listed in `tokens` or `logprobs`. `reason` is stop or
    length; a choice that cannot go on fails its request instead.
    """

    request_id: str
    index: int
    tokens: list[int]
    logprobs: list[TokenLogprobs] | None = None
    reason: str | None = None


@dataclass(slots=True)
class StepReport:
    """One step of the loop: what each choice got, which requests are over and what they cost, what the step itself did.

    `failed` maps a request to the reason, `failed_spend` to what it had cost by then. `decode_tokens` counts positions,
    wrong guesses among them.
    """

    choices: list[ChoiceStep]
    finished: dict[str, Spend]
    failed: dict[str, str]
    prefill_tokens: int
    decode_tokens: int
    cache_reads: int
    step_ns: int
    failed_spend: dict[str, Spend] = field(default_factory=dict)
