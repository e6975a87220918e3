"""Passwords: what one may be, and argon2id off the event loop, two at once.

A hash carries its own parameters, so that they may grow later. Whose password it is, is the callers' matter.
"""

import base64
import secrets
import unicodedata
from collections.abc import Callable
from typing import TypeVar

import argon2
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

from tramontane.foundation.errors import InvalidFields, Overloaded
from tramontane.foundation.store.errors import StorageBusy
from tramontane.foundation.store.lanes import Lane

MIN_LENGTH = 12
MAX_LENGTH = 256
MIN_DIFFERENT = 5
AT_ONCE = 2
MAX_WAITING = 64
# What such lengths are usually filled with; digits and signs around them add nothing.
COMMON = frozenset(
    "password passwort passwords motdepasse qwertyuiop azertyuiop qwertzuiop letmein administrator administrateur "
    "tramontane iloveyou welcome bienvenue changeme passwordpassword abcdefghijkl".split()
)

Result = TypeVar("Result")


def check_password(password: str, *, email: str | None = None, name: str | None = None) -> None:
    """Raises InvalidFields for one that is too short, too long, or the first that anybody would try."""
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        raise _refusal(f"takes {MIN_LENGTH} to {MAX_LENGTH} characters; several words make a good one")
    folded = _normal(password).casefold().strip()
    if len(set(folded)) < MIN_DIFFERENT:
        raise _refusal("repeats too few characters; several words make a good one")
    core = "".join(character for character in folded if character.isalpha())
    if not core and len(folded) < 2 * MIN_LENGTH:
        raise _refusal("is made of digits and signs alone; several words make a good one")
    own = {part.casefold() for part in (email, (email or "").partition("@")[0], name) if part}
    if core in COMMON or folded in own or core in {"".join(filter(str.isalpha, part)) for part in own}:
        raise _refusal("is among the first that others would try; several words make a good one")


class Passwords:
    """Hashing and checking. One per gateway: its two threads are the limit on what signing in costs the machine."""

    def __init__(self, hasher: argon2.PasswordHasher | None = None) -> None:
        parameters = argon2.profiles.RFC_9106_LOW_MEMORY
        self._hasher = hasher or argon2.PasswordHasher.from_parameters(parameters)
        self._lane = Lane("passwords", threads=AT_ONCE, max_waiting=MAX_WAITING)
        self._nobodys = _hash_of_nobody(self._hasher)

    async def hash(self, password: str) -> str:
        """Raises Overloaded when too many wait."""
        return await self._run(lambda: self._hasher.hash(_normal(password)))

    async def matches(self, hashed: str | None, password: str) -> bool:
        """Whether it is the password; None stands for nobody's and takes as long. Raises Overloaded."""
        return await self._run(lambda: self._matches(hashed or self._nobodys, password))

    def outdated(self, hashed: str) -> bool:
        """Whether it was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(hashed)

    def close(self) -> None:
        self._lane.close()

    def _matches(self, hashed: str, password: str) -> bool:
        try:
            return self._hasher.verify(hashed, _normal(password))
        except (VerifyMismatchError, VerificationError, InvalidHashError):
            return False

    async def _run(self, work: Callable[[], Result]) -> Result:
        try:
            return await self._lane.run(work)
        except StorageBusy:
            raise Overloaded("too many people sign in at once; try again in a moment", retry_after_s=2) from None


def _hash_of_nobody(hasher: argon2.PasswordHasher) -> str:
    """A hash that no password has, under the same parameters: checking it costs what checking a real one does."""
    salt, digest = (
        base64.b64encode(secrets.token_bytes(length)).rstrip(b"=").decode()
        for length in (hasher.salt_len, hasher.hash_len)
    )
    cost = f"m={hasher.memory_cost},t={hasher.time_cost},p={hasher.parallelism}"
    return f"$argon2id$v=19${cost}${salt}${digest}"


def _normal(password: str) -> str:
    """One form for what looks the same, so that a password typed on another keyboard is the same password."""
    return unicodedata.normalize("NFC", password)


def _refusal(message: str) -> InvalidFields:
    return InvalidFields.of("password", f"the password {message}")
