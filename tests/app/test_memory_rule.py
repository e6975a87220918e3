"""The gateway's policy, `models fit` and the doctor judge memory by one rule over one measurement."""

from pathlib import Path

import pytest

from tramontane.adapters.sources import machine as measured
from tramontane.app.engine import policy_of
from tramontane.app.installation import Installation
from tramontane.entrypoints.cli.checks import check_memory
from tramontane.foundation.settings import Settings

GB = 10**9


@pytest.fixture
def container(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """As if this process were in a container of 2 GB with half a gigabyte in use."""
    for name, text in (("max", f"{2 * GB}"), ("current", f"{GB // 2}"), ("stat", "inactive_file 0\n")):
        (tmp_path / f"memory.{name}").write_text(text)
    (tmp_path / "cgroup").write_text("0::/\n")
    monkeypatch.setattr(measured, "SYSTEM_GROUPS", measured.ControlGroups(tmp_path / "cgroup", tmp_path))
    return tmp_path


def test_a_container_bounds_the_policy(container: Path, home: Path) -> None:
    assert policy_of(Settings(home=home)).memory_limit_bytes == 2 * GB * 4 // 5
    limited = Settings(home=home, engine={"memory_limit_bytes": GB})  # type: ignore[arg-type]
    assert policy_of(limited).memory_limit_bytes == GB


def test_a_container_bounds_what_fits(container: Path) -> None:
    with Installation().shelf() as shelf:
        answer = shelf.fit("qwen2.5-3b-instruct")
    assert not answer.fits
    assert "1.50 GB can be used" in answer.lines[0]


def test_a_container_bounds_what_the_doctor_finds(container: Path, home: Path) -> None:
    installation = Installation()
    found = check_memory(installation.settings, installation.machine())
    assert (found.state, found.found) == (
        "ok", "1.50 GB free of 2.00 GB, 1.50 GB for one more model"
    )  # fmt: skip
    tight = Settings(home=home, engine={"memory_limit_bytes": 700_000_000})  # type: ignore[arg-type]
    found = check_memory(tight, measured.read_machine(home, 700_000_000))
    assert found.state == "fail" and "cache_bytes" in found.cure
