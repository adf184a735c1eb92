"""Average precision of many ranked lists at once, equal scores at one threshold; every mAP here uses it.

Convention: items of equal score stand at one threshold, so the order in which ties happen to be sorted
never changes a number. With P_t and R_t the precision and recall at the t-th distinct score from above,

    AP = sum over t of (R_t - R_{t-1}) P_t,

which is the step-wise area, without interpolation, that scikit-learn's `average_precision_score` takes.

When not: precision among the first k of a list; see `retrieval`.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

__all__ = ["average_precision", "tie_ends"]


def average_precision(scores: Float[Tensor, "... items"], relevant: Bool[Tensor, "... items"]) -> Float[Tensor, ...]:
    """Average precision of each list, in float64.

    Args:
        scores: how high each item ranks, ``[..., items]``; any monotone scale; minus infinity ranks last.
        relevant: the items that should come first, ``[..., items]``.

    Returns:
        ``[...]`` within (0, 1]; nan for a list with nothing relevant, which has no average precision.
    """
    ordered, order = torch.sort(scores, dim=-1, descending=True)
    hits = relevant.gather(-1, order)
    found = hits.cumsum(-1)
    ends = tie_ends(ordered)
    # R_t - R_{t-1} is (relevant items in tie t) / (all relevant), so the sum over ties is the mean, over
    # the relevant items, of the precision at the end of the tie each stands in.
    precision = found.gather(-1, ends).double() / (ends + 1)
    return (precision * hits).sum(-1) / hits.sum(-1)


def tie_ends(ordered: Float[Tensor, "... items"]) -> Int[Tensor, "... items"]:
    """For each place of lists sorted by score, the last place with the same score."""
    items = ordered.shape[-1]
    places = torch.arange(items).expand(ordered.shape)
    last = torch.ones(ordered.shape, dtype=torch.bool)
    last[..., :-1] = ordered[..., :-1] != ordered[..., 1:]
    # From the right, the nearest place that closes a tie.
    return torch.where(last, places, items).flip(-1).cummin(-1).values.flip(-1)
