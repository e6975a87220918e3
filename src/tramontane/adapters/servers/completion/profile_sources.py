"""What a GGUF header or a Hugging Face folder says about a model's words, before tokenizer and template are looked at.

Knows where each source keeps names, ids, template and sampling; judges nothing. `profile_writer` calls it.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from tramontane.adapters.formats.json_file import read_object
from tramontane.adapters.servers.completion.profile import TEMPLATE_FILE, TOKENIZER_FILE
from tramontane.foundation.errors import Misconfigured
from tramontane.foundation.nouns import ADVISED, Sampling


class Found(msgspec.Struct, kw_only=True):
    """A source's own words. `bos_id` is set only where every prompt must begin with it."""

    name: str
    family: str
    context_tokens: int
    stop_ids: set[int]
    bos_id: int | None = None
    bos: str = ""
    eos: str = ""
    template: str | None = None
    sampling: Sampling = msgspec.field(default_factory=Sampling)


def found_in_gguf(metadata: Mapping[str, Any], name: str) -> Found:
    """Read a header. Raises Misconfigured naming the key that is missing."""
    family = str(metadata.get("general.architecture", "unknown"))
    for key in ("tokenizer.ggml.tokens", f"{family}.context_length"):
        if key not in metadata:
            raise Misconfigured(f"GGUF header: {key} is missing; fetch the file again")
    tokens: Sequence[str] = metadata["tokenizer.ggml.tokens"]
    ids = {key: metadata.get(f"tokenizer.ggml.{key}_token_id") for key in ("bos", "eos", "eot", "eom")}
    with_bos = metadata.get("tokenizer.ggml.add_bos_token", metadata.get("tokenizer.ggml.model") == "llama")
    return Found(
        name=name,
        family=family,
        context_tokens=int(metadata[f"{family}.context_length"]),
        bos_id=ids["bos"] if with_bos else None,
        bos=_name_of(tokens, ids["bos"]),
        eos=_name_of(tokens, ids["eos"]),
        stop_ids={int(token) for key in ("eos", "eot", "eom") if (token := ids[key]) is not None},
        template=metadata.get("tokenizer.chat_template"),
    )


def _name_of(tokens: Sequence[str], token: int | None) -> str:
    return tokens[token] if token is not None and token < len(tokens) else ""


def found_in_folder(source: Path, name: str) -> Found:
    """Read `config.json` (or `params.json`) and `generation_config.json`. Raises FileRefused or Misconfigured naming the file."""
    config = _settings(source / "config.json") or _settings(source / "params.json")
    generation = _settings(source / "generation_config.json")
    text = {**config, **config.get("text_config", {})}
    context = int(text.get("max_position_embeddings") or text.get("max_seq_len") or text.get("max_seq_length") or 0)
    if not context:
        raise Misconfigured("config.json: max_position_embeddings is missing; fetch the file again")
    return Found(
        name=name,
        family=str(config.get("model_type", "mistral")),
        context_tokens=context,
        stop_ids=set(_ids(generation.get("eos_token_id", text.get("eos_token_id")))),
        sampling=_sampling(generation),
    )


def add_tokenizer_config(found: Found, source: Path) -> None:
    """Add what `tokenizer_config.json`, `tokenizer.json` and the template's own file say."""
    config = _settings(source / "tokenizer_config.json")
    found.bos, found.eos = _token_name(config.get("bos_token")), _token_name(config.get("eos_token"))
    tokenizer = _settings(source / TOKENIZER_FILE)
    added = {token["content"]: int(token["id"]) for token in tokenizer.get("added_tokens", [])}
    adds_bos = config.get("add_bos_token", json.dumps(found.bos) in json.dumps(tokenizer.get("post_processor")))
    found.bos_id = added.get(found.bos) if adds_bos and found.bos else None
    template = config.get("chat_template")
    if isinstance(template, list):
        template = next((entry["template"] for entry in template if entry.get("name") == "default"), None)
    path = source / TEMPLATE_FILE
    found.template = path.read_text("utf-8") if path.exists() else template
    if found.eos in added:
        found.stop_ids.add(added[found.eos])


def _sampling(generation: Mapping[str, Any]) -> Sampling:
    if generation.get("do_sample") is False:
        return Sampling(temperature=0.0)
    return Sampling(**{key: generation[key] for key in ADVISED if generation.get(key) is not None})


def _token_name(value: Any) -> str:
    return str(value.get("content", "")) if isinstance(value, dict) else str(value or "")


def _ids(value: Any) -> list[int]:
    if value is None:
        return []
    return [int(item) for item in value] if isinstance(value, list) else [int(value)]


def _settings(path: Path) -> dict[str, Any]:
    return read_object(path, optional=True)
