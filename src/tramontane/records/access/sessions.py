"""Browsers that are signed in: begun, found by their token, listed, ended. Opaque tokens, kept as SHA-256 only.

A session is cached for two seconds at most, so an end, a new role or a lost workspace counts everywhere within that time.
Asynchronous; one per gateway, used on its event loop.
"""

import base64
import hmac
import unicodedata
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from tramontane.foundation.clock import Clock
from tramontane.foundation.errors import NotFound, Unauthenticated
from tramontane.foundation.ids import new_id
from tramontane.foundation.nouns import Caller
from tramontane.foundation.settings import SessionSettings
from tramontane.foundation.store.database import Database
from tramontane.foundation.store.scope import Scope
from tramontane.records.access import people_store, session_store
from tramontane.records.access.last_use import LastUse
from tramontane.records.access.lookups import Lookups
from tramontane.records.access.nouns import Person, Session, SignedIn, Workspace, roles_of
from tramontane.records.access.token import digest_of, is_token, new_token

REFUSAL = "you are not signed in, or no longer; sign in again"
DAY_NS = 86_400 * 1_000_000_000
LONGEST_AGENT = 200


class _Found(NamedTuple):
    """A session's row; `signed_in` is None where the person has left its workspace."""

    organisation_id: str
    session_id: str
    person_id: str
    created_ns: int
    seen_ns: int
    signed_in: SignedIn | None


class Sessions:
    """From tokens to people."""

    def __init__(self, database: Database, clock: Clock, limits: SessionSettings) -> None:
        self._database = database
        self._clock = clock
        self._idle_ns = limits.idle_days * DAY_NS
        self._absolute_ns = limits.absolute_days * DAY_NS
        self._lookups: Lookups[str, _Found] = Lookups(database, clock, self._find)
        self._last_use = LastUse(database, session_store.note_seen, "sessions")

    @property
    def longest_s(self) -> int:
        """Seconds after which a session ends whatever happens."""
        return self._absolute_ns // 1_000_000_000

    async def signed_in(self, token: str) -> SignedIn:
        """Who is behind the token. Raises Unauthenticated, with the same words for every reason, or a storage error."""
        found = await self._live(token)
        if found is None or found.signed_in is None:
            raise Unauthenticated(REFUSAL)
        self._last_use.note(found.session_id, self._clock.now_ns())
        return found.signed_in

    async def recover(self, token: str) -> SignedIn | None:
        """For a session whose workspace its person has left: go on in another one of theirs, or end. None when ended."""
        found = await self._live(token)
        if found is None:
            return None
        if found.signed_in is None:
            moved = await self._database.run_write(self._move_or_end, found)
            self._lookups.forget(token)
            found = await self._live(token) if moved else None
        return found.signed_in if found else None

    async def begin(self, scope: Scope, person_id: str, agent: str, *, by_password: str | None = None) -> str:
        """Sign a person in; gives the token, which is to be handed to the browser and then forgotten.

        Raises Unauthenticated when the password whose hash is `by_password` is no longer the person's.
        """
        token = new_token()
        now_ns = self._clock.now_ns()
        row: dict[str, str | int | bytes] = {
            "organisation_id": scope.organisation_id,
            "session_id": new_id("ses"),
            "person_id": person_id,
            "workspace_id": scope.workspace_id,
            "token_sha256": digest_of(token),
            "agent": _plain(agent),
            "created_ns": now_ns,
            "seen_ns": now_ns,
        }
        if not await self._database.run_write(self._add, row, by_password):
            raise Unauthenticated(REFUSAL)
        return token

    async def listed(self, person: Person) -> list[Session]:
        """The person's browsers, the one used last before the others."""
        now_ns = self._clock.now_ns()
        rows = await self._database.run(self._rows, person)
        return [row for row in rows if self._in_time(row.session_id, row.created_ns, row.seen_ns, now_ns)]

    async def end(self, person: Person, session_id: str) -> None:
        """Sign one browser out. Raises NotFound for a session that is not this person's."""
        ended = await self._database.run_write(self._end, person, session_id)
        self._lookups.forget_where(lambda found: found.session_id == session_id)
        if not ended:
            raise NotFound(f"you have no session {session_id[:100]!r}", param="session_id")

    async def leave(self, signed_in: SignedIn) -> None:
        """Sign this browser out; it may have been signed out already."""
        await self._database.run_write(self._end, signed_in.person, signed_in.session_id)
        self._lookups.forget_where(lambda found: found.session_id == signed_in.session_id)

    async def end_all(self, person: Person, *, but: str | None = None) -> None:
        """Sign the person out everywhere, or everywhere but in the session `but`."""
        await self._database.run_write(self._end_all, person, but)
        self.forget(person.person_id)

    async def switch(self, signed_in: SignedIn, workspace_id: str) -> None:
        """Go on in another of one's workspaces. Raises NotFound for any other."""
        await self._database.run_write(self._switch, signed_in, workspace_id)
        self.forget(signed_in.person.person_id)

    def forget(self, person_id: str) -> None:
        """Look the person's sessions up anew at their next use; for changes made in this very process."""
        self._lookups.forget_where(lambda found: found.person_id == person_id)

    async def end_overdue(self) -> None:
        """Drop the rows of sessions that are over."""
        now_ns = self._clock.now_ns()
        await self._database.run_write(self._end_overdue, now_ns - self._idle_ns, now_ns - self._absolute_ns)

    def start(self) -> None:
        """Begin writing down now and then when sessions were last used."""
        self._last_use.start()

    async def close(self) -> None:
        """Stop, and write down what is left."""
        await self._last_use.close()

    async def _live(self, token: str) -> _Found | None:
        if not is_token(token):
            return None
        found = await self._lookups.get(token)
        if found is None:
            return None
        in_time = self._in_time(found.session_id, found.created_ns, found.seen_ns, self._clock.now_ns())
        return found if in_time else None

    def _in_time(self, session_id: str, created_ns: int, seen_ns: int, now_ns: int) -> bool:
        seen_ns = max(seen_ns, self._last_use.noted(session_id))
        return now_ns < created_ns + self._absolute_ns and now_ns < seen_ns + self._idle_ns

    def _find(self, token: str) -> _Found | None:
        with self._database.read() as connection:
            row = session_store.presented(connection, digest_of(token))
        if row is None:
            return None
        signed_in = None if row["role"] is None else _signed_in(row, token)
        return _Found(
            row["organisation_id"],
            row["session_id"],
            row["person_person_id"],
            row["created_ns"],
            row["seen_ns"],
            signed_in,
        )

    def _add(self, row: dict[str, str | int | bytes], by_password: str | None) -> bool:
        """Checking a password takes a while, in which it may have been changed and every session ended."""
        organisation_id, person_id = str(row["organisation_id"]), str(row["person_id"])
        with self._database.write() as connection:
            if by_password is not None:
                held = people_store.password_of(connection, organisation_id, person_id, hold=True)
                if held != by_password:
                    return False
            session_store.add(connection, row)
        return True

    def _rows(self, person: Person) -> list[Session]:
        with self._database.read() as connection:
            return session_store.sessions_of(connection, person.organisation_id, person.person_id)

    def _end(self, person: Person, session_id: str) -> int:
        with self._database.write() as connection:
            return session_store.end(connection, person.organisation_id, person.person_id, session_id)

    def _end_all(self, person: Person, but: str | None) -> None:
        with self._database.write() as connection:
            session_store.end_all(connection, person.organisation_id, person.person_id, but=but)

    def _switch(self, signed_in: SignedIn, workspace_id: str) -> None:
        person = signed_in.person
        with self._database.write() as connection:
            if people_store.role_of(connection, Scope(person.organisation_id, workspace_id), person.person_id) is None:
                raise NotFound(f"you have no workspace {workspace_id[:100]!r}", param="workspace_id")
            session_store.move(connection, person.organisation_id, signed_in.session_id, workspace_id)

    def _move_or_end(self, found: _Found) -> bool:
        with self._database.write() as connection:
            places = people_store.places_of(connection, found.organisation_id, found.person_id)
            if not places:
                session_store.end(connection, found.organisation_id, found.person_id, found.session_id)
                return False
            session_store.move(connection, found.organisation_id, found.session_id, places[0][0].workspace_id)
            return True

    def _end_overdue(self, seen_before_ns: int, created_before_ns: int) -> None:
        with self._database.write() as connection:
            session_store.end_overdue(connection, seen_before_ns, created_before_ns)


