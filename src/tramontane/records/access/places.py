"""Organisations, workspaces and who belongs to them. Blocking: asynchronous callers go through the database's lanes."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec
from sqlalchemy import Connection, Table
from sqlalchemy.exc import IntegrityError

from tramontane.foundation.clock import Clock
from tramontane.foundation.errors import Conflict, InvalidFields, NotFound
from tramontane.foundation.ids import new_id
from tramontane.foundation.store.database import Database
from tramontane.foundation.store.scope import Scope
from tramontane.records.access import people_store, store
from tramontane.records.access.fields import MAX_WEIGHT, checked_count, checked_email, checked_name
from tramontane.records.access.nouns import ROLES, Member, Organisation, Person, Role, Workspace


class Places:
    """Where people and keys belong."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def create_organisation(self, name: str) -> Organisation:
        """Raises InvalidFields, Conflict for a name in use."""
        made = Organisation(
            organisation_id=new_id("org"), name=checked_name("name", name), created_ns=self._clock.now_ns()
        )
        with self._adding("name", made.name) as connection:
            _insert(connection, store.organisation, made)
        return made

    def create_workspace(
        self, organisation_id: str, name: str, *, weight: int = 1, administrator: str | None = None
    ) -> Workspace:
        """`administrator` is the id of the person it then belongs to.

        Raises InvalidFields, Conflict for a name in use, NotFound for the organisation.
        """
        checked_count("weight", weight, MAX_WEIGHT)
        made = Workspace(
            organisation_id=organisation_id,
            workspace_id=new_id("ws"),
            name=checked_name("name", name),
            weight=weight,
            created_ns=self._clock.now_ns(),
        )
        with self._adding("name", made.name) as connection:
            _need_organisation(connection, organisation_id)
            _insert(connection, store.workspace, made)
            if administrator is not None:
                people_store.add_member(connection, made.scope, administrator, "administrator", made.created_ns)
        return made

    def organisation(self, name_or_id: str) -> Organisation:
        """Raises NotFound."""
        with self._database.read() as connection:
            found = store.organisation_called(connection, name_or_id)
        if found is None:
            raise NotFound(f"no organisation {name_or_id[:100]!r}", param="organisation")
        return found

    def workspaces(self, organisation_id: str) -> list[Workspace]:
        """Those of one organisation, by name."""
        with self._database.read() as connection:
            return store.workspaces_of(connection, organisation_id)

    def workspace(self, organisation_id: str, name_or_id: str) -> Workspace:
        """Raises NotFound, also for another organisation's."""
        for found in self.workspaces(organisation_id):
            if name_or_id in (found.workspace_id, found.name):
                return found
        raise NotFound(f"no workspace {name_or_id[:100]!r} in this organisation", param="workspace")

    def set_weight(self, scope: Scope, weight: int) -> None:
        """Change a workspace's part of the machine; running gateways notice within two seconds.

        Raises InvalidFields, NotFound.
        """
        checked_count("weight", weight, MAX_WEIGHT)
        with self._database.write() as connection:
            if not store.set_weight(connection, scope, weight):
                raise NotFound(f"no workspace {scope.workspace_id[:100]!r}", param="workspace")

    def add_person(self, organisation_id: str, name: str, email: str | None = None) -> Person:
        """Raises InvalidFields, Conflict for an address in use, NotFound for the organisation."""
        made = Person(
            organisation_id=organisation_id,
            person_id=new_id("usr"),
            name=checked_name("name", name),
            email=checked_email(email) if email is not None else None,
            created_ns=self._clock.now_ns(),
        )
        with self._adding("email", made.email or made.name) as connection:
            _need_organisation(connection, organisation_id)
            _insert(connection, store.person, made)
        return made

    def join(self, scope: Scope, person_id: str, role: Role) -> None:
        """Give a person of the organisation a role in a workspace. Raises InvalidFields, NotFound, Conflict."""
        if role not in ROLES:
            raise InvalidFields.of("role", f"role takes one of {', '.join(ROLES)}")
        with self._adding("person", person_id) as connection:
            if store.lock_workspace(connection, scope) is None:
                raise NotFound(f"no workspace {scope.workspace_id}", param="workspace")
            if store.person_of(connection, scope.organisation_id, person_id) is None:
                raise NotFound(f"no person {person_id[:100]!r} in this organisation", param="person")
            people_store.add_member(connection, scope, person_id, role, self._clock.now_ns())

    def members(self, scope: Scope) -> list[Member]:
        """The people of one workspace, by name."""
        with self._database.read() as connection:
            return [_member(row._asdict()) for row in store.members_of(connection, scope)]

    @contextmanager
    def _adding(self, field: str, name: str) -> Iterator[Connection]:
        """A write whose violated constraint means that the name is taken."""
        try:
            with self._database.write() as connection:
                yield connection
        except IntegrityError:
            raise Conflict(f"{name} is in use already; choose another {field}", param=field) from None


def _need_organisation(connection: Connection, organisation_id: str) -> None:
    if store.organisation_called(connection, organisation_id) is None:
        raise NotFound(f"no organisation {organisation_id[:100]!r}", param="organisation")


def _insert(connection: Connection, table: Table, row: msgspec.Struct) -> None:
    connection.execute(table.insert(), msgspec.structs.asdict(row))


def _member(row: Mapping[str, Any]) -> Member:
    person = Person(**{name: row[name] for name in Person.__struct_fields__})
    return Member(person=person, role=row["role"])
