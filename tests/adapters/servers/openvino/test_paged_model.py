"""Stepping: contradictory steps are refused before native code sees them, and waiting lets other threads run."""

import dataclasses
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from tests.fakes.decoder_reference import random_config, random_weights
from tests.fakes.model_files import write_folder
from tests.fakes.steps import Line, step_of
from tests.waiting import wait_until

from tramontane.adapters.servers.openvino.errors import StepRefused
from tramontane.adapters.servers.openvino.paged_model import PagedModel
from tramontane.adapters.servers.openvino.prepare import prepare
from tramontane.adapters.servers.openvino.steps import StepInput
from tramontane.foundation.progress import silent

CACHE_BYTES = 4_000_000


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> PagedModel:
    folder = tmp_path_factory.mktemp("models")
    config = random_config("llama", num_hidden_layers=8, hidden_size=256, intermediate_size=1024)
    prepare(write_folder(folder / "source", config, random_weights(config)), folder / "ready", silent)
    return PagedModel.load(folder / "ready", CACHE_BYTES)


def good_step() -> StepInput:
    lines = [(Line([3, 4]), list(range(40))), (Line([7]), list(range(5)))]
    return step_of(lines, 32, [39, 44])


def i32(*values: int) -> np.ndarray:
    return np.array(values, np.int32)


def i64(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("tokens", np.full(45, 320, np.int64)),
        ("tokens", np.full(45, -1, np.int64)),
        ("positions", i64(0)),
        ("past_lens", i32(0, -1)),
        ("past_lens", i32(30, 0)),
        ("past_lens", i32(0)),
        ("begins", i32(0, 40)),
        ("begins", i32(0, 0, 45)),
        ("begins", i32(0, 40, 46)),
        ("block_indices", i32(3, 4, 100_000)),
        ("block_indices", i32(3, 4, -1)),
        ("block_begins", i32(0, 1, 3)),
        ("block_begins", i32(0, 3, 3)),
        ("max_context_len", 39),
        ("sampled", i64(39, 45)),
        ("sampled", i64(-1, 0)),
        ("sampled", i64(39)),
    ],
)
def test_a_contradictory_step_is_refused(model: PagedModel, field: str, value: object) -> None:
    with pytest.raises(StepRefused, match="step: "):
        model.step(dataclasses.replace(good_step(), **{field: value}))
    assert np.isfinite(model.step(good_step()).logits).all()


def test_a_step_without_sampled_rows_returns_none(model: PagedModel) -> None:
    output = model.step(step_of([(Line([3, 4]), list(range(40)))], 32, []))
    assert output.logits.shape == (0, 320) and output.top_values.shape == (0, 64) and output.lse.shape == (0,)


def test_the_same_step_twice_gives_the_same_bits(model: PagedModel) -> None:
    before = model.step(good_step()).logits.copy()
    model.step(step_of([(Line([9]), list(range(20, 40)))], 32, [0]))
    np.testing.assert_array_equal(model.step(good_step()).logits, before)


def test_the_cache_fills_its_budget_and_no_more(model: PagedModel) -> None:
    assert CACHE_BYTES - model.bytes_per_block < model.block_count * model.bytes_per_block <= CACHE_BYTES
    assert model.block_tokens == 32


def test_other_threads_run_while_a_step_computes(model: PagedModel) -> None:
    """Nobody is made to give up the interpreter's lock here, so the ticker runs only where it is given up."""
    ticks, done, switching = [0], threading.Event(), sys.getswitchinterval()

    def tick() -> None:
        while not done.is_set():
            ticks[0] += 1
            time.sleep(0)

    step = step_of([(Line(list(range(8))), [token % 320 for token in range(256)])], 32, [255])

    def ticked_meanwhile() -> bool:
        model.start(step)
        before = ticks[0]
        model.wait()
        return ticks[0] > before

    ticker = threading.Thread(target=tick)
    sys.setswitchinterval(3600)
    try:
        ticker.start()
        wait_until(ticked_meanwhile)
    finally:
        sys.setswitchinterval(switching)
        done.set()
        ticker.join()


def test_the_engine_process_needs_no_model_readers() -> None:
    program = "import sys, tramontane.adapters.servers.openvino.paged_model; print('gguf' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"
