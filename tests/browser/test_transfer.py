"""Taking conversations along and bringing them in: files as a browser saves them, exports of other assistants."""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import FilePayload, expect
from tests.browser.chat import Chat
from tests.browser.people import Person
from tests.entrypoints.api.conversations.exports import chatgpt, lechat, openwebui


def _saved(chat: Chat, press: Callable[[], None]) -> tuple[str, str]:
    """The name and the words of the file that comes of it."""
    with chat.page.expect_download() as download:
        press()
    return download.value.suggested_filename, Path(download.value.path()).read_text("utf-8")


def _bring(chat: Chat, file: FilePayload) -> None:
    chat.button("chat.listMenu").click()
    chat.item("chat.import").click()
    chat.page.get_by_role("dialog").locator("input[type=file]").set_input_files(file)


def _zipped(content: Any) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("conversations.json", json.dumps(content))
    return held.getvalue()


def test_a_conversation_is_saved_as_markdown_and_as_json(chat: Chat) -> None:
    chat.ask("where does it blow")
    chat.kept()
    expect(chat.list.get_by_role("link").first).to_contain_text("where does it blow")

    def choose(key: str) -> Callable[[], None]:
        return lambda: (chat.button("chat.chatMenu").click(), chat.item(key).click())[0]

    name, words = _saved(chat, choose("chat.exportMarkdown"))
    assert name.endswith(".md") and "where does it blow" in words and "You said: where does it blow" in words
    name, words = _saved(chat, choose("chat.exportJson"))
    assert name.endswith(".json") and "where does it blow" in json.dumps(json.loads(words))


def test_all_of_them_are_saved_deleted_and_brought_back_once(chat: Chat, person: Person) -> None:
    chat.ask("the only one")
    made = chat.kept()
    name, words = _saved(chat, lambda: (chat.button("chat.listMenu").click(), chat.item("chat.exportAll").click())[0])
    person.call("DELETE", f"/v1/conversations/{made}")
    chat.page.goto("/")
    expect(chat.page.get_by_text(chat.word("chat.noChats"))).to_be_visible()
    file: FilePayload = {"name": name, "mimeType": "application/json", "buffer": words.encode()}
    _bring(chat, file)
    source = "Tramontane"
    dialog = chat.page.get_by_role("dialog")
    expect(dialog).to_contain_text(chat.word("chat.imported", count=1, source=source, skipped=0))
    dialog.locator("input[type=file]").set_input_files(file)
    expect(dialog).to_contain_text(chat.word("chat.imported", count=0, source=source, skipped=1))
    chat.page.keyboard.press("Escape")
    chat.list.get_by_role("link").first.click()
    expect(chat.answers.last).to_contain_text("You said: the only one")


@pytest.mark.parametrize(
    ("source", "content", "named", "said"),
    [
        ("ChatGPT", _zipped(chatgpt()), "Winds", "In the Rhône valley."),
        ("Le Chat", json.dumps(lechat()).encode(), "Bonjour", "Salut"),
        ("Open WebUI", json.dumps(openwebui()).encode(), "Winds", "Foehn"),
    ],
    ids=["chatgpt", "lechat", "openwebui"],
)
def test_an_export_of_another_assistant_is_read_and_one_goes_on_with_it(
    chat: Chat, source: str, content: bytes, named: str, said: str
) -> None:
    name = "export.zip" if content.startswith(b"PK") else "export.json"
    _bring(chat, {"name": name, "mimeType": "application/octet-stream", "buffer": content})
    dialog = chat.page.get_by_role("dialog")
    expect(dialog).to_contain_text(source)
    chat.page.keyboard.press("Escape")
    chat.list.get_by_role("link").filter(has_text=named).first.click()
    expect(chat.answers.last).to_contain_text(said)
    # Its own model is not served here.
    expect(chat.ask("and from where")).to_contain_text("You said: and from where")


def test_a_file_that_is_no_export_says_so(chat: Chat) -> None:
    _bring(chat, {"name": "holiday.json", "mimeType": "application/json", "buffer": b'{"beach": true}'})
    problem = chat.page.get_by_role("dialog").locator(".problem")
    expect(problem).not_to_be_empty()
