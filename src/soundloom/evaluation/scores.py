"""Metrics over predictions, confidence intervals over runs, and `Score`, the result of a protocol.

Conventions: predictions are scores ``[clips, classes]``, higher meaning more likely, on any monotone
scale; labels as in `validation`. Metrics of single-label sets: accuracy, top-k accuracy, confusion. Metric
of multi-label sets: macro mAP, the mean over classes of the average precision of a class over clips;
classes that no clip has are left out, since nothing can be ranked for them.

An interval is half the width of the 95% confidence interval of the mean by Student's t over the values
(runs, folds or draws). It speaks of the spread of those values alone: three runs of one split say
nothing about other clips.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped

from soundloom.errors import InvalidArgumentError
from soundloom.evaluation import validation
from soundloom.evaluation.retrieval.average_precision import average_precision

__all__ = [
    "Details",
    "Score",
    "accuracy",
    "average_precisions",
    "confusion_matrix",
    "macro_map",
    "recalls",
    "summarise",
    "t_interval",
    "t_quantile",
    "top_k_accuracy",
    "validate",
]


@dataclass(frozen=True, kw_only=True)
class Details:
    """What a protocol reports besides its score; each protocol has a subclass, of plain numbers, strings and lists."""

    @classmethod
    def from_plain(cls, data: Mapping[str, Any]) -> Self:
        """The details that `dataclasses.asdict` and JSON made ``data`` of."""
        return cls(**data)


@dataclass(frozen=True, kw_only=True)
class Score:
    """The result of one protocol on one set of embeddings.

    Attributes:
        protocol: the protocol's name, as in `protocols.PROTOCOLS`.
        metric: what is measured, e.g. ``"accuracy"``; shares and means within [0, 1].
        mean: mean of the values.
        interval: half the width of the mean's 95% interval; None when there is a single value.
        values: one number a run, fold or draw; the protocol says which.
        seed: what drew the runs; the same seed gives the same numbers.
        per_class: class number -> the metric, or its counterpart, of that class.
        details: what else the protocol reports; None if nothing.
    """

    protocol: str
    metric: str
    mean: float
    interval: float | None
    values: tuple[float, ...]
    seed: int
    per_class: Mapping[int, float] = field(default_factory=dict)
    details: Details | None = None

    def __str__(self) -> str:
        spread = "" if self.interval is None else f" ± {self.interval:.4f}"
        return f"{self.protocol}: {self.metric} {self.mean:.4f}{spread}"


def summarise(
    protocol: str,
    metric: str,
    values: Sequence[float],
    *,
    seed: int,
    per_class: Mapping[int, float] | None = None,
    details: Details | None = None,
) -> Score:
    """A score from its values: mean and interval are taken here.

    Raises:
        InvalidArgumentError: no values.
    """
    if not len(values):
        raise InvalidArgumentError(f"{protocol}: no values to average")
    return Score(
        protocol=protocol,
        metric=metric,
        mean=float(np.mean(values)),
        interval=t_interval(values),
        values=tuple(float(value) for value in values),
        seed=seed,
        per_class=dict(per_class or {}),
        details=details,
    )


def t_interval(values: Sequence[float]) -> float | None:
    """Half the width of the mean's 95% confidence interval, t s / sqrt(n); None of a single value."""
    if len(values) < 2:
        return None
    return t_quantile(len(values) - 1) * float(np.std(values, ddof=1)) / math.sqrt(len(values))


def t_quantile(degrees: int) -> float:
    """The 97.5% quantile of Student's t distribution, for whole degrees of freedom.

    Not `scipy.stats.t.ppf`: scipy comes with the extra ``eval`` alone, and probes need no extra. The tests compare
    the two.

    With theta = atan(t / sqrt(n)), the probability of |T| < t is a finite sum (Abramowitz and Stegun
    26.7.3 and 26.7.4), with c = cos theta:

        n odd:   2/pi (theta + sin theta (c + 2/3 c^3 + 2/3 4/5 c^5 + ... up to c^(n-2)))
        n even:  sin theta (1 + 1/2 c^2 + 1/2 3/4 c^4 + ... up to c^(n-2)),

    and it rises with theta, so halving finds the theta where it is 95%.

    Raises:
        InvalidArgumentError: fewer than one degree of freedom.
    """
    if degrees < 1:
        raise InvalidArgumentError(f"degrees of freedom must be at least 1, got {degrees}")

    def within(theta: float) -> float:
        term = math.cos(theta) if degrees % 2 else 1.0
        total = 0.0
        for power in range(degrees % 2, degrees - 1, 2):
            total += term
            term *= (power + 1) / (power + 2) * math.cos(theta) ** 2
        total *= math.sin(theta)
        return 2 / math.pi * (theta + total) if degrees % 2 else total

    low, high = 0.0, math.pi / 2
    while (middle := (low + high) / 2) not in (low, high):
        low, high = (middle, high) if within(middle) < 0.95 else (low, middle)
    return math.sqrt(degrees) * math.tan(low)


