"""What a conversation's owner sets of it: its name, its place, the branch that is shown, what its answers are made with.

Ids that come in are looked up in the owner's own scope, like the conversation's.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from tramontane.features.assistant import store
from tramontane.features.assistant.nouns import Conversation, Owner
from tramontane.features.assistant.turns import project_instructions
from tramontane.features.assistant.words import fold
from tramontane.foundation.errors import NotFound


def change(connection: Connection, owner: Owner, conversation_id: str, values: Mapping[str, Any]) -> Conversation:
    """Set some columns; gives the conversation as it then is. Raises NotFound for it, its project or its head."""
    store.one(connection, owner, conversation_id, lock=True)
    if values.get("project_id") is not None:
        project_instructions(connection, owner, values["project_id"])
    head_id = values.get("head_entry_id")
    if head_id is not None and store.one_entry(connection, owner, conversation_id, head_id) is None:
        raise NotFound("there is no entry of that id in this conversation", param="head_entry_id")
    if "name" in values:
        values = {**values, "named_by": "person", "words": fold(values["name"] or "")}
    if values:
        store.change(connection, owner, conversation_id, values)
    return store.one(connection, owner, conversation_id)
