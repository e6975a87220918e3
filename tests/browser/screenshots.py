"""`python -m tests.browser.screenshots [FOLDER]`: every page, light and dark, wide and on a phone, as PNG into docs/screenshots.

Starts a server of its own with a scripted model, so that the pictures differ from one day to the next by what changed in
the client alone.
"""

import io
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Page
from tests.browser.chat import MODEL
from tests.browser.chromium import chromium
from tests.browser.pages import PAGES, furnish
from tests.browser.people import Person, first_administrator, invited, window
from tests.e2e.platform import Platform, run, serving
from tests.fakes.scripted_server import scripted_server

FOLDER = Path(__file__).parents[2] / "docs" / "screenshots"
WIDE: dict[str, Any] = {"viewport": {"width": 1280, "height": 800}}
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 760}, "has_touch": True, "is_mobile": True}
FORMATS = {"wide": WIDE, "phone": PHONE}
COLOURS = 192
# The pace of a small model on a laptop, so that the figures under an answer are no fairy tale.
REST_S = 0.03


def take(page: Page, target: Path) -> int:
    """Save what is seen with few colours, which is enough for flat pages; the size in bytes."""
    image = Image.open(io.BytesIO(page.screenshot(animations="disabled"))).convert("RGB")
    image.quantize(COLOURS, dither=Image.Dither.NONE).save(target, optimize=True)
    return target.stat().st_size


def all_pages(platform: Platform, administrator: Person, made: dict[str, str], folder: Path) -> None:
    """Each page in each format and each colour scheme; a window per combination, so that nothing is left from before."""
    with chromium() as browser:
        for form, options in FORMATS.items():
            for scheme in ("light", "dark"):
                look = {**options, "color_scheme": scheme}
                with administrator.window(browser, **look) as inside, window(browser, platform, **look) as outside:
                    for shown in PAGES:
                        page = (inside if shown.signed_in else outside).new_page()
                        shown.go(page, made)
                        size = take(page, folder / f"{shown.name}-{form}-{scheme}.png")
                        print(f"{shown.name:16} {form:5} {scheme:5} {size / 1000:6.1f} kB", flush=True)
                        page.close()


def main() -> None:
    """Take them all anew."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix="tramontane-screenshots-"))
    home = work / "home"
    try:
        with scripted_server() as scripted:
            scripted.rest_s = REST_S
            added = run(
                home, "models", "add", f"{scripted.address}#{MODEL}", "--licence", "apache-2.0", "--accept-licence"
            )
            assert added.returncode == 0, added.stderr
            with serving(home, TRAMONTANE_DEFAULT_MODEL=MODEL) as platform:
                administrator = first_administrator(platform)
                for role, name in (("builder", "Grace Hopper"), ("member", "Alan Turing")):
                    invited(administrator, role, name)
                all_pages(platform, administrator, furnish(administrator, scripted.texts), folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
