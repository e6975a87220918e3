"""Rows to test the store with: one organisation per id, written by tests and by the processes they kill."""

import sys
from pathlib import Path

from sqlalchemy import Connection, text

from tramontane.foundation.store.database import Database

INSERT = text("INSERT INTO organisation (organisation_id, name, created_ns) VALUES (:id, :id, 1)")
ALL = text("SELECT organisation_id FROM organisation")


def insert(connection: Connection, name: str) -> None:
    connection.execute(INSERT, {"id": name})


def add(database: Database, name: str) -> None:
    with database.write() as connection:
        insert(connection, name)


def names(database: Database) -> set[str]:
    with database.read() as connection:
        return set(connection.execute(ALL).scalars())


def write_for_ever(address: str, prefix: str, acknowledged: Path) -> None:
    """Add rows until killed, noting each one in `acknowledged` after its commit."""
    database = Database.open(address)
    with acknowledged.open("a", buffering=1) as file:
        number = 0
        while True:
            name = f"{prefix}{number}"
            add(database, name)
            file.write(name + "\n")
            number += 1


if __name__ == "__main__":
    write_for_ever(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
