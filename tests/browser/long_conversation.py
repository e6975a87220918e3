"""Makes a conversation of as many messages as one likes in one go."""

import json
from typing import Any

from tests.browser.people import Person
from tests.fakes.scripted_server import PARAGRAPH


def imported(person: Person, messages: int) -> str:
    """The id of a conversation of that many messages, brought in the way an export comes back."""
    person.call("POST", "/v1/conversations", json={"model": "scripted", "inputs": "seed", "stream": False})
    export = person.call("GET", "/v1/conversations/export")
    one = export["conversations"][0]
    export["conversations"] = [one]
    person.call("DELETE", f"/v1/conversations/{one['id']}")
    question, answer = one["entries"]
    entries: list[dict[str, Any]] = []
    for number in range(messages // 2):
        parent = f"a{number - 1}" if number else None
        said = f"answer {number}\n\n{PARAGRAPH}"
        entries.append({**question, "id": f"q{number}", "parent_id": parent, "body": {"content": f"question {number}"}})
        entries.append({**answer, "id": f"a{number}", "parent_id": f"q{number}", "body": {"content": said}})
    one.update(id="conv_long", name="A long one", entries=entries, head_entry_id=entries[-1]["id"])
    brought = person.call("POST", "/v1/conversations/import", content=json.dumps(export).encode())
    assert brought["imported"] == 1, brought
    made: str = next(row["id"] for row in person.call("GET", "/v1/conversations") if row["name"] == one["name"])
    return made
