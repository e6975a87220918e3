"""The canvas's preview against the world outside: every way a page has to reach it, tried in a browser that guesses ahead.

The first test tries the same page without a fence, so that a way the browser itself has closed cannot pass as ours.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Frame, Page, TimeoutError, expect
from playwright.sync_api import Error as PageError
from tests.browser.chat import Chat
from tests.browser.chromium import eager_chromium
from tests.browser.outside import (
    CALL_FROM_FRAME,
    LAST,
    MOVES,
    NAMED,
    NESTED,
    WAYS,
    Outside,
    names_asked,
    outside,
    plain_site,
)
from tests.browser.people import Person
from tests.fakes.scripted_server import ScriptedServer

# Long against what a browser takes to connect: the unfenced page is given as long and reaches everything.
SETTLE_MS = 3000


@pytest.fixture
def world() -> Iterator[Outside]:
    with outside() as made:
        yield made


def tried(where: Page | Frame) -> None:
    """Return once the page has tried everything."""
    expect(where.locator("#here")).to_have_attribute("data-tried", re.compile("{"), timeout=30_000)


def arrived(page: Page, world: Outside, wanted: set[str]) -> None:
    """Wait for what has not come yet: a busy machine takes longer, and says the same in the end."""
    for _ in range(100):
        if wanted <= world.came:
            return
        page.wait_for_timeout(200)


def opened(context: BrowserContext, person: Person, scripted: ScriptedServer, page: str) -> Chat:
    """A conversation with the page in its canvas, shown."""
    scripted.texts["ways out"] = f"Here is a page.\n\n```html\n{page}\n```\n"
    person.enter(context)
    chat = Chat(context.new_page()).open()
    chat.ask("ways out")
    chat.answers.last.locator(".code").get_by_role("button", name=chat.word("chat.openInCanvas")).click()
    return chat


def shown(chat: Chat) -> Frame:
    """The preview, anew, when it has tried everything."""
    chat.button("chat.code").click()
    expect(chat.page.locator("iframe[sandbox]")).to_have_count(0)
    chat.button("chat.preview").click()
    element = chat.page.locator("iframe[sandbox]").element_handle()
    frame = element.content_frame() if element else None
    assert frame is not None
    tried(frame)
    return frame


def test_each_way_out_is_one_where_there_is_no_fence(world: Outside, tmp_path: Path) -> None:
    alone = [name for name in (*MOVES, *LAST) if name not in NESTED]
    with plain_site(world.page()) as address, eager_chromium(tmp_path) as context:
        for name in ["", *alone]:
            page = context.new_page()
            page.goto(address, wait_until="commit")
            tried(page)
            if name:
                page.evaluate(f"setTimeout(() => {world.alone(name)})")
            page.wait_for_timeout(SETTLE_MS if not name else 500)
            arrived(page, world, {name} if name else set(WAYS))
            page.close()
    assert {*WAYS, *alone} - world.came == set()
    assert names_asked(tmp_path / "net.json") == NAMED


def test_a_page_in_the_canvas_reaches_nobody(
    world: Outside, tmp_path: Path, person: Person, scripted: ScriptedServer
) -> None:
    with eager_chromium(tmp_path, base_url=person.platform.address) as context:
        context.set_default_timeout(30_000)
        chat = opened(context, person, scripted, world.page())
        shown(chat)
        chat.page.wait_for_timeout(SETTLE_MS)
        assert world.came == set()
        assert len(context.pages) == 2, "a window was opened"
        address = chat.page.url
        for name in MOVES:
            shown(chat).evaluate(f"void setTimeout(() => {world.alone(name)})")
            chat.page.wait_for_timeout(500)
            assert chat.page.url == address, name
        assert world.came == set()
        expect(chat.answers.last).to_contain_text("Here is a page.")
        assert len(context.pages) == 2, "a window was opened"
    assert names_asked(tmp_path / "net.json") == set()


def test_a_call_from_a_frame_in_the_page_reaches_nobody_though_a_browser_may_break_over_it(
    world: Outside, tmp_path: Path, person: Person, scripted: ScriptedServer
) -> None:
    with eager_chromium(tmp_path, base_url=person.platform.address) as context:
        chat = opened(context, person, scripted, world.page())
        frame = shown(chat)
        try:
            frame.evaluate(f"void setTimeout(() => {world.alone(CALL_FROM_FRAME)})")
            chat.page.wait_for_timeout(SETTLE_MS)
        except (PageError, TimeoutError):
            context.new_page().wait_for_timeout(SETTLE_MS)
    assert world.came == set()


def test_a_page_in_the_canvas_still_shows_what_it_carries(chat: Chat, scripted: ScriptedServer) -> None:
    pixel = "data:image/gif;base64,R0lGODlhAQABAIAAAAUEBAAAACwAAAAAAQABAAACAkQBADs="
    scripted.texts["carried"] = (
        "```html\n<!-- ours --><!doctype html><title>x</title><style>p{color:rgb(1,2,3)}</style><p id=here>words</p>"
        f"<img src='{pixel}'><script>here.textContent = document.compatMode + ' ' + document.images[0].src.length"
        "</script>\n```\n"
    )
    chat.ask("carried")
    chat.answers.last.locator(".code").get_by_role("button", name=chat.word("chat.openInCanvas")).click()
    chat.button("chat.preview").click()
    frame = chat.page.frame_locator("iframe[sandbox]")
    expect(frame.locator("#here")).to_have_text(f"CSS1Compat {len(pixel)}")
    expect(frame.locator("#here")).to_have_css("color", "rgb(1, 2, 3)")
    assert frame.locator("img").evaluate("(image) => image.complete && image.naturalWidth") == 1
