"""Refusals a person may meet have words in both languages of the page; the server's own sentences are English."""

import json
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
CODE = re.compile(r"^    code = \"(\w+)\"$", re.MULTILINE)
# Met only by whoever runs or installs the server, or turned into words of its own by the page that may meet it.
ELSEWHERE = frozenset({
    "architecture_unsupported", "client_closed_request", "invalid_fields", "invalid_request", "misconfigured",
    "outcome_unknown", "pull_cancelled", "step_refused", "store_in_use", "unauthenticated",
})  # fmt: skip


def _codes() -> set[str]:
    sources = (ROOT / "src" / "tramontane").rglob("*.py")
    return {code for source in sources for code in CODE.findall(source.read_text("utf-8"))}


def test_every_error_a_person_may_meet_is_said_in_french_and_in_english() -> None:
    codes = _codes()
    assert "engine_failed" in codes and codes >= ELSEWHERE
    for language in ("en", "fr"):
        words = json.loads((ROOT / f"web/src/i18n/{language}/common.json").read_text("utf-8"))
        assert sorted(code for code in codes - ELSEWHERE if f"error.{code}" not in words) == []


NUMBER = re.compile(r"\d+(?:\.\d+)?")


@pytest.mark.parametrize(("kind", "text"), [("model", "description"), ("licence", "summary")])
def test_the_shipped_catalogue_speaks_french_of_each_entry_and_of_no_other(kind: str, text: str) -> None:
    catalogue = tomllib.loads((ROOT / "src/tramontane/records/catalog/catalogue.toml").read_text("utf-8"))
    english = {one["name"]: one[text] for one in catalogue[kind]}
    french = json.loads((ROOT / "web/src/i18n/fr/catalogue.json").read_text("utf-8"))[kind]
    assert sorted(french) == sorted(english)
    # A size or a version that was mended in one of them alone would be a lie in the other.
    differing = [name for name in english if NUMBER.findall(french[name]) != NUMBER.findall(english[name])]
    assert differing == []
