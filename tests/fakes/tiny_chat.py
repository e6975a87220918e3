"""A chat model of a few megabytes that the engine really runs: two random layers, and bytes for words."""

import json
from pathlib import Path

from tests.fakes.decoder_reference import random_config, random_weights
from tests.fakes.model_files import write_folder
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

SPECIAL = ("<unk>", "<s>", "</s>")
TEMPLATE = "{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}assistant: "


def tiny_chat(folder: Path) -> dict[str, bytes]:
    """The files of the model, by name."""
    config = random_config("llama", vocab_size=8192)
    write_folder(folder, config, random_weights(config))
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate((*SPECIAL, *letters))}
    words = Tokenizer(models.BPE(vocabulary, [], unk_token=SPECIAL[0]))
    words.add_special_tokens(list(SPECIAL))
    words.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    words.decoder = decoders.ByteLevel()
    words.save(str(folder / "tokenizer.json"))
    about = {
        "chat_template": TEMPLATE,
        "bos_token": "<s>",
        "eos_token": "</s>",
        "tokenizer_class": "PreTrainedTokenizer",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(about), "utf-8")
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
