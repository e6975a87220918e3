"""The catalogue as the rest of the house asks it: one picture of it in memory, and the verbs that change it.

Questions are answered from the picture and never wait for the database; `refresh` takes a new one (the gateway does so
every second or two and after each of its own changes, the commands once). All blocking calls; the gateway runs
`refresh` and the verbs on the database's threads.
"""

from collections.abc import Mapping

import msgspec

from tramontane.foundation.clock import Clock
from tramontane.foundation.errors import Forbidden, NotFound
from tramontane.foundation.store.database import Database
from tramontane.foundation.store.scope import Scope
from tramontane.records.catalog import licences, resolve, store
from tramontane.records.catalog.aliases import check_new_alias, checked_name
from tramontane.records.catalog.builtin import Shipped, shipped
from tramontane.records.catalog.errors import NameTaken
from tramontane.records.catalog.nouns import Acceptance, Alias, InstalledModel, Licence, ModelEntry, Visibility
from tramontane.records.catalog.resolve import View

_REMEMBERED_ANSWERS = 10_000


class Catalogue:
    """Which models a workspace may name, fetch and use. Safe to ask from any thread."""

    def __init__(self, database: Database, clock: Clock, known: Shipped | None = None) -> None:
        self._database = database
        self._clock = clock
        self._known = known or shipped()
        self._answers: dict[tuple[Scope, str], InstalledModel] = {}
        self._view = View(entries=self._known.entries, licences=self._known.licences)

    @property
    def view(self) -> View:
        """The picture questions are answered from."""
        return self._view

    def refresh(self) -> None:
        """Take a new picture of the database."""
        with self._database.read() as connection:
            installed = {name: self._advised(model) for name, model in store.installed_models(connection).items()}
            aliases = store.aliases(connection)
            acceptances = store.acceptances(connection)
        self._view = View(
            entries={**self._known.entries, **{name: model.entry for name, model in installed.items()}},
            licences=self._known.licences,
            installed=installed,
            aliases=aliases,
            acceptances=acceptances,
            entry_visibilities={name: model.visibility for name, model in installed.items()},
        )
        self._answers = {}

    def _advised(self, model: InstalledModel) -> InstalledModel:
        """The model as this release advises to sample it, where it is one the release ships the entry of."""
        known = self._known.entries.get(model.name)
        if known is None or known.source != model.entry.source:
            return model
        entry = msgspec.structs.replace(model.entry, sampling=known.sampling)
        return msgspec.structs.replace(model, entry=entry)

    def installed(self, scope: Scope, name: str) -> InstalledModel:
        """The model a request means. Raises ModelNotFound with near names, or LicenceNotAccepted."""
        answers = self._answers
        found = answers.get((scope, name))
        if found is None:
            found = resolve.installed(self._view, scope, name)
            if len(answers) >= _REMEMBERED_ANSWERS:
                answers.clear()
            answers[(scope, name)] = found
        return found

    def entry(self, scope: Scope, name: str) -> ModelEntry:
        """What is known of a model, installed or not. Raises ModelNotFound with near names."""
        return resolve.entry(self._view, scope, name)

    def entries(self, scope: Scope) -> dict[str, ModelEntry]:
        """All models a workspace may fetch or use, by name."""
        return resolve.visible_entries(self._view, scope)

    def models(self, scope: Scope) -> dict[str, InstalledModel]:
        """The models a workspace can use now, by name; those whose licence is not accepted are left out."""
        usable = resolve.visible_installed(self._view, scope)
        return {
            name: model
            for name, model in usable.items()
            if licences.is_accepted(
                resolve.licence_of(self._view, model.entry), self._view.acceptances, scope.organisation_id
            )
        }

    def aliases_of(self, scope: Scope, name: str) -> tuple[str, ...]:
        """The other names under which a workspace reaches a model."""
        return resolve.aliases_of(self._view, scope, name)

    def own_aliases_of(self, scope: Scope, name: str) -> tuple[str, ...]:
        """Those that the workspace has set itself, for nobody else."""
        own = Visibility(scope.organisation_id, scope.workspace_id)
        set_here = {alias.name for alias in self._view.aliases if alias.visibility == own and alias.target == name}
        return tuple(sorted(set_here))

    def by_name(self, name: str) -> InstalledModel:
        """An installed model for the process that loads it, whoever sees it. Raises ModelNotFound."""
        if name not in self._view.installed:
            raise resolve.ModelNotFound(f"no model {name!r} is installed here; `tramontane models list` shows them", ())
        return self._view.installed[name]

    def licence(self, entry: ModelEntry) -> Licence:
        """The licence of a model."""
        return resolve.licence_of(self._view, entry)

    def acceptance(self, scope: Scope, entry: ModelEntry) -> Acceptance | None:
        """Who accepted the model's licence for the organisation, and when; None when nobody has."""
        return licences.acceptance_of(self.licence(entry), self._view.acceptances, scope.organisation_id)

    def licences(self) -> Mapping[str, Licence]:
        """Every licence described, by identifier."""
        return self._view.licences

    def require_licence(self, scope: Scope, entry: ModelEntry) -> None:
        """Raises LicenceNotAccepted unless the organisation may fetch and use the model."""
        licences.require_accepted(entry, self.licence(entry), self._view.acceptances, scope.organisation_id)

    def accept_licence(self, scope: Scope, licence_id: str, accepted_by: str) -> Acceptance:
        """Record that `accepted_by` agrees for the organisation. Raises NotFound for an unknown licence."""
        if licence_id not in self._view.licences:
            known = ", ".join(sorted(self._view.licences))
            raise NotFound(f"no licence {licence_id!r}; there is: {known}", param="licence")
        made = licences.acceptance(
            self._view.licences[licence_id], scope.organisation_id, accepted_by, self._clock.now_ns()
        )
        with self._database.write() as connection:
            store.add_acceptance(connection, made)
        self.refresh()
        return made

    def require_free_name(self, name: str) -> None:
        """Raises InvalidFields or NameTaken unless a new model may have the name."""
        checked_name(name)
        if name in self._view.installed:
            raise NameTaken(f"a model {name!r} is installed; remove it or choose another name", param="name")

    def register(self, model: InstalledModel) -> None:
        """Keep a model that has arrived. Raises NameTaken when one of that name came from elsewhere meanwhile."""
        with self._database.write() as connection:
            known = store.installed_models(connection).get(model.name)
            if known is not None and known.visibility != model.visibility:
                raise NameTaken(f"a model {model.name!r} is installed; choose another name", param="name")
            store.put_installed(connection, model)
        self.refresh()

    def forget(self, scope: Scope, name: str, *, installation: bool = False) -> InstalledModel:
        """Drop a model's row and say which it was, so that its files can go.

        `installation` permits removing what everybody uses; without it only the workspace's own. Raises ModelNotFound
        or Forbidden.
        """
        model = self._view.installed.get(name)
        if model is None or not model.visibility.covers(scope.organisation_id, scope.workspace_id):
            raise resolve.ModelNotFound(f"no model {name!r} is installed here", self._near(scope, name))
        if not installation and model.visibility != Visibility(scope.organisation_id, scope.workspace_id):
            raise Forbidden(f"{name!r} is used by others too; only the installation's operator removes it")
        with self._database.write() as connection:
            store.delete_installed(connection, name)
        self.refresh()
        return model

    def set_alias(self, scope: Scope, name: str, target: str, visibility: Visibility, set_by: str) -> Alias:
        """Let `name` mean `target` for those of the visibility. Raises InvalidFields or NameTaken."""
        alias = Alias(name=name, target=target, visibility=visibility, set_by=set_by, set_ns=self._clock.now_ns())
        brought = tuple(
            Alias(name=other, target=entry.name, visibility=Visibility())
            for entry in self.entries(scope).values()
            for other in entry.aliases
        )
        check_new_alias(alias, (*brought, *self._view.aliases), frozenset(self.entries(scope)))
        with self._database.write() as connection:
            store.put_alias(connection, alias)
        self.refresh()
        return alias

    def drop_alias(self, name: str, visibility: Visibility) -> None:
        """Forget an alias. Raises NotFound."""
        with self._database.write() as connection:
            dropped = store.delete_alias(connection, name, visibility)
        if not dropped:
            raise NotFound(f"no alias {name!r} is set here; `tramontane models list` shows them", param="alias")
        self.refresh()

    def _near(self, scope: Scope, name: str) -> tuple[str, ...]:
        return resolve.near_names(name, sorted(resolve.visible_installed(self._view, scope)))
