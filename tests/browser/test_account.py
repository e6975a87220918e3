"""Coming in: the first administrator's link with real weights behind it, signing in and out, and what is refused."""

import re
from pathlib import Path

from playwright.sync_api import Browser, expect
from tests.browser.chat import Chat
from tests.browser.people import LINK, PASSWORD, Person, window
from tests.browser.words import say
from tests.e2e.platform import serving

REAL = "smollm2-135m-instruct"


def test_from_the_first_link_to_the_first_answer(browser: Browser, own_home: Path) -> None:
    with serving(own_home) as platform, window(browser, platform) as context:
        found = LINK.search(platform.said)
        assert found
        page = context.new_page()
        page.goto(f"/join#{found[1]}")
        expect(page.get_by_role("heading", name=say("account.joinFirst"))).to_be_visible()
        page.get_by_label(say("account.name")).fill("Ada")
        page.get_by_label(say("account.email")).fill("ada@example.org")
        page.get_by_label(say("account.password"), exact=True).fill(PASSWORD)
        page.get_by_role("button", name=say("account.enter")).click()
        page.wait_for_url("**/welcome")
        page.get_by_role("button", name=say("common.next")).click()
        page.get_by_role("button", name=say("account.useModel", name=REAL)).click()
        page.get_by_label(say("account.question")).fill("What is the capital of France?")
        page.get_by_role("button", name=say("account.ask")).click()
        chat = Chat(page)
        expect(chat.field).to_have_value("What is the capital of France?")
        chat.field.press("Enter")
        expect(chat.answers).to_have_count(1)
        assert re.search(r"\w{3}", chat.finished().inner_text())
        chat.kept()
        expect(chat.list.get_by_role("link")).to_have_count(1)


def test_signing_out_and_in_again_and_a_wrong_password(browser: Browser, person: Person, chat: Chat) -> None:
    chat.ask("a question to come back to")
    address = f"/chat/{chat.kept()}"
    page = chat.page
    page.get_by_role("button", name=person.name).click()
    chat.item("common.signOut").click()
    page.wait_for_url(re.compile("/sign-in"))
    page.goto(address)
    page.wait_for_url(re.compile(r"/sign-in\?to="))
    expect(chat.questions).to_have_count(0)
    page.get_by_label(say("account.email")).fill(person.email)
    page.get_by_label(say("account.password"), exact=True).fill("not these plain words")
    page.get_by_role("button", name=say("account.signIn")).click()
    expect(page.get_by_text(say("account.wrongSignIn"))).to_be_visible()
    page.get_by_label(say("account.password"), exact=True).fill(PASSWORD)
    page.get_by_role("button", name=say("account.signIn")).click()
    page.wait_for_url(f"**{address}")
    expect(chat.questions).to_contain_text("a question to come back to")


def test_a_session_ended_elsewhere_asks_to_sign_in_and_keeps_what_was_typed(person: Person, chat: Chat) -> None:
    chat.field.fill("not yet sent")
    person.call("POST", "/web/sign-out-everywhere")
    person.until_signed_out()
    chat.field.press("Enter")
    page = chat.page
    expect(page.get_by_text(say("account.ended"))).to_be_visible()
    page.get_by_label(say("account.email")).fill(person.email)
    page.get_by_label(say("account.password"), exact=True).fill(PASSWORD)
    page.get_by_role("button", name=say("account.signIn")).click()
    expect(chat.field).to_have_value("not yet sent")


def test_a_forged_cookie_is_nobody(browser: Browser, person: Person) -> None:
    with person.window(browser) as context:
        cookie = context.cookies()[0]
        assert cookie["httpOnly"] is False or cookie["value"]
        context.add_cookies([{"name": cookie["name"], "value": "A" * 43, "url": person.platform.address}])
        page = context.new_page()
        page.goto("/")
        page.wait_for_url(re.compile("/sign-in"))


def test_an_invitation_is_made_followed_once_and_then_dead(browser: Browser, administrator: Person) -> None:
    with administrator.window(browser) as context, window(browser, administrator.platform) as theirs:
        page = context.new_page()
        page.goto("/people")
        page.get_by_role("button", name=say("account.invite"), exact=True).click()
        page.get_by_role("button", name=say("account.makeInvitation")).click()
        link = page.get_by_label(say("account.link"), exact=True).input_value()
        assert link.startswith(administrator.platform.address)
        guest = theirs.new_page()
        guest.goto(link)
        guest.get_by_label(say("account.name")).fill("Grace")
        guest.get_by_label(say("account.email")).fill("grace@example.org")
        guest.get_by_label(say("account.password"), exact=True).fill(PASSWORD)
        guest.get_by_role("button", name=say("account.enter")).click()
        expect(Chat(guest).field).to_be_visible()
        expect(guest.get_by_role("link", name=say("common.people"))).to_have_count(0)
        guest.goto("/people")
        expect(guest.get_by_role("heading", name=say("common.notAllowedTitle")).first).to_be_visible()
        page.goto(link)
        page.reload()
        expect(page.get_by_role("button", name=say("account.enter"))).to_have_count(0)
        expect(page.get_by_role("button", name=say("common.retry"))).to_be_visible()
