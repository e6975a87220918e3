"""What this machine can hold, with the numbers, before anything is fetched or loaded.

Pure. Memory = weights as the engine keeps them + key-value cache + a fixed overhead per process; disk = what is
fetched + what is prepared from it. Where a number is an estimate the verdict says so.
"""

from typing import Literal

import msgspec

from tramontane.records.catalog.nouns import EngineKind, InstalledModel, Machine, ModelEntry

GIB = 1024**3
PROCESS_OVERHEAD_BYTES = 220 * 1024**2
"""Interpreter, graph and work buffers of an engine process; an estimate, not measured apart."""
DISK_RESERVE_BYTES = GIB
"""Left free for the database and the logs."""
PREPARED_BYTES_PER_PARAMETER = 1.01
"""Int8 rows with one float32 scale a row; rows have hundreds of elements or more."""
TIGHT_SHARE = 0.85

Verdict = Literal["fits", "tight", "does_not_fit"]


class Need(msgspec.Struct, frozen=True, kw_only=True):
    """What a model takes, in bytes; `estimated` names the parts that are not known exactly."""

    weights_bytes: int
    cache_bytes: int
    overhead_bytes: int
    disk_bytes: int
    cache_tokens: int
    estimated: tuple[str, ...] = ()

    @property
    def memory_bytes(self) -> int:
        """Resident memory once loaded."""
        return self.weights_bytes + self.cache_bytes + self.overhead_bytes


class Fit(msgspec.Struct, frozen=True, kw_only=True):
    """The answer: a verdict, the numbers behind it and one sentence per obstacle or remark."""

    model: str
    verdict: Verdict
    need: Need
    memory_bytes: int
    disk_bytes: int
    reasons: tuple[str, ...]


def need_of(model: ModelEntry | InstalledModel, engine: EngineKind, cache_bytes: int) -> Need:
    """What a model takes under an engine. `cache_bytes` is the cache the engine reserves; an embedder reserves none."""
    entry = model.entry if isinstance(model, InstalledModel) else model
    shape = model.cache if isinstance(model, InstalledModel) else entry.cache
    if engine == "upstream":
        return Need(weights_bytes=0, cache_bytes=0, overhead_bytes=0, disk_bytes=0, cache_tokens=0)
    reserved = 0 if entry.kind == "embedding" else cache_bytes
    weights, estimated = _weights_bytes(model, entry, engine)
    per_token = shape.bytes_per_token()
    if reserved and not per_token:
        estimated = (*estimated, "cache tokens")
    return Need(
        weights_bytes=weights,
        cache_bytes=reserved,
        overhead_bytes=PROCESS_OVERHEAD_BYTES,
        disk_bytes=0 if isinstance(model, InstalledModel) else _disk_bytes(entry, engine, weights),
        cache_tokens=reserved // per_token if per_token else 0,
        estimated=estimated,
    )


def fit(
    model: ModelEntry | InstalledModel, machine: Machine, *, engine: EngineKind = "openvino", cache_bytes: int
) -> Fit:
    """Whether the machine can hold a model beside what it already holds, and why not."""
    name = model.name
    need = need_of(model, engine, cache_bytes)
    memory = usable_memory_bytes(machine)
    disk = max(0, machine.disk_free_bytes - DISK_RESERVE_BYTES)
    obstacles = _memory_obstacles(need, memory, machine) + _disk_obstacles(need, disk)
    remarks = _remarks(model, need)
    tight = need.memory_bytes > TIGHT_SHARE * memory
    verdict: Verdict = "does_not_fit" if obstacles else "tight" if tight else "fits"
    if tight and not obstacles:
        remarks = (f"needs {gib(need.memory_bytes)} of {gib(memory)}: little is left for other models", *remarks)
    return Fit(
        model=name, verdict=verdict, need=need, memory_bytes=memory, disk_bytes=disk, reasons=(*obstacles, *remarks)
    )


def usable_memory_bytes(machine: Machine) -> int:
    """What one more model may take: bounded by what is free and by the limit set for all models together."""
    limit = machine.memory_limit_bytes or machine.memory_total_bytes * 4 // 5
    return max(0, min(machine.memory_available_bytes, limit - machine.other_models_bytes))


def gib(size_bytes: int) -> str:
    """A size for people."""
    return f"{size_bytes / GIB:.2f} GiB" if size_bytes >= GIB // 10 else f"{size_bytes / 1024**2:.0f} MiB"


def _weights_bytes(
    model: ModelEntry | InstalledModel, entry: ModelEntry, engine: EngineKind
) -> tuple[int, tuple[str, ...]]:
    """Bytes of weights in memory. The embedded engine keeps int8 whatever came; llama.cpp keeps the file."""
    if isinstance(model, InstalledModel):
        prepared = sum(file.size_bytes for file in model.prepared_files)
        return (prepared or model.size_bytes), ()
    if engine == "openvino" and entry.parameters:
        return int(entry.parameters * PREPARED_BYTES_PER_PARAMETER), ("weights",)
    if entry.size_bytes:
        return entry.size_bytes, () if engine == "llamacpp" else ("weights",)
    return entry.parameters, ("weights",)


def _disk_bytes(entry: ModelEntry, engine: EngineKind, weights_bytes: int) -> int:
    fetched = entry.size_bytes or entry.parameters * 2
    return fetched + (weights_bytes if engine == "openvino" else 0)


def _memory_obstacles(need: Need, memory: int, machine: Machine) -> tuple[str, ...]:
    if need.memory_bytes <= memory:
        return ()
    parts = f"{gib(need.weights_bytes)} weights + {gib(need.cache_bytes)} cache + {gib(need.overhead_bytes)} for the process"
    cure = "choose a smaller model"
    if need.weights_bytes + need.overhead_bytes < memory:
        cure = f"lower [engine] cache_bytes to {memory - need.weights_bytes - need.overhead_bytes:,} or less"
    elif machine.other_models_bytes and need.memory_bytes <= memory + machine.other_models_bytes:
        cure = f"unload other models, they hold {gib(machine.other_models_bytes)}"
    return (f"memory: needs {gib(need.memory_bytes)} ({parts}), {gib(memory)} can be used; {cure}",)


def _disk_obstacles(need: Need, disk: int) -> tuple[str, ...]:
    if need.disk_bytes <= disk:
        return ()
    return (
        f"disk: needs {gib(need.disk_bytes)}, {gib(disk)} can be used ({gib(DISK_RESERVE_BYTES)} stay free); "
        "free some or set TRAMONTANE_HOME to a larger disk",
    )


def _remarks(model: ModelEntry | InstalledModel, need: Need) -> tuple[str, ...]:
    entry = model.entry if isinstance(model, InstalledModel) else model
    context = model.context_tokens or entry.context_tokens
    remarks = []
    if need.cache_tokens and context and need.cache_tokens < context:
        remarks.append(
            f"the cache holds {need.cache_tokens:,} tokens for all requests together, less than one full context of "
            f"{context:,}"
        )
    if need.estimated:
        remarks.append(f"estimated before the files are read: {', '.join(need.estimated)}")
    return tuple(remarks)
