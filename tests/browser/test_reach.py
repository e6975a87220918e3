"""For everybody: in French, on a phone, by keyboard alone, installed as an application."""

import json
import re

from playwright.sync_api import Browser, Page, expect
from tests.browser.chat import Chat
from tests.browser.pages import settled
from tests.browser.people import PASSWORD, Person, window
from tests.browser.words import say

PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}
# Words of English that a page in French would only show where a text was forgotten.
ENGLISH = re.compile(r"\b(the|your|chats|settings|sign out|new chat|search|workspace)\b", re.IGNORECASE)


def test_french_from_the_door_to_the_answer_and_kept(browser: Browser, person: Person) -> None:
    with window(browser, person.platform, locale="fr-FR") as context:
        page = context.new_page()
        page.goto("/sign-in")
        page.get_by_label(say("account.email", "fr")).fill(person.email)
        page.get_by_label(say("account.password", "fr"), exact=True).fill(PASSWORD)
        page.get_by_role("button", name=say("account.signIn", "fr"), exact=True).click()
        chat = Chat(page, "fr")
        expect(chat.field).to_be_visible()
        assert page.locator("html").get_attribute("lang") == "fr"
        assert not ENGLISH.search(page.locator("body").inner_text())
        chat.ask("bonjour")
        expect(chat.ask("fail").get_by_role("alert")).to_contain_text(say("common.error.engine_failed", "fr"))
        for path in ("/projects", "/settings", "/settings/security", "/settings/workspaces"):
            page.goto(path)
            expect(page.get_by_role("heading", level=1)).to_be_visible()
            assert not ENGLISH.search(page.get_by_role("main").inner_text()), path


def test_the_chosen_language_comes_along_to_another_browser(browser: Browser, person: Person) -> None:
    person.call("PATCH", "/web/person", json={"language": "fr"})
    with person.window(browser, locale="en-GB") as context:
        Chat(context.new_page(), "fr").open()


def no_wider_than_the_screen(page: Page) -> None:
    # A word that sticks out makes the whole page wobble sideways under a thumb.
    sizes = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert sizes[0] <= sizes[1], (page.url, sizes)


def test_a_phone_holds_every_page_without_scrolling_sideways(browser: Browser, administrator: Person) -> None:
    with administrator.window(browser, **PHONE) as context:
        page = context.new_page()
        for path in (
            "/",
            "/projects",
            "/people",
            "/settings",
            "/settings/security",
            "/studio",
            "/studio/keys",
            "/studio/usage",
        ):
            page.goto(path)
            expect(page.get_by_role("heading", level=1)).to_be_attached()
            settled(page)
            no_wider_than_the_screen(page)


def test_a_conversation_on_a_phone(browser: Browser, person: Person) -> None:
    with person.window(browser, **PHONE) as context:
        chat = Chat(context.new_page()).open()
        chat.field.fill("long:4000")
        chat.button("chat.send").tap()
        chat.finished()
        no_wider_than_the_screen(chat.page)
        chat.button("common.openMenu").tap()
        expect(chat.list.get_by_role("link").first).to_be_in_viewport()
        chat.page.get_by_role("link", name=chat.word("common.newChat")).tap()
        expect(chat.questions).to_have_count(0)
        chat.button("common.openMenu").tap()
        chat.list.get_by_role("link").first.tap()
        expect(chat.answers).to_have_count(1)
        small = chat.page.evaluate("""[...document.querySelectorAll('button, a.row, main textarea')].filter((e) => {
            const box = e.getBoundingClientRect();
            return box.width && box.height && (box.width < 24 || box.height < 24) && e.checkVisibility();
        }).map((e) => e.outerHTML.slice(0, 200))""")
        assert small == []


def _tab_to(page: Page, name: str) -> None:
    """Press Tab until what is named has the focus; fails when the way there leads round."""
    for _ in range(80):
        page.keyboard.press("Tab")
        shown = page.evaluate("""() => { const e = document.activeElement;
            return e.getAttribute('aria-label') || e.labels?.[0]?.textContent || e.textContent.trim() }""")
        if name in shown.strip():
            style = page.evaluate(
                "getComputedStyle(document.activeElement).outlineStyle + document.activeElement.matches(':focus-visible')"
            )
            assert style.endswith("true")
            return
    raise AssertionError(f"the keyboard does not reach {name}")


