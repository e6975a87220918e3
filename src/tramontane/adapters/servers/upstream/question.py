"""An ask as the JSON body of an OpenAI-compatible server.

Knows OpenAI's field names and the few that vLLM and llama.cpp add; knows neither HTTP nor answers. Only what an ask sets
is sent, so that a server is never troubled with fields it may not know.
"""

import base64
from typing import Any

from tramontane.foundation.errors import InvalidFields
from tramontane.foundation.nouns import ADVISED, Ask, ImageChunk, Message, TextChunk, ThinkingChunk, Tool

CHAT_PATH = "/chat/completions"
TEXT_PATH = "/completions"

Json = dict[str, Any]


def question(ask: Ask, model: str, owner: str, namespace: bytes) -> tuple[str, Json]:
    """Path and body. `owner` is who made the server, as its model list says; unknown makers get the plain API."""
    body: Json = {"model": model, "stream": True, "stream_options": {"include_usage": True}}
    body |= _sampling(ask) | _limits(ask)
    if ask.n > 1:
        body["n"] = ask.n
    if owner == "vllm":
        body["cache_salt"] = base64.b64encode(namespace).decode("ascii")
    if ask.kind == "chat":
        return CHAT_PATH, body | _chat(ask, owner)
    return TEXT_PATH, body | _text(ask)


def check(ask: Ask) -> None:
    """Refuse what no server could answer. Raises InvalidFields naming the field."""
    if ask.kind == "chat" and not ask.messages:
        raise InvalidFields.of("messages", "messages is empty; send at least one message")
    if ask.kind != "chat" and not (ask.prompt or ask.prompt_tokens or ask.suffix):
        raise InvalidFields.of("prompt", "prompt is empty; send at least one token of text")


def messages(ask: Ask) -> list[Json]:
    """The conversation in OpenAI's form."""
    return [_message(message) for message in ask.messages]


def prefix_of(ask: Ask) -> str:
    """The text an answer must begin with because the caller has begun it."""
    if ask.kind == "chat" and ask.messages and ask.messages[-1].prefix:
        return "".join(chunk.text for chunk in ask.messages[-1].content if isinstance(chunk, TextChunk))
    return ""


def _message(message: Message) -> Json:
    body: Json = {"role": message.role, "content": _content(message)}
    thoughts = "".join(chunk.text for chunk in message.content if isinstance(chunk, ThinkingChunk))
    if thoughts:
        body["reasoning_content"] = thoughts
    if message.tool_calls:
        body["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
    if message.tool_call_id is not None:
        body["tool_call_id"] = message.tool_call_id
    if message.name is not None:
        body["name"] = message.name
    return body


def _content(message: Message) -> str | list[Json] | None:
    if any(isinstance(chunk, ImageChunk) for chunk in message.content):
        return [_part(chunk) for chunk in message.content if not isinstance(chunk, ThinkingChunk)]
    text = "".join(chunk.text for chunk in message.content if isinstance(chunk, TextChunk))
    return text or (None if message.tool_calls else "")


def _part(chunk: TextChunk | ImageChunk) -> Json:
    if isinstance(chunk, TextChunk):
        return {"type": "text", "text": chunk.text}
    image = {"url": chunk.url} if chunk.detail is None else {"url": chunk.url, "detail": chunk.detail}
    return {"type": "image_url", "image_url": image}


def _chat(ask: Ask, owner: str) -> Json:
    body: Json = {"messages": messages(ask)}
    if ask.messages[-1].prefix:
        if owner == "vllm":
            body |= {"continue_final_message": True, "add_generation_prompt": False}
        elif owner != "llamacpp":  # that one continues a final assistant message by itself
            body["messages"][-1]["prefix"] = True
    if ask.tools:
        body["tools"] = [_tool(tool) for tool in ask.tools]
        body["tool_choice"] = _tool_choice(ask)
        if not ask.tool_choice.parallel:
            body["parallel_tool_calls"] = False
    if ask.answer.kind == "json_object":
        body["response_format"] = {"type": "json_object"}
    if ask.answer.kind == "json_schema":
        schema = {"name": ask.answer.name or "answer", "schema": ask.answer.schema, "strict": ask.answer.strict}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    if ask.logprobs is not None:
        body |= {"logprobs": True, "top_logprobs": ask.logprobs}
    if ask.reasoning_effort is not None:
        body["reasoning_effort"] = ask.reasoning_effort
    return body


def _tool(tool: Tool) -> Json:
    function: Json = {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)}
    if tool.strict:
        function["strict"] = True
    return {"type": "function", "function": function}


def _tool_choice(ask: Ask) -> str | Json:
    if ask.tool_choice.mode == "named":
        return {"type": "function", "function": {"name": ask.tool_choice.name}}
    return {"any": "required"}.get(ask.tool_choice.mode, ask.tool_choice.mode)


def _text(ask: Ask) -> Json:
    body: Json = {"prompt": list(ask.prompt_tokens) if ask.prompt_tokens else ask.prompt}
    if ask.suffix:
        body["suffix"] = ask.suffix
    if ask.echo:
        body["echo"] = True
    if ask.logprobs is not None:
        body["logprobs"] = ask.logprobs
    return body


def _sampling(ask: Ask) -> Json:
    sampling = ask.sampling
    body: Json = {name: value for name in (*ADVISED, "seed") if (value := getattr(sampling, name)) is not None}
    neutral = {"presence_penalty": 0.0, "frequency_penalty": 0.0}
    body |= {name: value for name, rest in neutral.items() if (value := getattr(sampling, name)) != rest}
    if sampling.logit_bias:
        body["logit_bias"] = {str(token): bias for token, bias in sampling.logit_bias.items()}
    return body


def _limits(ask: Ask) -> Json:
    limits = ask.limits
    body: Json = {}
    if limits.max_tokens is not None:
        body["max_tokens"] = limits.max_tokens
    if limits.stop:
        body["stop"] = list(limits.stop)
    if limits.min_tokens:
        body["min_tokens"] = limits.min_tokens
    if limits.ignore_eos:
        body["ignore_eos"] = True
    return body
