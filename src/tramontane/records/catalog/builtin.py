"""Reads the catalogue that comes with the package: models and licences from `catalogue.toml`, checked as they load.

Knows the file's form; knows no database. An error in the file is ours, so a test loads it.
"""

import tomllib
from functools import cache
from importlib import resources
from typing import Any

import msgspec

from tramontane.records.catalog.aliases import checked_name
from tramontane.records.catalog.errors import CatalogueBroken
from tramontane.records.catalog.nouns import Licence, ModelEntry

FILE_NAME = "catalogue.toml"


class Shipped(msgspec.Struct, frozen=True, kw_only=True):
    """All that the package knows without a database."""

    entries: dict[str, ModelEntry]
    licences: dict[str, Licence]


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    licence: tuple[Licence, ...]
    model: tuple[ModelEntry, ...]


@cache
def shipped() -> Shipped:
    """The package's own catalogue."""
    text = resources.files("tramontane.records.catalog").joinpath(FILE_NAME).read_text("utf-8")
    return parse_catalogue(text, FILE_NAME)


def parse_catalogue(text: str, where: str) -> Shipped:
    """Read a catalogue file. Raises CatalogueBroken naming the place and the field."""
    try:
        values: dict[str, Any] = tomllib.loads(text)
        file = msgspec.convert(values, _File)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise CatalogueBroken(f"{where}: {error}") from None
    licences = {licence.id: licence for licence in file.licence}
    entries = {entry.name: entry for entry in file.model}
    if len(entries) != len(file.model) or len(licences) != len(file.licence):
        raise CatalogueBroken(f"{where}: a model or licence is listed twice")
    for entry in file.model:
        _check_entry(entry, licences, where)
    return Shipped(entries=entries, licences=licences)


def _check_entry(entry: ModelEntry, licences: dict[str, Licence], where: str) -> None:
    checked_name(entry.name)
    if entry.licence not in licences:
        raise CatalogueBroken(f"{where}: model {entry.name}: licence {entry.licence!r} is not described")
    if not entry.capabilities:
        raise CatalogueBroken(f"{where}: model {entry.name}: capabilities are empty")
    for file in entry.files:
        if len(file.sha256) != 64 or file.size_bytes <= 0:
            raise CatalogueBroken(f"{where}: model {entry.name}: file {file.path}: checksum or size is wrong")
