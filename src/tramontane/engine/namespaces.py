"""Salts of the prefix cache: one for every workspace and model, so that no cached prompt is shared between workspaces.

Derived from the installation's secret, so that a salt tells neither name and cannot be guessed.
"""

import hashlib
import hmac

MAX_KEPT = 4096


class Namespaces:
    """Derives, and remembers what it derived."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._kept: dict[tuple[str, str], bytes] = {}

    def of(self, workspace: str, model: str) -> bytes:
        """32 bytes; the same for the same pair until the secret changes."""
        known = self._kept.get((workspace, model))
        if known is None:
            if len(self._kept) >= MAX_KEPT:
                self._kept.clear()
            # The length keeps two pairs of names that join to the same text apart.
            named = f"{len(workspace)}:{workspace}{model}".encode()
            known = self._kept[workspace, model] = hmac.new(self._secret, named, hashlib.sha256).digest()
        return known
