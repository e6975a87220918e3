"""The words of this room: whose a conversation is, what it holds, and how one turn is asked for.

An entry's `body` holds what its kind says on the wire (`content`, or `tool_call_id`, `name`, `arguments`, ...), so that what
is stored is what is shown. Times are nanoseconds since the epoch here and ISO 8601 outside.
"""

import hashlib
import random
import threading
from collections.abc import Callable
from typing import Any

import msgspec

from tramontane.foundation.nouns import Caller

ROOT = "root"


class Owner(msgspec.Struct, frozen=True):
    """Whose conversations: one person, or one key that belongs to nobody, in one workspace."""

    organisation_id: str
    workspace_id: str
    owner_id: str

    @classmethod
    def of(cls, caller: Caller) -> "Owner":
        return cls(caller.organisation_id, caller.workspace_id, owner_of(caller))

    @property
    def scope(self) -> str:
        """One word the search index holds for every text of this owner, so that it never looks at another's."""
        named = "\n".join((self.organisation_id, self.workspace_id, self.owner_id))
        return "o" + hashlib.sha256(named.encode()).hexdigest()[:24]


def owner_of(caller: Caller) -> str:
    """The person behind the caller, else the key itself."""
    return str(getattr(caller, "owner_id", None) or caller.key_id or caller.principal_id)


class Conversation(msgspec.Struct, frozen=True, kw_only=True):
    """One conversation without its entries. `head_entry_id` is the end of the branch that is shown.

    `named_by`: nobody (empty), `model`, `person` or `import`.
    """

    conversation_id: str
    owner_id: str
    model: str
    number: int = 0
    name: str | None = None
    named_by: str = ""
    description: str | None = None
    instructions: str | None = None
    tools: list[dict[str, Any]] = []
    completion_args: dict[str, Any] = {}
    metadata: dict[str, Any] | None = None
    project_id: str | None = None
    pinned: bool = False
    archived: bool = False
    head_entry_id: str | None = None
    running_entry_id: str | None = None
    preview: str = ""
    origin: str | None = None
    created_ns: int = 0
    updated_ns: int = 0


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One node of a conversation's tree. `usage` and `model` stand on what a model wrote.

    `kind`: `message.input`, `message.output`, `function.call` or `function.result`. `status`: `running`, then `done`,
    `stopped`, `interrupted` or `failed`.
    """

    entry_id: str
    parent_id: str | None
    kind: str
    body: dict[str, Any]
    number: int = 0
    role: str | None = None
    status: str = "done"
    error_code: str | None = None
    error_message: str | None = None
    model: str | None = None
    usage: dict[str, Any] | None = None
    runner_id: str | None = None
    created_ns: int = 0
    completed_ns: int | None = None


class NewEntry(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller puts in: checked, not yet stored."""

    kind: str
    body: dict[str, Any]
    role: str | None = None


class NewTurn(msgspec.Struct, frozen=True, kw_only=True):
    """One turn asked for. `from_entry_id` None goes on at the head, `root` before the first entry.

    `completion_args` None means those of the conversation. `send_key` makes a second sending of the same turn a conflict.
    """

    request_id: str
    inputs: tuple[NewEntry, ...] = ()
    completion_args: dict[str, Any] | None = None
    from_entry_id: str | None = None
    model: str | None = None
    send_key: str | None = None
    store: bool = True
    deadline_ms: int | None = None


class NewConversation(msgspec.Struct, frozen=True, kw_only=True):
    """What a conversation begins with, beside its first turn."""

    model: str
    name: str | None = None
    description: str | None = None
    instructions: str | None = None
    tools: list[dict[str, Any]] = []
    completion_args: dict[str, Any] = {}
    metadata: dict[str, Any] | None = None
    project_id: str | None = None


def clean(text: str) -> str:
    """Text as both databases keep it: without the one character PostgreSQL has no place for."""
    return text.replace("\x00", "\ufffd")


class Numbers:
    """Gives each row of a search index its number: in the order of time, and never the same twice, whoever asks."""

    def __init__(self, now_ns: Callable[[], int]) -> None:
        self._now_ns = now_ns
        self._last = 0
        self._turn = threading.Lock()

    def next(self) -> int:
        """A number of now."""
        with self._turn:
            self._last = max(self._last + 1, self._now_ns())
            return self._last

    def at(self, time_ns: int) -> int:
        """A number of a past second, with chance in its lower part: exports round their times."""
        return time_ns // 1_000_000_000 * 1_000_000_000 + random.randrange(1_000_000_000)
