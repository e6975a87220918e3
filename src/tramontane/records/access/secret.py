"""Knows what a key's secret looks like: `tm_<public id>_<43 characters>`, 256 random bits, kept as SHA-256 only.

The public id finds the row, the hash decides. Pure but for the operating system's randomness.
"""

import re
from typing import NamedTuple

from tramontane.foundation.ids import random_word
from tramontane.records.access.token import PATTERN, digest_of, new_token

ID_LENGTH = 12
_SHAPE = re.compile(f"tm_([0-9A-Za-z]{{{ID_LENGTH}}})_{PATTERN}", re.ASCII)


class PresentedKey(NamedTuple):
    """What a caller showed: which key it claims to be, and the hash of all it sent."""

    key_id: str
    sha256: bytes


def new_secret() -> tuple[PresentedKey, str]:
    """A fresh key and its secret, which is to be shown once and then forgotten."""
    key_id = random_word(ID_LENGTH)
    secret = f"tm_{key_id}_{new_token()}"
    return PresentedKey(key_id, digest_of(secret)), secret


def read_secret(text: str) -> PresentedKey | None:
    """What `text` claims to be, or None when it cannot be a key of ours."""
    match = _SHAPE.fullmatch(text)
    return PresentedKey(match[1], digest_of(text)) if match else None
