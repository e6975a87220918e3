"""Knows every way a request can be refused or fail, without a word of HTTP.

TramontaneError
├── BadRequest            the request cannot be carried out as asked (names the field)
│   └── ContextExceeded   prompt and answer do not fit the model's context
├── InvalidFields         one or many fields of the wrong type or range
├── Unauthenticated       no key, or one that is unknown, revoked or expired
├── Forbidden             a known caller without the right
├── NotFound              nothing of that name in the caller's scope
├── Conflict              the state does not allow it now
├── TooLarge              more bytes than the limit
├── RateLimited           the caller's doing: rate, concurrency or a full line of its own
├── QuotaExhausted        the caller's budget is spent
├── Overloaded            ours: no room, draining, predicted wait too long
├── ModelUnavailable      ours: the model is loading, quarantined or cannot be loaded
├── DeadlineExceeded      the time allowed has passed
├── StorageFull           no room on the disk
├── EngineFailed          the process that holds the weights died or broke
└── Misconfigured         settings or machine do not allow start-up
The message is for the caller and names the cure. Status codes are mapped at the doors only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


class TramontaneError(Exception):
    """Base of all; `code` is stable and machine-readable, `param` names the offending field when there is one.

    `details` are what a program needs to go on, under names of their own: they stand in the answer beside the rest.
    """

    code = "internal_error"

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        details: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.details = dict(details or {})
        if code is not None:
            self.code = code


class BadRequest(TramontaneError):
    code = "invalid_request"


class ContextExceeded(BadRequest):
    code = "context_length_exceeded"


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """One wrong field: where (`("body", "messages", 0, "role")`), what to do, and a stable kind."""

    location: tuple[str | int, ...]
    message: str
    kind: str = "value_error"


class InvalidFields(TramontaneError):
    code = "invalid_fields"

    def __init__(self, problems: Sequence[FieldProblem]) -> None:
        first = problems[0]
        super().__init__(first.message, param=".".join(str(part) for part in first.location[1:]) or None)
        self.problems = tuple(problems)

    @classmethod
    def of(cls, field: str, message: str, kind: str = "value_error") -> "InvalidFields":
        """The common case of one wrong field; `field` is dotted, as in `response_format.json_schema`."""
        parts = tuple(int(part) if part.isdigit() else part for part in field.split("."))
        return cls([FieldProblem(("body", *parts), message, kind)])


class Unauthenticated(TramontaneError):
    code = "unauthenticated"


class Forbidden(TramontaneError):
    code = "forbidden"


class NotFound(TramontaneError):
    code = "not_found"


class Conflict(TramontaneError):
    code = "conflict"


class TooLarge(TramontaneError):
    code = "too_large"


class _Retryable(TramontaneError):
    """Carries the wait after which trying again makes sense."""

    def __init__(
        self, message: str, *, retry_after_s: float, param: str | None = None, code: str | None = None
    ) -> None:
        super().__init__(message, param=param, code=code)
        self.retry_after_s = retry_after_s


class RateLimited(_Retryable):
    code = "rate_limit_exceeded"


class QuotaExhausted(_Retryable):
    code = "insufficient_quota"


class Overloaded(_Retryable):
    code = "overloaded"


class ModelUnavailable(_Retryable):
    code = "model_unavailable"


class DeadlineExceeded(TramontaneError):
    code = "deadline_exceeded"


class StorageFull(TramontaneError):
    code = "storage_full"


class EngineFailed(TramontaneError):
    code = "engine_failed"


class Misconfigured(TramontaneError):
    code = "misconfigured"


def draining() -> Overloaded:
    """Open requests may end, new ones come too late. Says nothing of why: a server that makes way comes back."""
    message = "the server takes no new requests at the moment; send the request again"
    return Overloaded(message, retry_after_s=5, code="draining")
