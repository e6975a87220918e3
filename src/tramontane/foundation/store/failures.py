"""Turns what the two database drivers raise into the errors of our tree. Knows their codes and nothing of our tables.

A violated constraint is not a failure of storage: it passes unchanged, and the room that wrote the row says what it means.
"""

import sqlite3

import psycopg
from sqlalchemy import exc

from tramontane.foundation.errors import StorageFull, TramontaneError
from tramontane.foundation.store.errors import OutcomeUnknown, StorageBusy, StorageFailed

FULL = "no room left on the database's disk; free some space, nothing was changed"
BUSY = "the database is held by another process; try again in a moment, nothing was changed"
FAILED = "the database cannot be used at the moment; the operator finds the reason in the log"
UNKNOWN = "the database broke off while saving, so the change may or may not be kept; repeat it with the same key"

DRIVER_ERRORS = (exc.SQLAlchemyError, sqlite3.Error, psycopg.Error)
_SQLITE_BUSY = ("SQLITE_BUSY", "SQLITE_LOCKED")
_SQLITE_FAILED = ("SQLITE_IOERR", "SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_CANTOPEN", "SQLITE_READONLY")
_POSTGRESQL_FULL = ("53100",)
_POSTGRESQL_BUSY = ("40001", "40P01", "55P03", "57014", "25P03", "53300")
_POSTGRESQL_FAILED = ("08", "57P", "58", "53", "XX")


def translate(error: Exception, *, committing: bool = False) -> TramontaneError | None:
    """The error of our tree for a driver's error, or None when it is not storage that failed."""
    if isinstance(error, exc.TimeoutError):
        return StorageBusy(BUSY, retry_after_s=2)
    cause = error.orig if isinstance(error, exc.DBAPIError) else error
    if isinstance(cause, sqlite3.Error):
        return _from_sqlite(cause, committing)
    if isinstance(cause, psycopg.Error):
        return _from_postgresql(cause, committing)
    return None


def is_unsafe(error: Exception) -> bool:
    """Whether the file itself can no longer be trusted: a failed sync or damaged pages. Writing must stop."""
    name = getattr(getattr(error, "orig", error), "sqlite_errorname", "") or ""
    return name.startswith(("SQLITE_IOERR_FSYNC", "SQLITE_IOERR_DIR_FSYNC", "SQLITE_CORRUPT", "SQLITE_NOTADB"))


def _from_sqlite(orig: sqlite3.Error, committing: bool) -> TramontaneError | None:
    name = getattr(orig, "sqlite_errorname", "") or ""
    if name.startswith("SQLITE_FULL"):
        return StorageFull(FULL)
    if name.startswith(_SQLITE_BUSY):
        return StorageBusy(BUSY, retry_after_s=2)
    if name.startswith(_SQLITE_FAILED):
        return OutcomeUnknown(UNKNOWN) if committing else StorageFailed(FAILED, retry_after_s=5)
    return None


def _from_postgresql(orig: psycopg.Error, committing: bool) -> TramontaneError | None:
    state = orig.sqlstate or ""
    if state.startswith(_POSTGRESQL_FULL):
        return StorageFull(FULL)
    if state in _POSTGRESQL_BUSY:
        return StorageBusy(BUSY, retry_after_s=2)
    lost = not state and isinstance(orig, psycopg.OperationalError | psycopg.InterfaceError)
    if lost or state.startswith(_POSTGRESQL_FAILED):
        return OutcomeUnknown(UNKNOWN) if committing else StorageFailed(FAILED, retry_after_s=5)
    return None
