"""What a crash leaves of a spool file is read up to the cut, and every request is settled once."""

from io import BytesIO

from hypothesis import given
from hypothesis import strategies as st
from tests.records.ledger.gateway import receipt

from tramontane.records.ledger.frames import Entry, entries, frame, settled

ENTRIES = st.lists(
    st.builds(
        lambda kind, number: Entry(kind, receipt(f"r{number}")),
        st.sampled_from(["begun", "over"]),
        st.integers(0, 8),
    ),
    max_size=20,
)


@given(ENTRIES)
def test_what_was_written_is_read(written: list[Entry]) -> None:
    assert list(entries(BytesIO(b"".join(map(frame, written))))) == written


@given(ENTRIES, st.integers(0))
def test_a_cut_loses_only_what_is_behind_it(written: list[Entry], cut: int) -> None:
    data = b"".join(map(frame, written))
    cut %= len(data) + 1
    read = list(entries(BytesIO(data[:cut])))
    assert read == written[: len(read)]
    assert len(b"".join(map(frame, written[: len(read) + 1]))) > cut or len(read) == len(written)


@given(ENTRIES.filter(bool), st.integers(0), st.integers(1, 255))
def test_a_changed_byte_is_never_taken_for_a_receipt(written: list[Entry], position: int, change: int) -> None:
    data = bytearray(b"".join(map(frame, written)))
    data[position % len(data)] ^= change
    read = list(entries(BytesIO(data)))
    assert read == written[: len(read)]
    assert len(read) < len(written)


@given(st.binary(max_size=300))
def test_any_bytes_can_be_read(data: bytes) -> None:
    list(entries(BytesIO(data)))


@given(ENTRIES)
def test_every_request_is_settled_and_what_it_said_itself_comes_first(written: list[Entry]) -> None:
    first: dict[tuple[str, str, str], str | None] = {}
    for receipt_ in settled(written):
        first.setdefault(receipt_.identity, receipt_.error_code)
    over = {entry.receipt.identity for entry in written if entry.kind == "over"}
    assert first.keys() == {entry.receipt.identity for entry in written}
    for identity, error_code in first.items():
        assert (error_code == "interrupted") == (identity not in over)
