"""Weights of the parts of a model, written as text: part and number in pairs."""

from __future__ import annotations

import math

from soundloom.errors import QueryError

__all__ = ["parse_weights"]


def parse_weights(text: str, between: str) -> dict[str, float]:
    """Read pairs of a part and its weight, separated by commas.

    Args:
        text: the pairs.
        between: what stands between a part and its weight.

    >>> parse_weights("pitch=2, timbre=0", "=")
    {'pitch': 2.0, 'timbre': 0.0}

    Raises:
        QueryError: not of that form, a part named twice, or a weight that is not finite.
    """
    weights: dict[str, float] = {}
    for item in filter(str.strip, text.split(",")):
        name, _, number = (piece.strip() for piece in item.rpartition(between))
        try:
            weight = float(number)
        except ValueError:
            name = ""
        if not name:
            example = f"part{between}number,part{between}number, such as pitch{between}2,timbre{between}0"
            raise QueryError(f"weights are written {example}; got {item!r}")
        if not math.isfinite(weight):
            raise QueryError(
                f"the weight of {name!r} must be a finite number, got {number}: 0 leaves a part out, below 0 repels"
            )
        if name in weights:
            raise QueryError(f"the weight of {name!r} is given twice: give it once")
        weights[name] = weight
    return weights
