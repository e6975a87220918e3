"""Writes the words' part of a prepared folder from a GGUF header or a Hugging Face folder.

Knows where each source keeps tokenizer, template, stop tokens and sampling; knows no weights. Called when a model is
prepared; `profile.load_profile` reads the result.
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from tramontane.adapters.servers.completion.conversation import Traits
from tramontane.adapters.servers.completion.gguf_metadata import read_metadata
from tramontane.adapters.servers.completion.gguf_tokenizer import build_tokenizer
from tramontane.adapters.servers.completion.profile import (
    PROFILE_FILE,
    TEKKEN_FILE,
    TEMPLATE_FILE,
    TOKENIZER_FILE,
    ProfileFile,
    TemplateTraits,
    ThinkingFormat,
    ToolFormat,
)
from tramontane.adapters.servers.completion.template import ChatTemplate, SpecialNames, default_template
from tramontane.adapters.servers.completion.tokenizer import FastTokenizer
from tramontane.foundation.errors import BadRequest, EngineFailed, Misconfigured
from tramontane.foundation.nouns import Sampling

_ENDS = (
    "<|im_end|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|end_of_text|>",
    "<|endoftext|>",
    "<|end|>",
    "<end_of_turn>",
    "</s>",
    "<\uff5cend▁of▁sentence\uff5c>",
)
_PROBE = "kestrel"


def write_profile(source: Path | Mapping[str, Any], folder: Path, name: str) -> None:
    """Write `profile.json`, the tokenizer and the template into `folder`, which exists.

    `source` is a GGUF file, its metadata already read (key to plain value), or a Hugging Face folder.
    Raises Misconfigured when a file is missing or the vocabulary's kind is unknown, naming it.
    """
    if isinstance(source, Path) and source.is_dir():
        _from_folder(source, folder, name)
    else:
        _from_gguf(read_metadata(source) if isinstance(source, Path) else source, folder, name)


def _from_gguf(metadata: Mapping[str, Any], folder: Path, name: str) -> None:
    tokenizer = build_tokenizer(metadata)
    tokenizer.save(str(folder / TOKENIZER_FILE))
    tokens: list[str] = metadata["tokenizer.ggml.tokens"]
    family = str(metadata.get("general.architecture", "unknown"))
    ids = {key: metadata.get(f"tokenizer.ggml.{key}_token_id") for key in ("bos", "eos", "eot", "eom")}
    with_bos = metadata.get("tokenizer.ggml.add_bos_token", metadata.get("tokenizer.ggml.model") == "llama")
    _finish(
        _Found(
            name=name,
            family=family,
            context_tokens=int(metadata[f"{family}.context_length"]),
            bos_id=ids["bos"] if with_bos else None,
            bos=_name_of(tokens, ids["bos"]),
            eos=_name_of(tokens, ids["eos"]),
            stop_ids={int(token) for key in ("eos", "eot", "eom") if (token := ids[key]) is not None},
            template=metadata.get("tokenizer.chat_template"),
        ),
        folder,
    )


def _name_of(tokens: list[str], token: int | None) -> str:
    return tokens[token] if token is not None and token < len(tokens) else ""


def _from_folder(source: Path, folder: Path, name: str) -> None:
    config = _json(source / "config.json") or _json(source / "params.json")
    generation = _json(source / "generation_config.json")
    text = {**config, **config.get("text_config", {})}
    context = int(text.get("max_position_embeddings") or text.get("max_seq_len") or text.get("max_seq_length") or 0)
    if not context:
        raise Misconfigured("config.json: max_position_embeddings is missing; fetch the file again")
    found = _Found(
        name=name,
        family=str(config.get("model_type", "mistral")),
        context_tokens=context,
        stop_ids=set(_ids(generation.get("eos_token_id", text.get("eos_token_id")))),
        sampling=_sampling(generation),
        vision="vision_config" in config or "vision_encoder" in config,
    )
    if (source / TEKKEN_FILE).exists():
        _finish_mistral(found, source / TEKKEN_FILE, folder)
    elif (source / TOKENIZER_FILE).exists():
        shutil.copyfile(source / TOKENIZER_FILE, folder / TOKENIZER_FILE)
        _add_tokenizer_config(found, source)
        _finish(found, folder)
    else:
        raise Misconfigured(f"neither {TOKENIZER_FILE} nor {TEKKEN_FILE} is in the model's folder; fetch one of them")


class _Found(msgspec.Struct, kw_only=True):
    """What a source said, before the tokenizer and the template are looked at."""

    name: str
    family: str
    context_tokens: int
    stop_ids: set[int]
    bos_id: int | None = None
    bos: str = ""
    eos: str = ""
    template: str | None = None
    vision: bool = False
    sampling: Sampling = msgspec.field(default_factory=Sampling)


def _add_tokenizer_config(found: _Found, source: Path) -> None:
    config = _json(source / "tokenizer_config.json")
    found.bos, found.eos = _token_name(config.get("bos_token")), _token_name(config.get("eos_token"))
    tokenizer = _json(source / TOKENIZER_FILE)
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


def _finish(found: _Found, folder: Path) -> None:
    """Look at tokenizer and template together and write what was learnt."""
    tokenizer = FastTokenizer.from_file(folder / TOKENIZER_FILE, found.bos_id)
    added = tokenizer.added_ids
    source = found.template or default_template(added)
    traits = None
    if source is not None:
        (folder / TEMPLATE_FILE).write_text(source, "utf-8")
        traits = probe_template(source, tokenizer, SpecialNames(found.bos, found.eos))
    stops = found.stop_ids | {added[end] for end in _ENDS if end in added}
    file = ProfileFile(
        name=found.name,
        family=found.family,
        context_tokens=found.context_tokens,
        vocabulary="tokenizer.json",
        vocabulary_file=TOKENIZER_FILE,
        bos_id=found.bos_id,
        bos=found.bos,
        eos=found.eos,
        stop_ids=sorted(stops),
        tool_format=_tool_format(added, source or "", traits is not None and traits.tools),
        template=traits,
        thinking=_thinking(added, source or ""),
        vision=False,
        sampling=found.sampling,
    )
    _write(file, folder)


def _finish_mistral(found: _Found, tekken: Path, folder: Path) -> None:
    shutil.copyfile(tekken, folder / TEKKEN_FILE)
    config = _json(tekken)
    named = {str(token["token_str"]): int(token["rank"]) for token in config.get("special_tokens") or []}
    version = str(config.get("config", {}).get("version", "v3"))
    number = int("".join(filter(str.isdigit, version.split("m")[0])) or 3)
    thinking = ThinkingFormat("[THINK]", "[/THINK]") if "[THINK]" in named else None
    file = ProfileFile(
        name=found.name,
        family=found.family,
        context_tokens=found.context_tokens,
        vocabulary="mistral",
        vocabulary_file=TEKKEN_FILE,
        bos_id=named.get("<s>", 1),
        bos="<s>",
        eos="</s>",
        stop_ids=sorted(found.stop_ids | {named.get("</s>", 2)}),
        tool_format="mistral_named" if number >= 11 else "mistral_list",
        template=None,
        thinking=thinking,
        vision=False,
        sampling=found.sampling,
    )
    _write(file, folder)


def _write(file: ProfileFile, folder: Path) -> None:
    (folder / PROFILE_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(file), indent=1))


def probe_template(source: str, tokenizer: FastTokenizer, names: SpecialNames) -> TemplateTraits:
    """What a template honours, seen by rendering it. Raises Misconfigured for one that cannot render a plain chat."""
    template = ChatTemplate(source, tokenizer, names, Traits())
    user = {"role": "user", "content": "Hello"}
    tool = {"type": "function", "function": {"name": _PROBE, "description": "", "parameters": {"type": "object"}}}
    try:
        template.render([user], None)
        tools = _renders(template, [user], [tool])
        system = _renders(template, [{"role": "system", "content": _PROBE}, user], None)
    except (BadRequest, EngineFailed) as error:
        raise Misconfigured(f"{error.message}; add the model with a chat template that renders") from error
    finally:
        template.close()
    return TemplateTraits(tools=tools, system=system)


def _renders(template: ChatTemplate, messages: list[dict[str, Any]], tools: list[dict[str, Any]] | None) -> bool:
    try:
        return _PROBE in template.render(messages, tools)
    except BadRequest:
        return False


def _tool_format(added: Mapping[str, int], template: str, template_tools: bool) -> ToolFormat:
    if not template_tools:
        return "tagged"
    if "[TOOL_CALLS]" in added or "[TOOL_CALLS]" in template:
        return "mistral_named" if "[ARGS]" in added else "mistral_list"
    if "<|python_tag|>" in added and "<tool_call>" not in template:
        return "llama_json"
    return "tagged"


def _thinking(added: Mapping[str, int], template: str) -> ThinkingFormat | None:
    if "[THINK]" in added:
        return ThinkingFormat("[THINK]", "[/THINK]")
    if "<think>" in added or "<think>" in template:
        return ThinkingFormat("<think>", "</think>")
    return None


def _sampling(generation: Mapping[str, Any]) -> Sampling:
    if generation.get("do_sample") is False:
        return Sampling(temperature=0.0)
    known = {
        key: generation[key] for key in ("temperature", "top_p", "top_k", "min_p") if generation.get(key) is not None
    }
    return Sampling(**known)


def _token_name(value: Any) -> str:
    return str(value.get("content", "")) if isinstance(value, dict) else str(value or "")


def _ids(value: Any) -> list[int]:
    if value is None:
        return []
    return [int(item) for item in value] if isinstance(value, list) else [int(value)]


def _json(path: Path) -> dict[str, Any]:
    """A JSON object, empty where the file is missing. Raises Misconfigured for one that is malformed."""
    if not path.exists():
        return {}
    try:
        value = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise Misconfigured(f"{path.name} is not readable as JSON ({error}); fetch the file again") from error
    return value if isinstance(value, dict) else {}