def validate(predictions: np.ndarray, labels: np.ndarray) -> None:
    """Refuse predictions and labels that do not belong together.

    Raises:
        InvalidArgumentError: shapes that disagree, a class without a column, no clip, or scores that are nan.
    """
    if predictions.ndim != 2 or 0 in predictions.shape:
        raise InvalidArgumentError(
            f"predictions must be [clips, classes] with at least one of each, got {predictions.shape}"
        )
    validation.check_labels(labels, len(predictions))
    needed, given = validation.class_count(labels), predictions.shape[1]
    if needed > given or (labels.ndim == 2 and needed != given):
        raise InvalidArgumentError(f"labels speak of {needed} classes, predictions of {given}")
    if np.isnan(predictions).any():
        raise InvalidArgumentError(
            f"{int(np.isnan(predictions).any(axis=1).sum())} clips have predictions that are nan"
        )


def accuracy(predictions: Float[np.ndarray, "clips classes"], labels: Int[np.ndarray, " clips"]) -> float:
    """Share of clips whose highest score is their class; of equal scores the first class counts."""
    validate(predictions, labels)
    return float(np.mean(predictions.argmax(axis=1) == labels))


def top_k_accuracy(
    predictions: Float[np.ndarray, "clips classes"], labels: Shaped[np.ndarray, "clips ..."], k: int
) -> float:
    """Share of clips with a class of theirs among the k highest scores; of equal scores the first classes count.

    Clips without any class cannot be right and are left out.

    Raises:
        InvalidArgumentError: k below 1 or above the number of classes, or no clip has a class.
    """
    validate(predictions, labels)
    if not 1 <= k <= predictions.shape[1]:
        raise InvalidArgumentError(f"k must be from 1 to the {predictions.shape[1]} classes, got {k}")
    classes = np.zeros(predictions.shape, bool)
    known = validation.presence(labels)
    classes[:, : known.shape[1]] = known
    best = np.argsort(-predictions, axis=1, kind="stable")[:, :k]
    labelled = classes.any(axis=1)
    if not labelled.any():
        raise InvalidArgumentError("no clip has a class")
    hits = np.take_along_axis(classes, best, axis=1).sum(axis=1) > 0
    return float(hits[labelled].mean())


def average_precisions(
    predictions: Float[np.ndarray, "clips classes"], labels: Shaped[np.ndarray, "clips ..."]
) -> Float[np.ndarray, " classes"]:
    """Average precision of each class over clips; nan for a class that no clip has."""
    validate(predictions, labels)
    known = np.zeros(predictions.shape, bool)
    known[:, : validation.class_count(labels)] = validation.presence(labels)
    by_class = torch.from_numpy(np.ascontiguousarray(predictions.T))
    return average_precision(by_class, torch.from_numpy(np.ascontiguousarray(known.T))).numpy()


def macro_map(predictions: Float[np.ndarray, "clips classes"], labels: Shaped[np.ndarray, "clips ..."]) -> float:
    """Mean over classes of the average precision, over the classes that some clip has.

    Raises:
        InvalidArgumentError: no clip has a class.
    """
    precisions = average_precisions(predictions, labels)
    if np.isnan(precisions).all():
        raise InvalidArgumentError("no clip has a class: there is nothing to rank")
    return float(np.nanmean(precisions))


def confusion_matrix(
    predictions: Float[np.ndarray, "clips classes"], labels: Int[np.ndarray, " clips"]
) -> Int[np.ndarray, "classes classes"]:
    """How many clips of each class (row) were given each class (column)."""
    validate(predictions, labels)
    classes = predictions.shape[1]
    return np.bincount(labels * classes + predictions.argmax(axis=1), minlength=classes**2).reshape(classes, classes)


def recalls(confusion: Int[np.ndarray, "classes classes"]) -> dict[int, float]:
    """Accuracy within each class, from a confusion matrix; classes without clips are left out."""
    clips = confusion.sum(axis=1)
    return {int(c): float(confusion[c, c] / clips[c]) for c in np.flatnonzero(clips)}