def test_the_keyboard_alone_is_enough(browser: Browser, person: Person) -> None:
    with window(browser, person.platform) as context:
        page = context.new_page()
        page.goto("/")
        expect(page.get_by_label(say("account.email"))).to_be_visible()
        _tab_to(page, say("account.email"))
        page.keyboard.type(person.email)
        _tab_to(page, say("account.password"))
        page.keyboard.type(PASSWORD)
        page.keyboard.press("Enter")
        chat = Chat(page)
        expect(chat.field).to_be_focused()
        page.keyboard.type("asked by keyboard")
        page.keyboard.press("Enter")
        expect(chat.finished()).to_contain_text("asked by keyboard")
        page.keyboard.press("Control+k")
        expect(page.get_by_role("combobox")).to_be_focused()
        page.keyboard.type(say("chat.settings")[:8])
        page.keyboard.press("Enter")
        panel = page.get_by_role("complementary", name=say("chat.settings"))
        expect(panel).to_be_visible()
        _tab_to(page, say("common.close"))
        page.keyboard.press("Enter")
        expect(panel).to_have_count(0)
        page.keyboard.press("Control+Shift+o")
        expect(chat.questions).to_have_count(0)
        expect(chat.field).to_be_focused()
        page.keyboard.press("Control+k")
        page.keyboard.type("asked by")
        expect(page.get_by_role("option").filter(has_text="asked by keyboard").first).to_be_visible()
        page.keyboard.press("Enter")
        expect(chat.answers).to_have_count(1)


def test_it_can_be_installed_and_keeps_only_its_shell(chat: Chat) -> None:
    page = chat.page
    chat.ask("not for the cache")
    link = page.locator("link[rel=manifest]").get_attribute("href")
    answer = page.request.get(str(link))
    assert answer.headers["content-type"].startswith("application/manifest+json")
    manifest = json.loads(answer.text())
    assert {"name", "start_url", "display", "icons"} <= manifest.keys()
    sizes = {icon["sizes"] for icon in manifest["icons"]}
    assert {"192x192", "512x512"} <= sizes
    for icon in manifest["icons"]:
        got = page.request.get(icon["src"])
        assert got.ok and got.headers["content-type"] == icon["type"]
    kept = page.evaluate("""async () => {
        await navigator.serviceWorker.ready;
        const names = await caches.keys();
        const caches_ = await Promise.all(names.map((name) => caches.open(name)));
        const all = await Promise.all(caches_.map(async (one) => (await one.keys()).map((r) => new URL(r.url).pathname)));
        return all.flat();
    }""")
    assert kept
    allowed = re.compile(r"^/(assets/|icons/|offline\.html$|manifest\.webmanifest$)")
    assert [path for path in kept if not allowed.match(path)] == []
    page.reload()
    page.context.set_offline(True)
    page.reload()
    assert "not for the cache" not in page.content()
    expect(page.locator("body")).to_contain_text(re.compile(r"\w{4}"))
    page.context.set_offline(False)


def test_what_is_asked_of_the_server_waits_for_no_worker(chat: Chat) -> None:
    page = chat.page
    page.evaluate("navigator.serviceWorker.ready.then(() => {})")
    page.reload()
    expect(chat.field).to_be_visible()
    assert page.evaluate("navigator.serviceWorker.controller !== null")
    chat.ask("past the worker")
    asked = page.evaluate("""performance.getEntriesByType('resource')
        .filter((one) => /^\\/(v1|web)\\//.test(new URL(one.name).pathname))
        .map((one) => [new URL(one.name).pathname, one.workerFinalSourceType])""")
    assert any(path.startswith("/v1/conversations") for path, _ in asked), asked
    assert [path for path, source in asked if source != "network"] == []


ENLARGED = {"viewport": {"width": 320, "height": 256}}


def test_enlarged_four_times_nothing_covers_another_and_there_is_room_to_read(browser: Browser, person: Person) -> None:
    with person.window(browser, **ENLARGED) as context:
        chat = Chat(context.new_page()).open()
        bar = chat.page.get_by_role("banner").bounding_box()
        greeting = chat.page.get_by_role("main").get_by_role("heading", level=2).bounding_box()
        assert bar and greeting and greeting["y"] >= bar["y"] + bar["height"]
        chat.ask("long:4000")
        words = chat.page.get_by_role("region", name=chat.word("chat.messages")).bounding_box()
        assert words and words["height"] >= 80, words
        for key in ("chat.attach", "chat.send"):
            expect(chat.button(key)).to_be_in_viewport(ratio=1)
        no_wider_than_the_screen(chat.page)
        chat.button("common.openMenu").click()
        account = chat.page.get_by_role("button", name=person.name)
        first = chat.list.get_by_role("link").first
        first.scroll_into_view_if_needed()
        expect(first).to_be_in_viewport(ratio=1)
        below, above = account.bounding_box(), first.bounding_box()
        assert below and above and below["y"] >= above["y"] + above["height"]
        account.scroll_into_view_if_needed()
        expect(account).to_be_in_viewport(ratio=1)


def test_who_wants_no_motion_gets_none(chat: Chat) -> None:
    chat.send("slow:60")
    expect(chat.answers.last).to_contain_text("word1")
    long = chat.page.evaluate("""() => [...document.querySelectorAll('*')].flatMap((e) => {
        const style = getComputedStyle(e);
        return [...style.transitionDuration.split(','), ...style.animationDuration.split(',')]
            .filter((time) => parseFloat(time) > 0.01).map((time) => e.className + ' ' + time);
    })""")
    assert long == []
