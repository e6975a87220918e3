"""The client's own words, from the files it is built with: a test says which word, never how it is worded."""

import json
from functools import cache
from pathlib import Path
from typing import Any

TABLES = Path(__file__).parents[2] / "web" / "src" / "i18n"


@cache
def _table(language: str, room: str) -> dict[str, str]:
    table: dict[str, str] = json.loads((TABLES / language / f"{room}.json").read_text("utf-8"))
    return table


def say(key: str, language: str = "en", **named: Any) -> str:
    """`chat.answerOf` in that language, with its gaps filled. Raises KeyError for a word that is not there."""
    room, _, word = key.partition(".")
    text = _table(language, room)[word]
    for name, value in named.items():
        text = text.replace(f"{{{name}}}", str(value))
    return text
