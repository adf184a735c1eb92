"""Logistic regression for few examples of many dimensions, and its probabilities put right.

Minimised is sum_i c_i log(1 + exp(-y_i f(x_i))) + penalty / 2 |w|^2 with f(x) = w.x + b, y = +-1 and weights c that sum
to 1, by Newton's method with a step that is halved until the loss falls; it is convex, and some ten steps are exact to
rounding. The best w lies in the span of the examples: `span` gives coordinates in it, as many as there are examples at
most, in which the same regression costs less. On one thread, so that the same examples give the same bits.

Scores of a regression are not probabilities for sounds that it has not seen. Platt (1999) fits
p = 1 / (1 + exp(-(slope f + offset))) to scores of held-out examples, whose targets are drawn in from 0 and 1 by as
much as so few examples leave open.

When not: more than some thousand examples with as many dimensions; a Newton step costs the cube of the smaller.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np
from jaxtyping import Bool, Float

from soundloom.one_thread import one_blas_thread

__all__ = ["Logistic", "average_precision", "balanced", "fit", "platt", "span", "wilson_interval"]

_STEPS = 60
_ENOUGH = 1e-10
_SHORTEST = 1e-6


@dataclass(frozen=True, eq=False)
class Logistic:
    """A linear classifier.

    Attributes:
        weights: one for every dimension.
        bias: added to every score.
    """

    weights: Float[np.ndarray, " dim"]
    bias: float

    def scores(self, vectors: Float[np.ndarray, "rows dim"]) -> Float[np.ndarray, " rows"]:
        """How much speaks for yes: the log odds by the examples as they were weighted."""
        return np.asarray(vectors @ self.weights.astype(vectors.dtype) + self.bias)


def balanced(yes: Bool[np.ndarray, " rows"], importance: Float[np.ndarray, " rows"]) -> Float[np.ndarray, " rows"]:
    """Importance scaled so that yes and no count a half each."""
    total = np.where(yes, importance[yes].sum(), importance[~yes].sum())
    return np.asarray(0.5 * importance / total)


def span(
    vectors: Float[np.ndarray, "rows dim"],
) -> tuple[Float[np.ndarray, "rows rank"], Float[np.ndarray, "rank dim"]]:
    """Coordinates of vectors in their own span, and the orthonormal directions that these belong to."""
    with one_blas_thread:
        left, values, directions = np.linalg.svd(vectors.astype(np.float64), full_matrices=False)
    return left * values, directions


def fit(
    vectors: Float[np.ndarray, "rows dim"],
    yes: Bool[np.ndarray, " rows"],
    importance: Float[np.ndarray, " rows"],
    penalty: float,
) -> Logistic:
    """The regression's minimum.

    Args:
        vectors: the examples, some of either kind.
        yes: which of them are positive.
        importance: how much each counts; they sum to 1.
        penalty: of the squared weights; the bias is free.
    """
    inputs = np.column_stack([vectors, np.ones(len(vectors))])
    ridge = np.append(np.full(vectors.shape[1], penalty), 0.0)
    solution = _newton(inputs, np.where(yes, 1.0, -1.0), importance, ridge)
    return Logistic(solution[:-1], float(solution[-1]))


def _newton(
    inputs: Float[np.ndarray, "rows dim"],
    signs: Float[np.ndarray, " rows"],
    importance: Float[np.ndarray, " rows"],
    ridge: Float[np.ndarray, " dim"],
) -> Float[np.ndarray, " dim"]:
    signed = inputs.astype(np.float64) * signs[:, None]

    def loss(at: Float[np.ndarray, " dim"]) -> float:
        return float(importance @ np.logaddexp(0, -(signed @ at)) + 0.5 * ridge @ at**2)

    solution = np.zeros(inputs.shape[1])
    with one_blas_thread:
        current = loss(solution)
        for _ in range(_STEPS):
            doubt = np.exp(-np.logaddexp(0, signed @ solution))  # the probability given to the other kind
            gradient = ridge * solution - signed.T @ (importance * doubt)
            curvature = signed.T @ (signed * (importance * doubt * (1 - doubt))[:, None]) + np.diag(ridge + 1e-12)
            step = np.linalg.solve(curvature, gradient)
            length, new = 1.0, loss(solution - step)
            while new > current and length > _SHORTEST:
                length /= 2
                new = loss(solution - length * step)
            if current - new <= _ENOUGH * abs(current):
                break
            solution, current = solution - length * step, new
    return solution


def platt(
    scores: Float[np.ndarray, " rows"], yes: Bool[np.ndarray, " rows"], importance: Float[np.ndarray, " rows"]
) -> tuple[float, float]:
    """Slope and offset that turn held-out scores into probabilities; the slope is never negative.

    Args:
        scores: of examples that the classifiers had not seen.
        yes: which of them are positive.
        importance: how much each counts; they sum to 1.
    """
    targets = np.where(yes, (yes.sum() + 1) / (yes.sum() + 2), 1 / ((~yes).sum() + 2))
    # A target between 0 and 1 is an example of both kinds, each by its share.
    inputs = np.column_stack([scores, np.ones(len(scores))]).astype(np.float64)
    twice = np.concatenate([inputs, inputs])
    signs = np.repeat([1.0, -1.0], len(scores))
    weights = np.concatenate([importance * targets, importance * (1 - targets)])
    slope, offset = _newton(twice, signs, weights, np.zeros(2))
    if slope <= 0:
        # Held-out scores that say nothing, or the opposite: every sound is as doubtful as any other.
        return 0.0, 0.0
    return float(slope), float(offset)


def average_precision(scores: Float[np.ndarray, " rows"], yes: Bool[np.ndarray, " rows"]) -> float:
    """Mean of the precision at every positive, equals in score taken together; 0 without positives."""
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(yes[order])
    # Precision counts at the end of a run of equal scores: their order among each other means nothing.
    ends = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    found = np.diff(hits[ends], prepend=0)
    return float((found * hits[ends] / (ends + 1)).sum() / max(1, hits[-1]))


def wilson_interval(share: float, count: float) -> tuple[float, float, float]:
    """Low end, share and high end of Wilson's 95 % interval of a share of so many."""
    z2 = 1.96**2
    centre = (share + z2 / (2 * count)) / (1 + z2 / count)
    half = 1.96 * sqrt(share * (1 - share) / count + z2 / (4 * count**2)) / (1 + z2 / count)
    return max(0.0, min(share, centre - half)), share, min(1.0, max(share, centre + half))
