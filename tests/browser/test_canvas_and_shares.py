"""What opens beside the chat, and what is shown to others: the canvas with its fenced preview, links that can be revoked."""

import json
import re
from collections.abc import Callable

from playwright.sync_api import Browser, expect
from tests.browser.chat import Chat
from tests.browser.hostile import PREVIEW
from tests.browser.people import Person, window
from tests.browser.watch import Watch
from tests.fakes.scripted_server import ScriptedServer


def test_a_page_in_the_canvas_reaches_nothing_outside_itself(
    browser: Browser, person: Person, scripted: ScriptedServer
) -> None:
    scripted.texts["page"] = f"Here is a page.\n\n```html\n{PREVIEW}\n```\n"
    watch = Watch(person.platform.address, refusals_expected=True)
    with person.window(browser, watch=watch) as context:
        chat = Chat(context.new_page()).open()
        answer = chat.ask("say:page")
        address = chat.page.url
        answer.locator(".code").get_by_role("button", name=chat.word("chat.openInCanvas")).click()
        chat.button("chat.preview").click()
        frame = chat.page.frame_locator("iframe[sandbox]")
        here = frame.locator("#here")
        expect(here).to_have_text("the page is shown")
        expect(here).to_have_attribute("data-found", re.compile("own fetch"))
        found = json.loads(here.get_attribute("data-found") or "{}")
        assert "got through" not in found.values(), found
        assert {found[name] for name in ("parent", "cookie", "storage", "fetch", "own fetch", "import")} == {"refused"}
        assert chat.page.url == address
        assert len(context.pages) == 1
        assert chat.page.locator("iframe[sandbox]").get_attribute("sandbox") == "allow-scripts"
    own = [url for url in watch.requests if "/web/session" in url]
    assert len(own) <= 2, own


def test_edits_in_the_canvas_are_versions_and_an_old_one_comes_back(chat: Chat, scripted: ScriptedServer) -> None:
    scripted.texts["poem"] = "```markdown\n# A poem\n\nfirst line\n```"
    chat.ask("say:poem").locator(".code").get_by_role("button", name=chat.word("chat.openInCanvas")).click()
    panel = chat.page.get_by_role("complementary")
    box = panel.get_by_role("textbox").first
    expect(box).to_have_value("# A poem\n\nfirst line")
    box.fill("# A poem\n\nsecond line")
    chat.button("chat.saveVersion").click()
    expect(chat.page.get_by_text(chat.word("chat.versionSaved"))).to_be_visible()
    chat.page.reload()
    chat.button("chat.chatMenu").click()
    chat.item("chat.documents").click()
    expect(box).to_have_value("# A poem\n\nsecond line")
    chat.button("chat.documentVersions").click()
    panel.get_by_role("button", name=chat.word("chat.version", number=1)).click()
    panel.get_by_role("button", name=chat.word("chat.restore")).click()
    panel.get_by_role("button", name=chat.word("chat.write")).click()
    expect(box).to_have_value("# A poem\n\nfirst line")


def test_a_share_is_read_by_a_colleague_and_gone_when_revoked(
    chat: Chat, browser: Browser, newcomer: Callable[..., Person]
) -> None:
    chat.ask("shared words")
    chat.kept()
    chat.button("chat.share").click()
    chat.button("chat.makeLink").click()
    link = chat.page.get_by_label(chat.word("chat.shareLink"), exact=True).input_value()
    chat.page.keyboard.press("Escape")
    chat.ask("said after sharing")
    with newcomer().window(browser) as context:
        page = context.new_page()
        page.goto(link)
        expect(page.get_by_text("You said: shared words")).to_be_visible()
        expect(page.get_by_text("said after sharing")).to_have_count(0)
        assert page.get_by_role("main").get_by_role("textbox").count() == 0
        assert page.get_by_role("main").get_by_role("button").filter(has_text=chat.word("common.edit")).count() == 0
        chat.button("chat.share").click()
        chat.button("chat.revoke").click()
        expect(chat.page.get_by_text(chat.word("chat.linkRevoked"))).to_be_visible()
        page.reload()
        expect(page.get_by_role("heading", name=chat.word("chat.shareGoneTitle"))).to_be_visible()


def test_a_share_asks_who_is_not_signed_in_to_sign_in(chat: Chat, browser: Browser, person: Person) -> None:
    chat.ask("inside words")
    share = person.call("POST", f"/v1/conversations/{chat.kept()}/shares")
    with window(browser, person.platform) as context:
        page = context.new_page()
        page.goto(share["path"])
        page.wait_for_url("**/sign-in?to=*")
        assert "inside words" not in page.content()


def test_somebody_elses_conversation_is_not_there(
    chat: Chat, browser: Browser, newcomer: Callable[..., Person]
) -> None:
    chat.ask("mine alone")
    made = chat.kept()
    with newcomer("builder").window(browser) as context:
        page = context.new_page()
        page.goto(f"/chat/{made}")
        expect(page.get_by_role("heading", name=chat.word("common.notFoundTitle"))).to_be_visible()
        assert "mine alone" not in page.content()
