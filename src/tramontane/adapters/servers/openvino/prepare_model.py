"""What the embedded engine says of weights: whether it can run them, and the form it wants them in.

Joins the words' part (completion) and the numbers' part (prepare) of a prepared folder. Runs in the process of
arrival.py only.
"""

from pathlib import Path

from tramontane.adapters.servers.completion.profile import load_profile
from tramontane.adapters.servers.completion.profile_writer import write_profile
from tramontane.adapters.servers.openvino.embedder import read_bert_architecture
from tramontane.adapters.servers.openvino.errors import ModelFileError, UnsupportedArchitecture
from tramontane.adapters.servers.openvino.prepare import prepare
from tramontane.adapters.servers.openvino.tensors import open_source
from tramontane.foundation.progress import ProgressReport


def refusal(weights: Path) -> str | None:
    """Why the embedded engine cannot run this GGUF file or folder, or None when it can."""
    if is_encoder(weights):
        return None
    try:
        open_source(weights)
    except UnsupportedArchitecture as error:
        return error.message
    return None


def is_encoder(weights: Path) -> bool:
    """Whether this is a folder with a sentence encoder, which is run as it came."""
    if not weights.is_dir():
        return False
    try:
        read_bert_architecture(weights)
    except (UnsupportedArchitecture, ModelFileError):
        return False
    return True


def prepare_weights(weights: Path, folder: Path, words: Path, report: ProgressReport) -> float | None:
    """Write the prepared weights into `folder` and its words into `words`; the distance to the source in nats a token.

    None when the distance was not measured. Raises the errors of `prepare` and of `write_profile`.
    """
    write_profile(weights, words, folder.parent.name)
    profile = load_profile(words)
    try:
        manifest = prepare(weights, folder, report, profile.tokenizer.encode)
    finally:
        profile.close()
    return manifest.distance.nats
