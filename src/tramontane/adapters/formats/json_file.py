"""Reads a JSON file that came with a model: bounded in size, and refused by name where it is not sound.

Knows no field. Sources, engines and words read every configuration of a model through it.
"""

import json
from pathlib import Path
from typing import Any

from tramontane.adapters.formats.errors import FileRefused

MAX_TEXT_BYTES = 256 * 1024 * 1024


def read_json(path: Path, name: str = "", limit_bytes: int = MAX_TEXT_BYTES) -> Any:
    """The value in a file, called `name` in messages (none: its own). Raises FileRefused."""
    shown = name or path.name
    try:
        size = path.stat().st_size
        if size > limit_bytes:
            raise FileRefused(f"{shown}: {size:,} bytes, at most {limit_bytes:,} are allowed")
        return json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise FileRefused(f"{shown}: {error.strerror or error}; fetch the file again") from None
    except (ValueError, RecursionError) as error:
        raise FileRefused(f"{shown}: not sound JSON ({error}); fetch the file again") from None


def read_object(path: Path, *, optional: bool = False) -> dict[str, Any]:
    """The object in a file; empty where an optional file is missing. Raises FileRefused."""
    if optional and not path.exists():
        return {}
    values = read_json(path)
    if not isinstance(values, dict):
        raise FileRefused(f"{path.name}: expected a JSON object; fetch the file again")
    return values
