"""What a scrape says after a few requests."""

from typing import Any

import httpx2
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families
from tests.fakes.doors import KEY, fake_doors, scripted
from tests.fakes.engine_room import FakeRoom
from tests.fakes.model_server import FakeModelServer

from tramontane.engine.nouns import RateView, RateViews
from tramontane.entrypoints.api import build_app
from tramontane.entrypoints.api.metrics import NS, Buckets


def chat(text: str, **fields: Any) -> dict[str, Any]:
    return {"model": "fake", "messages": [{"role": "user", "content": text}], **fields}


async def scrape(client: httpx2.AsyncClient) -> dict[tuple[str, ...], float]:
    text = (await client.get("/metrics")).text
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
