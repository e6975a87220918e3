"""What a machine can hold: the verdict follows from the numbers, and the numbers are said."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tramontane.records.catalog.builtin import shipped
from tramontane.records.catalog.fit import fit, least_memory_bytes, need_of
from tramontane.records.catalog.memory import models_memory_bytes, usable_memory_bytes
from tramontane.records.catalog.nouns import Machine

GB = 10**9
CACHE_BYTES = GB // 2
LAPTOP = Machine(memory_total_bytes=16 * GB, memory_available_bytes=12 * GB, disk_free_bytes=100 * GB, cores=8)
ENTRIES = sorted(shipped().entries.values(), key=lambda entry: entry.name)
SIZES = st.integers(0, 400 * GB)
MACHINES = st.builds(
    Machine,
    memory_total_bytes=SIZES,
    memory_available_bytes=SIZES,
    disk_free_bytes=SIZES,
    cores=st.integers(1, 64),
    memory_limit_bytes=SIZES,
)


def test_the_embedded_model_fits_a_laptop() -> None:
    answer = fit(shipped().entries["smollm2-135m-instruct"], LAPTOP, cache_bytes=CACHE_BYTES)
    assert answer.verdict == "fits"
    assert answer.need.cache_tokens == CACHE_BYTES // (2 * 30 * 3 * 64 * 2)


def test_what_does_not_fit_says_by_how_much_and_what_to_do() -> None:
    larger = msgspec.structs.replace(LAPTOP, memory_total_bytes=17 * GB, memory_available_bytes=13 * GB)
    answer = fit(shipped().entries["mistral-nemo-instruct-2407"], larger, cache_bytes=2 * GB)
    assert answer.verdict == "does_not_fit"
    assert answer.reasons[0].startswith("memory: needs 14.")
    assert "13.00 GB can be used" in answer.reasons[0]
    assert "lower [engine] cache_bytes" in answer.reasons[0]
    assert (
        fit(shipped().entries["mistral-large-instruct-2411"], larger, cache_bytes=GB)
        .reasons[0]
        .endswith("choose a smaller model")
    )


def test_a_small_disk_is_an_obstacle_of_its_own() -> None:
    small = msgspec.structs.replace(LAPTOP, disk_free_bytes=5 * GB)
    answer = fit(shipped().entries["mistral-7b-instruct-v0.3"], small, cache_bytes=CACHE_BYTES)
    assert [reason.split(":")[0] for reason in answer.reasons][:1] == ["disk"]
    assert "TRAMONTANE_HOME" in answer.reasons[0]


def test_memory_in_use_is_told_where_freeing_it_would_do() -> None:
    busy = msgspec.structs.replace(LAPTOP, memory_available_bytes=4 * GB)
    answer = fit(shipped().entries["mistral-7b-instruct-v0.3"], busy, cache_bytes=CACHE_BYTES)
    assert answer.verdict == "does_not_fit"
    assert "free memory, 12.00 GB are in use" in answer.reasons[0]


def test_the_need_is_no_less_than_the_embedded_models_were_seen_to_take() -> None:
    """Peaks of real process trees: 944 MB with a full cache of 512 MiB, 545 MB with 128 MiB, 309 MB embedding."""
    chat, embedding = shipped().entries["smollm2-135m-instruct"], shipped().entries["all-minilm-l6-v2"]
    for entry, cache_bytes, seen_bytes in (
        (chat, 512 * 2**20, 944_000_000),
        (chat, 128 * 2**20, 545_000_000),
        (embedding, 512 * 2**20, 309_000_000),
    ):
        assert seen_bytes <= need_of(entry, "openvino", cache_bytes).memory_bytes <= 1.15 * seen_bytes


def test_the_least_a_model_takes_is_known_without_its_weights_too() -> None:
    known = least_memory_bytes("smollm2-135m-instruct", CACHE_BYTES)
    assert known == need_of(shipped().entries["smollm2-135m-instruct"], "openvino", CACHE_BYTES).memory_bytes
    assert CACHE_BYTES < least_memory_bytes("somebody-elses", CACHE_BYTES) < known


def test_an_upstream_model_needs_nothing_here() -> None:
    assert need_of(ENTRIES[0], "upstream", CACHE_BYTES).memory_bytes == 0


@given(st.sampled_from(ENTRIES), MACHINES, st.integers(0, 8 * GB))
def test_the_verdict_follows_from_the_numbers(entry: object, machine: Machine, cache_bytes: int) -> None:
    answer = fit(entry, machine, cache_bytes=cache_bytes)  # type: ignore[arg-type]
    holds = answer.need.memory_bytes <= answer.memory_bytes and answer.need.disk_bytes <= answer.disk_bytes
    assert (answer.verdict != "does_not_fit") == holds
    assert bool(answer.reasons) or answer.verdict == "fits"


@given(st.sampled_from(ENTRIES), MACHINES, SIZES)
def test_more_memory_never_makes_it_worse(entry: object, machine: Machine, more: int) -> None:
    larger = msgspec.structs.replace(
        machine,
        memory_total_bytes=machine.memory_total_bytes + more,
        memory_available_bytes=machine.memory_available_bytes + more,
    )
    order = ["does_not_fit", "tight", "fits"]
    before = fit(entry, machine, cache_bytes=CACHE_BYTES).verdict  # type: ignore[arg-type]
    after = fit(entry, larger, cache_bytes=CACHE_BYTES).verdict  # type: ignore[arg-type]
    assert order.index(after) >= order.index(before)


@given(MACHINES)
def test_usable_memory_is_never_more_than_is_there_or_allowed(machine: Machine) -> None:
    assert 0 <= usable_memory_bytes(machine) <= min(machine.memory_available_bytes, models_memory_bytes(machine))


def test_all_models_together_have_the_operators_limit_or_four_fifths() -> None:
    assert models_memory_bytes(LAPTOP) == 12_800_000_000
    assert models_memory_bytes(msgspec.structs.replace(LAPTOP, memory_limit_bytes=3 * GB)) == 3 * GB
