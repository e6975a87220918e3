"""One receipt per request: through batches, full databases, restarts and kills."""

import asyncio
import resource
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import text
from tests.records.ledger import gateway
from tests.records.ledger.gateway import CALLER, receipt
from tests.waiting import until, wait_until

from tramontane.engine import ports
from tramontane.foundation.errors import Overloaded
from tramontane.foundation.nouns import Spend
from tramontane.foundation.store.database import Database
from tramontane.foundation.store.errors import StorageBusy
from tramontane.records.ledger import Receipt, ReceiptBook, book, usage
from tramontane.records.ledger.nouns import MAX_SPENT

KILLS = 4
ENOUGH = 60
MANY = 50_000


def stored(database: Database) -> dict[str, tuple[str, str | None]]:
    with database.read() as connection:
        rows = connection.execute(text("SELECT request_id, outcome, error_code FROM receipt")).all()
    assert len({row.request_id for row in rows}) == len(rows)
    return {row.request_id: (row.outcome, row.error_code) for row in rows}


def left(spool: Path) -> list[Path]:
    return list(spool.rglob("*"))


async def drained(ledger: ReceiptBook) -> None:
    await until(lambda: not ledger.waiting)


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    return tmp_path / "spool"


async def test_posted_receipts_arrive_by_themselves(database: Database, spool: Path) -> None:
    ledger = ReceiptBook(database, spool, interval_s=0.01)
    assert await ledger.start() == 0
    for number in range(2500):
        ledger.post(receipt(f"r{number}"))
    await drained(ledger)
    assert len(stored(database)) == 2500
    ledger.post(receipt("late"))
    await ledger.close()
    assert "late" in stored(database)
    assert left(spool) == []


async def test_the_same_request_leaves_one_receipt(database: Database, spool: Path) -> None:
    ledger = ReceiptBook(database, spool)
    await ledger.start()
    for _ in range(2):
        ledger.begin(receipt("twice"))
        ledger.post(receipt("twice"))
        await ledger.flush()
        ledger.post(receipt("twice", outcome="failed", error_code="late"))
        await ledger.flush()
    await ledger.close()
    assert stored(database) == {"twice": ("finished", None)}


async def test_what_the_engine_tells_becomes_one_row_and_a_wrong_word_is_said(database: Database, spool: Path) -> None:
    ledger = ReceiptBook(database, spool)
    await ledger.start()
    told = ports.Receipt(
        caller=CALLER, request_id="a", time_ns=1000, model="m", kind="chat", dialect="openai", outcome="cancelled",
        error_code="cancelled", spend=Spend(prompt_tokens=3, decode_ns=5),
    )  # fmt: skip
    ledger.begin(told)
    ledger.post(told)
    with pytest.raises(msgspec.ValidationError):
        ledger.post(Spend())
    with pytest.raises(msgspec.ValidationError):
        ledger.post(msgspec.structs.replace(told, request_id="b", outcome="perhaps"))
    await ledger.close()
    assert stored(database) == {"a": ("cancelled", "cancelled")}
    (sums,) = usage(database, CALLER)
    assert (sums.workspace, sums.key, sums.model) == (CALLER.workspace_id, CALLER.key_id, "m")
    assert (sums.cancelled, sums.prompt_tokens, sums.generated_tokens, sums.decode_ns) == (1, 3, 0, 5)


async def test_nothing_a_caller_names_can_spoil_a_batch(database: Database, spool: Path) -> None:
    ledger = ReceiptBook(database, spool)
    await ledger.start()
    names = ["zero\0byte", "half \ud83d character", "x" * 100_000, "'; DROP TABLE receipt; --", "漢字😀"]
    for number, name in enumerate(names):
        ledger.post(receipt(f"r{number}", model=name, outcome="refused", error_code="not_found"))
    ledger.post(msgspec.structs.replace(receipt("huge"), prompt_tokens=2**80, queued_ns=-5))
    await ledger.close()
    assert len(stored(database)) == len(names) + 1
    huge = next(row for row in usage(database, CALLER) if row.model == "m")
    assert (huge.prompt_tokens, huge.queued_ns) == (MAX_SPENT, 0)


