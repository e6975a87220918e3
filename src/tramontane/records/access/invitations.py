"""One-time links: the first administrator's, invitations into a workspace, a new password. Secrets are kept hashed.

A link is used up in the same transaction that does what it is for, so of two who open it at once one gets in. Blocking:
asynchronous callers go through the database's lanes.
"""

import msgspec
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from tramontane.foundation.clock import Clock
from tramontane.foundation.errors import Conflict, Forbidden, InvalidFields, NotFound
from tramontane.foundation.ids import new_id
from tramontane.foundation.store.database import Database
from tramontane.foundation.store.scope import Scope
from tramontane.records.access import invitation_store, people_store, session_store, store
from tramontane.records.access.fields import checked_email
from tramontane.records.access.nouns import ROLES, Invitation, InvitationKind, Person, Role
from tramontane.records.access.token import digest_of, is_token, new_token

LIFE_NS = 7 * 86_400 * 1_000_000_000
CLOSED = "this link is not valid, or no longer: it was used, ended or replaced; ask for a new one"


class NewLink(msgspec.Struct, frozen=True):
    """A link and its secret, which exists nowhere else."""

    invitation: Invitation
    secret: str

    @property
    def path(self) -> str:
        """Where the link leads; the secret stands after the `#`, which browsers send to nobody."""
        return f"/join#{self.secret}"


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """What stands behind a link, as whoever holds it may know. `email` is the person's own for a new password."""

    invitation: Invitation
    organisation_name: str
    workspace_name: str
    email: str | None


class Newcomer(msgspec.Struct, frozen=True, kw_only=True):
    """Who takes up a link: somebody signed in (`person`), or somebody new with checked fields and a hashed password."""

    person: Person | None = None
    name: str = ""
    email: str = ""
    password_hash: str = ""


class _Purpose(msgspec.Struct, frozen=True, kw_only=True):
    """What a link is to do, and who wants it: `by` None is the operator. One that is `lasting` never expires."""

    kind: InvitationKind
    role: Role
    email: str | None = None
    person_id: str | None = None
    by: str | None = None
    lasting: bool = False


class Invitations:
    """The links of every workspace."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def first(self, scope: Scope) -> NewLink | None:
        """The link that makes the first administrator, in place of any before it; None once somebody can sign in."""
        with self._database.write() as connection:
            if people_store.any_password(connection, scope.organisation_id):
                return None
            now_ns = self._clock.now_ns()
            invitation_store.revoke_kind(connection, scope.organisation_id, "first_administrator", now_ns)
            purpose = _Purpose(kind="first_administrator", role="administrator", lasting=True)
            return self._add(connection, scope, purpose)

    def invite(self, scope: Scope, role: Role, *, email: str | None = None, by: str | None = None) -> NewLink:
        """A link into the workspace, for anybody who holds it or for one address.

        `by` must administer it still; None is the operator. Raises InvalidFields, NotFound, Forbidden.
        """
        if role not in ROLES:
            raise InvalidFields.of("role", f"role takes one of {', '.join(ROLES)}")
        address = checked_email(email) if email else None
        with self._database.write() as connection:
            if store.lock_workspace(connection, scope) is None:
                raise NotFound(f"no workspace {scope.workspace_id}", param="workspace")
            # The role was looked at before; a link made after its loss would be revoked by nobody.
            if by is not None and people_store.role_of(connection, scope, by) != "administrator":
                raise Forbidden("only administrators of the workspace invite people")
            return self._add(connection, scope, _Purpose(kind="invitation", role=role, email=address, by=by))

    def reset(self, scope: Scope, person_id: str, *, by: str | None = None) -> NewLink:
        """A link to a new password for a person of the workspace, in place of any before it.

        `by` must administer every workspace of that person, whom the link's holder can sign in as; None is the operator.
        Raises NotFound, Forbidden.
        """
        with self._database.write() as connection:
            role = people_store.role_of(connection, scope, person_id)
            if role is None:
                raise NotFound(f"no person {person_id[:100]!r} in this workspace", param="person_id")
            if by is not None and not _administers(connection, by, scope.organisation_id, person_id):
                raise Forbidden(
                    "this person is in workspaces that you do not administer; whoever runs the server can make "
                    "the link with `tramontane people reset`"
                )
            now_ns = self._clock.now_ns()
            organisation_id = scope.organisation_id
            invitation_store.revoke_kind(connection, organisation_id, "password_reset", now_ns, person_id=person_id)
            purpose = _Purpose(kind="password_reset", role=role, person_id=person_id, by=by)
            return self._add(connection, scope, purpose)

    def pending(self, scope: Scope) -> list[Invitation]:
        """The open invitations into a workspace, oldest first."""
        with self._database.read() as connection:
            return invitation_store.pending(connection, scope, self._clock.now_ns())

    def revoke(self, scope: Scope, invitation_id: str) -> None:
        """Raises NotFound for an invitation that is not open."""
        with self._database.write() as connection:
            if not invitation_store.revoke(connection, scope, invitation_id, self._clock.now_ns()):
                raise NotFound(f"no open invitation {invitation_id[:100]!r} in this workspace", param="invitation_id")

    def look(self, secret: str) -> Offer:
        """What is behind a link, without using it. Raises NotFound, with the same words for every reason."""
        with self._database.read() as connection:
            found = invitation_store.behind(connection, _digest(secret), self._clock.now_ns())
            offer = None if found is None else _offer(connection, found)
        if offer is None:
            raise NotFound(CLOSED, param="secret", code="link_closed")
        return offer

    def take_up(self, secret: str, newcomer: Newcomer) -> tuple[Invitation, str]:
        """Use the link and do what it is for; gives it and the id of the person who now has a place there.

        Raises NotFound, Conflict for a person or an address that does not fit; then the link stays open.
        """
        try:
            with self._database.write() as connection:
                now_ns = self._clock.now_ns()
                link = invitation_store.claim(connection, _digest(secret), now_ns)
                if link is None:
                    raise NotFound(CLOSED, param="secret", code="link_closed")
                return link, _fulfil(connection, link, newcomer, now_ns)
        except IntegrityError:
            raise Conflict("that address is in use already; sign in and open the link again", param="email") from None

    def _add(self, connection: Connection, scope: Scope, purpose: _Purpose) -> NewLink:
        secret = new_token()
        now_ns = self._clock.now_ns()
        made = Invitation(
            organisation_id=scope.organisation_id,
            workspace_id=scope.workspace_id,
            invitation_id=new_id("inv"),
            kind=purpose.kind,
            role=purpose.role,
            email=purpose.email,
            person_id=purpose.person_id,
            created_by=purpose.by,
            created_ns=now_ns,
            expires_ns=None if purpose.lasting else now_ns + LIFE_NS,
        )
        invitation_store.add(connection, {**msgspec.structs.asdict(made), "secret_sha256": _digest(secret)})
        return NewLink(made, secret)


def _fulfil(connection: Connection, link: Invitation, newcomer: Newcomer, now_ns: int) -> str:
    """Do what a claimed link is for; gives the person's id."""
    if link.kind == "password_reset":
        return _reset(connection, link, newcomer, now_ns)
    # Held against others, so that of two first administrators one is the first.
    store.lock_workspace(connection, link.scope)
    if link.kind == "first_administrator" and people_store.any_password(connection, link.organisation_id):
        raise NotFound(CLOSED, param="secret", code="link_closed")
    person = newcomer.person or _new_person(connection, link, newcomer, now_ns)
    if link.email is not None and person.email != link.email:
        raise Conflict("this invitation is for another address; sign out and open the link again", param="email")
    if people_store.role_of(connection, link.scope, person.person_id) is not None:
        raise Conflict("you are in this workspace already; the link stays open for somebody else", code="already_in")
    people_store.add_member(connection, link.scope, person.person_id, link.role, now_ns)
    return person.person_id


