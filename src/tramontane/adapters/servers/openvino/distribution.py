"""From logits to what sampling needs: the largest candidates and the normalisers, all inside the graph.

Knows how to find the largest logits and stable log-sums without walking the vocabulary more than needed; knows
nothing of the layers before. `graph` appends it behind the head.
"""

from typing import Any

import numpy as np
from openvino import opset13 as opset

CANDIDATES = 64
GROUP = 64


def candidates(logits: Any, vocab_size: int) -> tuple[Any, Any]:
    """The CANDIDATES largest logits [R, C] in descending order and their token ids [R, C] i32.

    The largest values of a row lie in the groups with the largest maxima, so a large vocabulary is first cut down to
    that many groups; sorting it whole costs three times as much.
    """
    if vocab_size % GROUP or vocab_size < 2 * CANDIDATES * GROUP:
        return _largest(logits, min(CANDIDATES, vocab_size), "value")
    groups = opset.reshape(logits, integers([0, vocab_size // GROUP, GROUP]), True)
    _, chosen = _largest(opset.reduce_max(groups, integers([2]), False), CANDIDATES, "none")
    kept = opset.reshape(opset.gather(groups, chosen, integers([1]), 1), integers([0, CANDIDATES * GROUP]), True)
    first_ids = opset.multiply(opset.unsqueeze(chosen, integers([2])), np.int32(GROUP))
    lanes = opset.constant(np.arange(GROUP, dtype=np.int32)[None, None, :])
    ids = opset.reshape(opset.add(first_ids, lanes), integers([0, CANDIDATES * GROUP]), True)
    values, places = _largest(kept, CANDIDATES, "value")
    return values, opset.gather(ids, places, integers([1]), 1)


def log_sums(logits: Any, largest: Any, inverse_temperature: Any) -> tuple[Any, Any]:
    """Log-sum-exp [R] of the logits, and of the logits times `inverse_temperature` [R]; `largest` is [R, 1]."""
    factor = opset.unsqueeze(inverse_temperature, integers([1]))
    peak = opset.multiply(largest, factor)
    scaled = opset.subtract(opset.multiply(logits, factor), peak)
    return _log_sum(opset.subtract(logits, largest), largest), _log_sum(scaled, peak)


def integers(values: list[int]) -> Any:
    """A constant of int64, as axes and shapes want it."""
    return opset.constant(np.array(values, np.int64))


def _largest(values: Any, count: int, sort: str) -> tuple[Any, Any]:
    top = opset.topk(values, np.int32(count), axis=1, mode="max", sort=sort, index_element_type="i32")
    return top.output(0), top.output(1)


def _log_sum(below: Any, peak: Any) -> Any:
    """Log-sum-exp [R] of values given as their distance below the row's peak, which keeps exponentials in range."""
    total = opset.reduce_sum(opset.exp(below), integers([1]), True)
    return opset.squeeze(opset.add(opset.log(total), peak), integers([1]))
