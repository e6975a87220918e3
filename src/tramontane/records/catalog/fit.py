"""What this machine can hold, with the numbers, before anything is fetched or loaded.

Pure. Memory = weights as the engine keeps them + key-value cache + a measured overhead per process; disk = what is
fetched + what is prepared from it. Where a number is an estimate the verdict says so.
"""

from typing import Literal

import msgspec

from tramontane.foundation.sizes import size_text
from tramontane.records.catalog.builtin import shipped
from tramontane.records.catalog.memory import models_memory_bytes, usable_memory_bytes
from tramontane.records.catalog.nouns import EngineKind, InstalledModel, Machine, ModelEntry

# Interpreter, libraries, graph, work buffers and the small children for templates and grammars, beyond weights and a full
# cache. Measured with the embedded models on two cores, as the process tree's proportional set: chat with 48 streams
# 268 MB (cache 537 MB) and 275 MB (cache 134 MB), up to 332 MB in a long benchmark; embeddings of 128 texts at once 217 MB.
PROCESS_OVERHEAD_BYTES = {"chat": 330_000_000, "embedding": 230_000_000}
DISK_RESERVE_BYTES = 10**9
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
        overhead_bytes=PROCESS_OVERHEAD_BYTES[entry.kind],
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
        remarks = (
            f"needs {size_text(need.memory_bytes)} of {size_text(memory)}: little is left for other models",
            *remarks,
        )
    return Fit(
        model=name, verdict=verdict, need=need, memory_bytes=memory, disk_bytes=disk, reasons=(*obstacles, *remarks)
    )


def least_memory_bytes(name: str, cache_bytes: int) -> int:
    """What loading a model takes at least; of one the shipped catalogue does not know, all but the weights."""
    entry = shipped().entries.get(name)
    if entry is None:
        return PROCESS_OVERHEAD_BYTES["chat"] + cache_bytes
    return need_of(entry, "openvino", cache_bytes).memory_bytes


def _weights_bytes(
    model: ModelEntry | InstalledModel, entry: ModelEntry, engine: EngineKind
) -> tuple[int, tuple[str, ...]]:
    """Bytes of weights in memory. The embedded engine writes with int8 whatever came; all else is kept as it came."""
    if isinstance(model, InstalledModel):
        prepared = sum(file.size_bytes for file in model.prepared_files)
        return (prepared or model.size_bytes), ()
    if _is_prepared(entry, engine) and entry.parameters:
        return int(entry.parameters * PREPARED_BYTES_PER_PARAMETER), ("weights",)
    if entry.size_bytes:
        return entry.size_bytes, () if engine == "llamacpp" else ("weights",)
    return entry.parameters, ("weights",)


def _disk_bytes(entry: ModelEntry, engine: EngineKind, weights_bytes: int) -> int:
    fetched = entry.size_bytes or entry.parameters * 2
    return fetched + (weights_bytes if _is_prepared(entry, engine) else 0)


def _is_prepared(entry: ModelEntry, engine: EngineKind) -> bool:
    """Whether weights are written again for the engine; sentence encoders are run as they came."""
    return engine == "openvino" and entry.kind == "chat"


def _memory_obstacles(need: Need, memory: int, machine: Machine) -> tuple[str, ...]:
    if need.memory_bytes <= memory:
        return ()
    parts = (
        f"{size_text(need.weights_bytes)} weights + {size_text(need.cache_bytes)} cache + "
        f"{size_text(need.overhead_bytes)} for the process"
    )
    cure = "choose a smaller model"
    if need.memory_bytes <= models_memory_bytes(machine):
        in_use = machine.memory_total_bytes - machine.memory_available_bytes
        cure = f"free memory, {size_text(in_use)} are in use by other models and programs"
    elif need.weights_bytes + need.overhead_bytes < memory:
        cure = f"lower [engine] cache_bytes to {memory - need.weights_bytes - need.overhead_bytes:,} or less"
    return (f"memory: needs {size_text(need.memory_bytes)} ({parts}), {size_text(memory)} can be used; {cure}",)


def _disk_obstacles(need: Need, disk: int) -> tuple[str, ...]:
    if need.disk_bytes <= disk:
        return ()
    return (
        f"disk: needs {size_text(need.disk_bytes)}, {size_text(disk)} can be used ({size_text(DISK_RESERVE_BYTES)} stay free); "
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
