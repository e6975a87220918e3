"""Transactions on both databases: what is kept, what is undone, who waits, and what is said when the disk refuses."""

import asyncio
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from tests.foundation.store.accounts import add, insert, names
from tests.postgres import PostgresServer

from tramontane.foundation.errors import Misconfigured, StorageFull
from tramontane.foundation.progress import silent
from tramontane.foundation.store import lanes, sqlite
from tramontane.foundation.store.database import Database
from tramontane.foundation.store.errors import StorageBusy, StorageFailed
from tramontane.foundation.store.postgresql import commit_without_waiting
from tramontane.foundation.store.schema import migrate


def test_a_write_is_there_once_its_block_is_left(database: Database) -> None:
    add(database, "a")
    assert names(database) == {"a"}


def test_an_error_in_the_block_undoes_all_of_it(database: Database) -> None:
    with pytest.raises(KeyError), database.write() as connection:
        insert(connection, "a")
        raise KeyError
    assert names(database) == set()
    add(database, "b")
    assert names(database) == {"b"}


def test_a_violated_constraint_is_not_a_storage_failure(database: Database) -> None:
    add(database, "a")
    with pytest.raises(IntegrityError):
        add(database, "a")
    assert not database.unsafe


def test_foreign_keys_are_enforced(database: Database) -> None:
    with pytest.raises(IntegrityError), database.write() as connection:
        connection.execute(text("INSERT INTO workspace VALUES ('none', 'w', 'w', 1, 1)"))


def test_many_writing_threads_lose_nothing(database: Database) -> None:
    wanted = {f"n{number}" for number in range(60)}
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda name: add(database, name), wanted))
    assert names(database) == wanted


def test_two_processes_worth_of_connections_write_side_by_side(address: str, database: Database) -> None:
    other = Database.open(address)
    try:
        with ThreadPoolExecutor(2) as pool:
            mine = pool.submit(lambda: [add(database, f"m{number}") for number in range(40)])
            theirs = pool.submit(lambda: [add(other, f"t{number}") for number in range(40)])
            mine.result()
            theirs.result()
        assert len(names(database)) == 80
    finally:
        other.close()


async def test_work_off_the_loop_leaves_the_loop_free(database: Database) -> None:
    inside, release = threading.Event(), threading.Event()

    def hold() -> str:
        inside.set()
        release.wait(30)
        return "done"

    holding = asyncio.create_task(database.run(hold))
    assert await asyncio.to_thread(inside.wait, 30)
    release.set()
    assert await holding == "done"


async def test_readers_do_not_stand_behind_a_stuck_writer(database: Database) -> None:
    add(database, "a")
    inside, release = threading.Event(), threading.Event()

    def hold() -> None:
        inside.set()
        release.wait(30)

    stuck = [asyncio.create_task(database.run_write(hold)) for _ in range(8)]
    assert await asyncio.to_thread(inside.wait, 30)
    assert await database.run(names, database) == {"a"}
    release.set()
    await asyncio.gather(*stuck)


