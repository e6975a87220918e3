"""The client as it was really built: nothing inline, nothing foreign, all there, and small enough at first sight."""

import gzip
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tramontane.entrypoints.web.client import FOLDERS, SINGLE, file_rules
from tramontane.entrypoints.web.client_files import BUILT, TWINS, ClientFiles

LIMIT = 200_000  # bytes of JavaScript for the first screen, after gzip
pytestmark = pytest.mark.skipif(not (BUILT / "index.html").exists(), reason="without Node.js the client is not built")


class Page(HTMLParser):
    """The addresses a page loads, and what it carries inline."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.inline: list[str] = []
        self._inside = ""
        self.feed(page.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self._inside = tag if tag in ("script", "style") else ""
        self.inline += [name for name in given if name == "style" or name.startswith("on")]
        address = given.get("src") or (given.get("href") if tag == "link" else None)
        if address:
            self.loads.append(address)

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside and data.strip():
            self.inline.append(self._inside)


def built_files() -> list[str]:
    return [path.relative_to(BUILT).as_posix() for path in BUILT.rglob("*") if path.is_file()]


def kept_by_the_worker() -> list[str]:
    found = re.search(r"const FILES = (\[.*?\]);", (BUILT / "sw.js").read_text())
    assert found
    return json.loads(found[1])


@pytest.mark.parametrize("name", ["index.html", "offline.html"])
def test_pages_carry_nothing_inline_and_load_only_files_that_are_there(name: str) -> None:
    page = Page(BUILT / name)
    assert page.inline == []
    assert page.loads
    for address in page.loads:
        assert re.fullmatch(r"/[\w./-]+", address), address
        assert (BUILT / address.removeprefix("/")).is_file(), address


def test_the_theme_is_set_before_anything_is_painted() -> None:
    scripts = [address for address in Page(BUILT / "index.html").loads if address.endswith(".js")]
    assert re.fullmatch(r"/assets/boot-[\w-]{8}\.js", scripts[0])


def test_the_first_screen_is_small() -> None:
    scripts = [BUILT / name.removeprefix("/") for name in kept_by_the_worker() if name.endswith(".js")]
    # Both languages and the offline page's script are kept too, so this is more than any first screen takes.
    assert sum(len(gzip.compress(path.read_bytes())) for path in scripts) < LIMIT


def test_the_worker_keeps_the_shell_and_nothing_else() -> None:
    kept = kept_by_the_worker()
    assert "/index.html" not in kept and "/offline.html" in kept
    assert all((BUILT / name.removeprefix("/")).is_file() for name in kept)
    assert not any(name.startswith(("/v1", "/web")) or name == "/" for name in kept)


def test_every_built_file_can_be_had_and_its_zipped_twin_says_the_same() -> None:
    files = ClientFiles()
    endings = tuple(TWINS.values())
    for name in built_files():
        if name.endswith(endings):
            continue
        assert name == "index.html" or name in SINGLE or name.split("/")[0] in FOLDERS, f"{name} is served by no route"
        plain = files.read(name)
        assert plain is not None and plain.media_type != "application/octet-stream", name
        zipped = files.read(name, ("gzip",))
        assert zipped is not None
        if zipped.encoding:
            assert gzip.decompress(zipped.content) == plain.content, name


def test_what_is_kept_for_good_has_its_content_in_its_name() -> None:
    for name in built_files():
        if "immutable" in file_rules(name)[0]:
            assert re.search(r"-[\w-]{8}\.\w+(\.gz|\.br)?$", name), name


def test_the_licences_of_what_is_bundled_come_along() -> None:
    text = (BUILT / "licences.txt").read_text()
    for package in ("svelte", "marked", "dompurify", "highlight.js", "katex", "mermaid"):
        assert re.search(rf"^{re.escape(package)} \d", text, re.M), package
