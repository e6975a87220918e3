"""Files per workspace: whole or absent, found by their owner alone, never outside their folder."""

import hashlib
import io
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tramontane.foundation.errors import BadRequest, NotFound, TooLarge
from tramontane.foundation.ids import random_word
from tramontane.foundation.store.blobs import Blobs, path_of
from tramontane.foundation.store.scope import Scope

MINE = Scope("org_a", "ws_a")
THEIRS = Scope("org_a", "ws_b")

FILL = """
import io, resource, signal, sys
from tramontane.foundation.store.blobs import Blobs
from tramontane.foundation.store.scope import Scope
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))
try:
    Blobs(sys.argv[1]).put(Scope("org_a", "ws_a"), "big", io.BytesIO(bytes(200_000)))
except Exception as error:
    print(error.code)
"""


@pytest.fixture(params=["folder", "object store"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    """A blob store on the disk, and one that is no file system at all."""
    return Blobs((tmp_path / "blobs").as_uri() if request.param == "folder" else f"memory://{random_word(8)}")


def test_what_goes_in_comes_out(blobs: Blobs) -> None:
    data = bytes(range(256)) * 9000
    stored = blobs.put(MINE, "documents/one.pdf", io.BytesIO(data))
    assert stored.size_bytes == len(data)
    assert stored.sha256 == hashlib.sha256(data).hexdigest()
    with blobs.open(MINE, "documents/one.pdf") as file:
        assert file.read() == data
    assert blobs.names(MINE) == ["documents/one.pdf"]


def test_a_stranger_finds_nothing(blobs: Blobs) -> None:
    blobs.put(MINE, "secret", io.BytesIO(b"mine"))
    with pytest.raises(NotFound) as foreign:
        blobs.open(THEIRS, "secret")
    with pytest.raises(NotFound) as absent:
        blobs.open(MINE, "secreT")
    assert foreign.value.message.replace("secret", "") == absent.value.message.replace("secreT", "")
    blobs.delete(THEIRS, "secret")
    assert blobs.names(MINE) == ["secret"]
    assert blobs.names(THEIRS) == []


def test_deleting_and_replacing(blobs: Blobs) -> None:
    blobs.put(MINE, "a", io.BytesIO(b"old"))
    blobs.put(MINE, "a", io.BytesIO(b"new"))
    with blobs.open(MINE, "a") as file:
        assert file.read() == b"new"
    blobs.delete(MINE, "a")
    blobs.delete(MINE, "a")
    assert blobs.paths() == []


class Breaking(io.BytesIO):
    """A source that gives some bytes and then fails, as an upload whose client has gone does."""

    def read(self, size: int | None = -1) -> bytes:
        if self.tell() >= 10:
            raise ConnectionResetError
        return super().read(10)


def test_a_broken_source_leaves_the_old_file(blobs: Blobs, tmp_path: Path) -> None:
    blobs.put(MINE, "a", io.BytesIO(b"old"))
    with pytest.raises(BadRequest, match="broke off"):
        blobs.put(MINE, "a", Breaking(bytes(100)))
    with pytest.raises(BadRequest, match="broke off"):
        blobs.put(MINE, "b", Breaking(bytes(100)))
    assert blobs.names(MINE) == ["a"]
    with blobs.open(MINE, "a") as file:
        assert file.read() == b"old"
    assert [path for path in tmp_path.rglob(".partial-*")] == []


def test_too_long_a_file_is_not_kept(blobs: Blobs) -> None:
    blobs.put(MINE, "fits", io.BytesIO(bytes(100)), limit_bytes=100)
    with pytest.raises(TooLarge, match="100 bytes"):
        blobs.put(MINE, "long", io.BytesIO(bytes(101)), limit_bytes=100)
    assert blobs.names(MINE) == ["fits"]


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    assert resource.RLIMIT_FSIZE is not None
    url = (tmp_path / "blobs").as_uri()
    done = subprocess.run([sys.executable, "-c", FILL, url], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "storage_full"
    assert [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../x", "a/../../x", "/etc/passwd", "a//b", "a/", ".hidden", "a\\b", "a\0b", "ä", "a b", "x" * 129, "a\n",
     "/".join("abcdefgh")],
)  # fmt: skip
def test_names_that_lead_elsewhere_are_refused(blobs: Blobs, name: str) -> None:
    with pytest.raises(BadRequest):
        blobs.put(MINE, name, io.BytesIO(b""))
    with pytest.raises(BadRequest):
        blobs.open(MINE, name)


@given(st.text(max_size=60), st.text(max_size=20), st.text(max_size=20))
def test_no_name_leaves_its_workspace(name: str, organisation: str, workspace: str) -> None:
    try:
        path = path_of(Scope(organisation, workspace), name)
    except BadRequest:
        return
    assert (Path("/root") / path).resolve().is_relative_to(Path("/root") / organisation / workspace)
    assert path == f"{organisation}/{workspace}/{name}"