async def test_a_full_line_is_refused_at_once() -> None:
    lane = lanes.Lane("test", threads=1, max_waiting=1)
    release = threading.Event()
    waiting = [asyncio.create_task(lane.run(release.wait, 30)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(StorageBusy):
        await lane.run(release.wait, 30)
    release.set()
    await asyncio.gather(*waiting)
    assert await lane.run(int, "7") == 7
    lane.close()


async def test_a_cancelled_caller_never_leaves_a_connection_in_a_conversation(database: Database) -> None:
    wanted = {f"c{number}" for number in range(40)}
    tasks = [asyncio.create_task(database.run_write(add, database, name)) for name in wanted]
    for position, task in enumerate(tasks):
        await asyncio.sleep(0)
        if position % 2:
            task.cancel()
    done = await asyncio.gather(*tasks, return_exceptions=True)
    finished = {name for name, result in zip(wanted, done, strict=True) if result is None}
    assert finished <= await database.run(names, database) <= wanted
    await database.run_write(add, database, "after")
    assert "after" in await database.run(names, database)


def test_a_foreign_lock_stops_writers_with_busy_and_lets_readers_pass(
    address: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    if database.kind == "sqlite":
        other = sqlite3.connect(sqlite.file_of(database.url), isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        shorten = "PRAGMA busy_timeout=50"
    else:
        holder = Database.open(address)
        held = holder.write()
        held.__enter__().execute(text("LOCK TABLE organisation IN EXCLUSIVE MODE"))
        shorten = "SET lock_timeout='50ms'"
    with database.read() as connection:
        connection.exec_driver_sql(shorten)
    with pytest.raises(StorageBusy) as refusal:
        add(database, "a")
    assert refusal.value.retry_after_s >= 1
    assert names(database) == set()
    if database.kind == "sqlite":
        other.close()
    else:
        held.__exit__(None, None, None)
        holder.close()
    add(database, "a")
    assert names(database) == {"a"}


@pytest.mark.parametrize("room_pages", range(1, 10))
def test_a_full_sqlite_disk_is_said_and_undone(tmp_path: Path, room_pages: int) -> None:
    database = Database.open(f"sqlite:///{tmp_path / 't.db'}")
    migrate(database, silent)
    kept: set[str] = set()
    with database.write() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages + room_pages}")
    with pytest.raises(StorageFull):
        for number in range(10_000):
            name = f"{number:04d}" + "x" * 900
            add(database, name)
            kept.add(name)
    assert names(database) == kept
    assert database.check() == []
    with database.write() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count=100000")
    add(database, "after")
    assert names(database) == kept | {"after"}
    database.close()


def test_a_full_postgresql_disk_is_said_and_undone(postgres: PostgresServer) -> None:
    database = Database.open(postgres.create())
    migrate(database, silent)
    with pytest.raises(StorageFull), database.write() as connection:
        insert(connection, "a")
        connection.execute(text("DO $$ BEGIN RAISE EXCEPTION 'no space' USING ERRCODE = '53100'; END $$"))
    assert names(database) == set()
    database.close()


def test_a_damaged_file_stops_writing_for_good(tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    database = Database.open(f"sqlite:///{path}")
    migrate(database, silent)
    database.close()
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    path.write_bytes(data)
    damaged = Database.open(f"sqlite:///{path}")
    with pytest.raises(StorageFailed):
        add(damaged, "a")
    assert damaged.unsafe
    with pytest.raises(StorageFailed, match="writing has stopped"):
        add(damaged, "b")
    damaged.close()


def test_a_lost_connection_is_replaced(postgres: PostgresServer) -> None:
    database = Database.open(postgres.create())
    migrate(database, silent)
    end = text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()")
    with pytest.raises(StorageFailed), database.write() as connection:
        connection.execute(end)
        insert(connection, "a")
    add(database, "b")
    assert names(database) == {"b"}
    database.close()


def test_reading_transactions_cannot_write_on_postgresql(postgres: PostgresServer) -> None:
    database = Database.open(postgres.create())
    migrate(database, silent)
    with pytest.raises(Exception, match="read-only transaction"), database.read() as connection:
        insert(connection, "a")
    database.close()


def test_every_commit_is_synced(database: Database) -> None:
    with database.read() as connection:
        if database.kind == "sqlite":
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2
            assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar_one() == 1
            mode = connection.exec_driver_sql("PRAGMA journal_mode").scalar_one()
            assert mode == ("wal" if sqlite.wal_is_safe(sqlite3.sqlite_version_info) else "truncate")
        else:
            assert connection.exec_driver_sql("SHOW synchronous_commit").scalar_one() != "off"


@pytest.mark.parametrize(
    ("version", "safe"),
    [
        ((3, 40, 1), False),
        ((3, 44, 5), False),
        ((3, 44, 6), True),
        ((3, 45, 9), False),
        ((3, 50, 6), False),
        ((3, 50, 7), True),
        ((3, 51, 2), False),
        ((3, 51, 3), True),
        ((3, 53, 0), True),
        ((4, 0, 0), True),
    ],
)
def test_wal_is_used_only_where_it_is_safe(version: tuple[int, int, int], safe: bool) -> None:
    assert sqlite.wal_is_safe(version) is safe


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    database = Database.open(f"sqlite:///{tmp_path / 'new' / 't.db'}")
    assert (tmp_path / "new" / "t.db").stat().st_mode & 0o077 == 0
    database.close()


@pytest.mark.parametrize("address", ["", "nonsense", "mysql://x/y", "sqlite://", "sqlite:///:memory:"])
def test_an_address_that_cannot_be_is_named(address: str) -> None:
    with pytest.raises(Misconfigured, match="database_url"):
        Database.open(address)


def test_a_commit_without_waiting_is_one_transactions_own(postgres: PostgresServer) -> None:
    database = Database.open(postgres.create())
    asked = text("SHOW synchronous_commit")
    with database.write() as connection:
        commit_without_waiting(connection)
        assert connection.execute(asked).scalar_one() == "off"
    with database.write() as connection:
        assert connection.execute(asked).scalar_one() == "on"
    database.close()