def _signed_in(row: Mapping[str, Any], token: str) -> SignedIn:
    organisation_id = row["organisation_id"]
    person = Person(**_part(row, Person, "person_"), organisation_id=organisation_id)
    workspace = Workspace(**_part(row, Workspace, "workspace_"), organisation_id=organisation_id)
    caller = Caller(
        organisation_id=person.organisation_id,
        workspace_id=workspace.workspace_id,
        principal_id=person.person_id,
        person_id=person.person_id,
        roles=roles_of(row["role"]),
        weight=workspace.weight,
    )
    return SignedIn(
        caller=caller,
        session_id=row["session_id"],
        csrf=_csrf(token),
        person=person,
        workspace=workspace,
        role=row["role"],
    )


def _part(row: Mapping[str, Any], kind: type[msgspec.Struct], prefix: str) -> dict[str, Any]:
    """The columns of one struct, which carry its name in the joined row."""
    return {name: row[prefix + name] for name in kind.__struct_fields__ if name != "organisation_id"}


def _csrf(token: str) -> str:
    """Follows from the token, so that it needs no keeping, and betrays nothing of it."""
    digest = hmac.digest(token.encode("ascii"), b"tramontane csrf", "sha256")
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _plain(agent: str) -> str:
    """What a browser calls itself, without anything that could not be printed."""
    return "".join(one for one in agent[:LONGEST_AGENT] if unicodedata.category(one) not in ("Cc", "Cs", "Cn"))
