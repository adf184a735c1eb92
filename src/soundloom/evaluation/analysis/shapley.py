"""Shapley values: the share of each of several parts in a score that is known for every subset of them.

    Shapley value of i = the mean of v(S with i) - v(S) over all orders in which parts may join
                       = sum over S without i of |S|! (p - |S| - 1)! / p! (v(S with i) - v(S)),

and the values of all parts sum to v(all) - v(none) (Shapley 1953). A score may be an array, of classes or of clips;
each of its elements is shared out alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
from jaxtyping import Float

from soundloom.errors import InvalidArgumentError

__all__ = ["shapley_values", "subsets_of"]

Subset = tuple[str, ...]


def subsets_of(parts: Sequence[str]) -> list[Subset]:
    """Every subset of the parts but the empty one, the smallest first, each in the parts' order.

    >>> subsets_of(["a", "b"])
    [('a',), ('b',), ('a', 'b')]
    """
    return [subset for size in range(1, len(parts) + 1) for subset in combinations(parts, size)]


def shapley_values(
    worth: Mapping[Subset, Float[np.ndarray, "*shape"] | float], parts: Sequence[str]
) -> dict[str, Float[np.ndarray, "*shape"]]:
    """Each part's share of the score of all of them over that of none.

    Args:
        worth: subset, in the parts' order -> score; the empty one included.
        parts: their names.

    Raises:
        InvalidArgumentError: the score of a subset is missing.
    """
    missing = [subset for subset in [(), *subsets_of(parts)] if subset not in worth]
    if missing:
        raise InvalidArgumentError(
            f"no score of {len(missing)} of {2 ** len(parts)} subsets, such as {'+'.join(missing[0])!r}"
        )
    count = len(parts)
    values = {}
    for part in parts:
        others = [other for other in parts if other != part]
        share: np.ndarray = np.zeros(())
        for subset in [(), *subsets_of(others)]:
            weight = math.factorial(len(subset)) * math.factorial(count - len(subset) - 1) / math.factorial(count)
            joined = tuple(other for other in parts if other == part or other in subset)
            share = share + weight * (np.asarray(worth[joined]) - np.asarray(worth[subset]))
        values[part] = np.asarray(share)
    return values
