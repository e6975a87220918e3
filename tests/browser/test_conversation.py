"""A conversation in a real browser: streaming, stop, versions and branches, the tree, drafts, two tabs, double sends."""

from concurrent.futures import ThreadPoolExecutor

from playwright.sync_api import Browser, expect
from tests.browser.chat import MODEL, Chat
from tests.browser.people import Person
from tests.fakes.scripted_server import SEER, ScriptedServer
from tests.waiting import wait_until

# What the last answer held at each frame, as far as it changed.
WATCH_GROWTH = """() => {
  window.grown = [];
  const look = () => {
    const text = [...document.querySelectorAll('article.answer')].at(-1)?.querySelector('p')?.textContent ?? '';
    if (text.startsWith('word') && text.length !== window.grown.at(-1)) window.grown.push(text.length);
    requestAnimationFrame(look);
  };
  look();
}"""


def test_the_answer_grows_while_it_is_written(chat: Chat) -> None:
    chat.page.evaluate(WATCH_GROWTH)
    chat.send("slow:4000")
    answer = chat.answers.last
    expect(answer).to_contain_text("word0 ")
    for _ in range(3):
        written = answer.inner_text().count("word")
        expect(answer).to_contain_text(f"word{written + 3} ")
    expect(answer).to_have_attribute("aria-busy", "true")
    chat.button("chat.stop").click()
    chat.finished()
    grown = chat.page.evaluate("window.grown")
    assert len(grown) > 1 and grown == sorted(grown), grown


def test_stop_keeps_what_came_and_ends_the_computing(chat: Chat, scripted: ScriptedServer) -> None:
    question = "slow:2000 until it is stopped"
    chat.send(question)
    expect(chat.answers.last).to_contain_text("word5")
    chat.button("chat.stop").click()
    answer = chat.finished()
    expect(answer).to_contain_text(chat.word("chat.stopped"))
    expect(answer).not_to_contain_text("word1999")
    chat.page.reload()
    expect(chat.answers.last).to_contain_text("word5")
    expect(chat.answers.last).to_contain_text(chat.word("chat.stopped"))
    # It notices when it writes the next word.
    wait_until(lambda: question in scripted.cancelled)
    assert scripted.asked.count(question) == 1


def test_another_answer_and_back_to_the_one_before(chat: Chat, person: Person) -> None:
    chat.ask("first words")
    chat.button("chat.regenerate").click()
    expect(chat.answers.last.get_by_text("2/2")).to_be_visible()
    chat.finished()
    chat.answers.last.get_by_role("button", name=chat.word("chat.previousVersion")).click()
    expect(chat.answers.last.get_by_text("1/2")).to_be_visible()
    entries = person.call("GET", f"/v1/conversations/{chat.kept()}/history?tree=true")["entries"]
    assert [entry["type"] for entry in entries].count("message.output") == 2


def test_another_answer_by_keyboard_and_from_another_model(chat: Chat, scripted: ScriptedServer) -> None:
    chat.ask("first words")
    chat.button("chat.regenerate").press("Enter")
    expect(chat.answers.last.get_by_text("2/2")).to_be_visible()
    chat.finished()
    expect(chat.field).to_be_focused()
    chat.button("chat.regenerateWith").press("ArrowDown")
    expect(chat.page.get_by_role("menuitem", name=MODEL, exact=True)).to_have_count(0)
    expect(chat.page.get_by_role("menuitem").first).to_be_focused()
    chat.page.get_by_role("menuitem", name=SEER).press("Enter")
    expect(chat.answers.last.get_by_text("3/3")).to_be_visible()
    expect(chat.page.get_by_role("article", name=chat.word("chat.answerOf", model=SEER))).to_be_visible()
    chat.finished()
    chat.page.keyboard.press("Control+k")
    chat.page.get_by_role("dialog").get_by_role("combobox").fill(chat.word("chat.regenerate"))
    chat.page.keyboard.press("Enter")
    expect(chat.answers.last.get_by_text("4/4")).to_be_visible()


