"""Going from one chat to another with something unfinished: words, files, documents and answers stay where they belong."""

import re

from playwright.sync_api import expect
from tests.browser.chat import Chat
from tests.browser.kept import unsent_files
from tests.fakes.scripted_server import SEER

NOTES = {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"nine metres"}
OTHER = {"name": "other.txt", "mimeType": "text/plain", "buffer": b"ten metres"}


def _new_chat(chat: Chat) -> None:
    chat.page.get_by_role("link", name=chat.word("common.newChat")).click()


def test_words_and_files_stay_with_the_chat_they_were_written_in(chat: Chat) -> None:
    chat.ask("the first chat")
    first = chat.list.get_by_role("link").first
    chat.kept()
    _new_chat(chat)
    expect(chat.questions).to_have_count(0)
    chat.field.fill("for a new chat")
    chat.page.locator("input[type=file]").set_input_files(NOTES)  # type: ignore[arg-type]
    expect(chat.page.get_by_text("notes.txt")).to_be_visible()
    first.click()
    expect(chat.answers).to_have_count(1)
    expect(chat.field).to_have_value("")
    expect(chat.page.get_by_text("notes.txt")).to_have_count(0)
    chat.field.fill("for the first chat")
    _new_chat(chat)
    expect(chat.field).to_have_value("for a new chat")
    expect(chat.page.get_by_text("notes.txt")).to_be_visible()
    first.click()
    expect(chat.field).to_have_value("for the first chat")


def test_files_outlive_a_reload_and_another_page_until_they_are_sent_or_taken_away(chat: Chat) -> None:
    shown = chat.page.get_by_role("list", name=chat.word("chat.attachments")).get_by_role("listitem")
    chat.page.locator("input[type=file]").set_input_files([NOTES, OTHER])  # type: ignore[list-item]
    expect(shown).to_have_count(2)
    unsent_files(chat.page, 2)
    chat.page.reload()
    expect(shown).to_have_text([re.compile("notes.txt"), re.compile("other.txt")])
    chat.button("chat.removeFile", name="other.txt").click()
    unsent_files(chat.page, 1)
    chat.page.goto("/settings")
    chat.page.goto("/")
    expect(shown).to_have_text([re.compile("notes.txt")])
    chat.ask("how deep")
    expect(chat.questions.first.get_by_text("notes.txt")).to_be_visible()
    expect(shown).to_have_count(0)
    unsent_files(chat.page, 0)
    chat.page.reload()
    expect(chat.questions).to_have_count(1)
    expect(shown).to_have_count(0)


def test_files_of_a_temporary_chat_are_kept_nowhere(chat: Chat) -> None:
    shown = chat.page.get_by_text("notes.txt")
    chat.page.locator("input[type=file]").set_input_files(NOTES)  # type: ignore[arg-type]
    expect(shown).to_be_visible()
    unsent_files(chat.page, 1)
    chat.button("chat.makeTemporary").click()
    unsent_files(chat.page, 0)
    expect(shown).to_be_visible()
    chat.page.reload()
    expect(chat.field).to_be_visible()
    expect(shown).to_have_count(0)


def test_files_too_large_to_be_kept_are_said_to_be(chat: Chat) -> None:
    chat.page.goto(f"/?model={SEER}")
    expect(chat.field).to_be_visible()
    for number in range(7):
        picture = {"name": f"{number}.png", "mimeType": "image/png", "buffer": b"\x89PNG" + bytes(7_900_000)}
        chat.page.locator("input[type=file]").set_input_files(picture)  # type: ignore[arg-type]
        expect(chat.page.get_by_text(f"{number}.png")).to_be_visible()
    note = chat.page.get_by_text(chat.word("chat.filesFleeting", size="50 MB"))
    expect(note).to_be_visible()
    chat.button("chat.removeFile", name="0.png").click()
    expect(note).to_have_count(0)


