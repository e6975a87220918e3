"""Pictures and files that go with a question: who sees them, who says that it cannot, and where they are shown again."""

import base64
import struct
import zlib

from playwright.sync_api import Browser, FilePayload, expect
from tests.browser.chat import MODEL, Chat
from tests.browser.people import Person
from tests.fakes.scripted_server import SEER, ScriptedServer


def _png(size: int = 8) -> bytes:
    """A small square of one colour."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = (b"\0" + b"\x2f\x7d\x6d" * size) * size
    header = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


PICTURE: FilePayload = {"name": "square.png", "mimeType": "image/png", "buffer": _png()}


def _choose(chat: Chat, model: str) -> None:
    chat.page.get_by_role("button", name=chat.word("chat.model")).first.click()
    chat.page.get_by_role("menuitemradio", name=model).click()


def test_a_picture_reaches_a_model_that_sees_and_stays_with_the_question(
    chat: Chat, scripted: ScriptedServer, browser: Browser, person: Person
) -> None:
    _choose(chat, SEER)
    chat.page.locator("input[type=file]").set_input_files(PICTURE)
    expect(chat.page.get_by_text("square.png")).to_be_visible()
    expect(chat.ask("what is on it")).to_contain_text("what is on it")
    assert scripted.pictures[-1] == "data:image/png;base64," + base64.b64encode(_png()).decode()
    shown = chat.questions.first.get_by_role("img", name=chat.word("chat.attachedImage"))
    expect(shown).to_be_visible()
    chat.page.reload()
    expect(shown).to_be_visible()
    assert shown.evaluate("(image) => image.naturalWidth") == 8
    share = person.call("POST", f"/v1/conversations/{chat.kept()}/shares")["path"]
    chat.page.goto(share)
    expect(chat.page.get_by_role("main").get_by_role("img", name=chat.word("chat.attachedImage"))).to_be_visible()


def test_a_model_that_does_not_see_is_named_before_anything_is_sent(chat: Chat) -> None:
    _choose(chat, MODEL)
    chat.page.locator("input[type=file]").set_input_files(PICTURE)
    expect(chat.page.get_by_role("alert")).to_contain_text(chat.word("chat.noVision", model=MODEL))
    expect(chat.page.get_by_text("square.png", exact=True)).to_have_count(0)


def test_the_models_say_what_sees(chat: Chat) -> None:
    chat.page.get_by_role("button", name=chat.word("chat.model")).first.click()
    row = chat.page.get_by_role("menuitemradio", name=SEER)
    expect(row).to_contain_text(chat.word("studio.goodFor.images"))
