"""What a model is good for, in a few words that people choose by. Pure; derived from what its entry says.

The words are a closed set, so that a page can say them in its reader's language.
"""

from typing import Literal

from tramontane.records.catalog.nouns import ModelEntry

Purpose = Literal["conversation", "code", "tools", "reasoning", "images", "search", "quick_answers"]
QUICK_PARAMETERS = 2_000_000_000
_CODE_NAMES = ("code", "devstral")


def good_for(entry: ModelEntry) -> tuple[Purpose, ...]:
    """The strongest reasons to choose the model, most general first; empty when its entry says nothing."""
    can = entry.capabilities
    codes = "fim" in can or any(word in entry.name for word in _CODE_NAMES)
    size = entry.active_parameters or entry.parameters
    found: dict[Purpose, bool] = {
        "conversation": "chat" in can,
        "code": codes,
        "tools": "function_calling" in can,
        "reasoning": "reasoning" in can,
        "images": "vision" in can,
        "search": "embedding" in can,
        "quick_answers": "chat" in can and 0 < size < QUICK_PARAMETERS,
    }
    return tuple(purpose for purpose, holds in found.items() if holds)
