"""One browser, two people after one another: nothing of the first is left for the second to see."""

import re

from playwright.sync_api import Browser, FilePayload, Page, expect
from tests.browser.chat import Chat
from tests.browser.kept import drafts, unsent_files
from tests.browser.people import PASSWORD, Person, invited
from tests.browser.words import say
from tests.waiting import wait_until

NOTES: FilePayload = {"name": "first person.txt", "mimeType": "text/plain", "buffer": b"mine"}


def leave(page: Page, person: Person, chat: Chat) -> None:
    page.get_by_role("button", name=person.name).click()
    chat.item("common.signOut").click()
    page.wait_for_url(re.compile("/sign-in"))


def enter(page: Page, person: Person) -> None:
    page.get_by_label(say("account.email")).fill(person.email)
    page.get_by_label(say("account.password"), exact=True).fill(PASSWORD)
    page.get_by_role("button", name=say("account.signIn")).click()


def test_the_next_person_finds_nothing_of_the_one_before(
    browser: Browser, administrator: Person, person: Person, chat: Chat
) -> None:
    person.call("POST", "/v1/shortcuts", json={"name": "mine", "text": "a text of the first person"})
    chat.ask("a question of the first person")
    chat.kept()
    page = chat.page
    chat.field.fill("/")
    expect(page.get_by_role("option")).to_have_count(1)
    chat.field.fill("an unsent line of the first person")
    page.locator("input[type=file]").set_input_files(NOTES)
    wait_until(lambda: drafts(page))
    unsent_files(page, 1)
    page.evaluate("window.before = 'the same page'")
    leave(page, person, chat)
    page.wait_for_function("window.before === undefined")  # another page is on its way
    assert not drafts(page)
    unsent_files(page, 0)
    enter(page, invited(administrator, name="Grace"))
    expect(chat.field).to_be_visible()
    chat.field.fill("/")
    expect(page.get_by_text("first person")).to_have_count(0)
    expect(page.get_by_role("option")).to_have_count(0)


def test_another_person_after_a_session_that_ended_by_itself(administrator: Person, person: Person, chat: Chat) -> None:
    person.call("POST", "/v1/shortcuts", json={"name": "mine", "text": "a text of the first person"})
    page = chat.page
    chat.field.fill("/")
    expect(page.get_by_role("option")).to_have_count(1)
    person.call("POST", "/web/sign-out-everywhere")
    person.until_signed_out()
    chat.field.fill("hello")
    page.locator("input[type=file]").set_input_files(NOTES)
    unsent_files(page, 1)
    chat.field.press("Enter")
    expect(page.get_by_text(say("account.ended"))).to_be_visible()
    enter(page, invited(administrator, name="Grace"))
    page.wait_for_url(re.compile("/$"))
    expect(chat.field).to_be_visible()
    chat.field.fill("/")
    expect(page.get_by_text(re.compile("first person|hello"))).to_have_count(0)
    expect(page.get_by_role("option")).to_have_count(0)
