"""Knows how identifiers are made: a readable prefix and enough randomness. Knows nothing of what they name."""

import secrets

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def new_id(prefix: str, length: int = 22) -> str:
    """A fresh identifier such as `ws_3kF...`; 22 base-62 characters carry 131 bits."""
    return f"{prefix}_{random_word(length)}"


def random_word(length: int) -> str:
    """`length` random letters and digits from the operating system's generator, which is asked once."""
    drawn, letters = secrets.randbelow(len(ALPHABET) ** length), []
    for _ in range(length):
        drawn, place = divmod(drawn, len(ALPHABET))
        letters.append(ALPHABET[place])
    return "".join(letters)
