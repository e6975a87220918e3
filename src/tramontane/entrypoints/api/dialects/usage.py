"""Token counts and log-probabilities as both dialects write them."""

from collections.abc import Sequence
from typing import Any

from tramontane.foundation.events import Candidate, TokenChoice
from tramontane.foundation.nouns import Spend


def usage(spend: Spend) -> dict[str, Any]:
    """What the request took; cached and reasoning tokens are parts of the other counts."""
    return {
        "prompt_tokens": spend.prompt_tokens,
        "completion_tokens": spend.generated_tokens,
        "total_tokens": spend.prompt_tokens + spend.generated_tokens,
        "prompt_tokens_details": {"cached_tokens": spend.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": spend.reasoning_tokens},
    }


def chat_logprobs(choices: Sequence[TokenChoice]) -> dict[str, Any]:
    """The chat form: one entry per token with its alternatives. Token ids serve Mistral clients, who require them."""
    content = [
        {**_candidate(choice.taken), "top_logprobs": [_candidate(one) for one in choice.top]} for choice in choices
    ]
    return {"content": content}


def _candidate(candidate: Candidate) -> dict[str, Any]:
    return {
        "token": candidate.text,
        "logprob": candidate.logprob,
        "bytes": list(candidate.raw),
        "token_id": candidate.token_id,
    }


def text_logprobs(choices: Sequence[TokenChoice], offset: int) -> dict[str, Any]:
    """The form of plain completions: parallel lists; `offset` is where the first token starts in the answer."""
    tokens, values, tops, offsets = [], [], [], []
    for choice in choices:
        tokens.append(choice.taken.text)
        values.append(choice.taken.logprob)
        tops.append({one.text: one.logprob for one in reversed(choice.top)} if choice.top else None)
        offsets.append(offset)
        offset += len(choice.taken.text)
    return {"tokens": tokens, "token_logprobs": values, "top_logprobs": tops, "text_offset": offsets}
