"""What `models list` and `models show` say of a licence: what it permits, and who accepted it when."""

import getpass
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tramontane.app.installation import Installation
from tramontane.entrypoints.cli import command_line

NOWHERE = {"TRAMONTANE_HUB__ENDPOINT": "http://127.0.0.1:9"}
MOMENT = r"\d{4}-\d\d-\d\d \d\d:\d\d"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command_line, arguments, obj=Installation(), env=NOWHERE)


def shown(name: str) -> dict[str, str]:
    lines = run("models", "show", name).stdout.splitlines()
    return {label: text.strip() for label, _, text in (line.partition(":") for line in lines)}


def listed(name: str) -> str:
    lines = run("models", "list", "--all").stdout.splitlines()
    return next(line for line in lines if line.split()[0] == name)


@pytest.mark.parametrize(
    ("name", "kind", "permits"),
    [
        ("smollm2-360m-instruct", "open", "research, production, modification, redistribution, fine tuning"),
        ("codestral-22b-v0.1", "research", "research, modification, fine tuning"),
        ("llama-3.2-1b-instruct", "commercial agreement", "production"),
    ],
)
def test_what_a_licence_permits_is_shown(home: Path, name: str, kind: str, permits: str) -> None:
    lines = shown(name)
    assert f"({kind})" in lines["licence"] and permits in lines["permits"]
    assert f"  {kind}  " in listed(name)


def test_who_accepted_a_licence_and_when(home: Path) -> None:
    assert shown("smollm2-360m-instruct")["accepted"] == "need not be"
    before = shown("codestral-22b-v0.1")["accepted"]
    assert before.startswith("no; ") and re.search(r"  no  ", listed("codestral-22b-v0.1"))
    cure = re.search("`tramontane (.*?)`", before)
    assert cure is not None
    run(*cure[1].split())
    by_whom_and_when = rf"by {re.escape(getpass.getuser())}, {MOMENT}"
    assert re.fullmatch(by_whom_and_when, shown("codestral-22b-v0.1")["accepted"])
    assert re.search(by_whom_and_when, listed("codestral-22b-v0.1"))
    # The licence was accepted, not this one model alone.
    others = [line for line in run("models", "list", "--all").stdout.splitlines() if "mnpl-0.1" in line]
    assert others and all(re.search(by_whom_and_when, line) for line in others)


def test_what_an_unfinished_pull_left_is_listed_and_dropped(home: Path) -> None:
    run("models", "list")
    for name in ("smollm2-360m-instruct", "drafted-elsewhere"):
        files = home / "models" / ".part" / name / "files"
        files.mkdir(parents=True)
        (files / "half.gguf").write_bytes(b"x" * 5_000_000)
        told = run("models", "list").stderr
        assert re.search(rf"{name}: 5 MB .*rm {name}", told), told
        dropped = run("models", "rm", name)
        assert (dropped.exit_code, files.exists()) == (0, False) and "5 MB" in dropped.stderr
        assert name not in run("models", "list").stderr
        assert run("models", "rm", name).exit_code == 1
    assert run("models", "rm", "../../etc").exit_code == 1


def test_terms_nobody_stated_permit_nothing_known(home: Path) -> None:
    place = ("models", "add", "http://127.0.0.1:9/v1#theirs", "--name", "theirs")
    refused = run(*place)
    assert refused.exit_code == 1 and "--accept-licence" in refused.stderr
    assert run(*place, "--accept-licence").exit_code == 0
    lines = shown("theirs")
    assert lines["permits"] == "nothing that is known"
    assert re.fullmatch(rf"by {re.escape(getpass.getuser())}, {MOMENT}", lines["accepted"])


def test_another_servers_model_sees_images_when_the_operator_says_so(home: Path) -> None:
    place = "http://127.0.0.1:9/v1"
    for name, more in (("eyes", ["--sees-images"]), ("blind", [])):
        assert run("models", "add", f"{place}#{name}", "--accept-licence", *more).exit_code == 0
    assert "vision" in shown("eyes")["can"] and "vision" not in shown("blind")["can"]


def test_no_model_of_this_machine_is_said_to_see_images(home: Path, tmp_path: Path) -> None:
    (tmp_path / "one.gguf").write_bytes(b"GGUF")
    refused = run("models", "add", str(tmp_path / "one.gguf"), "--sees-images")
    assert refused.exit_code == 1 and "another server" in refused.stderr
