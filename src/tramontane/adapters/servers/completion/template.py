"""Chats by a Jinja template: the model's own, or a default one for its control tokens.

Knows how rendered text becomes token ids without letting message text forge a control token; the template itself runs
in `template_worker`'s limited process. `profile.load_profile` builds one per model.
"""

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tramontane.adapters.servers.completion.conversation import Traits, messages_for, tools_for
from tramontane.adapters.servers.completion.limited import LimitedProcess, LimitReached
from tramontane.adapters.servers.completion.profile import EncodedChat
from tramontane.adapters.servers.completion.tokenizer import TextTokenizer
from tramontane.foundation.errors import BadRequest, EngineFailed
from tramontane.foundation.nouns import Ask

_WORKER = "tramontane.adapters.servers.completion.template_worker"
_TIME_LIMIT_S = 1.0
_MEMORY_BYTES = 256 << 20
_TAIL_CHARS = 200
_MARK_PLANE = 0xF0000

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
LLAMA3 = (
    "{% for message in messages %}<|start_header_id|>{{ message.role }}<|end_header_id|>\n\n{{ message.content }}<|eot_id|>"
    "{% endfor %}{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
INST = (
    "{% for message in messages %}{% if message.role == 'assistant' %} {{ message.content }}{{ eos_token }}"
    "{% else %}[INST] {{ message.content }} [/INST]{% endif %}{% endfor %}"
)


def default_template(special_ids: Mapping[str, int]) -> str | None:
    """A template for a chat model that came without one, by its control tokens; None where they tell nothing."""
    if "<|im_start|>" in special_ids:
        return CHATML
    if "<|start_header_id|>" in special_ids:
        return LLAMA3
    return INST if "[INST]" in special_ids else None


@dataclass(frozen=True, slots=True)
class SpecialNames:
    """What templates call `bos_token` and `eos_token`."""

    bos: str
    eos: str


class ChatTemplate:
    """One model's template. Fulfils `profile.ChatFormat`. Thread-safe; owns a child process until `close`."""

    def __init__(
        self,
        source: str,
        tokenizer: TextTokenizer,
        names: SpecialNames,
        traits: Traits,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self._tokenizer = tokenizer
        self._names = names
        self._traits = traits
        self._now_s = now_s
        self._process = LimitedProcess(
            _WORKER, {"template": source}, time_limit_s=_TIME_LIMIT_S, memory_bytes=_MEMORY_BYTES
        )
        forged = sorted((name for name in tokenizer.special_ids if name), key=len, reverse=True)
        self._forged = re.compile("|".join(map(re.escape, forged))) if forged else None

    def start(self) -> None:
        """Start the child now, so that the first request does not wait for it."""
        self._process.start()

    def close(self) -> None:
        """End the child."""
        self._process.close()

    def encode(self, ask: Ask) -> EncodedChat:
        """Token ids of a chat, ready for the answer (or for the rest of a prefix message)."""
        messages, tools = messages_for(ask, self._traits), tools_for(ask, self._traits)
        # Written as JSON and not by `repr`, which would hide the sign behind an escape.
        marks = _Marks(self._forged, json.dumps([messages, tools], ensure_ascii=False, default=str))
        prefix = ask.messages[-1].prefix if ask.messages else False
        cut = ""
        messages, tools = marks.protect(messages), marks.protect(tools)
        if prefix:
            cut, messages[-1]["content"] = messages[-1]["content"], marks.end
        text = self.render(messages, tools, add_generation_prompt=not prefix, options=_options(ask))
        if prefix:
            if marks.end not in text:
                raise BadRequest(
                    "this model's chat template drops an unfinished assistant message; send no prefix", param="messages"
                )
            text = text[: text.index(marks.end)] + cut
        return EncodedChat(self._tokens(text, marks), text[-_TAIL_CHARS:])

    def render(
        self,
        messages: list[dict[str, Any]],
        tools: list[dict[str, Any]] | None,
        *,
        add_generation_prompt: bool = True,
        options: Mapping[str, Any] | None = None,
    ) -> str:
        """The template's text. Raises BadRequest with the template's own words when it refuses the conversation."""
        variables = {
            **(options or {}),
            "messages": messages,
            "tools": tools,
            "add_generation_prompt": add_generation_prompt,
            "bos_token": self._names.bos,
            "eos_token": self._names.eos,
        }
        size = len(str(messages)) + len(str(tools))
        try:
            answer = self._process.call({"variables": variables, "now_s": self._now_s(), "input_chars": size})
        except LimitReached as error:
            raise EngineFailed(f"rendering this model's chat template was stopped: {error}") from error
        if "refusal" in answer:
            raise BadRequest(f"this model's chat template refuses the messages: {answer['refusal']}", param="messages")
        if "error" in answer:
            raise BadRequest(f"{answer['error']}; give the model another template", param="messages")
        return str(answer["text"])

    def _tokens(self, text: str, marks: "_Marks") -> list[int]:
        encode = self._tokenizer.encode
        tokens: list[int] = []
        for position, piece in enumerate(marks.split(text)):
            if piece:
                tokens += encode(marks.names[int(piece)]) if position % 2 else encode(piece, special=True)
        bos = self._tokenizer.bos_id
        return tokens if bos is None or tokens[:1] == [bos] else [bos, *tokens]


def _options(ask: Ask) -> dict[str, Any]:
    if ask.reasoning_effort is None:
        return {}
    return {"reasoning_effort": ask.reasoning_effort, "enable_thinking": ask.reasoning_effort != "none"}


class _Marks:
    """Stand-ins for names of control tokens that occur in message text, so that they come out as plain text."""

    def __init__(self, forged: re.Pattern[str] | None, everything: str) -> None:
        plane = _MARK_PLANE
        while chr(plane) in everything:
            plane += 1
        self._sign = chr(plane)
        self._forged = forged
        self.names: list[str] = []
        self.end = f"{self._sign}end{self._sign}"

    def protect(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._forged.sub(self._mark, value) if self._forged else value
        if isinstance(value, dict):
            return {self.protect(key): self.protect(part) for key, part in value.items()}
        if isinstance(value, list):
            return [self.protect(part) for part in value]
        return value

    def split(self, text: str) -> list[str]:
        """Rendered text and numbers of stood-in names in turn, text at even places."""
        return re.split(f"{self._sign}([0-9]+){self._sign}", text) if self.names else [text]

    def _mark(self, match: re.Match[str]) -> str:
        self.names.append(match.group())
        return f"{self._sign}{len(self.names) - 1}{self._sign}"
