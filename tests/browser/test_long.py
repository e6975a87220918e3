"""Long conversations stay usable: a thousand messages, an answer of 200 kB, an answer at 200 tokens a second.

Frames are compared with the display's own rate on the same machine in the same minute, with much room: this says that
nothing is broken; how smooth it is, the benchmark says.
"""

from playwright.sync_api import Browser, expect
from tests.browser.chat import Chat
from tests.browser.frames import ratio_to_display
from tests.browser.long_conversation import imported
from tests.browser.people import Person
from tests.browser.scripted_server import PARAGRAPH, ScriptedServer

LEAST_SHARE = 0.25


def test_a_thousand_messages(browser: Browser, person: Person) -> None:
    made = imported(person, 1000)
    with person.window(browser) as context:
        chat = Chat(context.new_page()).open(f"/chat/{made}")
        expect(chat.answers).to_have_count(500)
        expect(chat.answers.last).to_contain_text("answer 499")
        expect(chat.answers.last).to_be_in_viewport()
        chat.send("paced:600")
        expect(chat.answers.last).to_have_attribute("aria-busy", "true")
        rate, share = ratio_to_display(chat.page)
        print(f"1,000 messages, streaming: {rate:.0f} frames/s, {share:.2f} of the display's rate")
        assert share > LEAST_SHARE
        # A wheel, not a script: only a person lets go of the end of an answer that grows.
        chat.answers.last.hover()
        while chat.answers.first.bounding_box()["y"] < 0:  # type: ignore[index]
            chat.page.mouse.wheel(0, -200_000)
            chat.page.wait_for_timeout(50)
        expect(chat.answers.first).to_be_in_viewport()
        expect(chat.answers.first.locator("table")).to_be_visible()


def test_an_answer_of_200_kilobytes(chat: Chat) -> None:
    chat.ask("long:200000")
    chat.page.reload()
    expect(chat.answers.last).to_contain_text("tramontane")
    chat.field.press_sequentially("typed while it is long")
    expect(chat.field).to_have_value("typed while it is long")
    rate, share = ratio_to_display(chat.page, 1000)
    print(f"200 kB answer, at rest: {rate:.0f} frames/s, {share:.2f} of the display's rate")
    assert share > LEAST_SHARE
    # All of it is there to be found, and only what is near is laid out with colours and buttons.
    parts = 200_000 // len(PARAGRAPH)
    answer = chat.answers.last
    assert (answer.text_content() or "").count("tramontane") >= parts
    assert 0 < answer.locator(".code").count() < parts / 4
    answer.get_by_role("button", name=chat.word("common.copy")).last.hover()
    chat.page.mouse.wheel(0, -3000)
    expect(answer.locator(".code").nth(-20)).to_be_attached()


def test_frames_while_streaming_at_200_tokens_a_second(chat: Chat, scripted: ScriptedServer) -> None:
    scripted.tokens_per_s = 200.0
    chat.send("paced:2000")
    expect(chat.answers.last).to_contain_text("tramontane")
    rate, share = ratio_to_display(chat.page)
    print(f"200 tokens/s: {rate:.0f} frames/s, {share:.2f} of the display's rate")
    assert share > LEAST_SHARE
    chat.button("chat.stop").click()
    chat.finished()
