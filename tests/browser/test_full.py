"""Who keeps as much as they may: what is refused is said, and what was deleted just now makes room at once."""

from pathlib import Path

from playwright.sync_api import Browser, expect
from tests.browser.chat import MODEL, Chat
from tests.browser.people import first_administrator
from tests.e2e.platform import serving

WORDS = "many words " * 1_000


def test_what_was_deleted_just_now_makes_room_for_what_is_sent_again(browser: Browser, own_home: Path) -> None:
    limit = {"TRAMONTANE_ASSISTANT__MAX_KEPT_BYTES": str(9 * len(WORDS) // 2)}
    with serving(own_home, TRAMONTANE_DEFAULT_MODEL=MODEL, **limit) as platform:
        person = first_administrator(platform)
        with person.window(browser) as context:
            chat = Chat(context.new_page()).open()
            # Echoed, each of them is kept twice.
            for number in range(2):
                chat.ask(f"{number} {WORDS}")
                chat.kept()
                chat.page.get_by_role("link", name=chat.word("common.newChat")).click()
                expect(chat.questions).to_have_count(0)
            chat.send(f"2 {WORDS}")
            expect(chat.page.get_by_role("alert")).to_contain_text(chat.word("common.error.history_full"))
            expect(chat.field).to_have_value(f"2 {WORDS}")
            first = chat.list.get_by_role("listitem").first
            first.hover()
            first.get_by_role("button").click()
            chat.item("common.delete").click()
            # A note with a pointer on it does not go by itself.
            chat.button("common.undo").hover()
            chat.field.press("Enter")
            chat.kept()
            expect(chat.finished()).to_contain_text("You said: 2 many words")
            # It is gone for good by now.
            expect(chat.button("common.undo")).to_have_count(0)
            expect(chat.list.get_by_role("link")).to_have_count(2)
