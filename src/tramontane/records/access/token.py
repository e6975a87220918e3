"""Knows what a secret of ours is: 43 characters that carry 256 random bits, shown once and kept as SHA-256 only.

Sessions and links are such a token alone; a key's secret has its public id before it. Pure but for the operating system's
randomness.
"""

import hashlib
import re
import secrets

PATTERN = "[0-9A-Za-z_-]{43}"
_SHAPE = re.compile(PATTERN, re.ASCII)


def new_token() -> str:
    """A fresh one, which nobody can guess."""
    return secrets.token_urlsafe(32)


def is_token(text: str) -> bool:
    """Whether `text` could be one at all."""
    return _SHAPE.fullmatch(text) is not None


def digest_of(token: str) -> bytes:
    """What is kept of a secret in its place. Raises UnicodeEncodeError for what is not ASCII and so no secret of ours."""
    return hashlib.sha256(token.encode("ascii")).digest()
