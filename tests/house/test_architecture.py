"""The architecture page names real files, in at most twelve steps."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "ARCHITECTURE.md").read_text("utf-8")


def test_the_traced_request_names_files_that_exist() -> None:
    trace = PAGE.split("## One request, traced")[1].split("\n## ")[0]
    steps = re.findall(r"^\d+\. ", trace, re.MULTILINE)
    files = re.findall(r"`([\w/]+\.py)`", trace)
    assert 5 <= len(steps) <= 12
    assert len(files) > 20
    missing = [file for file in files if not (ROOT / "src" / "tramontane" / file).is_file()]
    assert missing == []


def test_links_of_the_guides_lead_somewhere() -> None:
    for page in (*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\((?!http)([^)#]+)\)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
