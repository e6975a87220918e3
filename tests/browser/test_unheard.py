"""Questions whose answer does not reach the page: the line breaks before its first word, or the person stops it there."""

import re

from playwright.sync_api import Route, expect
from tests.browser.chat import Chat
from tests.waiting import wait_until

STARTING = re.compile(r"/v1/conversations$")


def _unheard(chat: Chat) -> list[Route]:
    """The server hears the next new chat's question and answers it whole, and the page hears nothing of it."""
    answered: list[Route] = []

    def keep(route: Route) -> None:
        if answered or route.request.method != "POST":
            return route.fallback()
        route.fetch()
        answered.append(route)

    chat.page.route(STARTING, keep)
    return answered


def _until_answered(chat: Chat, answered: list[Route]) -> Route:
    def heard() -> list[Route]:
        # Routes are served while the page is waited for.
        chat.page.wait_for_timeout(50)
        return answered

    return wait_until(heard)[0]  # type: ignore[no-any-return]


def test_a_first_question_that_arrived_unheard_is_found_with_its_answer_when_it_is_sent_again(chat: Chat) -> None:
    answered = _unheard(chat)
    chat.send("was this heard")
    _until_answered(chat, answered).abort()
    expect(chat.page.get_by_role("alert").filter(has_text=chat.word("common.serverUnreachable"))).to_be_visible()
    expect(chat.field).to_have_value("was this heard")
    chat.field.press("Enter")
    chat.kept()
    expect(chat.answers).to_have_count(1)
    expect(chat.finished()).to_contain_text("You said: was this heard")
    expect(chat.questions).to_have_count(1)
    expect(chat.field).to_have_value("")
    expect(chat.ask("and this")).to_contain_text("You said: and this")
    expect(chat.list.get_by_role("link")).to_have_count(1)


def test_a_first_question_stopped_before_its_answer_can_be_sent_again(chat: Chat) -> None:
    answered = _unheard(chat)
    chat.send("think again")
    expect(chat.button("chat.stop")).to_be_visible()
    _until_answered(chat, answered)
    chat.button("chat.stop").click()
    expect(chat.field).to_have_value("think again")
    expect(chat.questions).to_have_count(0)
    expect(chat.page.get_by_role("alert")).to_have_count(0)
    chat.field.press("Enter")
    chat.kept()
    expect(chat.finished()).to_contain_text("You said: think again")
