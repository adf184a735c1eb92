"""Learner from few examples: prototype, logistic regression and self-training, blended by cross-validation.

The *plain mean* of the positive examples and their *prototype*, the mean in the detector's space, need nothing else.
The *logistic regression* separates them from the negative ones and from unlabelled sounds, which are presumed negative.
In *self-training* (Yarowsky 1995) the unlabelled sounds that both find most similar count as positive, those that come
next are left out, and the regression is fitted again. Every score is scaled to mean 0 and deviation 1 over the
unlabelled sounds, so scores of different examples can be compared and added; all are linear, and so is their blend.

Cross-validation chooses how far to go: recordings, or blocks of time where there is one recording, are held out in
turn, and of each blend the mean logarithm of the rank of held-out positives among held-out others is compared. A
simpler blend is taken only where it is better by a margin, for with five examples a difference is mostly chance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from soundloom.errors import InvalidArgumentError
from soundloom.library.tags.logistic_regression import balanced, fit

__all__ = ["BLENDS", "Blend", "Examples", "LinearScore", "learn"]

_PENALTY = 3e-3
_PRESUMED = 400
"""Unlabelled sounds that a regression learns from; all of them are ranked."""

_CONFIDENT, _SHARE = 10, 120
"""Unlabelled sounds that count as positive: at most so many, and one in so many."""

_LEFT_OUT = 3
_FOLDS = 10
_MARGIN = 0.5


@dataclass(frozen=True, kw_only=True)
class Blend:
    """How much of each score a detector's is.

    Attributes:
        plain: weight of the plain mean.
        prototype: weight of the prototype.
        regression: weight of the logistic regression.
        self_trained: weight of the regression after self-training.
    """

    plain: float
    prototype: float
    regression: float
    self_trained: float


BLENDS = (
    Blend(plain=0.5, prototype=0.0, regression=0.0, self_trained=1.0),
    Blend(plain=0.5, prototype=0.0, regression=0.5, self_trained=0.5),
    Blend(plain=1.0, prototype=0.0, regression=1.0, self_trained=0.0),
    Blend(plain=1.0, prototype=0.0, regression=0.0, self_trained=0.0),
)
"""From the one that goes farthest to the plain mean of the examples."""

_NEEDED = (600, 60, 0, 0)
"""Unlabelled sounds that each blend needs: among few there are hardly any more of the sound."""


@dataclass(frozen=True, eq=False)
class Examples:
    """What a detector learns from, in its space.

    Attributes:
        positive: vectors of the sound.
        positive_groups: the recording, or block of time, of each.
        negative: vectors of other sounds.
        negative_groups: likewise.
        unlabelled: vectors of sounds of which nothing is known, presumed negative.
        unlabelled_groups: likewise.
        decorrelated: how many columns the prototype and the regressions use; the plain embedding follows.
    """

    positive: Float[np.ndarray, "positive rank"]
    positive_groups: Int[np.ndarray, " positive"]
    negative: Float[np.ndarray, "negative rank"]
    negative_groups: Int[np.ndarray, " negative"]
    unlabelled: Float[np.ndarray, "unlabelled rank"]
    unlabelled_groups: Int[np.ndarray, " unlabelled"]
    decorrelated: int

    def without(self, groups: Int[np.ndarray, " held"]) -> tuple[Examples, Examples]:
        """The examples outside some groups, and those within."""
        held = [np.isin(of, groups) for of in (self.positive_groups, self.negative_groups, self.unlabelled_groups)]
        return self._at([~mask for mask in held]), self._at(held)

    def _at(self, masks: list[Bool[np.ndarray, " _rows"]]) -> Examples:
        positive, negative, unlabelled = masks
        return Examples(
            self.positive[positive], self.positive_groups[positive],
            self.negative[negative], self.negative_groups[negative],
            self.unlabelled[unlabelled], self.unlabelled_groups[unlabelled], self.decorrelated,
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class LinearScore:
    """A score of vectors, and those of the examples when they were held out.

    Attributes:
        weights: one for every dimension.
        bias: added to every score.
        blend: what it is made of.
        positive: held-out scores of the positive examples.
        negative: of the negative ones.
        unlabelled: of the unlabelled ones.
        held_out: whether they were; with examples of one group nothing can be.
    """

    weights: Float[np.ndarray, " rank"]
    bias: float
    blend: Blend
    positive: Float[np.ndarray, " positive"]
    negative: Float[np.ndarray, " negative"]
    unlabelled: Float[np.ndarray, " unlabelled"]
    held_out: bool

    def scores(self, vectors: Float[np.ndarray, "rows rank"]) -> Float[np.ndarray, " rows"]:
        """The score of vectors, of each by itself."""
        return np.asarray(np.einsum("ij,j->i", vectors, self.weights) + self.bias)


def learn(examples: Examples) -> LinearScore:
    """A score that is high for what is like the positive examples and unlike the rest.

    Raises:
        InvalidArgumentError: there are no positive examples, or nothing else.
    """
    if not len(examples.positive):
        raise InvalidArgumentError("a detector learns from sounds that are marked yes: mark one or more")
    if not len(examples.negative) and not len(examples.unlabelled):
        raise InvalidArgumentError(
            "a detector learns from other sounds as well: mark some no, mark regions of longer recordings, or give "
            "unlabelled sounds as background"
        )
    folds = _folds(examples)
    if folds is None:
        blend = BLENDS[_farthest(examples) if len(examples.positive) > 1 else -2]
        weights, bias = _blended(_directions(examples), blend)
        kinds = examples.positive, examples.negative, examples.unlabelled
        positive, negative, unlabelled = (_score(vectors, (weights, bias)) for vectors in kinds)
        return LinearScore(weights, bias, blend, positive, negative, unlabelled, held_out=False)
    held = [_held_out(examples, groups) for groups in folds]
    losses = {number: _loss(held, number) for number in range(_farthest(examples), len(BLENDS))}
    chosen = next(number for number, loss in losses.items() if loss <= min(losses.values()) + _MARGIN)
    weights, bias = _blended(_directions(examples), BLENDS[chosen])
    positive, negative, unlabelled = (
        _gathered(examples, held, chosen, kind) for kind in ("positive", "negative", "unlabelled")
    )
    return LinearScore(weights, bias, BLENDS[chosen], positive, negative, unlabelled, held_out=True)


def _farthest(examples: Examples) -> int:
    """The first blend for which there are enough unlabelled sounds."""
    return next(number for number, needed in enumerate(_NEEDED) if len(examples.unlabelled) >= needed)


_Direction = tuple[Float[np.ndarray, " rank"], float]
"""Weights and bias of a score with mean 0 and deviation 1 over the unlabelled sounds."""


def _directions(examples: Examples) -> tuple[_Direction, ...]:
    """Plain mean, prototype, regression and self-trained regression."""
    others = np.concatenate([examples.negative, examples.unlabelled])
    mean, used = examples.positive.mean(axis=0), np.arange(others.shape[1]) < examples.decorrelated
    plain, prototype = _scaled(np.where(used, 0, mean), others), _scaled(np.where(used, mean, 0), others)
    positive, negative, unlabelled = (
        each[:, : examples.decorrelated] for each in (examples.positive, examples.negative, examples.unlabelled)
    )
    drawn = np.random.default_rng(0).permutation(unlabelled)[:_PRESUMED]
    rest = others.shape[1] - examples.decorrelated
    regression = _scaled(np.pad(_regression(positive, np.concatenate([negative, drawn])), (0, rest)), others)
    count = max(1, min(_CONFIDENT, len(unlabelled) // _SHARE))
    if len(unlabelled) < 2 * _LEFT_OUT * count:
        return plain, prototype, regression, regression
    found = _score(examples.unlabelled, prototype) + _score(examples.unlabelled, regression)
    order = np.argsort(-found, kind="stable")
    confident = unlabelled[order[:count]]
    drawn = np.random.default_rng(0).permutation(unlabelled[order[_LEFT_OUT * count :]])[:_PRESUMED]
    again = _regression(positive, np.concatenate([negative, drawn]), confident)
    return plain, prototype, regression, _scaled(np.pad(again, (0, rest)), others)


def _regression(
    positive: Float[np.ndarray, "positive rank"],
    others: Float[np.ndarray, "others rank"],
    confident: Float[np.ndarray, "confident rank"] | None = None,
) -> Float[np.ndarray, " rank"]:
    """Weights of a logistic regression; what is confidently positive counts, together, as much as the examples."""
    more = positive[:0] if confident is None else confident
    yes = np.repeat([True, True, False], [len(positive), len(more), len(others)])
    importance = np.ones(len(yes))
    importance[len(positive) : len(positive) + len(more)] = len(positive) / max(1, len(more))
    return fit(np.concatenate([positive, more, others]), yes, balanced(yes, importance), _PENALTY).weights


def _scaled(weights: Float[np.ndarray, " rank"], others: Float[np.ndarray, "others rank"]) -> _Direction:
    scores = others @ weights
    deviation = float(scores.std()) or 1.0
    return weights / deviation, -float(scores.mean()) / deviation


def _score(vectors: Float[np.ndarray, "rows rank"], direction: _Direction) -> Float[np.ndarray, " rows"]:
    weights, bias = direction
    return np.asarray(vectors @ weights + bias)


def _blended(directions: tuple[_Direction, ...], blend: Blend) -> _Direction:
    shares = np.array([blend.plain, blend.prototype, blend.regression, blend.self_trained])
    shares = shares / shares.sum()
    weights = sum(share * weights for share, (weights, _) in zip(shares, directions, strict=True))
    return np.asarray(weights), float(sum(share * bias for share, (_, bias) in zip(shares, directions, strict=True)))


@dataclass(frozen=True, eq=False)
class _Held:
    """Scores of one fold's examples, by the blends learned from the other folds' ones: a row a blend."""

    groups: Int[np.ndarray, " held"]
    positive: Float[np.ndarray, "blends positive"]
    negative: Float[np.ndarray, "blends negative"]
    unlabelled: Float[np.ndarray, "blends unlabelled"]


def _folds(examples: Examples) -> list[Int[np.ndarray, " _groups"]] | None:
    """Groups that are held out together, positives and others spread evenly; None where nothing can be held out."""
    positive = np.unique(examples.positive_groups)
    if len(positive) < 2:
        return None
    count = min(_FOLDS, len(positive))
    others = np.setdiff1d(np.concatenate([examples.negative_groups, examples.unlabelled_groups]), positive)
    order = np.random.default_rng(0)
    parts = [np.array_split(order.permutation(each), count) for each in (positive, others)]
    return [np.concatenate(pair) for pair in zip(*parts, strict=True)]


def _held_out(examples: Examples, groups: Int[np.ndarray, " held"]) -> _Held:
    learned, held = examples.without(groups)
    if not len(learned.negative) + len(learned.unlabelled):
        learned = Examples(
            learned.positive, learned.positive_groups, examples.negative, examples.negative_groups,
            examples.unlabelled, examples.unlabelled_groups, examples.decorrelated,
        )  # fmt: skip
    directions = _directions(learned)
    blends = [_blended(directions, blend) for blend in BLENDS]

    def scores(vectors: Float[np.ndarray, "rows rank"]) -> Float[np.ndarray, "blends rows"]:
        return np.stack([_score(vectors, blend) for blend in blends])

    return _Held(groups, scores(held.positive), scores(held.negative), scores(held.unlabelled))


def _loss(held: list[_Held], blend: int) -> float:
    """Mean log rank of held-out positives among all held-out others."""
    others = np.concatenate([np.concatenate([one.negative[blend], one.unlabelled[blend]]) for one in held])
    positive = np.concatenate([one.positive[blend] for one in held])
    above = (others[None] >= positive[:, None]).sum(axis=1)
    return float(np.log1p(above).mean())


def _gathered(examples: Examples, held: list[_Held], blend: int, kind: str) -> Float[np.ndarray, " rows"]:
    """Held-out scores in the order of the examples."""
    of = getattr(examples, f"{kind}_groups")
    scores = np.zeros(len(of))
    for one in held:
        scores[np.isin(of, one.groups)] = getattr(one, kind)[blend]
    return scores
