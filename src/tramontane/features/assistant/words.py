"""Text as search sees it: folded to plain words, so that both databases find the same, and excerpts with their hits.

Folding drops case and accents, and every character that is neither letter nor digit; scripts written without spaces are
taken letter by letter. Pure functions; the SQL stands in `search`.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence

LONGEST_WORD = 64
MOST_CHARACTERS = 200_000
MOST_AT_ONCE = 400_000
"""In characters: of what one transaction writes. The index is written while everybody else's changes wait."""
MOST_QUERY_WORDS = 12
EXCERPT = 160
_WORD = re.compile(r"[^\W_]+")
_LETTERS = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_SPACELESS = re.compile(f"([{_LETTERS}])")
_SHOWN_WORD = re.compile(rf"[{_LETTERS}]|[^\W_{_LETTERS}]+")


def fold(text: str) -> str:
    """The words of a text, one space between them."""
    plain = text[:MOST_CHARACTERS]
    if not plain.isascii():
        # One letter may become eighteen; three are the most that any language's own letters become.
        plain = unicodedata.normalize("NFKD", plain)[: 3 * MOST_CHARACTERS]
        plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
        plain = _SPACELESS.sub(r" \1 ", plain)
    return " ".join(word for word in _WORD.findall(plain.casefold()) if len(word) <= LONGEST_WORD)[:MOST_CHARACTERS]


def fold_all(texts: Iterable[str], most: int = MOST_AT_ONCE) -> list[str]:
    """The words of each, from the first `most` characters of all together."""
    folded = []
    for text in texts:
        folded.append(fold(text[:most]))
        most = max(0, most - min(len(text), MOST_CHARACTERS))
    return folded


def query_words(text: str) -> list[str]:
    """The words somebody looks for; empty when the text holds none."""
    return list(dict.fromkeys(fold(text[:1000]).split()))[:MOST_QUERY_WORDS]


def excerpt(text: str, words: Sequence[str]) -> list[dict[str, object]]:
    """A piece of the text around the first hit, cut into parts that are hits and parts that are not."""
    text = text[:MOST_CHARACTERS]  # what lies beyond is found by nobody
    wanted = tuple(words)
    hits: list[tuple[int, int]] = []
    start, end = 0, min(len(text), EXCERPT)
    for found in _SHOWN_WORD.finditer(text):
        if hits and found.start() > end:
            break
        if _hit(found.group(), wanted):
            if not hits:
                start = max(0, found.start() - EXCERPT // 4)
                end = min(len(text), start + EXCERPT)
            hits.append(found.span())
    parts: list[dict[str, object]] = []
    at = start
    for first, last in hits:
        if first < at or last > end:
            continue
        parts += [{"text": text[at:first], "hit": False}, {"text": text[first:last], "hit": True}]
        at = last
    parts.append({"text": text[at:end], "hit": False})
    if start > 0:
        parts.insert(0, {"text": "… ", "hit": False})
    if end < len(text):
        parts.append({"text": " …", "hit": False})
    return [part for part in parts if part["text"]]


def _hit(word: str, wanted: tuple[str, ...]) -> bool:
    return (word.casefold() if word.isascii() else fold(word)).startswith(wanted)
