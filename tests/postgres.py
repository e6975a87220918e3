"""A real PostgreSQL server for the tests: started once per session on a Unix socket, one database per test.

As root it runs under another account, since PostgreSQL refuses root. Without the binaries it fails loudly.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql

from tramontane.foundation.ids import random_word

ACCOUNTS = ("postgres", "nobody")
OPTIONS = "-c fsync=off -c listen_addresses='' -c max_connections=60 -c shared_buffers=32MB"


class PostgresServer:
    """One running server; `create()` gives the address of a fresh, empty database."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._data = folder / "data"

    def start(self) -> None:
        """Make the server's files and run it."""
        self._run("initdb", "-D", str(self._data), "-U", "tester", "-A", "trust", "-E", "UTF8", "--no-sync")
        self.restart()

    def restart(self) -> None:
        """Run it again on the same files."""
        options = f"{OPTIONS} -c unix_socket_directories='{self._folder}'"
        self._run("pg_ctl", "-D", str(self._data), "-l", str(self._folder / "server.log"), "-o", options, "-w", "start")

    def stop(self) -> None:
        """End every process of it at once, as a crash would."""
        self._run("pg_ctl", "-D", str(self._data), "-m", "immediate", "-w", "stop")

    def create(self) -> str:
        name = "t_" + random_word(12).lower()
        with self._connect() as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return f"postgresql://tester@/{name}?host={self._folder}"

    def drop(self, address: str) -> None:
        name = address.split("@/")[1].split("?")[0]
        with self._connect() as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def _connect(self) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(f"host={self._folder} user=tester dbname=postgres", autocommit=True)

    def _run(self, program: str, *arguments: str) -> None:
        command = [*_as_account(), str(_binary(program)), *arguments]
        done = subprocess.run(
            command, cwd="/", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120
        )
        if done.returncode:
            raise RuntimeError(f"{program} failed:\n{done.stdout}")


@contextmanager
def running_server() -> Iterator[PostgresServer]:
    """A server from here to the end of the block, its files removed afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="tm-pg-", dir="/tmp"))
    try:
        if os.getuid() == 0:
            account = _account()
            os.chown(folder, account.pw_uid, account.pw_gid)
        server = PostgresServer(folder)
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _binary(program: str) -> Path:
    """The program beside the newest installed server, else from the search path."""
    installed = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{program}"), key=lambda path: int(path.parts[4]))
    found = str(installed[-1]) if installed else shutil.which(program)
    if not found:
        raise RuntimeError(f"{program} is missing: the tests need PostgreSQL, install the package `postgresql`")
    return Path(found)


def _as_account() -> list[str]:
    if os.getuid() != 0:
        return []
    account = _account()
    return ["setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups"]


def _account() -> pwd.struct_passwd:
    for name in ACCOUNTS:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise RuntimeError(f"running as root needs one of the accounts {ACCOUNTS} for PostgreSQL")
