"""From the name in a request to the model it means, for one workspace; or the names it might have meant.

Pure over a `View`, an unchanging picture of the catalogue. The engine's admission asks `installed`, the commands ask
`entry`. A workspace never learns the name of a model it may not see, not even as a near name.
"""

import difflib
from collections.abc import Mapping

import msgspec

from tramontane.foundation.errors import InvalidFields
from tramontane.foundation.store.scope import Scope
from tramontane.records.catalog.aliases import applicable, follow
from tramontane.records.catalog.errors import CatalogueBroken, ModelNotFound
from tramontane.records.catalog.licences import require_accepted
from tramontane.records.catalog.nouns import Acceptance, Alias, InstalledModel, Licence, ModelEntry, Visibility

_NEAR_NAMES = 5
_COMPARED_CHARACTERS = 128


class View(msgspec.Struct, frozen=True, kw_only=True):
    """The catalogue at one moment. `entry_visibilities` holds the entries that are not everybody's."""

    entries: Mapping[str, ModelEntry]
    licences: Mapping[str, Licence]
    installed: Mapping[str, InstalledModel] = {}
    aliases: tuple[Alias, ...] = ()
    acceptances: tuple[Acceptance, ...] = ()
    entry_visibilities: Mapping[str, Visibility] = {}


def visible_entries(view: View, scope: Scope) -> dict[str, ModelEntry]:
    """The models a workspace could fetch or use, by name."""
    everybody = Visibility()
    return {
        name: entry
        for name, entry in view.entries.items()
        if view.entry_visibilities.get(name, everybody).covers(scope.organisation_id, scope.workspace_id)
    }


def visible_installed(view: View, scope: Scope) -> dict[str, InstalledModel]:
    """The models a workspace can use now, by name."""
    return {
        name: model
        for name, model in view.installed.items()
        if model.state == "ready" and model.visibility.covers(scope.organisation_id, scope.workspace_id)
    }


def entry(view: View, scope: Scope, name: str) -> ModelEntry:
    """The entry of that name or alias. Raises ModelNotFound listing the near names."""
    known = visible_entries(view, scope)
    return known[_target(view, scope, name, frozenset(known), "known to the catalogue")]


def installed(view: View, scope: Scope, name: str) -> InstalledModel:
    """The installed model of that name or alias, its licence accepted. Raises ModelNotFound or LicenceNotAccepted."""
    usable = visible_installed(view, scope)
    model = usable[_target(view, scope, name, frozenset(usable), "installed here")]
    require_accepted(model.entry, licence_of(view, model.entry), view.acceptances, scope.organisation_id)
    return model


def aliases_of(view: View, scope: Scope, name: str) -> tuple[str, ...]:
    """The other names under which a workspace reaches a model, in order."""
    models = frozenset(visible_installed(view, scope))
    known = _aliases(view, scope)
    return tuple(sorted(alias for alias in known if alias not in models and follow(alias, known, models) == name))


def licence_of(view: View, entry: ModelEntry) -> Licence:
    """The licence an entry names. Raises CatalogueBroken when nobody wrote it down."""
    try:
        return view.licences[entry.licence]
    except KeyError:
        raise CatalogueBroken(f"model {entry.name}: licence {entry.licence!r} is not described") from None


def _aliases(view: View, scope: Scope) -> dict[str, str]:
    """Aliases that entries bring along are weaker than those somebody has set."""
    brought = {alias: name for name, model in visible_installed(view, scope).items() for alias in model.entry.aliases}
    brought |= {
        alias: name
        for name, known in visible_entries(view, scope).items()
        for alias in known.aliases
        if alias not in brought
    }
    return brought | applicable(view.aliases, scope.organisation_id, scope.workspace_id)


def _target(view: View, scope: Scope, name: str, models: frozenset[str], where: str) -> str:
    if not name:
        raise InvalidFields.of("model", "name a model, for example one of GET /v1/models", "missing")
    aliases = _aliases(view, scope)
    found = follow(name, aliases, models)
    if found is not None:
        return found
    names = sorted(models | {alias for alias in aliases if follow(alias, aliases, models)})
    near = near_names(name, names)
    known = follow(name, aliases, frozenset(visible_entries(view, scope)))
    if known is not None:
        hint = f"; `tramontane models pull {known}` fetches it"
    elif near:
        hint = f"; did you mean {', '.join(near)}?"
    else:
        hint = f"; there is: {', '.join(names[:_NEAR_NAMES]) or 'none'}"
    raise ModelNotFound(f"no model {name[:_COMPARED_CHARACTERS]!r} is {where}{hint}", near)


def near_names(name: str, names: list[str]) -> tuple[str, ...]:
    """The few names that look like this one: likeness of letters or the same beginning, best first."""
    asked = name[:_COMPARED_CHARACTERS].lower()
    by_lower = {known.lower(): known for known in names}
    close = difflib.get_close_matches(asked, by_lower, n=_NEAR_NAMES, cutoff=0.55)
    word = asked.split("-", maxsplit=1)[0]
    same_start = [known for known in by_lower if len(word) > 2 and known.startswith(word) and known not in close]
    return tuple(by_lower[known] for known in [*close, *same_start][:_NEAR_NAMES])
