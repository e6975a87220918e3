"""Every page of the client, by a name that may stand in a file's name, with what makes it show something worth seeing."""

from collections.abc import Callable
from dataclasses import dataclass

from playwright.sync_api import Page, expect
from tests.browser.chat import Chat
from tests.browser.people import Person

WISH = "Draw me a wind rose of last week."
QUESTION = "How do I turn knots into kilometres per hour?"
ANSWER = """A knot is one nautical mile per hour, and a nautical mile is exactly 1.852 km, so you **multiply by 1.852**:

$$v_{km/h} = 1.852 \\cdot v_{kn}$$

| wind | knots | km/h |
| --- | ---: | ---: |
| breeze | 12 | 22 |
| tramontane | 48 | 89 |

```python
def kmh(knots: float) -> float:
    return 1.852 * knots
```

Rule of thumb: double it and take a tenth away.
"""
PAGE = """<!doctype html><title>Wind rose</title><style>body{font:16px sans-serif;text-align:center;padding:2rem}
div{width:9rem;height:9rem;border-radius:50%;margin:2rem auto;background:conic-gradient(#2f7d6d 40%,#d8b24a 0 70%,#9db8b2 0)}
</style><h1>Where the wind came from</h1><div></div><p>North 40 %, west 30 %, elsewhere 30 %</p>"""


@dataclass(frozen=True)
class Shown:
    """A page: its name, and how to get there as somebody with conversations; `signed_in` false for the pages before."""

    name: str
    go: Callable[[Page, dict[str, str]], None]
    signed_in: bool = True


# A page is settled when it stays the same for a moment; an event stream never lets the network be idle.
SETTLED = """() => new Promise((done) => {
  let before = '', same = 0;
  const look = () => {
    const now = document.body.innerHTML;
    same = now === before && !document.querySelector('[aria-busy=true]') ? same + 1 : 0;
    before = now;
    if (same >= 4) document.fonts.ready.then(done); else setTimeout(look, 100);
  };
  look();
})"""


def settled(page: Page) -> None:
    """Return once everything has come and nothing moves."""
    page.evaluate(SETTLED)


def _at(path: str) -> Callable[[Page, dict[str, str]], None]:
    def go(page: Page, made: dict[str, str]) -> None:
        page.goto(path.format(**made))
        expect(page.get_by_role("heading", level=1).first).to_be_attached()
        settled(page)

    return go


def _with(path: str, act: Callable[[Chat], None]) -> Callable[[Page, dict[str, str]], None]:
    def go(page: Page, made: dict[str, str]) -> None:
        _at(path)(page, made)
        act(Chat(page))
        settled(page)

    return go


def _canvas(chat: Chat) -> None:
    chat.answers.last.locator(".code").get_by_role("button", name=chat.word("chat.openInCanvas")).click()
    chat.button("chat.preview").click()
    expect(chat.page.frame_locator("iframe[sandbox]").locator("h1")).to_be_visible()


def _palette(chat: Chat) -> None:
    chat.page.keyboard.press("Control+k")
    expect(chat.page.get_by_role("combobox")).to_be_focused()


def _drawn(chat: Chat) -> None:
    expect(chat.answers.last.locator(".katex").first).to_be_visible()


PAGES = (
    Shown("sign-in", _at("/sign-in"), signed_in=False),
    Shown("join", _at("/join#{invitation}"), signed_in=False),
    Shown("welcome", _at("/welcome")),
    Shown("new-chat", _at("/")),
    Shown("chat", _with("/chat/{chat}", _drawn)),
    Shown("canvas", _with("/chat/{page}", _canvas)),
    Shown("tree", _with("/chat/{chat}", lambda chat: chat.button("chat.tree").click())),
    Shown("chat-settings", _with("/chat/{chat}", lambda chat: chat.button("chat.settings").click())),
    Shown("share-dialog", _with("/chat/{chat}", lambda chat: chat.button("chat.share").click())),
    Shown("commands", _with("/", _palette)),
    Shown("shared", _at("{share}")),
    Shown("projects", _at("/projects")),
    Shown("project", _at("/projects/{project}")),
    Shown("settings", _at("/settings")),
    Shown("security", _at("/settings/security")),
    Shown("workspaces", _at("/settings/workspaces")),
    Shown("people", _at("/people")),
    Shown("studio", _at("/studio")),
    Shown("studio-models", _at("/studio/models")),
    Shown("studio-keys", _at("/studio/keys")),
    Shown("studio-usage", _at("/studio/usage")),
    Shown("not-found", _at("/chat/conv_nobodys")),
)  # fmt: skip


def furnish(person: Person, texts: dict[str, str]) -> dict[str, str]:
    """Conversations, a project, a share and an invitation for an administrator; the ids the pages' paths name."""
    texts[QUESTION] = ANSWER
    texts[WISH] = f"Here it is; the numbers are from your table.\n\n```html\n{PAGE}\n```\n"
    project = person.call(
        "POST", "/v1/projects", json={"name": "Harbour office", "instructions": "Answer in metric units."}
    )

    def ask(inputs: str, name: str, **more: str) -> str:
        body = {"model": "scripted", "inputs": inputs, "stream": False, **more}
        made: str = person.call("POST", "/v1/conversations", json=body)["conversation_id"]
        person.call("PATCH", f"/v1/conversations/{made}", json={"name": name})
        return made

    for name in ("Duty roster for May", "Letter to the harbour master", "Why the buoys are red"):
        ask("count:30", name, project_id=project["id"])
    page = ask(WISH, "A wind rose")
    chat = ask(QUESTION, "Knots into km/h")
    entry = person.call("GET", f"/v1/conversations/{chat}/history?tree=true")["entries"][0]["id"]
    again = {"inputs": [], "from_entry_id": entry, "stream": False}
    person.call("POST", f"/v1/conversations/{chat}", json=again)
    person.call("PATCH", f"/v1/conversations/{chat}", json={"pinned": True})
    share = person.call("POST", f"/v1/conversations/{chat}/shares")["path"]
    invitation = person.call("POST", "/web/invitations", json={"role": "member"})["secret"]
    return {"chat": chat, "page": page, "share": share, "project": project["id"], "invitation": invitation}
