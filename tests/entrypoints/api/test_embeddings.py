"""Vectors as numbers, bytes and bits."""

import base64
from typing import Any

import httpx2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.engine_room import FakeRoom

from tramontane.entrypoints.api.dialects.embeddings import MOST_INPUTS, quantise, write_vector

ROWS = st.lists(st.floats(-1, 1, width=32), min_size=8, max_size=64).map(
    lambda values: np.array(values, "<f4").tobytes()
)


@given(ROWS)
def test_bytes_stay_near_the_floats(row: bytes) -> None:
    vector = np.frombuffer(row, "<f4")
    assert np.abs(quantise(row, "int8").astype(float) / 127 - vector).max() <= 0.5 / 127 + 1e-6
    assert np.abs(quantise(row, "uint8").astype(float) / 127.5 - 1 - vector).max() <= 0.5 / 127.5 + 1e-6


@given(ROWS)
def test_bits_are_the_signs(row: bytes) -> None:
    vector = np.frombuffer(row, "<f4")
    bits = np.unpackbits(quantise(row, "ubinary"))[: len(vector)]
    assert (bits.astype(bool) == (vector > 0)).all()
    assert (quantise(row, "binary").astype(int) + 128 == quantise(row, "ubinary")).all()


@given(ROWS)
def test_base64_is_the_same_vector(row: bytes) -> None:
    encoded = write_vector(row, "float", "base64")
    assert base64.b64decode(encoded) == row  # type: ignore[arg-type]
    assert write_vector(row, "float", "float") == np.frombuffer(row, "<f4").tolist()


@pytest.mark.parametrize("field", ["output_dimension", "dimensions"])
async def test_the_size_may_be_chosen(client: httpx2.AsyncClient, room: FakeRoom, field: str) -> None:
    answer = await client.post("/v1/embeddings", json={"model": "fake", "input": "one", field: 4})
    assert len(answer.json()["data"][0]["embedding"]) == 4
    assert room.asks[-1].dimensions == 4  # type: ignore[union-attr]
    too_many = await client.post("/v1/embeddings", json={"model": "fake", "input": "one", field: 9})
    assert too_many.status_code == 400


@pytest.mark.parametrize(
    "fields",
    [
        {"input": ""},
        {"input": []},
        {"input": [""]},
        {"input": [[]]},
        {"input": ["a", 1]},
        {"input": [-1]},
        {"input": None},
        {"input": ["a"] * (MOST_INPUTS + 1)},
        {"input": "a", "encoding_format": "hex"},
        {"input": "a", "output_dtype": "int4"},
        {"input": "a", "output_dimension": 0},
        {"input": "a", "output_dtype": "binary", "output_dimension": 7},
    ],
)
async def test_wrong_requests_are_named(client: httpx2.AsyncClient, fields: dict[str, Any]) -> None:
    answer = await client.post("/v1/embeddings", json={"model": "fake", **fields})
    assert answer.status_code == 422


async def test_token_lists_are_inputs(client: httpx2.AsyncClient, room: FakeRoom) -> None:
    for written, read in (
        ([1, 2], ((1, 2),)),
        ([[1, 2], [3]], ((1, 2), (3,))),
        (["a", "b"], ("a", "b")),
        ("a", ("a",)),
    ):
        answer = await client.post("/openai/v1/embeddings", json={"model": "fake", "input": written})
        assert [row["index"] for row in answer.json()["data"]] == list(range(len(read)))
        assert room.asks[-1].inputs == read  # type: ignore[union-attr]
