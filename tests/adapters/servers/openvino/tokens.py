"""The words of a GGUF file by a library of others, so that our own reader is held against it."""

from pathlib import Path

import gguf
from tokenizers import Tokenizer, decoders, models, pre_tokenizers


def gguf_tokenizer(path: Path) -> Tokenizer:
    fields = gguf.GGUFReader(path).fields
    vocabulary = {token: index for index, token in enumerate(fields["tokenizer.ggml.tokens"].contents())}
    merges = [tuple(merge.split(" ")) for merge in fields["tokenizer.ggml.merges"].contents()]
    tokenizer = Tokenizer(models.BPE(vocabulary, merges))
    level = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(True), level])
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer
