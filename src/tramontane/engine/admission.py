"""Decides whether a request may join a line at all, each check cheaper than the next, and says when to come back.

Pure. 429 (RateLimited) is the caller's doing: its rate or its own full line. 503 (Overloaded) is ours: the whole line
is full, or the wait would be too long to be worth joining. The room calls it before and after the prompt is counted.
"""

import math
from dataclasses import dataclass

from tramontane.engine.nouns import Policy
from tramontane.foundation.errors import BadRequest, DeadlineExceeded, Overloaded, RateLimited, TramontaneError

MIN_RETRY_S = 1
MAX_RETRY_S = 60
MAX_OUR_RETRY_S = 30
JITTER = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class LineView:
    """What admission looks at: who waits, counting those still being prepared, and how long."""

    own_waiting: int
    waiting: int
    waiting_prompt_tokens: int
    predicted_wait_s: float


def retry_after_s(seconds: float, jitter: float, most: int = MAX_RETRY_S) -> int:
    """Whole seconds, 1 to `most`, up to a fifth later by `jitter` (0 to 1) so that callers do not return together."""
    if math.isnan(seconds):
        return MIN_RETRY_S
    # Clamped first: an infinite wait has no ceiling.
    bounded = min(max(seconds, 0.0), float(most))
    return max(MIN_RETRY_S, min(most, math.ceil(bounded * (1 + JITTER * jitter))))


def own_limit(policy: Policy) -> int:
    """How many of one workspace may wait: half the line, two at least."""
    return min(policy.max_waiting_per_workspace, max(2, policy.max_waiting // 2))


def full_line(view: LineView, policy: Policy, jitter: float) -> TramontaneError | None:
    """The refusal when there is no place in the line, None when there is.

    What bounds the wait is `long_wait`, in tokens: a count of requests, taken by the measure of the long prompts before
    them, would refuse a burst of short ones. A workspace with nobody waiting may pass the limit of the whole line (up to
    twice the largest), because the fair order serves it next whatever others have queued.
    """
    allowed = own_limit(policy)
    if view.own_waiting >= allowed:
        return RateLimited(
            f"{view.own_waiting} requests of this workspace already wait for this model (at most {allowed}); "
            "wait for their answers before sending more",
            retry_after_s=retry_after_s(view.predicted_wait_s, jitter),
            code="too_many_waiting",
        )
    places = policy.max_waiting if view.own_waiting else 2 * policy.max_waiting
    if view.waiting >= places:
        return Overloaded(
            f"{view.waiting} requests already wait for this model; try again later",
            retry_after_s=retry_after_s(view.predicted_wait_s, jitter, MAX_OUR_RETRY_S),
        )
    return None


def long_wait(view: LineView, prompt_tokens: int, allowed_s: float, policy: Policy, jitter: float) -> Overloaded | None:
    """The refusal when joining makes no sense: too many prompt tokens wait, or the wait would exceed `allowed_s`."""
    if view.waiting and view.waiting_prompt_tokens + prompt_tokens > policy.max_waiting_prompt_tokens:
        return Overloaded(
            f"{view.waiting_prompt_tokens} prompt tokens already wait for this model; try again later",
            retry_after_s=retry_after_s(view.predicted_wait_s, jitter, MAX_OUR_RETRY_S),
        )
    if view.predicted_wait_s > allowed_s:
        return Overloaded(
            f"the wait would be about {view.predicted_wait_s:.0f} s, longer than the {allowed_s:.0f} s allowed; "
            "try again later or allow more time",
            retry_after_s=retry_after_s(view.predicted_wait_s - allowed_s, jitter, MAX_OUR_RETRY_S),
        )
    return None


def rate_limited(what: str, per_minute: int, wait_s: float, jitter: float) -> RateLimited:
    """The refusal of a rate; `what` is requests or tokens."""
    return RateLimited(
        f"this key may use {per_minute} {what} a minute; try again in {math.ceil(wait_s)} s",
        retry_after_s=retry_after_s(wait_s, jitter),
    )


def no_room_in_time(view: LineView, jitter: float) -> Overloaded:
    """The refusal after waiting as long as anybody may."""
    return Overloaded(
        "no server had room for this request in time; try again later",
        retry_after_s=retry_after_s(max(1.0, view.predicted_wait_s), jitter, MAX_OUR_RETRY_S),
    )


def deadline_passed() -> DeadlineExceeded:
    return DeadlineExceeded("the time allowed for this request has passed; allow more time or try again later")


def poisoned() -> BadRequest:
    return BadRequest(
        "this request was being answered both times the model's process died and is refused for an hour; "
        "change it, and tell the operator",
        code="request_quarantined",
    )
