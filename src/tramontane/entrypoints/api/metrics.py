"""The doors' measurements in Prometheus form. Observed per request and per step of a stream, never per token.

Latencies of streams go into plain bucket counts that a collector reads, so that a step costs a bisection.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence

from fastapi import APIRouter, Request
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector
from starlette.responses import Response
from starlette.types import Scope

from tramontane.engine.nouns import EngineStatus
from tramontane.entrypoints.api.engine_metrics import EngineGauges
from tramontane.entrypoints.api.policy import public
from tramontane.foundation.clock import Clock
from tramontane.foundation.nouns import Spend

NS = 1_000_000_000
TTFT_BOUNDS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
ITL_BOUNDS_S = (0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.5, 1.0, 5.0)
REQUEST_BOUNDS_S = (0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0)


class Buckets(Collector):
    """A histogram that costs one bisection per observation. Single-threaded use."""

    def __init__(self, name: str, text: str, bounds_s: Sequence[float]) -> None:
        self._name = name
        self._text = text
        self._bounds_ns = [int(bound * NS) for bound in bounds_s]
        self._counts = [0] * (len(bounds_s) + 1)
        self._sum_ns = 0

    def observe_ns(self, duration_ns: int) -> None:
        self._counts[bisect_left(self._bounds_ns, duration_ns)] += 1
        self._sum_ns += duration_ns

    def collect(self) -> Iterable[Metric]:
        running = 0
        rows = []
        for bound, count in zip([*self._bounds_ns, None], self._counts, strict=True):
            running += count
            rows.append(("+Inf" if bound is None else str(bound / NS), running))
        family = HistogramMetricFamily(self._name, self._text)
        family.add_metric([], rows, sum_value=self._sum_ns / NS)
        yield family


class Metrics:
    """One application's measurements; a registry of its own, so that two applications in a process do not meet."""

    def __init__(self, status: Callable[[], EngineStatus]) -> None:
        self.registry = CollectorRegistry()
        self.first_token = Buckets("tramontane_ttft_seconds", "From arrival to the first token", TTFT_BOUNDS_S)
        self.between_steps = Buckets("tramontane_itl_seconds", "Between two steps of a stream", ITL_BOUNDS_S)
        self.streams = Gauge("tramontane_streams_open", "Streams being written", registry=self.registry)
        self._requests = Counter(
            "tramontane_requests", "Requests answered", ["route", "method", "status"], registry=self.registry
        )
        self._seconds = Histogram(
            "tramontane_request_seconds", "From arrival to the last byte", ["route"], buckets=REQUEST_BOUNDS_S,
            registry=self.registry,
        )  # fmt: skip
        self._tokens = Counter("tramontane_tokens", "Tokens by kind", ["model", "kind"], registry=self.registry)
        # Looking a labelled child up by its words costs more than counting on it.
        self._answered: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self._by_model: dict[str, tuple[Counter, ...]] = {}
        for collector in (self.first_token, self.between_steps, EngineGauges(status)):
            self.registry.register(collector)

    def answered(self, scope: Scope, status: int, duration_ns: int) -> None:
        """One request is over; status 0 when the client left before an answer."""
        path = getattr(scope.get("route"), "path", "other")
        key = (path, scope["method"] if path != "other" else "other", status)
        counted = self._answered.get(key)
        if counted is None:
            children = self._requests.labels(path, key[1], str(status)), self._seconds.labels(path)
            counted = self._answered[key] = children
        counted[0].inc()
        counted[1].observe(duration_ns / NS)

    def spent(self, model: str, spend: Spend) -> None:
        """Tokens of one finished request. `model` is a name the engine has accepted, so labels stay few."""
        kinds = self._by_model.get(model)
        if kinds is None:
            kinds = tuple(self._tokens.labels(model, kind) for kind in ("prompt", "cached", "generated"))
            self._by_model[model] = kinds
        for child, count in zip(kinds, (spend.prompt_tokens, spend.cached_tokens, spend.generated_tokens), strict=True):
            child.inc(count)


class StreamMeter:
    """Times one stream: the first step from `begun_ns`, the others from the step before."""

    def __init__(self, metrics: Metrics, clock: Clock, begun_ns: int) -> None:
        self._metrics = metrics
        self._now_ns = clock.monotonic_ns
        self._last_ns = begun_ns
        self._observe = metrics.first_token.observe_ns

    def opened(self) -> None:
        self._metrics.streams.inc()

    def step(self) -> None:
        """One write of the stream."""
        now_ns = self._now_ns()
        self._observe(now_ns - self._last_ns)
        self._last_ns = now_ns
        self._observe = self._metrics.between_steps.observe_ns

    def closed(self, model: str, spend: Spend | None) -> None:
        self._metrics.streams.dec()
        if spend is not None:
            self._metrics.spent(model, spend)


def add_routes(routes: APIRouter, metrics: Metrics) -> None:
    @routes.get("/metrics", tags=["operations"], response_class=Response, summary="Measurements for Prometheus")
    @public
    async def read_metrics(request: Request) -> Response:
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)
