"""Signing in, joining and changing a password: the steps that need people, passwords, sessions and attempts together.

Asynchronous. The ways in call this; how a browser carries a session is theirs.
"""

from dataclasses import dataclass

from tramontane.foundation.clock import Clock
from tramontane.foundation.errors import BadRequest, Forbidden, InvalidFields, TramontaneError, Unauthenticated
from tramontane.foundation.settings import SessionSettings
from tramontane.foundation.store.database import Database
from tramontane.foundation.store.scope import Scope
from tramontane.records.access import people_store, session_store
from tramontane.records.access.attempts import Attempts
from tramontane.records.access.fields import checked_email, checked_name, folded_email
from tramontane.records.access.invitations import Invitations, Newcomer, Offer
from tramontane.records.access.nouns import Person, SignedIn
from tramontane.records.access.passwords import MAX_LENGTH, Passwords, check_password
from tramontane.records.access.people import People
from tramontane.records.access.sessions import Sessions

WRONG = "the e-mail address or the password is wrong"


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What somebody who opens a link has typed."""

    secret: str
    name: str | None = None
    email: str | None = None
    password: str | None = None


class Accounts:
    """The people of one organisation and their ways in. One per gateway, used on its event loop."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        organisation_id: str,
        limits: SessionSettings,
        *,
        passwords: Passwords | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._organisation_id = organisation_id
        self._passwords = passwords or Passwords()
        self._attempts = Attempts(clock)
        self._anybody = False
        self.sessions = Sessions(database, clock, limits)
        self.people = People(database, clock)
        self.invitations = Invitations(database, clock)

    async def first_start(self) -> bool:
        """Whether nobody can sign in yet."""
        if not self._anybody:
            self._anybody = await self._database.run(self.people.anybody, self._organisation_id)
        return not self._anybody

    async def sign_in(self, email: str, password: str, address: str, agent: str) -> str:
        """A new session's token. Raises Unauthenticated with one message for every reason, RateLimited, Forbidden for
        somebody who has no workspace left, or a storage error."""
        if not password.strip() or len(password) > MAX_LENGTH:
            raise Unauthenticated(WRONG)
        folded = folded_email(email).replace("\x00", "\ufffd")  # which PostgreSQL takes, and nobody's address has
        person, hashed = await self._judged(folded, password, address)
        if self._passwords.outdated(hashed):
            newer = await self._passwords.hash(password)
            await self._database.run_write(self._replace, person, hashed, newer)
            hashed = newer
        scope = await self._database.run(self._usual_place, person)
        if scope is None:
            raise Forbidden("you are in no workspace any more; ask an administrator for an invitation")
        return await self.sessions.begin(scope, person.person_id, agent, by_password=hashed)

    async def change_password(self, signed_in: SignedIn, current: str, new: str, address: str) -> None:
        """Set a new one and end the person's other sessions. Raises InvalidFields, RateLimited."""
        person = signed_in.person
        check_password(new, email=person.email, name=person.name)
        email = person.email or person.person_id
        self._attempts.begin(email, address)
        hashed = await self._database.run(self._hash_of, person)
        if not await self._passwords.matches(hashed, current[:MAX_LENGTH]):
            raise InvalidFields.of("current", "this is not your current password")
        self._attempts.succeeded(email, address)
        await self._database.run_write(self._set, person, await self._passwords.hash(new), signed_in.session_id)
        self.sessions.forget(person.person_id)

    async def look(self, secret: str) -> Offer:
        """What is behind a link. Raises NotFound."""
        return await self._database.run(self.invitations.look, secret)

    async def join(self, wish: Wish, signed_in: SignedIn | None, agent: str) -> str:
        """Take up a link: as the person who is signed in, or as a new one; gives a new session's token.

        Raises NotFound, InvalidFields, Conflict.
        """
        offer = await self.look(wish.secret)
        newcomer = await self._newcomer(offer, wish, signed_in)
        link, person_id = await self._database.run_write(self.invitations.take_up, wish.secret, newcomer)
        self.sessions.forget(person_id)
        return await self.sessions.begin(link.scope, person_id, agent)

    async def close(self) -> None:
        await self.sessions.close()
        self._passwords.close()

    async def _newcomer(self, offer: Offer, wish: Wish, signed_in: SignedIn | None) -> Newcomer:
        """Fields checked before the costly hash."""
        kind = offer.invitation.kind
        if kind == "invitation" and signed_in is not None and wish.password is None:
            return Newcomer(person=signed_in.person)
        if wish.password is None:
            raise InvalidFields.of("password", "password is missing", "missing")
        if kind == "password_reset":
            check_password(wish.password, email=offer.email)
            return Newcomer(password_hash=await self._passwords.hash(wish.password))
        if wish.name is None:
            raise InvalidFields.of("name", "name is missing", "missing")
        if not wish.email and not offer.email:
            raise InvalidFields.of("email", "email is missing", "missing")
        email = checked_email(wish.email or offer.email or "")
        if offer.email is not None and email != offer.email:
            raise BadRequest(f"this invitation is for {offer.email}; join with that address", param="email")
        name = checked_name("name", wish.name)
        check_password(wish.password, email=email, name=name)
        return Newcomer(name=name, email=email, password_hash=await self._passwords.hash(wish.password))

    async def _judged(self, email: str, password: str, address: str) -> tuple[Person, str]:
        """The person whose password it is, with its hash; the same work and words whether anybody has the address."""
        self._attempts.begin(email, address)
        try:
            person, hashed = await self._database.run(self._person_and_hash, email)
            right = await self._passwords.matches(hashed, password)
        except TramontaneError:
            self._attempts.void(email, address)
            raise
        if not right or person is None or hashed is None:
            raise Unauthenticated(WRONG)
        self._attempts.succeeded(email, address)
        return person, hashed

    def _person_and_hash(self, email: str) -> tuple[Person | None, str | None]:
        with self._database.read() as connection:
            person = people_store.person_with_email(connection, self._organisation_id, email)
            # Asked for also where nobody has the address: the work is to be the same.
            person_id = person.person_id if person else ""
            return person, people_store.password_of(connection, self._organisation_id, person_id)

    def _hash_of(self, person: Person) -> str | None:
        with self._database.read() as connection:
            return people_store.password_of(connection, person.organisation_id, person.person_id)

    def _replace(self, person: Person, old: str, new: str) -> None:
        with self._database.write() as connection:
            people_store.replace_password(connection, person.organisation_id, person.person_id, old, new)

    def _set(self, person: Person, hashed: str, session_id: str) -> None:
        organisation_id, person_id = person.organisation_id, person.person_id
        with self._database.write() as connection:
            people_store.set_password(connection, organisation_id, person_id, hashed, self._clock.now_ns())
            session_store.end_all(connection, organisation_id, person_id, but=session_id)

    def _usual_place(self, person: Person) -> Scope | None:
        """Where the person worked last, else the workspace joined first."""
        with self._database.read() as connection:
            places = people_store.places_of(connection, person.organisation_id, person.person_id)
            last = session_store.last_place(connection, person.organisation_id, person.person_id)
        scopes = [place.scope for place, _ in places]
        return next((scope for scope in scopes if scope.workspace_id == last), scopes[0] if scopes else None)
