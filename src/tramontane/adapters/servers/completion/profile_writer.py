"""Writes the words' part of a prepared folder from a GGUF header or a Hugging Face folder.

Knows where each source keeps tokenizer, template, stop tokens and sampling; knows no weights. Called when a model is
prepared; `profile.load_profile` reads the result.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any


def write_profile(source: Path | Mapping[str, Any], folder: Path, name: str) -> None:
    """Write `profile.json`, the tokenizer and the template into `folder`, which exists.

    `source` is a GGUF file, its metadata already read (key to plain value), or a Hugging Face folder.
    Raises Misconfigured when the vocabulary's kind is unknown, naming it.
    """
    raise NotImplementedError
