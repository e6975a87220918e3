"""The floors are a contract: it holds here, and wrong imports planted in a copy are each caught."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LINTER = Path(sys.executable).with_name("lint-imports")

PLANTS = {
    "a lower floor imports a higher one": (
        "foundation/planted_up.py",
        "import tramontane.records.access\n",
        "tramontane.foundation.planted_up -> tramontane.records.access",
    ),
    "the same, hidden in a function": (
        "engine/planted_hidden.py",
        "def late():\n    import tramontane.entrypoints.api\n",
        "tramontane.engine.planted_hidden -> tramontane.entrypoints.api",
    ),
    "one record imports its sibling": (
        "records/access/planted_sibling.py",
        "import tramontane.records.ledger\n",
        "tramontane.records.access.planted_sibling -> tramontane.records.ledger",
    ),
    "an adapter imports a way in": (
        "adapters/servers/planted_sideways.py",
        "import tramontane.entrypoints.cli\n",
        "tramontane.adapters.servers.planted_sideways -> tramontane.entrypoints.cli",
    ),
    "a format reaches for a source": (
        "adapters/formats/planted_source.py",
        "import tramontane.adapters.sources.hub\n",
        "tramontane.adapters.formats.planted_source -> tramontane.adapters.sources.hub",
    ),
    "one engine imports another": (
        "adapters/servers/llamacpp/planted_engine.py",
        "import tramontane.adapters.servers.openvino.client\n",
        "tramontane.adapters.servers.llamacpp.planted_engine -> tramontane.adapters.servers.openvino.client",
    ),
    "the HTTP doors import the browser's way in": (
        "entrypoints/api/planted_browser.py",
        "import tramontane.entrypoints.web.ports\n",
        "tramontane.entrypoints.api.planted_browser -> tramontane.entrypoints.web.ports",
    ),
    "a web framework below the doors": (
        "engine/planted_web.py",
        "import fastapi\n",
        "tramontane.engine.planted_web -> fastapi",
    ),
    "a model framework in the server": (
        "adapters/servers/planted_torch.py",
        "import torch\n",
        "tramontane.adapters.servers.planted_torch -> torch",
    ),
    "an undeclared floor": ("utils/__init__.py", "", "utils"),
}


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(folder / "src"), "COLUMNS": "400"}  # so that no line is broken
    return subprocess.run(
        [LINTER, "--no-cache"], cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )


def test_imports_point_down() -> None:
    result = lint(ROOT)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    copy = tmp_path_factory.mktemp("planted")
    shutil.copytree(ROOT / "src", copy / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", copy / "pyproject.toml")
    for path, text, _ in PLANTS.values():
        target = copy / "src" / "tramontane" / path
        target.parent.mkdir(exist_ok=True)
        target.write_text(text)
    return lint(copy)


@pytest.mark.parametrize("plant", PLANTS)
def test_a_planted_wrong_import_is_caught(plant: str, planted: subprocess.CompletedProcess[str]) -> None:
    assert planted.returncode != 0
    assert PLANTS[plant][2] in planted.stdout, planted.stdout
