"""What a scrape says after a few requests."""

from typing import Any

import httpx2
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from tests.fakes.doors import KEY, fake_doors, scripted
from tests.fakes.engine_room import FakeRoom
from tests.fakes.model_server import FakeModelServer

from tramontane.engine.nouns import EngineStatus, LineStatus, RateView, RateViews, ReplicaStatus, Totals
from tramontane.engine.replicas import ReplicaState
from tramontane.entrypoints.api import build_app
from tramontane.entrypoints.api.metrics import NS, Buckets, Metrics


def chat(text: str, **fields: Any) -> dict[str, Any]:
    return {"model": "fake", "messages": [{"role": "user", "content": text}], **fields}


async def scrape(client: httpx2.AsyncClient) -> dict[tuple[str, ...], float]:
    return samples_of((await client.get("/metrics")).text)


def samples_of(text: str) -> dict[tuple[str, ...], float]:
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {(sample.name, *sorted(sample.labels.values())): sample.value for sample in samples}


async def test_requests_tokens_and_latencies_are_counted(client: httpx2.AsyncClient) -> None:
    await client.post("/v1/chat/completions", json=chat("hello"))
    await client.post("/v1/chat/completions", json=chat("hello", stream=True))
    await client.post("/v1/chat/completions", json=chat("hello", temperature=9))
    await client.get("/anything/at/all")
    seen = await scrape(client)
    assert seen["tramontane_requests_total", "/v1/chat/completions", "200", "POST"] == 2
    assert seen["tramontane_requests_total", "/v1/chat/completions", "422", "POST"] == 1
    assert seen["tramontane_requests_total", "404", "other", "other"] == 1
    assert seen["tramontane_tokens_total", "fake", "generated"] == 10
    assert seen["tramontane_tokens_total", "fake", "prompt"] == 2
    assert seen["tramontane_ttft_seconds_count",] == 1
    assert seen["tramontane_itl_seconds_count",] == 5
    assert seen["tramontane_streams_open",] == 0
    assert seen["tramontane_engine_up", "fake"] == 1
    assert seen["tramontane_cache_tokens", "fake"] == 65536


def standing() -> EngineStatus:
    """One model in each state, one of them with a line."""
    line = LineStatus(
        waiting=3, running=2, paused=1, waiting_by_workspace={"ws_secret": 3}, running_by_workspace={"ws_secret": 2},
        length_limit=512, oldest_wait_ms=1500, work_per_s=None,
    )  # fmt: skip
    return EngineStatus(
        draining=True,
        open_requests=6,
        replicas={state.value: ReplicaStatus(model=state.value, state=state.value) for state in ReplicaState},
        lines={"ready": line},
        totals={"ready": Totals(finished=7, failed=1), "": Totals(refused=4)},
    )


def test_lines_and_processes_are_told_by_model_and_nothing_else() -> None:
    text = generate_latest(Metrics(standing).registry).decode()
    seen = samples_of(text)
    for model in ReplicaState:
        states = {
            sample.labels["state"]: sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == "tramontane_replicas" and sample.labels["model"] == model
        }
        assert states == {state.value: float(state is model) for state in ReplicaState}
        assert seen["tramontane_engine_up", model.value] == (model is ReplicaState.READY)
    names = ("requests_waiting", "requests_running", "requests_paused", "queue_limit", "queue_oldest_wait_seconds")
    assert [seen[f"tramontane_{name}", "ready"] for name in names] == [3, 2, 1, 512, 1.5]
    assert seen["tramontane_engine_requests_total", "finished", "ready"] == 7
    assert seen["tramontane_engine_requests_total", "refused", "unknown"] == 4
    assert seen["tramontane_draining",] == 1
    assert "ws_secret" not in text


@given(st.lists(st.integers(0, 10 * NS), max_size=30))
def test_the_cheap_histogram_counts_like_a_plain_one(durations_ns: list[int]) -> None:
    bounds = (0.001, 0.5, 2.0)
    buckets = Buckets("x", "text", bounds)
    for duration_ns in durations_ns:
        buckets.observe_ns(duration_ns)
    (family,) = buckets.collect()
    counts = {sample.labels["le"]: sample.value for sample in family.samples if sample.name == "x_bucket"}
    for bound in bounds:
        assert counts[str(bound)] == sum(duration <= bound * NS for duration in durations_ns)
    assert counts["+Inf"] == len(durations_ns)
    total = next(sample.value for sample in family.samples if sample.name == "x_sum")
    assert abs(total - sum(durations_ns) / NS) < 1e-6


async def test_limits_that_exist_are_told_on_every_answer() -> None:
    rates = RateViews(
        requests=RateView(limit=60, remaining=59, reset_s=1.0), tokens=RateView(limit=900, remaining=0, reset_s=30.25)
    )
    room = FakeRoom(FakeModelServer("fake", script=scripted), rates=rates)
    transport = httpx2.ASGITransport(app=build_app(fake_doors(room)))
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        client.headers["authorization"] = f"Bearer {KEY}"
        for body in (chat("hello"), chat("hello", stream=True)):
            headers = (await client.post("/v1/chat/completions", json=body)).headers
            assert (headers["x-ratelimit-limit-requests"], headers["x-ratelimit-remaining"]) == ("60", "59")
            assert (headers["x-ratelimit-remaining-tokens"], headers["x-ratelimit-reset-tokens"]) == ("0", "30.250s")


async def test_no_limits_no_headers(client: httpx2.AsyncClient) -> None:
    headers = (await client.post("/v1/chat/completions", json=chat("hello"))).headers
    assert not [name for name in headers if name.startswith("x-ratelimit")]
