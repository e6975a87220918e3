"""What a page did besides what it showed: requests, dialogs, refused content, errors. Every browser test ends by asking.

`clean()` holds whatever a model, a colleague or a file put into the page; a test that provokes refusals on purpose says so.
"""

import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, ConsoleMessage, Dialog, Request, WebError

INSIDE = ("blob", "data", "about")
REFUSED = ("Content Security Policy", "Content-Security-Policy", "TrustedHTML", "TrustedScript")
# A browser that does not know the newest directive of the sandbox says so each time, and has refused nothing.
UNKNOWN = "Unrecognized Content-Security-Policy directive 'webrtc'"


@dataclass
class Watch:
    """Everything one browser context did since it was opened."""

    address: str
    requests: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)
    refusals: list[tuple[str, str]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    refusals_expected: bool = False
    blocked: list[str] = field(default_factory=list)

    def over(self, context: BrowserContext) -> "Watch":
        context.on("request", self._request)
        context.on("requestfailed", self._failed)
        context.on("dialog", self._dialog)
        context.on("console", self._console)
        context.on("weberror", self._error)
        return self

    @property
    def foreign(self) -> list[str]:
        """Requests that left, or tried to leave, for anywhere but the server under test.

        Where refusals are expected, those the browser's policy held back do not count: nothing of them left.
        """
        own = urlsplit(self.address).netloc
        blocked = self.blocked if self.refusals_expected else []
        parts = [(url, urlsplit(url)) for url in self.requests if url not in blocked]
        return [url for url, part in parts if part.scheme not in INSIDE and part.netloc != own]

    def clean(self) -> None:
        """Fails with what was seen."""
        assert not self.foreign, self.foreign
        assert not self.dialogs, self.dialogs
        assert not self.errors, self.errors
        assert self.refusals_expected or not self.refusals, self.refusals

    def _request(self, request: Request) -> None:
        self.requests.append(request.url)

    def _failed(self, request: Request) -> None:
        if request.failure and re.search("csp", request.failure, re.IGNORECASE):
            self.blocked.append(request.url)

    def _dialog(self, dialog: Dialog) -> None:
        self.dialogs.append(f"{dialog.type}: {dialog.message}")
        dialog.dismiss()

    def _console(self, message: ConsoleMessage) -> None:
        if UNKNOWN not in message.text and any(word in message.text for word in REFUSED):
            self.refusals.append((message.location.get("url", ""), message.text))

    def _error(self, error: WebError) -> None:
        self.errors.append(str(error.error))
