"""How a llama.cpp server's memory for keys and values is divided: how many requests at once, how long each may be.

Pure. Its slots are of one fixed size and do not lend each other room, unlike the embedded engine's blocks, so that more
requests at once means shorter ones. The starter asks.
"""

COMFORTABLE_TOKENS = 8192
"""No second slot is opened at the price of less context than this, or than the model's own when that is shorter."""


def divided(own_context_tokens: int, cache_tokens: int, most_slots: int) -> tuple[int, int]:
    """Slots, and tokens of context for each, whose product is at most `cache_tokens`.

    `own_context_tokens` is what the model was trained for; 0 for either of both when it is not known.
    """
    own = own_context_tokens or COMFORTABLE_TOKENS
    comfortable = min(own, COMFORTABLE_TOKENS)
    if not cache_tokens:
        return most_slots, comfortable
    slots = max(1, min(most_slots, cache_tokens // comfortable))
    return slots, min(own, cache_tokens // slots)
