"""A data folder that lies elsewhere than it did still answers with the models in it."""

import os
import shutil
from pathlib import Path

from tests.e2e.platform import run


def _linked(source: str, target: str) -> str:
    """Weights are large and never written to, everything else is copied."""
    if source.endswith((".safetensors", ".gguf")):
        os.link(source, target)
        return target
    return shutil.copy2(source, target)


def test_a_moved_data_folder_finds_its_models_again(installed_home: Path) -> None:
    before, after = installed_home.parent / "before", installed_home.parent / "after"
    shutil.copytree(installed_home, before, copy_function=_linked)
    assert run(before, "models", "pull", "smollm2-135m-instruct").returncode == 0
    before.rename(after)
    answered = run(after, "complete", "Say hello.", "--max-tokens", "2", PIP_NO_INDEX="1")
    assert answered.returncode == 0, answered.stderr
    assert str(after) in run(after, "models", "show", "smollm2-135m-instruct").stdout
