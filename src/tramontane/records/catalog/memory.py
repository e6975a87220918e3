"""The one rule for memory: what all models together may take of this machine, and what one more may take now.

Pure over a `Machine` as it was measured. The gateway's policy, `models fit` and `doctor` all ask here.
"""

from tramontane.records.catalog.nouns import Machine


def models_memory_bytes(machine: Machine) -> int:
    """What all loaded models together may take: the operator's limit, else four fifths; the rest is the system's."""
    return machine.memory_limit_bytes or machine.memory_total_bytes * 4 // 5


def usable_memory_bytes(machine: Machine) -> int:
    """What one more model may take now: no more than is free, and no more than all models together may have."""
    return max(0, min(machine.memory_available_bytes, models_memory_bytes(machine)))
