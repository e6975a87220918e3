"""Arriving whole or not at all, also when the process is killed or the disk is full."""

import subprocess
import sys
from pathlib import Path

import pytest
from tests.fakes.tiny_files import write_folder

from tramontane.adapters.sources.folders import ModelFolders, read_installed
from tramontane.adapters.sources.install import Engines, Installer, Request, draft_entry
from tramontane.adapters.sources.transfer import Counter, Transfer
from tramontane.adapters.sources.verify import Verifier
from tramontane.foundation.errors import StorageFull
from tramontane.records.catalog.nouns import LocalSource

PROGRAM = """
import os, signal, sys
from pathlib import Path
from tramontane.adapters.sources import transfer
from tramontane.adapters.sources.folders import ModelFolders, read_installed
from tramontane.adapters.sources.install import Engines, Installer, Request, draft_entry
from tramontane.adapters.sources.verify import Verifier
from tramontane.records.catalog.nouns import LocalSource

calls, die_at = 0, 0

def tick(*words):
    global calls
    calls += 1
    if calls == die_at:
        os.kill(os.getpid(), signal.SIGKILL)

def prepare(weights, folder, report):
    folder.mkdir()
    for part in range(3):
        report("preparing", part, 3)
        (folder / f"{part}.bin").write_bytes(b"x" * 100)

def pull(home):
    installer = Installer(ModelFolders(home), Engines(lambda weights: None, prepare, False), lambda model: tick())
    entry = draft_entry("mine", LocalSource(path=sys.argv[2]), "own")
    installer.pull(entry, Request(), transfer.Transfer(report=tick))

real = transfer.flush
transfer.flush = lambda path: (tick(), real(path))
root = Path(sys.argv[1])
pull(root / "rehearsal")
steps = calls
for die_at in range(1, steps + 1):
    calls = 0
    child = os.fork()
    if child == 0:
        pull(root / str(die_at))
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), (die_at, status)
die_at = 0
for step in range(1, steps + 1):
    final = ModelFolders(root / str(step)).final("mine")
    print(step, final.exists())
    if final.exists():
        Verifier().verify(read_installed(final), transfer.Transfer(), full=True)
    pull(root / str(step))
"""


def test_a_kill_at_any_moment_leaves_all_or_nothing(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "given")
    homes = tmp_path / "homes"
    command = [sys.executable, "-c", PROGRAM, str(homes), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    there = [line.split()[1] == "True" for line in done.stdout.splitlines()]
    assert len(there) > 15
    assert there == sorted(there), "once in place, a model stays in place"
    assert there[-1] and not there[0]
    for step in range(1, len(there) + 1):
        model = read_installed(ModelFolders(homes / str(step)).final("mine"))
        assert model is not None
        Verifier().verify(model, Transfer(), full=True)
        assert {path.name for path in Path(model.files_folder).iterdir()} == {file.path for file in model.files}
        assert {path.name for path in Path(model.prepared).iterdir()} == {file.path for file in model.prepared_files}


def test_a_disk_that_fills_up_installs_nothing(home: Path, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "given")
    registered: list[object] = []

    def prepare(weights: Path, folder: Path, report: object) -> float | None:
        raise AssertionError("there was no room to prepare")

    installer = Installer(ModelFolders(home), Engines(lambda weights: None, prepare, False), registered.append)
    with pytest.raises(StorageFull, match="set TRAMONTANE_HOME to a larger disk"):
        installer.pull(
            draft_entry("mine", LocalSource(path=str(folder)), "own"), Request(), Transfer(free_bytes=lambda folder: 0)
        )
    assert registered == []
    assert not ModelFolders(home).final("mine").exists()


def test_progress_is_told_now_and_then_and_at_the_end() -> None:
    told: list[tuple[str, int, int]] = []
    counter = Counter(Transfer(report=lambda *words: told.append(words)), "copying", 10 << 20)
    for _ in range(10 << 4):
        counter.add(1 << 16)
    assert told[0] == ("copying", 0, 10 << 20)
    assert told[-1] == ("copying", 10 << 20, 10 << 20)
    assert len(told) < 6