def test_words_are_kept_when_a_chat_becomes_temporary_but_nowhere_else(chat: Chat) -> None:
    chat.field.press_sequentially("half a thought")
    chat.button("chat.makeTemporary").click()
    expect(chat.field).to_have_value("half a thought")
    chat.page.reload()
    expect(chat.field).to_have_value("")


def test_new_chat_leaves_a_temporary_one(chat: Chat) -> None:
    chat.button("chat.makeTemporary").click()
    chat.ask("nobody keeps this")
    _new_chat(chat)
    expect(chat.questions).to_have_count(0)
    chat.ask("this is kept")
    chat.kept()
    expect(chat.list.get_by_role("link")).to_have_count(1)


def test_a_temporary_chat_begun_from_another_page_is_one(chat: Chat) -> None:
    chat.page.goto("/settings")
    expect(chat.list).to_be_visible()
    chat.page.keyboard.press("Control+k")
    chat.page.get_by_role("dialog").get_by_role("combobox").fill(chat.word("chat.makeTemporary"))
    chat.page.keyboard.press("Enter")
    expect(chat.page.get_by_text(chat.word("chat.temporaryHint"))).to_be_visible()
    chat.ask("nobody keeps this")
    chat.page.goto("/")
    expect(chat.page.get_by_text(chat.word("chat.noChats"))).to_be_visible()


def test_a_new_chat_outside_the_project_is_outside(chat: Chat) -> None:
    chat.page.goto("/projects")
    chat.button("chat.newProject").click()
    chat.page.get_by_label(chat.word("chat.name"), exact=True).fill("Harbour")
    chat.button("common.save").click()
    chat.page.wait_for_url("**/projects/*")
    chat.page.get_by_role("link", name=chat.word("common.newChat")).last.click()
    hint = chat.page.get_by_text(chat.word("chat.inProject", name="Harbour"))
    expect(hint).to_be_visible()
    _new_chat(chat)
    expect(hint).to_have_count(0)


def test_an_unsaved_document_outlives_a_reload_and_another_chat(chat: Chat) -> None:
    chat.ask("the other chat")
    _new_chat(chat)
    chat.ask("a letter")
    chat.kept()
    chat.answers.last.get_by_role("button", name=chat.word("chat.openInCanvas")).click()
    panel = chat.page.get_by_role("complementary").filter(has=chat.page.get_by_role("textbox"))
    box = panel.get_by_role("textbox").first
    expect(box).to_have_value("You said: a letter")
    box.press_sequentially("Dear ")
    written = box.input_value()
    chat.page.reload()
    chat.button("chat.chatMenu").click()
    chat.item("chat.documents").click()
    expect(box).to_have_value(written)
    expect(panel.get_by_text(chat.word("chat.unsaved"))).to_be_visible()
    box.press_sequentially("and more ")
    written = box.input_value()
    mine = chat.page.url
    with chat.page.expect_response(re.compile(r"/documents/[^/]+/versions$")):
        chat.list.get_by_role("link", name="the other chat").click()
    expect(panel).to_have_count(0)
    chat.page.goto(mine)
    chat.button("chat.chatMenu").click()
    chat.item("chat.documents").click()
    expect(box).to_have_value(written)
    expect(panel.get_by_text(chat.word("chat.unsaved"))).to_have_count(0)


def test_escape_stops_wherever_the_keyboard_is(chat: Chat) -> None:
    chat.send("slow:2000")
    expect(chat.answers.last).to_contain_text("word3")
    chat.answers.last.click()
    chat.page.keyboard.press("Escape")
    expect(chat.finished()).to_contain_text(chat.word("chat.stopped"))


def test_the_model_chosen_on_the_way_in_is_the_one_asked(chat: Chat) -> None:
    chat.page.goto(f"/?model={SEER}")
    chat.ask("who answers")
    expect(chat.page.get_by_role("article", name=chat.word("chat.answerOf", model=SEER))).to_be_visible()
