"""Writes the words' part of a prepared folder from a GGUF header or a Hugging Face folder.

Knows how to tell what a template honours and which formats a vocabulary speaks; `profile_sources` reads the sources.
Called when a model is prepared; `profile.load_profile` reads the result.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from tramontane.adapters.formats.gguf_header import read_gguf
from tramontane.adapters.formats.json_file import read_object
from tramontane.adapters.servers.completion.conversation import Traits
from tramontane.adapters.servers.completion.gguf_tokenizer import build_tokenizer
from tramontane.adapters.servers.completion.profile import (
    PROFILE_FILE,
    TEKKEN_FILE,
    TEMPLATE_FILE,
    TOKENIZER_FILE,
    ProfileFile,
    ThinkingFormat,
    ToolFormat,
)
from tramontane.adapters.servers.completion.profile_sources import (
    Found,
    add_tokenizer_config,
    found_in_folder,
    found_in_gguf,
)
from tramontane.adapters.servers.completion.template import ChatTemplate, SpecialNames, default_template
from tramontane.adapters.servers.completion.tokenizer import FastTokenizer
from tramontane.foundation.errors import BadRequest, EngineFailed, Misconfigured

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
    Raises FileRefused for a damaged file and Misconfigured when one is missing or the vocabulary's kind is unknown.
    """
    if isinstance(source, Path) and source.is_dir():
        _from_folder(source, folder, name)
        return
    metadata = read_gguf(source, whole_lists=True).values if isinstance(source, Path) else source
    found = found_in_gguf(metadata, name)
    build_tokenizer(metadata).save(str(folder / TOKENIZER_FILE))
    _finish(found, folder)


def _from_folder(source: Path, folder: Path, name: str) -> None:
    found = found_in_folder(source, name)
    if (source / TEKKEN_FILE).exists():
        _finish_mistral(found, source / TEKKEN_FILE, folder)
    elif (source / TOKENIZER_FILE).exists():
        shutil.copyfile(source / TOKENIZER_FILE, folder / TOKENIZER_FILE)
        add_tokenizer_config(found, source)
        _finish(found, folder)
    else:
        raise Misconfigured(f"neither {TOKENIZER_FILE} nor {TEKKEN_FILE} is in the model's folder; fetch one of them")


def _finish(found: Found, folder: Path) -> None:
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


def _finish_mistral(found: Found, tekken: Path, folder: Path) -> None:
    shutil.copyfile(tekken, folder / TEKKEN_FILE)
    config = read_object(tekken)
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


def probe_template(source: str, tokenizer: FastTokenizer, names: SpecialNames) -> Traits:
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
    return Traits(tools=tools, system=system)


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
