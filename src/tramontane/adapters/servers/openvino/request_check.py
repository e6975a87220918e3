"""What the loop will not take on: requests that no order of steps could carry out.

Knows the size of the vocabulary and of the cache; knows nothing of what is running. Called by `loop` at the door, so
that nothing past it needs to doubt a request.
"""

from tramontane.adapters.servers.openvino.request import TokenRequest
from tramontane.foundation.errors import BadRequest, ContextExceeded


def check_request(request: TokenRequest, vocabulary: int, block_count: int, block_tokens: int) -> None:
    """Raises BadRequest for odd counts or unknown tokens, ContextExceeded for more tokens than the cache holds."""
    if not request.prompt:
        raise BadRequest("the prompt is empty; send at least one token", param="prompt")
    if request.max_tokens < 1:
        raise BadRequest(f"max_tokens is {request.max_tokens} and must be at least 1", param="max_tokens")
    if request.n < 1:
        raise BadRequest(f"n is {request.n} and must be at least 1", param="n")
    if request.weight < 1:
        raise BadRequest(f"weight is {request.weight} and must be at least 1", param="weight")
    if request.constraints and len(request.constraints) != request.n:
        raise BadRequest(f"{len(request.constraints)} grammars for {request.n} choices; give each its own", param="n")
    _check_tokens("prompt", request.prompt, vocabulary)
    _check_tokens("guess_from", request.guess_from, vocabulary)
    _check_tokens("logit_bias", list(request.sampling.logit_bias), vocabulary)
    # The last token of an answer is never computed, so it needs no place.
    needed = len(request.prompt) + request.max_tokens - 1
    capacity = block_count * block_tokens
    if needed > capacity:
        raise ContextExceeded(
            f"prompt and answer need {needed} tokens of cache and this model's holds {capacity}; "
            "shorten the prompt, lower max_tokens or raise the engine's cache size",
            param="max_tokens",
        )


def _check_tokens(field: str, tokens: list[int], vocabulary: int) -> None:
    if tokens and not 0 <= min(tokens) <= max(tokens) < vocabulary:
        raise BadRequest(f"{field} has token ids outside 0 to {vocabulary - 1}", param=field)