def _reset(connection: Connection, link: Invitation, newcomer: Newcomer, now_ns: int) -> str:
    """A new password ends every session: whoever knew the old one is out.

    Whoever made the link must still be entitled to it: its person may have joined other workspaces since.
    """
    if link.person_id is None or people_store.role_of(connection, link.scope, link.person_id) is None:
        raise NotFound(CLOSED, param="secret", code="link_closed")
    by = link.created_by
    if by is not None and not _administers(connection, by, link.organisation_id, link.person_id):
        raise NotFound(CLOSED, param="secret", code="link_closed")
    people_store.set_password(connection, link.organisation_id, link.person_id, newcomer.password_hash, now_ns)
    session_store.end_all(connection, link.organisation_id, link.person_id)
    return link.person_id


def _administers(connection: Connection, by: str, organisation_id: str, person_id: str) -> bool:
    """Whether `by` is an administrator of every workspace the person is in."""
    places = people_store.places_of(connection, organisation_id, person_id)
    roles = [people_store.role_of(connection, place.scope, by) for place, _ in places]
    return all(role == "administrator" for role in roles)


def _new_person(connection: Connection, link: Invitation, newcomer: Newcomer, now_ns: int) -> Person:
    """Raises Conflict for an address in use: a link lets nobody become somebody who is there already."""
    if people_store.person_with_email(connection, link.organisation_id, newcomer.email) is not None:
        raise Conflict(
            "that address has an account already; sign in with it and open the link again",
            param="email",
            code="sign_in_first",
        )
    made = Person(
        organisation_id=link.organisation_id,
        person_id=new_id("usr"),
        name=newcomer.name,
        email=newcomer.email,
        created_ns=now_ns,
    )
    connection.execute(store.person.insert(), msgspec.structs.asdict(made))
    people_store.set_password(connection, link.organisation_id, made.person_id, newcomer.password_hash, now_ns)
    return made


def _offer(connection: Connection, link: Invitation) -> Offer | None:
    organisation = store.organisation_called(connection, link.organisation_id)
    workspaces = {one.workspace_id: one.name for one in store.workspaces_of(connection, link.organisation_id)}
    if organisation is None or link.workspace_id not in workspaces:
        return None
    email = link.email
    if link.person_id is not None:
        person = store.person_of(connection, link.organisation_id, link.person_id)
        email = person.email if person else None
    name = workspaces[link.workspace_id]
    return Offer(invitation=link, organisation_name=organisation.name, workspace_name=name, email=email)


def _digest(secret: str) -> bytes:
    """Of nothing for what cannot be a secret, so that it takes the same way."""
    return digest_of(secret if is_token(secret) else "")
