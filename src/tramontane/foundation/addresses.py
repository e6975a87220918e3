"""An address that may carry a password or a token, and how it looks where people read it. Knows no setting's name."""

import re
from typing import Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

HIDDEN = "***"
# Databases are told the user apart from the password; for all others the word before the @ may be a token itself.
SHOWS_ITS_USER = re.compile(r"postgres(ql)?(\+\w+)?")


class Address(str):
    """A URL, as written. `masked` is for people and logs; its `repr` is masked too, so that no traceback tells it."""

    __slots__ = ()

    @property
    def masked(self) -> str:
        """Without passwords and tokens: whatever stands before the last @, and every value after the question mark."""
        scheme, separator, rest = self.partition("://")
        if not separator:
            return HIDDEN if "@" in self or "=" in self else str(self)
        secrets, at, place = ("", "", rest) if rest.startswith("/") else rest.rpartition("@")
        if "?" in secrets:
            # A question mark in a password, or an @ in a value: nobody can tell where the secret ends.
            return f"{scheme}://{HIDDEN}"
        if at:
            secrets = _user(secrets) if SHOWS_ITS_USER.fullmatch(scheme) else HIDDEN
        place, question, query = place.partition("?")
        values = "&".join(f"{value.partition('=')[0]}={HIDDEN}" for value in query.split("&")) if query else ""
        return f"{scheme}://{secrets}{at}{place}{question}{values}"

    def __repr__(self) -> str:
        return repr(self.masked)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(cls, core_schema.str_schema())


def _user(secrets: str) -> str:
    user, colon, _ = secrets.partition(":")
    return f"{user}:{HIDDEN}" if colon else user
