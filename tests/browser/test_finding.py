"""The palette's search: a hit leads to the entry whose words were found, on its own branch, in view and standing out."""

import re

from playwright.sync_api import Locator, expect
from tests.browser.chat import Chat
from tests.browser.people import Person
from tests.fakes.scripted_server import ScriptedServer

WORD = "quokka"
# Where the entry is, again and again: what stands above it is laid out late and may push it away once more.
RESTS_AT_THE_TOP = """() => {
  const top = document.querySelector('article.found').getBoundingClientRect().top
    - document.querySelector('.scroller').getBoundingClientRect().top;
  window.rested = -20 < top && top < 60 ? (window.rested ?? 0) + 1 : 0;
  return window.rested >= 20 && !(window.rested = 0);
}"""


def hit(chat: Chat, word: str) -> Locator:
    """The palette, opened and asked; its hit in somebody's words."""
    chat.page.keyboard.press("Control+k")
    chat.page.get_by_role("combobox").fill(word)
    return chat.page.get_by_role("option").filter(has=chat.page.locator("mark"))


def found(chat: Chat) -> Locator:
    return chat.page.locator("article.found")


def two_branches(chat: Chat, scripted: ScriptedServer, person: Person) -> str:
    """A long first branch with the word far up in it, and a second one that is shown; the conversation's id."""
    scripted.texts["island"] = f"The {WORD} lives on an island.\n\n" + "More of it.\n\n" * 60
    chat.ask("say:island")
    for number in range(3):
        chat.ask(f"count:{200 + number}")
    made = chat.kept()
    first = person.call("GET", f"/v1/conversations/{made}/history?tree=true")["entries"][0]
    body = {"inputs": "another way in", "from_entry_id": "root", "stream": False}
    person.call("POST", f"/v1/conversations/{made}", json=body)
    assert first["type"] == "message.input"
    return made


def stands_out(chat: Chat) -> None:
    """The entry with the word, marked, at the top of what is seen, on the first of two branches."""
    expect(found(chat)).to_have_count(1)
    expect(found(chat)).to_contain_text(f"The {WORD} lives")
    expect(found(chat)).to_be_in_viewport()
    chat.page.wait_for_function(RESTS_AT_THE_TOP, polling=50)
    expect(chat.questions.first.get_by_text("1/2")).to_be_visible()


def test_a_hit_opens_the_conversation_at_the_entry_on_its_branch(
    chat: Chat, scripted: ScriptedServer, person: Person
) -> None:
    made = two_branches(chat, scripted, person)
    chat.open("/")
    hit(chat, WORD).first.click()
    chat.page.wait_for_url(re.compile(f"/chat/{made}#msg"))
    stands_out(chat)


def test_a_hit_in_the_conversation_that_is_open_leads_there_again_and_again(
    chat: Chat, scripted: ScriptedServer, person: Person
) -> None:
    made = two_branches(chat, scripted, person)
    chat.open(f"/chat/{made}")
    expect(chat.questions.first).to_contain_text("another way in")
    for _ in range(2):
        expect(hit(chat, WORD).first).to_be_visible()
        chat.page.keyboard.press("Tab")
        hit_at = hit_position(chat)
        for _ in range(hit_at):
            chat.page.keyboard.press("ArrowDown")
        chat.page.keyboard.press("Enter")
        stands_out(chat)
        chat.button("chat.toEnd").click()
        expect(found(chat)).not_to_be_in_viewport()


def hit_position(chat: Chat) -> int:
    """How many rows stand above the hit."""
    options = chat.page.get_by_role("option").all()
    chat.page.get_by_role("combobox").focus()
    return next(number for number, option in enumerate(options) if option.locator("mark").count())
