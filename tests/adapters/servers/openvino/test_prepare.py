"""A prepared folder holds the rounded weights, appears whole or not at all, and its distance is measured."""

import errno
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tests.fakes.decoder_reference import random_config, random_weights, reference_logits, rounded_to_int8_rows
from tests.fakes.model_files import write_folder
from tests.fakes.steps import Line, step_of

from tramontane.adapters.servers.openvino import distance, prepare
from tramontane.adapters.servers.openvino.errors import CacheTooSmall, ModelFileError
from tramontane.adapters.servers.openvino.paged_model import PagedModel
from tramontane.adapters.servers.openvino.prepared import MANIFEST_FILE, WEIGHTS_FILE, read_manifest
from tramontane.foundation.errors import StorageFull
from tramontane.foundation.progress import silent

CONFIG = random_config("qwen2", intermediate_size=128)
PROMPT = [int(token) for token in np.random.default_rng(1).integers(0, 320, 50)]
CACHE_BYTES = 4_000_000


def as_bytes(text: str) -> list[int]:
    return list(text.encode())


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "source", CONFIG, random_weights(CONFIG))


@given(
    hnp.arrays(
        np.float32,
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=20),
        elements=st.floats(-100, 100, width=32, allow_subnormal=False).filter(lambda x: x == 0 or abs(x) > 1e-20),
    )
)
def test_rounding_errs_by_at_most_half_a_step(rows: np.ndarray) -> None:
    rounded, scale = prepare.quantized_rows(rows)
    assert rounded.dtype == np.int8 and scale.shape == (len(rows), 1)
    assert (np.abs(rounded * scale - rows) <= scale * 0.50001).all()


def test_a_prepared_model_computes_with_its_rounded_weights(source: Path, tmp_path: Path) -> None:
    prepare.prepare(source, tmp_path / "ready", silent)
    model = PagedModel.load(tmp_path / "ready", CACHE_BYTES)
    output = model.step(step_of([(Line(list(range(8))), PROMPT)], model.block_tokens, range(50)))
    expected = reference_logits(CONFIG, rounded_to_int8_rows(random_weights(CONFIG)), PROMPT)
    noise = np.sqrt(((output.logits - expected) ** 2).mean()) / expected.std()
    assert noise < 0.05  # the activations are rounded too, so near, not equal


def test_the_distance_is_small_and_the_manifest_tells_it(source: Path, tmp_path: Path) -> None:
    stages: list[str] = []
    manifest = prepare.prepare(source, tmp_path / "ready", lambda stage, *_: stages.append(stage), as_bytes)
    measured = manifest.distance
    assert measured.tokens == CONFIG["max_position_embeddings"]
    assert measured.nats == pytest.approx(measured.prepared_nats - measured.exact_nats)
    assert abs(measured.nats) < 0.2
    assert read_manifest(tmp_path / "ready") == manifest
    assert list(dict.fromkeys(stages)) == ["rounding weights", "measuring the distance"]


def test_nats_are_those_of_the_reference(source: Path) -> None:
    tokens = as_bytes(distance.held_text())[:200]
    measured, reason = distance.exact_nats(prepare.open_source(source), tokens)
    logits = reference_logits(CONFIG, random_weights(CONFIG), tokens).astype(np.float64)[:-1]
    chosen = logits[np.arange(199), tokens[1:]]
    assert reason == "" and measured == pytest.approx(np.mean(np.log(np.exp(logits).sum(1)) - chosen), rel=1e-3)


def test_without_room_for_the_exact_weights_the_reason_is_told(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distance, "_COPIES_OF_EXACT_WEIGHTS", 10**12)
    manifest = prepare.prepare(source, tmp_path / "ready", silent, as_bytes)
    assert manifest.distance.nats is None and "GB are available" in manifest.distance.reason
    assert PagedModel.load(tmp_path / "ready", CACHE_BYTES).block_count > 0


def test_preparing_again_replaces_the_folder(source: Path, tmp_path: Path) -> None:
    prepare.prepare(source, tmp_path / "ready", silent)
    (tmp_path / "ready" / "stale").touch()
    prepare.prepare(source, tmp_path / "ready", silent)
    assert sorted(path.name for path in (tmp_path / "ready").iterdir()) == sorted([MANIFEST_FILE, WEIGHTS_FILE])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ready", "source"]


def test_a_failure_halfway_leaves_the_old_folder_alone(source: Path, tmp_path: Path) -> None:
    prepare.prepare(source, tmp_path / "ready", silent)
    before = (tmp_path / "ready" / MANIFEST_FILE).read_bytes()

    def full_disk(stage: str, done: int, total: int) -> None:
        if stage == "rounding weights" and done == 5:
            raise OSError(errno.ENOSPC, "no space")

    with pytest.raises(StorageFull):
        prepare.prepare(source, tmp_path / "ready", full_disk)
    assert (tmp_path / "ready" / MANIFEST_FILE).read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ready", "source"]


def test_a_folder_of_another_version_says_so(source: Path, tmp_path: Path) -> None:
    prepare.prepare(source, tmp_path / "ready", silent)
    path = tmp_path / "ready" / MANIFEST_FILE
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 99}))
    with pytest.raises(ModelFileError, match="format 99"):
        PagedModel.load(tmp_path / "ready", CACHE_BYTES)


def test_a_folder_with_the_fields_of_earlier_releases_is_still_read(source: Path, tmp_path: Path) -> None:
    manifest = prepare.prepare(source, tmp_path / "ready", silent)
    path = tmp_path / "ready" / MANIFEST_FILE
    values = json.loads(path.read_text())
    values["architecture"] |= {"bos_ids": [1], "eos_ids": [2, 3]}
    values["recipe"] |= {"weights": "int8-per-row"}
    path.write_text(json.dumps({**values, "source_sha256": "00"}))
    assert read_manifest(tmp_path / "ready") == manifest
    values["architecture"] |= {"experts": 8}
    path.write_text(json.dumps(values))
    with pytest.raises(ModelFileError, match="experts"):
        read_manifest(tmp_path / "ready")


def test_truncated_weights_are_refused(source: Path, tmp_path: Path) -> None:
    prepare.prepare(source, tmp_path / "ready", silent)
    path = tmp_path / "ready" / WEIGHTS_FILE
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ModelFileError, match=r"truncated: expected [\d,]+ bytes of tensor data"):
        PagedModel.load(tmp_path / "ready", CACHE_BYTES)


def test_a_cache_without_room_for_a_block_is_refused(source: Path, tmp_path: Path) -> None:
    prepare.prepare(source, tmp_path / "ready", silent)
    with pytest.raises(CacheTooSmall, match="raise the cache size"):
        PagedModel.load(tmp_path / "ready", 1000)
