"""How the engine stands in Prometheus form: each model's processes, line and outcomes, read at the scrape.

Labels name models, never keys or workspaces: whoever may scrape need not know who asks for what. `metrics` registers it.
"""

from collections.abc import Callable, Iterable, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from tramontane.engine.nouns import EngineStatus, LineStatus, ReplicaStatus
from tramontane.engine.replicas import ReplicaState

OUTCOMES = ("finished", "failed", "cancelled", "refused")


class EngineGauges(Collector):
    """Asks `status` at every scrape and keeps nothing."""

    def __init__(self, status: Callable[[], EngineStatus]) -> None:
        self._status = status

    def collect(self) -> Iterable[Metric]:
        status = self._status()
        yield from _replica_metrics(status.replicas)
        yield from _line_metrics(status.lines)
        outcomes = CounterMetricFamily(
            "tramontane_engine_requests", "Requests the engine is done with", labels=["model", "outcome"]
        )
        for model, totals in status.totals.items():
            for outcome in OUTCOMES:
                # Refused requests may name what does not exist; the engine counts those under no name.
                outcomes.add_metric([model or "unknown", outcome], getattr(totals, outcome))
        yield outcomes
        yield GaugeMetricFamily("tramontane_draining", "1 when no new request is taken", value=int(status.draining))


def _replica_metrics(replicas: Mapping[str, ReplicaStatus]) -> Iterable[Metric]:
    states = GaugeMetricFamily("tramontane_replicas", "Processes of the model by state", labels=["model", "state"])
    for model, one in replicas.items():
        for state in ReplicaState:
            states.add_metric([model, state.value], int(one.state == state))
    yield states
    loads = {name: one.load for name, one in replicas.items() if one.load is not None}
    capacities = {name: one.capacity for name, one in replicas.items() if one.capacity is not None}
    up = {name: int(one.state == ReplicaState.READY) for name, one in replicas.items()}
    yield _gauge("engine_up", "1 when the model answers", up)
    yield _gauge("engine_deaths", "Deaths of the model's process", {n: one.deaths for n, one in replicas.items()})
    yield _gauge("cache_used_tokens", "Tokens cached", {n: load.cache_used_tokens for n, load in loads.items()})
    yield _gauge("cache_tokens", "Tokens the cache holds", {n: one.cache_tokens for n, one in capacities.items()})
    yield _gauge("engine_resident_bytes", "Memory of it", {n: load.resident_bytes for n, load in loads.items()})


def _line_metrics(lines: Mapping[str, LineStatus]) -> Iterable[Metric]:
    yield _gauge("requests_waiting", "Requests in line", {n: line.waiting for n, line in lines.items()})
    yield _gauge("requests_running", "Requests dispatched", {n: line.running for n, line in lines.items()})
    yield _gauge("requests_paused", "Requests paused", {n: line.paused for n, line in lines.items()})
    yield _gauge("queue_limit", "How long the line may get", {n: line.length_limit for n, line in lines.items()})
    waits_s = {n: line.oldest_wait_ms / 1000 for n, line in lines.items()}
    yield _gauge("queue_oldest_wait_seconds", "How long the request longest in line has waited", waits_s)


def _gauge(name: str, text: str, values: Mapping[str, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"tramontane_{name}", text, labels=["model"])
    for model, value in values.items():
        family.add_metric([model], value)
    return family
