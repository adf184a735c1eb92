"""Input checks shared by all protocols: shapes, finite numbers, labels that can be scored.

Conventions of the room: embeddings are ``[clips, dim]`` floating point; labels are either the class of
each clip, integers ``[clips]`` counted from 0, or all its classes, zeros and ones ``[clips, classes]``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from soundloom.errors import InvalidArgumentError

__all__ = [
    "as_float32",
    "check_embeddings",
    "check_labels",
    "check_trainable",
    "class_count",
    "presence",
]

# How many offending rows or classes a message lists.
SHOWN = 5


def check_embeddings(embeddings: np.ndarray) -> None:
    """Refuse anything but a matrix of finite floating-point numbers.

    Raises:
        InvalidArgumentError: not two-dimensional, not floating point, empty, or with nan or infinity.
    """
    if embeddings.ndim != 2 or 0 in embeddings.shape:
        raise InvalidArgumentError(
            f"embeddings must be [clips, dim] with at least one of each, got shape {embeddings.shape}: "
            "average frames over time first"
        )
    if not np.issubdtype(embeddings.dtype, np.floating):
        raise InvalidArgumentError(f"embeddings must be floating point, got {embeddings.dtype}")
    # A sum is finite only if all its terms are: no mask of the whole size. In float64, so that it cannot overflow.
    with np.errstate(invalid="ignore"):
        rows = np.flatnonzero(~np.isfinite(embeddings.sum(axis=1, dtype=np.float64)))
    if len(rows):
        raise InvalidArgumentError(
            f"embeddings of {len(rows)} clips are not finite (rows {listed(rows)}): "
            "were those clips empty or silent, or did the model overflow?"
        )


def check_labels(labels: np.ndarray, clips: int) -> None:
    """Refuse labels that are not a class, or a row of zeros and ones, for every clip.

    Raises:
        InvalidArgumentError: wrong length or shape, not integers, negative classes, or values besides 0 and 1.
    """
    if labels.ndim not in (1, 2):
        raise InvalidArgumentError(f"labels must be [clips] or [clips, classes], got shape {labels.shape}")
    if len(labels) != clips:
        raise InvalidArgumentError(
            f"labels are of {len(labels)} clips, the embeddings of {clips}: were clips dropped on the way?"
        )
    if not (np.issubdtype(labels.dtype, np.integer) or labels.dtype == bool):
        raise InvalidArgumentError(f"labels must be integers, got {labels.dtype}: number the classes from 0")
    if labels.ndim == 1 and labels.size and labels.min() < 0:
        raise InvalidArgumentError(f"classes are counted from 0, got {labels.min()}: drop clips without a label")
    if labels.ndim == 2 and labels.size and not np.isin(labels, (0, 1)).all():
        raise InvalidArgumentError(
            f"labels [clips, classes] must be 0 or 1, got {np.setdiff1d(labels, (0, 1))[:SHOWN].tolist()}"
        )


def check_trainable(labels: np.ndarray, train: np.ndarray, test: np.ndarray, name: str) -> None:
    """Refuse a split that no classifier can learn.

    Classes that are tested without having been trained on are allowed: official splits have them (a pitch that
    only the held-out instrument plays), and their clips count as errors.

    Raises:
        InvalidArgumentError: fewer than two classes to train on, or none of them tested.
    """
    known = presence(labels)
    trained, tested = known[train].any(axis=0), known[test].any(axis=0)
    if trained.sum() < 2:
        raise InvalidArgumentError(
            f"split {name!r} trains on {int(trained.sum())} class(es); a classifier needs at least 2"
        )
    if not (tested & trained).any():
        raise InvalidArgumentError(f"split {name!r} tests none of the classes it trains on: were the labels mixed up?")


def class_count(labels: np.ndarray) -> int:
    """How many classes the labels speak of."""
    return int(labels.shape[1] if labels.ndim == 2 else labels.max() + 1)


def presence(labels: np.ndarray) -> np.ndarray:
    """Labels of either kind as booleans ``[clips, classes]``."""
    if labels.ndim == 2:
        return labels.astype(bool)
    single: np.ndarray = labels[:, None] == np.arange(class_count(labels))
    return single


def as_float32(embeddings: np.ndarray) -> Tensor:
    """The embeddings as a float32 tensor, without a copy where they are float32 already."""
    return torch.from_numpy(np.require(embeddings, np.float32, ["C", "W"]))


def listed(numbers: Sequence[int] | np.ndarray) -> str:
    """The first few of some numbers, for a message."""
    head = ", ".join(str(int(number)) for number in numbers[:SHOWN])
    return head + (", ..." if len(numbers) > SHOWN else "")
