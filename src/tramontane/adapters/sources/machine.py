"""Reads what this machine can give: memory, disk, cores. A container's or service's own limits count, not the host's.

Knows psutil and Linux control groups of both versions; decides nothing. `records/catalog/memory` says what the numbers
allow.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from tramontane.records.catalog.nouns import Machine


@dataclass(frozen=True)
class _Files:
    """What one version of control groups calls its files, and the field of the page cache that can be taken back."""

    limit: str
    usage: str
    reclaimable: str


_VERSION_2 = _Files("memory.max", "memory.current", "inactive_file")
_VERSION_1 = _Files("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


@dataclass(frozen=True)
class ControlGroups:
    """Where the system says which groups this process is in and what they may take."""

    membership: Path = Path("/proc/self/cgroup")
    root: Path = Path("/sys/fs/cgroup")

    def memory(self) -> list[tuple[int, int]]:
        """(limit, left of it) in bytes of every group around this process that has a limit."""
        try:
            lines = self.membership.read_text("utf-8").splitlines()
        except OSError:
            return []
        found = (self._of_line(line) for line in lines)
        return [limit for limits in found for limit in limits]

    def _of_line(self, line: str) -> Iterator[tuple[int, int]]:
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            yield from _around(self.root, path, _VERSION_2)
        elif "memory" in controllers.split(","):
            yield from _around(self.root / "memory", path, _VERSION_1)


SYSTEM_GROUPS = ControlGroups()


def read_machine(home: Path, memory_limit_bytes: int = 0, groups: ControlGroups | None = None) -> Machine:
    """Measure now. `home` need not exist yet; the disk is that of its nearest existing parent.

    `memory_limit_bytes` is the operator's own limit for all models, 0 for none.
    """
    memory, limits = psutil.virtual_memory(), (groups or SYSTEM_GROUPS).memory()
    folder = next(path for path in (home.absolute(), *home.absolute().parents) if path.exists())
    return Machine(
        memory_total_bytes=min([memory.total, *(limit for limit, _ in limits)]),
        memory_available_bytes=min([memory.available, *(left for _, left in limits)]),
        disk_free_bytes=psutil.disk_usage(str(folder)).free,
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        memory_limit_bytes=memory_limit_bytes,
    )


def _around(root: Path, path: str, files: _Files) -> Iterator[tuple[int, int]]:
    """The group's own limit and those of the groups it lies in.

    Inside a container the path may be the host's and not be there; the root then shows the container's own group.
    """
    parts = [part for part in path.split("/") if part not in ("", "..")]
    for depth in range(len(parts), -1, -1):
        limit = _limit(root.joinpath(*parts[:depth]), files)
        if limit is not None:
            yield limit


def _limit(group: Path, files: _Files) -> tuple[int, int] | None:
    try:
        limit = (group / files.limit).read_text("ascii").strip()
        if not limit.isdigit():
            return None
        used = int((group / files.usage).read_text("ascii"))
        fields = dict(line.split(" ", 1) for line in (group / "memory.stat").read_text("ascii").splitlines())
    except (OSError, ValueError):
        return None
    used -= min(used, int(fields.get(files.reclaimable, "0")))
    return int(limit), max(0, int(limit) - used)
