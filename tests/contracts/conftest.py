"""The embedded models, prepared once a session for the engine process."""

from pathlib import Path

import pytest
from tests.adapters.servers.openvino.conftest import chat_gguf, embedding_folder, models_dir  # noqa: F401

from tramontane.adapters.servers.completion.profile_writer import write_profile
from tramontane.adapters.servers.openvino.prepare import prepare
from tramontane.foundation.progress import silent


@pytest.fixture(scope="session")
def prepared_chat(chat_gguf: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: F811
    folder = tmp_path_factory.mktemp("prepared") / "chat"
    prepare(chat_gguf, folder, silent)
    write_profile(chat_gguf, folder, "embedded-chat")
    return folder
