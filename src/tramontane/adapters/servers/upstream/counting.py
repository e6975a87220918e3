"""How many tokens a prompt has on another server: asked where it offers that, estimated where it does not.

Knows the routes of vLLM and of llama.cpp's server for it, and how servers tell who made them; knows no events.
"""

import math
from typing import Any, Protocol

from tramontane.adapters.servers.upstream.link import Link, UpstreamSettings
from tramontane.adapters.servers.upstream.question import messages
from tramontane.foundation.errors import ModelUnavailable, TramontaneError
from tramontane.foundation.nouns import Ask, TextChunk

CHARS_PER_TOKEN = 3.5
TOKENS_PER_MESSAGE = 4


class PromptCounter(Protocol):
    """Counts one prompt."""

    async def count(self, ask: Ask) -> tuple[int, bool]:
        """Tokens, and whether that is exact."""
        ...


class Estimate:
    """From the length of the text."""

    async def count(self, ask: Ask) -> tuple[int, bool]:
        return estimated_tokens(ask), False


class VllmCount:
    """From vLLM's `/tokenize`, which applies the chat template itself."""

    def __init__(self, link: Link, upstream_model: str) -> None:
        self._link = link
        self._model = upstream_model

    async def count(self, ask: Ask) -> tuple[int, bool]:
        if ask.prompt_tokens:
            return len(ask.prompt_tokens), True
        body: dict[str, Any] = {"model": self._model}
        body |= {"messages": messages(ask)} if ask.kind == "chat" else {"prompt": ask.prompt + ask.suffix}
        return await _asked(self._link, "../tokenize", body, "count", ask)


class LlamaCount:
    """From llama.cpp's `/apply-template` and `/tokenize`."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def count(self, ask: Ask) -> tuple[int, bool]:
        if ask.prompt_tokens:
            return len(ask.prompt_tokens), True
        text = ask.prompt + ask.suffix
        try:
            if ask.kind == "chat":
                answer = await self._link.post("../apply-template", {"messages": messages(ask)})
                text = str(answer["prompt"])
        except (TramontaneError, KeyError, TypeError):
            return estimated_tokens(ask), False
        body = {"content": text, "add_special": ask.kind != "chat", "parse_special": True}
        return await _asked(self._link, "../tokenize", body, "tokens", ask)


async def _asked(link: Link, path: str, body: dict[str, Any], field: str, ask: Ask) -> tuple[int, bool]:
    try:
        answer = await link.post(path, body)
        found = answer[field]
        return (len(found) if isinstance(found, list) else int(found)), True
    except (TramontaneError, KeyError, TypeError, ValueError):
        return estimated_tokens(ask), False


def estimated_tokens(ask: Ask) -> int:
    """A cautious guess from the number of characters; at least 1."""
    if ask.prompt_tokens:
        return len(ask.prompt_tokens)
    texts = [chunk.text for message in ask.messages for chunk in message.content if isinstance(chunk, TextChunk)]
    chars = sum(len(text) for text in (*texts, ask.prompt, ask.suffix))
    return max(1, math.ceil(chars / CHARS_PER_TOKEN) + TOKENS_PER_MESSAGE * len(ask.messages))


async def learn(link: Link, settings: UpstreamSettings) -> tuple[str, int, PromptCounter]:
    """Who made the server, the model's context (0 when it does not say) and how to count its prompts.

    Raises ModelUnavailable when the server cannot be reached, refuses us or does not list the model.
    """
    listed = await link.get("/models")
    entries = listed.get("data", []) if isinstance(listed, dict) else []
    known = [entry for entry in entries if isinstance(entry, dict)]
    entry = next((entry for entry in known if entry.get("id") == settings.upstream_model), None)
    if entry is None:
        names = ", ".join(str(entry.get("id")) for entry in known[:8]) or "none"
        message = f"the server of {link.model} has no model {settings.upstream_model}; it lists {names}"
        raise ModelUnavailable(message, retry_after_s=60.0)
    owner = str(entry.get("owned_by", ""))
    context = settings.context_tokens or _context(entry)
    if owner == "vllm":
        return owner, context, VllmCount(link, settings.upstream_model)
    if owner == "llamacpp":
        return owner, settings.context_tokens or await _llama_context(link) or context, LlamaCount(link)
    return owner, context, Estimate()


def _context(entry: dict[str, Any]) -> int:
    found = entry.get("max_model_len") or entry.get("max_context_length") or entry.get("context_length") or 0
    return found if isinstance(found, int) and found > 0 else 0


async def _llama_context(link: Link) -> int:
    """What one slot of llama.cpp's server holds."""
    try:
        found = (await link.get("../props"))["default_generation_settings"]["n_ctx"]
        return int(found)
    except (TramontaneError, KeyError, TypeError, ValueError):
        return 0
