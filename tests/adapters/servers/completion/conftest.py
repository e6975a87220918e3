"""The embedded chat model's words, prepared once a session, and short ways to write asks."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.adapters.servers.openvino.conftest import chat_gguf, models_dir  # noqa: F401

from tramontane.adapters.servers.completion.profile import ModelProfile, load_profile
from tramontane.adapters.servers.completion.profile_writer import write_profile


@pytest.fixture(scope="session")
def words_folder(chat_gguf: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: F811
    folder = tmp_path_factory.mktemp("words")
    write_profile(chat_gguf, folder, "embedded-chat")
    return folder


@pytest.fixture(scope="session")
def profile(words_folder: Path) -> Iterator[ModelProfile]:
    loaded = load_profile(words_folder)
    yield loaded
    loaded.close()
