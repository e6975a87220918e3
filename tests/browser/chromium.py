"""A real Chromium, quiet and fresh: no profile, no call home. Knows where it may be installed and how it is started."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, sync_playwright

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
    "--no-sandbox",
]


def program() -> str:
    """The path of the browser. Raises FileNotFoundError with what to do."""
    named = os.environ.get("TRAMONTANE_TEST_CHROMIUM")
    found = named or next((path for name in PROGRAMS if (path := shutil.which(name))), None)
    if found is None:
        raise FileNotFoundError(
            "the browser tests need Chromium: install the package 'chromium' or name one in TRAMONTANE_TEST_CHROMIUM"
        )
    return found


@contextmanager
def chromium() -> Iterator[Browser]:
    """A running browser with an empty profile, gone with the context."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program(), args=FLAGS, headless=True)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def eager_chromium(folder: Path, **options: Any) -> Iterator[BrowserContext]:
    """A browser that connects and looks up names ahead as a person's does; `folder`/net.json tells its network at the end."""
    quieting = "--disable-background-networking"
    flags = [flag for flag in FLAGS if flag != quieting]
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            folder / "profile",
            executable_path=program(),
            args=[*flags, f"--log-net-log={folder / 'net.json'}"],
            ignore_default_args=[quieting],
            headless=True,
            **options,
        )
        try:
            yield context
        finally:
            context.close()
