"""What the machine has to give: measured, and bounded by the control groups around this process, of either version."""

import os
from pathlib import Path

import pytest

from tramontane.adapters.sources.machine import ControlGroups, read_machine

MB = 10**6
NOTHING = ControlGroups(Path("/nowhere/cgroup"), Path("/nowhere"))


def test_the_machine_is_measured(home: Path) -> None:
    machine = read_machine(home / "not" / "yet" / "there", memory_limit_bytes=5)
    assert 0 < machine.memory_available_bytes <= machine.memory_total_bytes
    assert machine.disk_free_bytes > 0
    assert 1 <= machine.cores <= (os.cpu_count() or 1)
    assert machine.memory_limit_bytes == 5


def group(folder: Path, version: int, limit: str, used: int, reclaimable: int) -> None:
    limit_name, used_name, field = {
        1: ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        2: ("memory.max", "memory.current", "inactive_file"),
    }[version]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / limit_name).write_text(f"{limit}\n")
    (folder / used_name).write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"anon 5\n{field} {reclaimable}\n")


def groups(tmp_path: Path, membership: str) -> ControlGroups:
    (tmp_path / "cgroup").write_text(membership)
    return ControlGroups(tmp_path / "cgroup", tmp_path / "fs")


@pytest.mark.parametrize(
    ("version", "line", "mount"), [(2, "0::/a.slice/b.service", ""), (1, "4:cpu,memory:/a.slice/b.service", "memory")]
)
def test_the_tightest_group_around_the_process_counts(
    tmp_path: Path, home: Path, version: int, line: str, mount: str
) -> None:
    root = tmp_path / "fs" / mount
    unlimited = "max" if version == 2 else str(2**63 - 4096)
    group(root / "a.slice" / "b.service", version, unlimited, 90 * MB, 0)
    group(root / "a.slice", version, str(100 * MB), 95 * MB, 25 * MB)
    group(root, version, str(400 * MB), 390 * MB, 0)
    machine = read_machine(home, groups=groups(tmp_path, f"7:devices:/x\n{line}\n"))
    # The slice leaves 100 - (95 - 25) MB, the group above it 10 MB.
    assert machine.memory_total_bytes == 100 * MB
    assert machine.memory_available_bytes == 10 * MB


@pytest.mark.parametrize("line", ["0::/docker/0123", "0::/../../x", "0::/"])
def test_inside_a_container_its_own_group_is_at_the_root(tmp_path: Path, home: Path, line: str) -> None:
    group(tmp_path / "fs", 2, str(50 * MB), 20 * MB, 5 * MB)
    machine = read_machine(home, groups=groups(tmp_path, line + "\n"))
    assert (machine.memory_total_bytes, machine.memory_available_bytes) == (50 * MB, 35 * MB)


def test_more_used_than_allowed_leaves_nothing(tmp_path: Path, home: Path) -> None:
    group(tmp_path / "fs", 2, str(50 * MB), 60 * MB, 0)
    assert read_machine(home, groups=groups(tmp_path, "0::/\n")).memory_available_bytes == 0


def test_odd_files_and_no_groups_bound_nothing(tmp_path: Path, home: Path) -> None:
    free = read_machine(home, groups=NOTHING).memory_total_bytes
    (tmp_path / "fs").mkdir()
    (tmp_path / "fs" / "memory.max").write_text("1000")
    (tmp_path / "fs" / "memory.current").write_text("many")
    assert read_machine(home, groups=groups(tmp_path, "0::/\nnonsense\n")).memory_total_bytes == free
