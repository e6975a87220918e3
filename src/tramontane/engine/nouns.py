"""The engine's own words: its policy in numbers, and what it tells the doors and the operator about itself.

All frozen. Durations in nanoseconds or seconds as the names say. Nothing here decides.
"""

import msgspec

from tramontane.engine.ports import Capacity, Load

SECOND_NS = 1_000_000_000


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """Every number the engine decides by; the composition root fills it from the settings."""

    max_wait_s: int = 30
    max_waiting: int = 512
    max_waiting_per_workspace: int = 256
    max_waiting_prompt_tokens: int = 2_000_000
    prefill_tokens_in_flight: int = 2048
    pause_after_s: float = 1.0
    run_quantum_s: float = 5.0
    first_token_s: float = 60.0
    between_tokens_s: float = 60.0
    total_s: float = 1800.0
    default_requests_per_minute: int = 0
    default_tokens_per_minute: int = 0
    idle_unload_s: int = 0
    memory_limit_bytes: int = 0
    load_timeout_s: float = 300.0


class RateView(msgspec.Struct, frozen=True, kw_only=True):
    """One bucket as response headers show it: the limit a minute, what is left, seconds until it is full again."""

    limit: int
    remaining: int
    reset_s: float


class RateViews(msgspec.Struct, frozen=True, kw_only=True):
    """The caller's buckets; None where no limit is set."""

    requests: RateView | None = None
    tokens: RateView | None = None


class LineStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One model's line: who waits and runs, how many may wait, and the measured rate (None until measured)."""

    waiting: int
    running: int
    paused: int
    waiting_by_workspace: dict[str, int]
    running_by_workspace: dict[str, int]
    length_limit: int
    oldest_wait_ms: int
    work_per_s: float | None


class ReplicaStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One model's process: where it is in its life, how far loading is, what it can and does carry."""

    model: str
    state: str
    stage: str = ""
    done: int = 0
    total: int = 0
    retry_after_s: float = 0.0
    deaths: int = 0
    last_error: str = ""
    capacity: Capacity | None = None
    load: Load | None = None


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """Counts since the start, by model: requests by outcome, and tokens."""

    finished: int = 0
    failed: int = 0
    cancelled: int = 0
    refused: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    generated_tokens: int = 0


class EngineStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Everything `/metrics`, `/readyz` and the operator's page show; keys are model names."""

    draining: bool
    open_requests: int
    replicas: dict[str, ReplicaStatus]
    lines: dict[str, LineStatus]
    totals: dict[str, Totals]
