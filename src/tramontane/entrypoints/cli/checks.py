"""Looks at the machine and the data folder and says what to do about what it finds. Changes nothing, contacts nobody.

Each check is a function from settings to a finding; `doctor` shows them and knows nothing of how they were found.
"""

import importlib.util
import platform
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil

from tramontane.foundation.errors import Misconfigured
from tramontane.foundation.listening import bound
from tramontane.foundation.settings import FILE_NAME, Settings
from tramontane.foundation.sizes import GIGA, size_text
from tramontane.records.catalog.fit import least_memory_bytes
from tramontane.records.catalog.memory import usable_memory_bytes
from tramontane.records.catalog.nouns import Machine

State = Literal["ok", "note", "fail"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, how it stands, what was found and, where it matters, the cure."""

    subject: str
    state: State
    found: str
    cure: str = ""


def examine(settings: Settings, machine: Machine) -> Iterator[Finding]:
    """Every finding, in the order a person would look."""
    yield check_memory(settings, machine)
    for check in CHECKS:
        yield check(settings)


def check_python(settings: Settings) -> Finding:
    return Finding("Python", "ok", f"{platform.python_version()} on {platform.system()} {platform.machine()}")


def check_processor(settings: Settings) -> Finding:
    cores = len(
        psutil.Process().cpu_affinity() if hasattr(psutil.Process, "cpu_affinity") else range(psutil.cpu_count() or 1)
    )
    flags = _cpu_flags()
    if not flags:
        return Finding("Processor", "note", f"{cores} cores; instruction sets unknown on this system")
    if "avx2" not in flags:
        return Finding(
            "Processor", "note", f"{cores} cores without AVX2", "Answers will be slow; use a newer processor."
        )
    best = next(
        (name for name in ("amx_int8", "avx512_bf16", "avx512_vnni", "avx_vnni", "avx2") if name in flags), "avx2"
    )
    return Finding("Processor", "ok", f"{cores} cores, best instruction set {best}")


def check_memory(settings: Settings, machine: Machine) -> Finding:
    usable = usable_memory_bytes(machine)
    found = (
        f"{size_text(machine.memory_available_bytes)} free of {size_text(machine.memory_total_bytes)}, "
        f"{size_text(usable)} for one more model"
    )
    needed = least_memory_bytes(settings.default_model, settings.engine.cache_bytes)
    if usable < needed:
        cure = (
            f"{settings.default_model} takes {size_text(needed)}: close other programs or lower [engine] cache_bytes; "
            "`tramontane models fit` says what each model needs."
        )
        return Finding("Memory", "fail", found, cure)
    return Finding("Memory", "ok", found)


def check_home(settings: Settings) -> Finding:
    home = settings.home
    place = next(folder for folder in (home, *home.parents) if folder.exists())
    free = shutil.disk_usage(place).free
    found = f"{home}, {size_text(free)} free"
    if not _writable(place):
        return Finding(
            "Data folder", "fail", found, f"Give this user write access to {place}, or set TRAMONTANE_HOME elsewhere."
        )
    if free < GIGA:
        return Finding("Data folder", "fail", found, "Free at least 1 GB; the embedded models take half of that.")
    if home.exists() and home.stat().st_mode & 0o077:
        return Finding("Data folder", "note", found + ", readable by other users", f"chmod 700 {home}")
    return Finding("Data folder", "ok", found)


def check_settings_file(settings: Settings) -> Finding:
    path = settings.home / FILE_NAME
    return Finding("Settings", "ok", str(path) if path.exists() else "defaults and environment (no tramontane.toml)")


def check_database(settings: Settings) -> Finding:
    if settings.database_url:
        return Finding("Database", "ok", settings.database_url.split("://")[0] + " (checked at start)")
    return Finding("Database", "ok", f"SQLite {sqlite3.sqlite_version} in the data folder")


def check_address(settings: Settings) -> Finding:
    shown = f"[{settings.host}]" if ":" in settings.host else settings.host
    address = f"{shown}:{settings.port}"
    try:
        bound(settings.host, settings.port).close()
    except Misconfigured as error:
        if error.code != "port_in_use":
            return Finding("Address", "fail", error.message)
        cure = "If that is another program, choose another port: TRAMONTANE_PORT=8401 make serve"
        return Finding("Address", "note", f"{address} is taken; perhaps Tramontane is running", cure)
    if settings.host not in {"127.0.0.1", "::1", "localhost"}:
        return Finding(
            "Address", "note", f"{address}, reachable from other machines", "Put a TLS proxy in front of it."
        )
    return Finding("Address", "ok", f"{address} is free")


def check_engines(settings: Settings) -> Finding:
    if importlib.util.find_spec("openvino") is None:
        return Finding(
            "Engines", "fail", "openvino is not installed", "Run make serve in a clone, or pip install tramontane."
        )
    if importlib.util.find_spec("xllamacpp") is None:
        return Finding(
            "Engines", "ok", "embedded (OpenVINO); the llama.cpp extra for other architectures is not installed"
        )
    return Finding("Engines", "ok", "embedded (OpenVINO) and llama.cpp")


def check_isolation(settings: Settings) -> Finding:
    switch = Path("/proc/sys/kernel/unprivileged_userns_clone")
    limit = Path("/proc/sys/user/max_user_namespaces")
    blocked = (switch.exists() and switch.read_text().strip() == "0") or (
        limit.exists() and limit.read_text().strip() == "0"
    )
    if platform.system() != "Linux" or blocked:
        return Finding("Isolation", "note", "engine processes cannot be cut off from the network here",
                       "Allow user namespaces (user.max_user_namespaces) where models come from strangers.")  # fmt: skip
    return Finding("Isolation", "ok", "engine processes run without a network")


def _cpu_flags() -> set[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return set()
    return next((set(line.split(":")[1].split()) for line in lines if line.startswith("flags")), set())


def _writable(folder: Path) -> bool:
    probe = folder / ".tramontane-doctor"
    try:
        probe.touch()
        probe.unlink()
    except OSError:
        return False
    return True


CHECKS: tuple[Callable[[Settings], Finding], ...] = (
    check_python,
    check_processor,
    check_home,
    check_settings_file,
    check_database,
    check_address,
    check_engines,
    check_isolation,
)
