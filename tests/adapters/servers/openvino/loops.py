"""Loops over the fake model, and requests for them, as the tests of the loop need them."""

import random
from typing import Any

from hypothesis import settings
from tests.fakes.paged_model import FakePagedModel
from tests.fakes.token_requests import token_request

from tramontane.adapters.servers.openvino.loop import EngineLoop
from tramontane.adapters.servers.openvino.request import TokenRequest

FUZZ = settings(max_examples=60, deadline=None)


def loop_over(model: FakePagedModel, **options: Any) -> EngineLoop:
    """A loop whose clock ticks once each time it is read."""
    ticks = iter(range(10**9))
    return EngineLoop(model, **({"clock_ns": lambda: next(ticks)} | options))


def all_blocks_free(loop: EngineLoop) -> bool:
    return not loop._cache.pool.census()[2] and loop.load.cache_used_tokens == 0


def requests_like(chance: random.Random, model: FakePagedModel, count: int, **fields: Any) -> list[TokenRequest]:
    """Requests of mixed lengths with common beginnings, each of which fits the model's cache."""
    common = [chance.randrange(97) for _ in range(24)]
    requests = []
    for index in range(count):
        prompt = common[: chance.randrange(24)] + [chance.randrange(97) for _ in range(chance.randrange(1, 14))]
        room = (model.block_count - 1) * model.block_tokens - len(prompt)
        values = {
            "namespace": chance.choice([b"a", b"b"]),
            "share": chance.choice(["x", "y", "z"]),
            "weight": chance.choice([1, 2]),
            "n": chance.choice([1, 1, 1, 2, 3]),
            "seed": index,
        }
        requests.append(token_request(f"r{index}", prompt, min(chance.randrange(1, 20), room), **(values | fields)))
    return requests


def mixed_loop(chance: random.Random, model: FakePagedModel, **options: Any) -> EngineLoop:
    slots, chunk = chance.choice([1, 2, 4, 8]), chance.choice([1, 3, 8, 32])
    return loop_over(model, **({"max_sequences": slots, "prefill_chunk_tokens": chunk} | options))
