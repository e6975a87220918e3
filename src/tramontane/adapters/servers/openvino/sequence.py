"""One answer in the making: its tokens, its place in the cache and its state; and the request it belongs to.

Knows which moves between states are allowed and what is counted. Decides nothing: `batch` moves sequences, `loop`
gives them tokens.
"""

from array import array
from dataclasses import dataclass, field
from enum import Enum

from tramontane.adapters.servers.openvino.request import TokenRequest
from tramontane.adapters.servers.openvino.sampler import SamplingRules
from tramontane.adapters.servers.openvino.speculation import PromptLookup
from tramontane.adapters.servers.tokens import Constraint
from tramontane.foundation.nouns import Spend


class State(Enum):
    WAITING = "waiting"
    PREFILL = "prefill"
    DECODING = "decoding"
    PAUSED = "paused"
    PREEMPTED = "preempted"
    DONE = "done"


MOVES: dict[State, frozenset[State]] = {
    State.WAITING: frozenset({State.PREFILL, State.PAUSED, State.DONE}),
    State.PREFILL: frozenset({State.DECODING, State.PREEMPTED, State.PAUSED, State.DONE}),
    State.DECODING: frozenset({State.PREEMPTED, State.PAUSED, State.DONE}),
    State.PAUSED: frozenset({State.WAITING, State.DONE}),
    State.PREEMPTED: frozenset({State.PREFILL, State.PAUSED, State.DONE}),
    State.DONE: frozenset(),
}


@dataclass(slots=True)
class Account:
    """What a request has cost so far; `Spend` is its frozen form. Times in nanoseconds."""

    submitted_ns: int
    started_ns: int | None = None
    cached_tokens: int = 0
    computed_tokens: int = 0
    generated_tokens: int = 0
    decode_positions: int = 0
    cache_reads: int = 0
    prefill_ns: int = 0
    decode_ns: int = 0

    def spend(self, prompt_tokens: int, now_ns: int) -> Spend:
        """The account as of now; a request that never ran was queued until now."""
        started_ns = now_ns if self.started_ns is None else self.started_ns
        return Spend(
            prompt_tokens=prompt_tokens,
            cached_tokens=self.cached_tokens,
            computed_tokens=self.computed_tokens,
            generated_tokens=self.generated_tokens,
            decode_positions=self.decode_positions,
            cache_reads=self.cache_reads,
            queued_ns=started_ns - self.submitted_ns,
            prefill_ns=self.prefill_ns,
            decode_ns=self.decode_ns,
        )


@dataclass(slots=True, eq=False)
class RunningRequest:
    """A request that is not over: its choices and its account.

    `stop_tokens` are those that end an answer here: none when the caller ignores them and no grammar needs them.
    `repeatable`: a seed was given, so what else runs must not touch the answer, not even its rounding.
    `in_prompt` are the prompt's tokens where a penalty for repetition wants to know them, else none.
    """

    request: TokenRequest
    rules: SamplingRules
    account: Account
    stop_tokens: frozenset[int]
    repeatable: bool = False
    choices: "list[Sequence]" = field(default_factory=list)
    open_choices: int = 0
    in_prompt: frozenset[int] = field(init=False)

    def __post_init__(self) -> None:
        self.in_prompt = frozenset(self.request.prompt if self.rules.repetition != 1.0 else ())


@dataclass(slots=True, eq=False)
class Sequence:
    """One choice of a request.

    `tokens` is prompt and answer so far; the keys and values of its first `computed` tokens lie in the blocks of
    `table`. `names` are the names of its full blocks, the first `published` of which are in the prefix index.
    `reached` is the most that was ever computed (recomputing after a preemption does not move it), `held` the number
    of leading blocks another sequence is known to have published. `in_flight`: the running step writes to its blocks;
    `closing`: it is over and only waits for that step to end.
    """

    owner: RunningRequest
    index: int
    arrival: int
    tokens: list[int]
    root: bytes
    lookup: PromptLookup | None
    constraint: Constraint | None
    state: State = State.WAITING
    computed: int = 0
    reached: int = 0
    published: int = 0
    held: int = 0
    in_flight: bool = False
    closing: bool = False
    table: array = field(default_factory=lambda: array("i"))
    names: list[bytes] = field(default_factory=list)
    counts: dict[int, int] = field(default_factory=dict)

    @property
    def share(self) -> str:
        return self.owner.request.share

    @property
    def prompt_tokens(self) -> int:
        return len(self.owner.request.prompt)

    @property
    def generated(self) -> int:
        return len(self.tokens) - len(self.owner.request.prompt)

    @property
    def pending(self) -> int:
        """Tokens whose keys and values are still to be computed; at least 1 while the choice is open."""
        return len(self.tokens) - self.computed

    def move(self, state: State) -> None:
        """Change state. Raises ValueError for a move the life cycle does not have."""
        if state not in MOVES[self.state]:
            raise ValueError(f"a sequence cannot go from {self.state.value} to {state.value}")
        self.state = state