def test_an_edited_question_is_a_branch_and_the_old_one_stays(chat: Chat) -> None:
    chat.ask("about rivers")
    chat.ask("and their bridges")
    first = chat.questions.first
    first.get_by_role("button", name=chat.word("common.edit"), exact=True).click()
    box = chat.page.get_by_label(chat.word("chat.editMessage"), exact=True)
    expect(box).to_have_value("about rivers")
    box.fill("about mountains")
    box.press("Enter")
    expect(chat.answers).to_have_count(1)
    expect(chat.finished()).to_contain_text("about mountains")
    expect(first.get_by_text("2/2")).to_be_visible()
    first.get_by_role("button", name=chat.word("chat.previousVersion")).click()
    expect(chat.answers).to_have_count(2)
    expect(chat.answers.last).to_contain_text("and their bridges")
    chat.page.reload()
    expect(chat.answers.last).to_contain_text("and their bridges")


def test_the_tree_shows_every_branch_and_leads_to_it(chat: Chat) -> None:
    chat.ask("about rivers")
    chat.questions.first.get_by_role("button", name=chat.word("common.edit"), exact=True).click()
    box = chat.page.get_by_label(chat.word("chat.editMessage"), exact=True)
    box.fill("about mountains")
    box.press("Enter")
    expect(chat.finished()).to_contain_text("about mountains")
    chat.button("chat.tree").click()
    panel = chat.page.get_by_role("complementary", name=chat.word("chat.tree"))
    expect(panel.get_by_role("listitem")).to_have_count(4)
    panel.get_by_role("button", name="You said: about rivers").click()
    expect(chat.answers.last).to_contain_text("about rivers")
    expect(panel.locator("[aria-current=true]")).to_have_count(2)


def test_a_draft_survives_a_reload_and_belongs_to_its_chat(chat: Chat) -> None:
    chat.ask("one")
    chat.field.press_sequentially("half a thou")
    chat.page.reload()
    expect(chat.field).to_have_value("half a thou")
    chat.page.goto("/")
    expect(chat.field).to_have_value("")
    chat.page.go_back()
    expect(chat.field).to_have_value("half a thou")


def test_a_long_question_is_folded_and_shown_whole_on_request(chat: Chat) -> None:
    chat.ask("a short one")
    assert chat.questions.last.get_by_role("button", name=chat.word("chat.showAll")).count() == 0
    chat.ask("\n".join(f"line {number}" for number in range(60)))
    bubble, more = chat.questions.last, chat.button("chat.showAll")
    before = bubble.bounding_box()
    assert before and before["height"] < 400
    more.click()
    after = bubble.bounding_box()
    assert after and after["height"] > 1000
    chat.button("chat.showLess").click()
    expect(more).to_be_visible()


def test_a_double_click_on_send_sends_once(chat: Chat, scripted: ScriptedServer) -> None:
    asked = len(scripted.asked)
    chat.field.fill("only once, please")
    chat.button("chat.send").dblclick()
    chat.finished()
    expect(chat.questions).to_have_count(1)
    assert [one for one in scripted.asked[asked:] if one == "only once, please"] == ["only once, please"]


def test_two_tabs_on_one_conversation_show_the_same(chat: Chat, scripted: ScriptedServer) -> None:
    chat.ask("from the first tab")
    other = Chat(chat.page.context.new_page()).open(f"/chat/{chat.kept()}")
    expect(other.answers).to_have_count(1)
    other.ask("from the second tab")
    expect(chat.answers).to_have_count(2)
    expect(chat.answers.last).to_contain_text("from the second tab")
    # While the second tab is answered the first one knows it, and shows the answer once it is there.
    question = "held:20 in the second tab"
    other.send(question)
    expect(other.answers.last).to_contain_text("word19")
    expect(chat.answers).to_have_count(3)
    expect(chat.button("chat.stop")).to_be_visible()
    scripted.released.add(question)
    expect(other.finished()).to_contain_text("word19")
    expect(chat.finished()).to_contain_text("word19")


def test_a_question_beside_an_answer_one_did_not_know_of_comes_back_with_the_reason(
    chat: Chat, person: Person, scripted: ScriptedServer
) -> None:
    """Another device of the same person: no tab tells this one about it."""
    chat.ask("from the page")
    question, mine = "held:20 from elsewhere", "at the same time"
    body = {"inputs": question, "stream": False}
    with ThreadPoolExecutor(1) as pool:
        elsewhere = pool.submit(person.call, "POST", f"/v1/conversations/{chat.kept()}", json=body)
        try:
            wait_until(lambda: question in scripted.asked)
            chat.send(mine)
            expect(chat.page.get_by_text(chat.word("common.error.answer_running"))).to_be_visible()
            expect(chat.field).to_have_value(mine)
        finally:
            scripted.released.add(question)
        elsewhere.result(60)
    expect(chat.answers).to_have_count(2)
    expect(chat.finished()).to_contain_text("word19")
    assert mine not in scripted.asked
    chat.field.press("Enter")
    expect(chat.answers).to_have_count(3)
    expect(chat.finished()).to_contain_text(f"You said: {mine}")


