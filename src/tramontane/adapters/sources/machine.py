"""Reads what this machine can give: memory, disk, cores. A container's own limits count, not the host's."""

import os
from pathlib import Path

import psutil

from tramontane.records.catalog.nouns import Machine

_LIMIT_FILES = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def read_machine(home: Path, memory_limit_bytes: int = 0, other_models_bytes: int = 0) -> Machine:
    """Measure now. `home` need not exist yet; the disk is that of its nearest existing parent."""
    memory = psutil.virtual_memory()
    total = min([memory.total, *_container_limits()])
    folder = next(path for path in (home.absolute(), *home.absolute().parents) if path.exists())
    return Machine(
        memory_total_bytes=total,
        memory_available_bytes=min(memory.available, total),
        disk_free_bytes=psutil.disk_usage(str(folder)).free,
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        memory_limit_bytes=memory_limit_bytes,
        other_models_bytes=other_models_bytes,
    )


def _container_limits() -> list[int]:
    limits = []
    for path in _LIMIT_FILES:
        try:
            text = path.read_text("ascii").strip()
        except OSError:
            continue
        if text.isdigit():
            limits.append(int(text))
    return limits
