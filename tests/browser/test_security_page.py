"""One's own account: the password, the places one is signed in, and the workspaces one is in."""

import re

from playwright.sync_api import Browser, Page, expect
from tests.browser.chat import Chat
from tests.browser.people import PASSWORD, Person, until_signed_out, window
from tests.browser.words import say

FRESH = "five other plain words"


def _sign_in(page: Page, person: Person, password: str = PASSWORD) -> None:
    page.goto("/sign-in")
    page.get_by_label(say("account.email")).fill(person.email)
    page.get_by_label(say("account.password"), exact=True).fill(password)
    page.get_by_role("button", name=say("account.signIn")).click()


def _change_password(page: Page, current: str) -> None:
    page.get_by_label(say("account.currentPassword"), exact=True).fill(current)
    page.get_by_label(say("account.newPassword"), exact=True).fill(FRESH)
    page.get_by_role("button", name=say("account.changePassword")).click()


def test_a_new_password_ends_the_other_sessions_and_is_the_one_that_works(browser: Browser, person: Person) -> None:
    with person.window(browser) as context, window(browser, person.platform) as elsewhere:
        other = elsewhere.new_page()
        _sign_in(other, person)
        expect(Chat(other).field).to_be_visible()
        page = context.new_page()
        page.goto("/settings/security")
        _change_password(page, "not these plain words")
        expect(page.get_by_text(say("account.wrongPassword"))).to_be_visible()
        _change_password(page, PASSWORD)
        expect(page.get_by_text(say("account.passwordChanged"))).to_be_visible()
        until_signed_out(other)
        other.reload()
        other.wait_for_url(re.compile("/sign-in"))
        _sign_in(other, person)
        expect(other.get_by_text(say("account.wrongSignIn"))).to_be_visible()
        _sign_in(other, person, FRESH)
        expect(Chat(other).field).to_be_visible()
        page.reload()
        expect(page.get_by_role("heading", name=say("account.sessions"))).to_be_visible()


def test_signing_out_everywhere_and_ending_one_session(browser: Browser, person: Person) -> None:
    with person.window(browser) as context, window(browser, person.platform) as elsewhere:
        other = elsewhere.new_page()
        _sign_in(other, person)
        expect(Chat(other).field).to_be_visible()
        page = context.new_page()
        page.goto("/settings/security")
        end = page.get_by_role("button", name=say("account.endSession"), exact=True)
        expect(end).to_have_count(1)
        end.click()
        expect(end).to_have_count(0)
        until_signed_out(other)
        other.reload()
        other.wait_for_url(re.compile("/sign-in"))
        _sign_in(other, person)
        expect(Chat(other).field).to_be_visible()
        page.get_by_role("button", name=say("account.signOutEverywhere")).click()
        page.get_by_role("dialog").get_by_role("button", name=say("account.signOutEverywhere")).click()
        page.wait_for_url(re.compile("/sign-in"))
        until_signed_out(other)
        other.reload()
        other.wait_for_url(re.compile("/sign-in"))


def test_another_workspace_has_its_own_chats_and_one_switches_in_the_menu(
    browser: Browser, administrator: Person
) -> None:
    home = administrator.call("GET", "/web/session")["workspace"]
    try:
        with administrator.window(browser) as context:
            page = context.new_page()
            chat = Chat(page).open()
            chat.ask("said in the first workspace")
            page.goto("/settings/workspaces")
            page.get_by_role("button", name=say("account.newWorkspace")).click()
            page.get_by_role("dialog").get_by_label(say("account.workspaceName")).fill("Harbour")
            page.get_by_role("button", name=say("account.makeWorkspace"), exact=True).click()
            page.get_by_role("button", name=f"{say('account.switchTo')} Harbour").click()
            page.wait_for_url("**/")
            expect(page.get_by_text(say("chat.noChats"))).to_be_visible()
            page.get_by_role("button", name=re.compile("Harbour")).click()
            page.get_by_role("menuitemradio", name=home["name"]).click()
            expect(chat.list.get_by_role("link").filter(has_text="said in the first workspace")).to_be_visible()
    finally:
        administrator.call("POST", "/web/workspace", json={"workspace_id": home["id"]})
