"""What names, weights and limits may be. Pure; every refusal names the field and the cure."""

import re
import unicodedata

from tramontane.foundation.errors import InvalidFields
from tramontane.records.access.nouns import RIGHTS, NewKey

MAX_NAME = 100
MAX_EMAIL = 254
MAX_WEIGHT = 1000
MAX_LIMIT = 2**53
MAX_MODELS = 50
_MODEL = re.compile(r"[A-Za-z0-9._:-]{1,128}", re.ASCII)


def checked_name(field: str, name: str) -> str:
    """The name without surrounding blanks. Raises InvalidFields when empty, too long or with control characters."""
    plain = unicodedata.normalize("NFC", name).strip()
    if not plain or len(plain) > MAX_NAME:
        raise InvalidFields.of(field, f"{field} takes 1 to {MAX_NAME} characters")
    if any(unicodedata.category(character) in ("Cc", "Cs", "Cn") for character in plain):
        raise InvalidFields.of(field, f"{field} takes letters, digits and signs only; remove control characters")
    return plain


def folded_email(email: str) -> str:
    """How an address is kept and compared: without surrounding blanks, in one form and one case."""
    return unicodedata.normalize("NFC", email).strip().casefold()


def checked_email(email: str) -> str:
    """The address as it is kept. Raises InvalidFields for what no mail could reach."""
    folded = folded_email(email)
    name, at, host = folded.rpartition("@")
    odd = any(one.isspace() or unicodedata.category(one) in ("Cc", "Cs", "Cn", "Cf") for one in folded)
    if not name or not at or not host or "@" in name or odd or len(folded) > MAX_EMAIL:
        raise InvalidFields.of("email", f"email takes an address such as ada@example.org, up to {MAX_EMAIL} characters")
    return folded


def checked_count(field: str, value: int | None, highest: int) -> int | None:
    """A positive whole number or None."""
    if value is not None and not 1 <= value <= highest:
        raise InvalidFields.of(field, f"{field} takes a whole number from 1 to {highest}, or nothing")
    return value


def check_models(models: frozenset[str] | None) -> None:
    """Raises InvalidFields for a limit to no model, to too many, or to what no model is called."""
    if models is None:
        return
    if not 1 <= len(models) <= MAX_MODELS:
        raise InvalidFields.of("models", f"models takes 1 to {MAX_MODELS} names, or nothing for every model")
    odd = [name for name in sorted(models) if not _MODEL.fullmatch(name)]
    if odd:
        raise InvalidFields.of("models", f"models takes names of models; {odd[0][:80]!r} is none")


def check_key(wanted: NewKey, now_ns: int) -> None:
    """Raises InvalidFields for the first field of a new key that cannot be."""
    checked_name("name", wanted.name)
    checked_count("requests_per_minute", wanted.requests_per_minute, MAX_LIMIT)
    checked_count("tokens_per_minute", wanted.tokens_per_minute, MAX_LIMIT)
    unknown = sorted(set(wanted.rights) - set(RIGHTS))
    if unknown or not wanted.rights:
        raise InvalidFields.of("rights", f"rights takes some of {', '.join(RIGHTS)}")
    check_models(wanted.models)
    if wanted.expires_ns is not None and wanted.expires_ns <= now_ns:
        raise InvalidFields.of("expires", "expires must lie in the future")
