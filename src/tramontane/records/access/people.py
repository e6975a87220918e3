"""The people of a workspace: their roles, who leaves, what they say of themselves. A workspace keeps one administrator.

Blocking: asynchronous callers go through the database's lanes. A person of another workspace is not found.
"""

from collections.abc import Mapping

import msgspec
from sqlalchemy import Connection

from tramontane.foundation.clock import Clock
from tramontane.foundation.errors import Conflict, InvalidFields, NotFound
from tramontane.foundation.store.database import Database
from tramontane.foundation.store.scope import Scope
from tramontane.records.access import invitation_store, people_store, session_store, store
from tramontane.records.access.fields import checked_name, folded_email
from tramontane.records.access.nouns import ROLES, Person, Role, Workspace
from tramontane.records.access.places import Places

LAST = "this is the workspace's last administrator; make somebody else one first"


class Seat(msgspec.Struct, frozen=True, kw_only=True):
    """A person's place in a workspace as its administrators see it; `seen_ns` None for somebody not signed in."""

    person: Person
    role: Role
    joined_ns: int
    seen_ns: int | None


class People:
    """Everybody who may sign in, one workspace at a time."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def anybody(self, organisation_id: str) -> bool:
        """Whether somebody of the organisation can sign in; False until the first administrator has joined."""
        with self._database.read() as connection:
            return people_store.any_password(connection, organisation_id)

    def seats(self, scope: Scope) -> list[Seat]:
        """By name."""
        members = Places(self._database, self._clock).members(scope)
        with self._database.read() as connection:
            seen = session_store.last_seen(connection, scope.organisation_id)
            joined = people_store.joined(connection, scope)
        return [
            Seat(
                person=member.person,
                role=member.role,
                joined_ns=joined[member.person.person_id],
                seen_ns=seen.get(member.person.person_id),
            )
            for member in members
            if member.person.person_id in joined
        ]

    def with_email(self, organisation_id: str, email: str) -> Person:
        """Raises NotFound."""
        with self._database.read() as connection:
            found = people_store.person_with_email(connection, organisation_id, folded_email(email))
        if found is None:
            raise NotFound(f"nobody has the address {email[:100]!r}; `tramontane people list` shows all", param="email")
        return found

    def places(self, person: Person) -> list[tuple[Workspace, Role]]:
        """The workspaces of one person, the first joined first."""
        with self._database.read() as connection:
            return people_store.places_of(connection, person.organisation_id, person.person_id)

    def change(self, person: Person, values: Mapping[str, str | None]) -> None:
        """Set some of name, language and theme. Raises InvalidFields."""
        wanted = dict(values)
        if "name" in wanted:
            wanted["name"] = checked_name("name", wanted["name"] or "")
        if wanted:
            with self._database.write() as connection:
                people_store.change_person(connection, person.organisation_id, person.person_id, wanted)

    def set_role(self, scope: Scope, person_id: str, role: Role) -> None:
        """Raises InvalidFields, NotFound, Conflict for the last administrator."""
        if role not in ROLES:
            raise InvalidFields.of("role", f"role takes one of {', '.join(ROLES)}")
        with self._database.write() as connection:
            held = _held_role(connection, scope, person_id)
            if held == "administrator" and role != "administrator":
                _keep_one(connection, scope)
            people_store.set_role(connection, scope, person_id, role)
            if role != "administrator":
                # Else a link made before and kept would bring the role back.
                invitation_store.revoke_made_by(connection, scope, person_id, self._clock.now_ns())

    def remove(self, scope: Scope, person_id: str) -> list[str]:
        """Take a person out of the workspace, with the links and keys they made in it; gives those keys' names.

        Raises NotFound, Conflict for the last administrator.
        """
        with self._database.write() as connection:
            if _held_role(connection, scope, person_id) == "administrator":
                _keep_one(connection, scope)
            now_ns = self._clock.now_ns()
            people_store.remove_member(connection, scope, person_id)
            invitation_store.revoke_made_by(connection, scope, person_id, now_ns)
            return people_store.revoke_keys_of(connection, scope, person_id, now_ns)

    def make_workspace(self, person: Person, name: str) -> Workspace:
        """A new workspace with this person as its administrator. Raises InvalidFields, Conflict for a name in use."""
        places = Places(self._database, self._clock)
        return places.create_workspace(person.organisation_id, name, administrator=person.person_id)


def _held_role(connection: Connection, scope: Scope, person_id: str) -> Role:
    """The person's role, with the workspace held against others until the transaction ends. Raises NotFound."""
    known = store.lock_workspace(connection, scope) is not None
    role = people_store.role_of(connection, scope, person_id) if known else None
    if role is None:
        raise NotFound(f"no person {person_id[:100]!r} in this workspace", param="person_id")
    return role


def _keep_one(connection: Connection, scope: Scope) -> None:
    if people_store.administrators(connection, scope) <= 1:
        raise Conflict(LAST, param="role", code="last_administrator")
