"""The rules for names: what a model or alias may be called, which alias wins, and that aliases never go in circles.

Pure. `resolve` follows aliases with these rules, `store` keeps them.
"""

import re
from collections.abc import Iterable

from tramontane.foundation.errors import InvalidFields
from tramontane.records.catalog.errors import NameTaken
from tramontane.records.catalog.nouns import Alias

NAME_LIMIT_CHARACTERS = 128
MAX_ALIAS_STEPS = 8
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._:-]*[A-Za-z0-9])?")


def checked_name(name: str, field: str = "name") -> str:
    """The name, if it can be a folder and a part of a URL. Raises InvalidFields otherwise."""
    if len(name) > NAME_LIMIT_CHARACTERS or not _NAME.fullmatch(name) or ".." in name:
        raise InvalidFields.of(
            field,
            f"a model name has 1 to {NAME_LIMIT_CHARACTERS} letters, digits and . _ : - , begins and ends with a letter "
            f"or digit and has no two dots in a row; {name[:80]!r} does not",
        )
    return name


def applicable(aliases: Iterable[Alias], organisation_id: str, workspace_id: str) -> dict[str, str]:
    """The aliases a workspace sees, by name; its own hide its organisation's, and these hide everybody's."""
    widest_first = sorted(aliases, key=lambda alias: -alias.visibility.width)
    return {
        alias.name: alias.target for alias in widest_first if alias.visibility.covers(organisation_id, workspace_id)
    }


def follow(name: str, aliases: dict[str, str], models: frozenset[str]) -> str | None:
    """The model a name leads to, or None. A model's own name is never redirected."""
    for _ in range(MAX_ALIAS_STEPS + 1):
        if name in models:
            return name
        if name not in aliases:
            return None
        name = aliases[name]
    return None


def check_new_alias(alias: Alias, aliases: Iterable[Alias], models: frozenset[str]) -> None:
    """Refuse an alias that hides a model, leads nowhere, or leads back to itself. Raises InvalidFields or NameTaken."""
    checked_name(alias.name, "alias")
    if alias.name in models:
        raise NameTaken(f"{alias.name!r} is the name of a model; an alias cannot hide it", param="alias")
    others = [known for known in aliases if (known.name, known.visibility) != (alias.name, alias.visibility)]
    seen = applicable([*others, alias], alias.visibility.organisation_id, alias.visibility.workspace_id)
    if follow(alias.name, seen, models) is None:
        raise InvalidFields.of(
            "target",
            f"{alias.target!r} leads to no model in at most {MAX_ALIAS_STEPS} steps; name a model of `models list`",
        )
