"""Knows what a key's secret looks like: `tm_<public id>_<43 characters>`, 256 random bits, kept as SHA-256 only.

The public id finds the row, the hash decides. Pure but for the operating system's randomness.
"""

import hashlib
import re
import secrets
from typing import NamedTuple

from tramontane.foundation.ids import random_word

ID_LENGTH = 12
_SHAPE = re.compile(r"tm_([0-9A-Za-z]{12})_[0-9A-Za-z_-]{43}", re.ASCII)


class PresentedKey(NamedTuple):
    """What a caller showed: which key it claims to be, and the hash of all it sent."""

    key_id: str
    sha256: bytes


def new_secret() -> tuple[PresentedKey, str]:
    """A fresh key and its secret, which is to be shown once and then forgotten."""
    key_id = random_word(ID_LENGTH)
    secret = f"tm_{key_id}_{secrets.token_urlsafe(32)}"
    return PresentedKey(key_id, _sha256(secret)), secret


def read_secret(text: str) -> PresentedKey | None:
    """What `text` claims to be, or None when it cannot be a key of ours."""
    match = _SHAPE.fullmatch(text)
    return PresentedKey(match[1], _sha256(text)) if match else None


def _sha256(text: str) -> bytes:
    return hashlib.sha256(text.encode("ascii")).digest()
