"""A key's end and its models, set by page and held by the API; what an unfinished pull left; whose usage a builder reads."""

import re
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
from playwright.sync_api import Browser, expect
from tests.browser.chat import Chat
from tests.browser.people import Person
from tests.fakes.scripted_server import MODEL, SEER

NOT_HERE = "smollm2-360m-instruct"


def _statuses(person: Person, secret: str) -> dict[str, tuple[int, str]]:
    """How each model answers that key."""
    found = {}
    for model in (MODEL, SEER):
        body = {"model": model, "messages": [{"role": "user", "content": "x"}]}
        answer = httpx2.post(
            f"{person.platform.address}/v1/chat/completions",
            json=body, headers={"authorization": f"Bearer {secret}"}, timeout=60,
        )  # fmt: skip
        found[model] = answer.status_code, str(answer.json().get("code"))
    return found


def test_a_key_is_limited_to_a_model_and_a_day_and_its_end_is_changed(
    browser: Browser, newcomer: Callable[..., Person]
) -> None:
    builder = newcomer("builder")
    with builder.window(browser, locale="fr-FR") as context:
        page = Chat(context.new_page(), "fr")
        page.page.goto("/studio/keys")
        page.button("studio.newKey").first.click()
        dialog = page.page.get_by_role("dialog")
        dialog.get_by_label(page.word("studio.keyName"), exact=True).fill("ci")
        dialog.get_by_label(page.word("studio.models"), exact=True).select_option("some")
        dialog.get_by_label(page.word("studio.expires"), exact=True).select_option("date")
        dialog.get_by_role("button", name=page.word("studio.makeKey")).click()
        expect(dialog.get_by_text(page.word("studio.dayMissing"))).to_be_visible()
        expect(dialog.get_by_text(page.word("studio.modelMissing"))).to_be_visible()
        dialog.get_by_label(MODEL, exact=True).check()
        last = (datetime.now(UTC) + timedelta(days=400)).date().isoformat()
        dialog.get_by_label(page.word("studio.lastDay"), exact=True).fill(last)
        dialog.get_by_role("button", name=page.word("studio.makeKey")).click()
        secret = dialog.get_by_label(page.word("studio.secret")).input_value()
        page.button("studio.haveCopied").click()
        keys = page.page.get_by_role("list", name=page.word("studio.keys"), exact=True)
        expect(keys).to_contain_text(page.word("studio.onlyModels", names=MODEL))
        (key,) = builder.call("GET", "/web/keys")
        assert key["models"] == [MODEL] and last in (key["expires_at"][:10], _day_before(key["expires_at"]))
        assert _statuses(builder, secret) == {MODEL: (200, "None"), SEER: (403, "model_not_permitted")}

        keys.get_by_role("button", name=re.compile(page.word("studio.changeExpiry"))).click()
        expect(dialog).to_contain_text(page.word("studio.expiryTitle", name="ci"))
        dialog.get_by_label(page.word("studio.expires"), exact=True).select_option("never")
        dialog.get_by_role("button", name=page.word("common.save")).click()
        expect(keys).to_contain_text(page.word("studio.neverExpires"))
        assert builder.call("GET", "/web/keys")[0]["expires_at"] is None


def _day_before(moment: str) -> str:
    return (datetime.fromisoformat(moment) - timedelta(days=1)).date().isoformat()


def test_what_an_unfinished_pull_left_is_shown_and_deleted(browser: Browser, administrator: Person) -> None:
    files = Path(administrator.platform.home) / "models" / ".part" / NOT_HERE / "files"
    files.mkdir(parents=True)
    (files / "half").write_bytes(b"x" * 3_000_000)
    try:
        with administrator.window(browser) as context:
            page = Chat(context.new_page())
            page.page.goto("/studio/models")
            page.page.get_by_text(page.word("studio.filterHere"), exact=True).first.click()
            card = page.page.get_by_role("article", name=NOT_HERE, exact=True)
            expect(card).to_contain_text(page.word("studio.partial", size="3 MB"))
            card.get_by_role("button", name=page.word("studio.moreFor", name=NOT_HERE)).click()
            page.item("studio.dropPartial").click()
            dialog = page.page.get_by_role("dialog")
            expect(dialog).to_contain_text(page.word("studio.dropTitle", name=NOT_HERE))
            dialog.get_by_role("button", name=page.word("common.remove")).click()
            expect(page.page.get_by_text(page.word("studio.dropped", name=NOT_HERE))).to_be_visible()
            expect(card).to_have_count(0)
        assert not files.exists()
    finally:
        shutil.rmtree(files.parent, ignore_errors=True)


def test_a_builder_reads_the_workspaces_usage_and_of_people_only_their_own(
    browser: Browser, newcomer: Callable[..., Person]
) -> None:
    builder, other = newcomer("builder", "Berthe"), newcomer("member", "Gaspard")
    for one in (builder, other):
        one.call("POST", "/v1/conversations", json={"model": MODEL, "inputs": "x", "store": False})
    with builder.window(browser) as context:
        page = Chat(context.new_page())
        page.page.goto("/studio/usage")
        expect(page.page.get_by_role("heading", name=page.word("studio.ownUse"), exact=True)).to_be_visible()
        expect(page.page.get_by_text("Berthe").first).to_be_attached()
        expect(page.page.get_by_text("Gaspard")).to_have_count(0)


def test_what_an_import_left_behind_is_said_in_french(browser: Browser, person: Person) -> None:
    upload = b'[{"id": "a", "mapping": {"n": {"parent": null, "message": {"author": {"role": "user"}, "content": ' + (
        b'{"content_type": "text", "parts": ["Salut"]}}}}}, {"title": "broken"}]'
    )
    with person.window(browser, locale="fr-FR") as context:
        page = Chat(context.new_page(), "fr").open()
        page.button("chat.listMenu").click()
        page.item("chat.import").click()
        dialog = page.page.get_by_role("dialog")
        picked = dialog.locator("input[type=file]")
        picked.set_input_files({"name": "conversations.json", "mimeType": "application/json", "buffer": upload})
        dialog.get_by_text(page.word("chat.importProblems", count=1)).click()
        expect(dialog.get_by_text(re.compile("Conversation 2.*illisible"))).to_be_visible()
        picked.set_input_files({"name": "x.json", "mimeType": "application/json", "buffer": b"{}"})
        expect(dialog.get_by_text(re.compile("pas reconnu ici"))).to_be_visible()