def test_a_failed_answer_says_so_and_one_can_ask_again(chat: Chat) -> None:
    answer = chat.ask("fail")
    expect(answer).to_contain_text("The beginning")
    expect(answer.get_by_role("alert")).to_be_visible()
    expect(chat.ask("again")).to_contain_text("You said: again")


def test_a_temporary_chat_is_in_no_list(chat: Chat, person: Person) -> None:
    chat.button("chat.makeTemporary").click()
    chat.ask("nobody shall find this")
    assert "nobody shall find this" not in str(person.call("GET", "/v1/conversations"))
    chat.page.goto("/")
    expect(chat.page.get_by_text(chat.word("chat.noChats"))).to_be_visible()


def test_renaming_pinning_archiving_and_deleting(chat: Chat, person: Person) -> None:
    chat.ask("to be renamed")
    chat.kept()
    chat.button("chat.chatMenu").click()
    chat.item("chat.rename").click()
    box = chat.page.get_by_role("dialog").get_by_label(chat.word("chat.name"), exact=True)
    box.fill("Rivers")
    box.press("Enter")
    expect(chat.list.get_by_role("link", name="Rivers")).to_be_visible()
    chat.button("chat.chatMenu").click()
    chat.item("chat.pin").click()
    expect(chat.list.get_by_text(chat.word("chat.pinned"))).to_be_visible()
    chat.button("chat.chatMenu").click()
    chat.item("chat.archive").click()
    expect(chat.list.get_by_role("link", name="Rivers")).to_have_count(0)
    chat.button("chat.listMenu").click()
    chat.item("chat.showArchived").click()
    expect(chat.page.get_by_role("link", name="Rivers")).to_be_visible()
    chat.button("chat.chatMenu").click()
    chat.item("common.delete").click()
    expect(chat.page.get_by_role("link", name="Rivers")).to_have_count(0)
    chat.page.goto("/")
    expect(chat.page.get_by_text(chat.word("chat.noChats"))).to_be_visible()
    # The page sends the deletion as it leaves and waits for nothing.
    wait_until(lambda: person.call("GET", "/v1/conversations") == [])


def test_a_deleted_conversation_is_gone_though_the_page_is_closed_before_the_undo_ends(
    chat: Chat, person: Person
) -> None:
    chat.ask("to be deleted in a hurry")
    chat.kept()
    chat.button("chat.chatMenu").click()
    chat.item("common.delete").click()
    # A note with a pointer on it waits: nothing but the closing can send the deletion.
    chat.button("common.undo").hover()
    assert len(person.call("GET", "/v1/conversations")) == 1
    chat.page.close(run_before_unload=True)
    wait_until(lambda: person.call("GET", "/v1/conversations") == [])


def test_search_finds_words_of_an_answer_and_opens_it_there(chat: Chat, browser: Browser) -> None:
    # Beyond the words a name is made of: a hit in the name leads to the conversation and to no place in it.
    chat.ask("tell me in one short sentence or in two where the quokka lives")
    chat.ask("something else entirely")
    wanted = f"/chat/{chat.kept()}"
    chat.page.goto("/")
    chat.page.get_by_role("searchbox", name=chat.word("chat.search")).fill("quokka")
    hit = chat.list.get_by_role("link").first
    expect(hit.locator("mark").first).to_have_text("quokka")
    hit.click()
    chat.page.wait_for_url(f"**{wanted}#msg*")
    expect(chat.answers.first).to_contain_text("quokka")


def test_what_one_says_in_a_temporary_chat_or_others_said_is_not_found(chat: Chat, person: Person) -> None:
    chat.ask("the wombat sleeps")
    assert person.call("GET", "/v1/conversations/search?q=wombat")
    assert not person.call("GET", "/v1/conversations/search?q=quokka")
