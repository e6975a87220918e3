"""The one form every export is read into, and the care each text of it is taken with."""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from tramontane.features.assistant.nouns import clean

NS = 1_000_000_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LATEST_NS = 4_102_444_800 * NS  # the year 2100: what lies beyond is no time
MOST_NODES = 50_000
SETTINGS = ("tools", "completion_args", "metadata")
SettingsCheck = Callable[[str, Any], Any]
"""The API's check of one of `SETTINGS`: gives what may be kept, raises InvalidFields for what may not."""
_DATA_IMAGE = re.compile(r"data:image/[\w.+-]+;base64,", re.ASCII)


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """One message of a foreign tree, by its foreign id."""

    node_id: str
    parent_id: str | None
    kind: str
    body: dict[str, Any]
    role: str | None = None
    model: str | None = None
    usage: dict[str, Any] | None = None
    status: str = "done"
    created_ns: int = 0


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """One conversation of an export. `nodes` come parents first; `head_id` is the end of the branch last shown.

    `settings` holds what stands in the file under the names of `SETTINGS`, unchecked: it must pass the API's own check.
    `place` is where it stands in its file, from 1.
    """

    origin: str
    name: str | None
    nodes: list[Node]
    head_id: str | None
    model: str = ""
    instructions: str | None = None
    description: str | None = None
    settings: dict[str, Any] = {}
    pinned: bool = False
    archived: bool = False
    created_ns: int = 0
    updated_ns: int = 0
    place: int = 0


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is wrong with one conversation of an export, counted from 1: a code with its fields, and a sentence in English.

    `settings` are the ones left behind, `limit` what was exceeded.
    """

    conversation: int
    code: str
    message: str
    settings: list[str] = []
    limit: int | None = None


class Unreadable(Exception):
    """One conversation of an export is not as it should be; the message says what is wrong, the code which case it is."""

    def __init__(self, message: str, code: str = "unreadable", limit: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.limit = limit


def text(value: Any, most: int | None = None) -> str:
    """Any string as one that can be kept and sent; anything else as no text."""
    if not isinstance(value, str):
        return ""
    return clean(value[:most].encode("utf-8", "replace").decode("utf-8"))


def optional(value: Any, most: int) -> str | None:
    return text(value, most) or None


def seconds(value: Any) -> int:
    """Seconds, milli-, micro- or nanoseconds since the epoch as nanoseconds; 0 for what is no time."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e20:
        return 0
    while value > 1e11:
        value /= 1000
    return min(int(value * NS), LATEST_NS)


def moment(value: Any) -> int:
    """ISO 8601 as nanoseconds; 0 for what is no time."""
    if not isinstance(value, str):
        return seconds(value)
    try:
        read = datetime.fromisoformat(value[:40])
        since = (read if read.tzinfo else read.replace(tzinfo=UTC)) - EPOCH
        # In whole numbers: by way of a float, each export and import would lose a microsecond.
        return max(0, min(since // timedelta(microseconds=1) * 1000, LATEST_NS))
    except (ValueError, OverflowError):
        return 0


def is_image(url: Any) -> bool:
    """Only what came along: an address elsewhere is dropped."""
    return isinstance(url, str) and _DATA_IMAGE.match(url) is not None


def gathered(
    items: Mapping[str, Any], parent_field: str, read: Callable[[str, dict[str, Any]], Node | None]
) -> tuple[dict[str, Node], dict[str, str | None]]:
    """The nodes that `read` keeps of an object of messages, and the parent that each of all names."""
    parents: dict[str, str | None] = {}
    nodes: dict[str, Node] = {}
    for node_id, item in items.items():
        if not isinstance(item, dict):
            continue
        parent_id = item.get(parent_field)
        parents[node_id] = parent_id if isinstance(parent_id, str) else None
        kept = read(node_id, item)
        if kept is not None:
            nodes[node_id] = kept
    return nodes, parents


def ordered(nodes: Mapping[str, Node], parents: Mapping[str, str | None]) -> list[Node]:
    """The kept nodes, parents first, each hung under its nearest kept ancestor; whatever goes in a circle is left out.

    `parents` names the parent of every node of the export, kept or not.
    """
    if len(parents) > MOST_NODES:
        raise Unreadable(f"it has more than {MOST_NODES} messages", "too_many_messages", MOST_NODES)
    nearest: dict[str, str | None] = {}
    children: dict[str | None, list[str]] = {}
    for node_id in nodes:
        above = _ancestor(node_id, nodes, parents, nearest)
        children.setdefault(above, []).append(node_id)
    found: list[Node] = []
    waiting: list[tuple[str, str | None]] = [(node_id, None) for node_id in reversed(children.get(None, []))]
    while waiting:
        node_id, parent_id = waiting.pop()
        found.append(msgspec.structs.replace(nodes[node_id], parent_id=parent_id))
        waiting += [(child, node_id) for child in reversed(children.get(node_id, []))]
    return found


def nearest_kept(node_id: Any, nodes: Mapping[str, Node], parents: Mapping[str, str | None]) -> str | None:
    """The node itself if it is kept, else its nearest kept ancestor."""
    if not isinstance(node_id, str):
        return None
    return node_id if node_id in nodes else _ancestor(node_id, nodes, parents, {})


def head_of(wanted: str | None, nodes: Iterable[Node]) -> str | None:
    """The end of the branch to show: the one that was, else the last."""
    known = [node.node_id for node in nodes]
    return wanted if wanted in known else known[-1] if known else None


def _ancestor(
    node_id: str, nodes: Mapping[str, Node], parents: Mapping[str, str | None], nearest: dict[str, str | None]
) -> str | None:
    walked: list[str] = []
    seen = {node_id}
    above = parents.get(node_id)
    while above is not None and above not in nodes and above not in seen:
        if above in nearest:
            above = nearest[above]
            break
        seen.add(above)
        walked.append(above)
        above = parents.get(above)
    if above is not None and above not in nodes:
        above = None
    for passed in walked:
        nearest[passed] = above
    return above
