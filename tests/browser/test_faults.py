"""What goes wrong around a conversation: no network, a killed server, files that are too big, a page that is not there."""

from pathlib import Path

from playwright.sync_api import Browser, expect
from tests.browser.chat import MODEL, Chat
from tests.browser.people import first_administrator
from tests.browser.words import say
from tests.e2e.platform import serving, start, wait_until_loaded


def test_offline_is_said_and_the_words_are_kept(chat: Chat) -> None:
    chat.ask("while the line is up")
    chat.page.context.set_offline(True)
    expect(chat.page.get_by_text(chat.word("common.offline"))).to_be_visible()
    chat.send("sent into the void")
    # The list beside it may say so too: it is read again after every answer.
    expect(chat.page.get_by_role("alert").filter(has_text=chat.word("common.serverUnreachable"))).to_be_visible()
    expect(chat.field).to_have_value("sent into the void")
    chat.page.context.set_offline(False)
    expect(chat.page.get_by_text(chat.word("common.offline"))).to_have_count(0)
    chat.field.press("Enter")
    expect(chat.finished()).to_contain_text("You said: sent into the void")
    expect(chat.questions).to_have_count(2)


def test_a_killed_server_loses_nothing_that_was_saved_and_one_can_go_on(browser: Browser, own_home: Path) -> None:
    with serving(own_home, TRAMONTANE_DEFAULT_MODEL=MODEL) as platform:
        person = first_administrator(platform)
        with person.window(browser) as context:
            chat = Chat(context.new_page()).open()
            chat.ask("before the fall")
            chat.send("slow:4000")
            # Kept at most once a second: what is on the screen now will be among what is saved.
            expect(chat.answers.last).to_contain_text("word5 ")
            expect(chat.answers.last).to_contain_text("word80 ", timeout=60_000)
            platform.process.kill()
            platform.process.wait(30)
            expect(chat.page.get_by_text(chat.word("chat.lost"))).to_be_visible()
            again = start(own_home, platform.port, TRAMONTANE_DEFAULT_MODEL=MODEL)
            try:
                wait_until_loaded(again)
                expect(chat.answers.last).to_contain_text(chat.word("chat.interrupted"), timeout=60_000)
                expect(chat.answers.last).to_contain_text("word5 ")
                expect(chat.ask("after the fall")).to_contain_text("You said: after the fall")
                chat.page.reload()
                expect(chat.answers).to_have_count(3)
                expect(chat.answers.nth(1)).to_contain_text("word5 ")
                expect(chat.answers.nth(1)).not_to_contain_text("word3999")
            finally:
                assert again.interrupt() == 0


def test_what_is_too_big_or_no_text_is_refused_before_it_is_sent(chat: Chat) -> None:
    given = chat.page.locator("input[type=file]")
    problem = chat.page.get_by_role("alert")
    given.set_input_files({"name": "big.txt", "mimeType": "text/plain", "buffer": b"a" * 1_000_001})
    expect(problem).to_contain_text("big.txt")
    given.set_input_files({"name": "a.exe", "mimeType": "application/x-msdownload", "buffer": b"MZ"})
    expect(problem).to_contain_text(chat.word("chat.fileKind"))
    given.set_input_files({"name": "latin.txt", "mimeType": "text/plain", "buffer": b"caf\xe9"})
    expect(problem).to_contain_text(chat.word("chat.notText"))
    given.set_input_files({"name": "notes.txt", "mimeType": "text/plain", "buffer": b"the depth is nine metres"})
    expect(chat.page.get_by_text("notes.txt")).to_be_visible()
    expect(chat.ask("how deep is it")).to_contain_text("nine metres")


def test_the_server_refuses_what_the_page_let_through(chat: Chat) -> None:
    """Files that are each within the page's limit, and together beyond the server's for one request."""
    texts = [{"name": f"{n}.txt", "mimeType": "text/plain", "buffer": b"a" * 999_999} for n in range(10)]
    chat.page.locator("input[type=file]").set_input_files(texts)  # type: ignore[arg-type]
    expect(chat.page.get_by_text("9.txt")).to_be_visible()
    chat.send("all of it")
    expect(chat.page.get_by_role("alert")).to_be_visible()
    expect(chat.field).to_have_value("all of it")
    expect(chat.page.get_by_text("9.txt")).to_be_visible()
    expect(chat.questions).to_have_count(0)


def test_addresses_that_lead_nowhere(chat: Chat) -> None:
    heading = say("common.notFoundTitle")
    for path in ("/chat/conv_nobodys", "/chat/a/b", "/settings/a/b", "/projects/a/b"):
        chat.page.goto(path)
        expect(chat.page.get_by_role("heading", name=heading).first).to_be_visible()
        expect(chat.button("chat.share")).to_have_count(0)
