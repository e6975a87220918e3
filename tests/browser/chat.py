"""The chat as a person sees it: what is on the page by its role and name, and the few things one does with it."""

import re

from playwright.sync_api import Locator, Page, expect
from tests.browser.words import say

MODEL = "scripted"


class Chat:
    """One page of the client, in one language."""

    def __init__(self, page: Page, language: str = "en") -> None:
        self.page = page
        self.language = language

    def word(self, key: str, **named: object) -> str:
        return say(key, self.language, **named)

    def open(self, path: str = "/") -> "Chat":
        self.page.goto(path)
        expect(self.field).to_be_visible()
        return self

    @property
    def field(self) -> Locator:
        return self.page.get_by_label(self.word("chat.placeholder"), exact=True)

    @property
    def answers(self) -> Locator:
        return self.page.locator("article.answer")

    @property
    def questions(self) -> Locator:
        return self.page.get_by_role("article", name=self.word("chat.yourMessage"))

    @property
    def list(self) -> Locator:
        return self.page.get_by_role("navigation", name=self.word("common.chats"), exact=True)

    def button(self, key: str, **named: object) -> Locator:
        return self.page.get_by_role("button", name=self.word(key, **named), exact=True)

    def item(self, key: str, **named: object) -> Locator:
        return self.page.get_by_role("menuitem", name=self.word(key, **named), exact=True)

    def send(self, text: str) -> None:
        self.field.fill(text)
        self.field.press("Enter")

    def ask(self, text: str) -> Locator:
        """Send it and wait for the whole answer."""
        before = self.answers.count()
        self.send(text)
        expect(self.answers).to_have_count(before + 1)
        return self.finished()

    def finished(self) -> Locator:
        answer = self.answers.last
        expect(answer).to_have_attribute("aria-busy", "false")
        return answer

    def kept(self) -> str:
        """The conversation's id, once the address names it."""
        self.page.wait_for_url(re.compile(r"/chat/conv_"))
        return self.page.url.rsplit("/", 1)[1].partition("#")[0]
