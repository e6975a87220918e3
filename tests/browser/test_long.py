"""Long conversations stay usable: a thousand messages, an answer of 200 kB, an answer that comes fast.

The page draws and does what one asks of it while an answer is written that has no end; how smooth that is, the benchmark says.
"""

from playwright.sync_api import Browser, expect
from tests.browser.chat import Chat
from tests.browser.long_conversation import imported
from tests.browser.people import Person
from tests.fakes.scripted_server import PARAGRAPH
from tests.waiting import wait_until

ENDLESS = "paced:200000"
# Two frames: what was changed before the first is on the screen with the second.
DRAWN = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


def types_while_it_grows(chat: Chat) -> None:
    """Words of one's own appear in the field and words of the answer above it."""
    answer = chat.answers.last
    before = len(answer.text_content() or "")
    chat.field.press_sequentially("typed meanwhile")
    expect(chat.field).to_have_value("typed meanwhile")
    chat.page.evaluate(DRAWN)
    wait_until(lambda: len(answer.text_content() or "") > before)


def stop(chat: Chat) -> None:
    """It was still being written; now it ends at once."""
    expect(chat.answers.last).to_have_attribute("aria-busy", "true")
    chat.button("chat.stop").click()
    expect(chat.finished()).to_contain_text(chat.word("chat.stopped"))


def test_a_thousand_messages(browser: Browser, person: Person) -> None:
    made = imported(person, 1000)
    with person.window(browser) as context:
        chat = Chat(context.new_page()).open(f"/chat/{made}")
        expect(chat.answers).to_have_count(500)
        expect(chat.answers.last).to_contain_text("answer 499")
        expect(chat.answers.last).to_be_in_viewport()
        chat.send(ENDLESS)
        expect(chat.answers).to_have_count(501)
        types_while_it_grows(chat)
        # A wheel, not a script: only a person lets go of the end of an answer that grows.
        chat.answers.last.hover()

        def at_the_beginning() -> bool:
            chat.page.mouse.wheel(0, -200_000)
            chat.page.evaluate(DRAWN)
            box = chat.answers.first.bounding_box()
            return box is not None and box["y"] >= 0

        wait_until(at_the_beginning)
        expect(chat.answers.first).to_be_in_viewport()
        expect(chat.answers.first.locator("table")).to_be_visible()
        stop(chat)


def test_an_answer_of_200_kilobytes(chat: Chat) -> None:
    chat.ask("long:200000")
    chat.page.reload()
    expect(chat.answers.last).to_contain_text("tramontane")
    chat.field.press_sequentially("typed while it is long")
    expect(chat.field).to_have_value("typed while it is long")
    # All of it is there to be found, and only what is near is laid out with colours and buttons.
    parts = 200_000 // len(PARAGRAPH)
    answer = chat.answers.last
    assert (answer.text_content() or "").count("tramontane") >= parts
    assert 0 < answer.locator(".code").count() < parts / 4
    answer.get_by_role("button", name=chat.word("common.copy")).last.hover()
    chat.page.mouse.wheel(0, -3000)
    expect(answer.locator(".code").nth(-20)).to_be_attached()


def test_an_answer_that_comes_fast(chat: Chat) -> None:
    chat.send(ENDLESS)
    expect(chat.answers.last).to_contain_text("tramontane")
    types_while_it_grows(chat)
    stop(chat)