async def test_what_the_database_refuses_waits_and_new_work_is_refused(
    database: Database, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = ReceiptBook(database, spool, interval_s=0.001, capacity=10)
    await ledger.start()
    monkeypatch.setattr(book, "RETRY_S", 0.001)
    original = ledger._add
    tried = _take_down(ledger, monkeypatch)
    for number in range(10):
        ledger.ensure_room()
        ledger.post(receipt(f"r{number}"))
    # Of two tries the first one's end is known.
    await until(lambda: len(tried) > 1)
    with pytest.raises(Overloaded, match="somebody holds it"):
        ledger.ensure_room()
    ledger.post(receipt("running already"))
    assert stored(database) == {}
    monkeypatch.setattr(ledger, "_add", original)
    await ledger.close()
    assert len(stored(database)) == 11
    assert left(spool) == []


async def test_fifty_thousand_receipts_outlast_a_store_that_is_down(
    database: Database, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = ReceiptBook(database, spool, interval_s=0.001)
    await ledger.start()
    monkeypatch.setattr(book, "RETRY_S", 0.001)
    tried = _take_down(ledger, monkeypatch)
    for number in range(MANY):
        ledger.post(receipt(f"r{number}"))
        if number % 500 == 0:
            await asyncio.sleep(0.002)
    await until(lambda: len(tried) > 5)
    assert (ledger.waiting, ledger.lost) == (MANY, 0)
    assert len(ledger._pending) <= 2 * book.CAPACITY
    monkeypatch.undo()
    await drained(ledger)
    await ledger.close()
    with database.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM receipt")).scalar_one() == MANY
    assert left(spool) == []


@pytest.mark.parametrize("ends", ["closed", "killed"])
async def test_what_memory_did_not_hold_is_found_at_the_next_start(
    database: Database, spool: Path, monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    first = ReceiptBook(database, spool, interval_s=0.001, capacity=10)
    await first.start()
    _take_down(first, monkeypatch)
    for number in range(3000):
        first.post(receipt(f"r{number}"))
    first.begin(receipt("cut"))
    if ends == "closed":
        await first.close()
    else:
        assert first._task is not None
        first._task.cancel()
        first._spool.close()
    second = ReceiptBook(database, spool)
    assert await second.start() == 3001
    await second.close()
    found = stored(database)
    assert found.pop("cut") == ("failed", "interrupted")
    assert set(found.values()) == {("finished", None)} and len(found) == 3000
    assert left(spool) == []


async def test_new_receipts_go_on_arriving_while_the_spool_is_fed(
    database: Database, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = ReceiptBook(database, spool, interval_s=0.001, capacity=100)
    await ledger.start()
    monkeypatch.setattr(book, "RETRY_S", 0.001)
    _take_down(ledger, monkeypatch)
    for number in range(5000):
        ledger.post(receipt(f"r{number}"))
    monkeypatch.undo()
    for number in range(5000, 6000):
        ledger.post(receipt(f"r{number}"))
        await asyncio.sleep(0.0001)
    await drained(ledger)
    await ledger.close()
    assert (len(stored(database)), ledger.lost) == (6000, 0)


def _take_down(ledger: ReceiptBook, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let the store refuse; gives a list that grows by each try's size."""
    tried: list[int] = []

    def refuse(receipts: list[Receipt]) -> None:
        tried.append(len(receipts))
        raise StorageBusy("somebody holds it", retry_after_s=1)

    monkeypatch.setattr(ledger, "_add", refuse)
    return tried


async def test_what_could_not_be_written_at_the_end_is_found_at_the_next_start(
    database: Database, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = ReceiptBook(database, spool)
    await first.start()

    def refuse(receipts: list[Receipt]) -> None:
        raise StorageBusy("somebody holds it", retry_after_s=1)

    monkeypatch.setattr(first, "_add", refuse)
    first.begin(receipt("cut"))
    first.begin(receipt("over"))
    first.post(receipt("over"))
    await first.close()
    second = ReceiptBook(database, spool)
    assert await second.start() == 2
    assert stored(database) == {"over": ("finished", None), "cut": ("failed", "interrupted")}
    await second.close()
    assert left(spool) == []


async def test_a_living_gateways_spool_is_left_alone(database: Database, spool: Path) -> None:
    first, second = ReceiptBook(database, spool), ReceiptBook(database, spool)
    await first.start()
    first.begin(receipt("running"))
    assert await second.start() == 0
    first.post(receipt("running"))
    await first.close()
    await second.close()
    assert stored(database) == {"running": ("finished", None)}


async def test_long_requests_stay_begun_over_many_batches(database: Database, spool: Path) -> None:
    ledger = ReceiptBook(database, spool)
    await ledger.start()
    ledger.begin(receipt("long"))
    for number in range(5):
        ledger.post(receipt(f"short{number}"))
        await ledger.flush()
    assert sum(path.suffix == ".frames" for path in left(spool)) == 1
    ledger._spool.close()
    ledger._task.cancel()
    second = ReceiptBook(database, spool)
    assert await second.start() == 1
    assert stored(database)["long"] == ("failed", "interrupted")
    await second.close()


async def test_a_full_disk_under_the_spool_loses_nothing_while_the_database_lives(
    database: Database, spool: Path
) -> None:
    ledger = ReceiptBook(database, spool, interval_s=0.01)
    await ledger.start()
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, before[1]))
    try:
        for number in range(50):
            ledger.begin(receipt(f"r{number}"))
            ledger.post(receipt(f"r{number}"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    for number in range(50, 60):
        ledger.post(receipt(f"r{number}"))
    await ledger.close()
    assert set(stored(database)) == {f"r{number}" for number in range(60)}


async def test_kill_9_leaves_exactly_one_receipt_for_every_request(
    address: str, database: Database, spool: Path, tmp_path: Path
) -> None:
    witness = tmp_path / "witness"
    witness.touch()
    for round_ in range(KILLS):
        _run_until_killed(address, spool, f"g{round_}-", witness)
    ledger = ReceiptBook(database, spool)
    await ledger.start()
    await ledger.close()
    lines = [line.split() for line in witness.read_text().rpartition("\n")[0].split("\n")]
    over = {request_id for kind, request_id in lines if kind == "over"}
    begun = {request_id for kind, request_id in lines if kind == "begun"}
    assert len(over) >= KILLS * ENOUGH // 2
    found = stored(database)
    finished = {request_id for request_id, end in found.items() if end == ("finished", None)}
    interrupted = {request_id for request_id, end in found.items() if end == ("failed", "interrupted")}
    assert over <= finished
    assert begun <= interrupted
    assert len(found) == len(finished) + len(interrupted) <= len(lines) + KILLS
    assert left(spool) == []


def told(witness: Path) -> int:
    return witness.read_text().count("\n")


def _run_until_killed(address: str, spool: Path, prefix: str, witness: Path) -> None:
    before = told(witness)
    process = subprocess.Popen([sys.executable, gateway.__file__, address, str(spool), prefix, str(witness)])
    try:
        wait_until(lambda: process.poll() is not None or told(witness) >= before + ENOUGH, every_s=0.003)
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()
