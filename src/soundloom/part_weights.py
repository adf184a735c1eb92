"""Weights of the parts of a model: as text, completed, times the model's own balance, and as shares."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from numbers import Real

from soundloom.errors import QueryError

__all__ = ["apply_balance", "complete_weights", "parse_weights", "weight_shares"]


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


def complete_weights(parts: Iterable[str], weights: Mapping[str, float] | None) -> dict[str, float]:
    """A weight for every part: 1 for those not named.

    Raises:
        QueryError: unknown part, a weight that is not finite, or all of them zero.
    """
    every = dict.fromkeys(parts, 1.0)
    if not isinstance(weights, Mapping | None):
        example = {next(iter(every)): 2}
        raise QueryError(f"weights are parts and how much they count, such as {example}; got {weights!r}")
    for name, weight in (weights or {}).items():
        if name not in every:
            raise QueryError(f"no part {name!r} in this library: its parts are {', '.join(every)}")
        if not isinstance(weight, Real) or not math.isfinite(weight):
            raise QueryError(f"the weight of {name!r} must be a finite number, got {weight!r}")
        every[name] = float(weight)
    if not any(every.values()):
        raise QueryError("every part has weight 0: at least one must count")
    return every


def apply_balance(weights: Mapping[str, float], balance: Mapping[str, float]) -> dict[str, float]:
    """A caller's weights times the model's own balance of its parts; 1 for parts without one."""
    return {name: weight * balance.get(name, 1.0) for name, weight in weights.items()}


def weight_shares(weights: Mapping[str, float]) -> dict[str, float]:
    """Weights as shares of a whole; of those below 0, the size counts.

    >>> weight_shares({"mfcc": 1.0, "chroma": -3.0})
    {'mfcc': 0.25, 'chroma': -0.75}
    """
    total = sum(abs(weight) for weight in weights.values())
    return {name: weight / total for name, weight in weights.items()}
