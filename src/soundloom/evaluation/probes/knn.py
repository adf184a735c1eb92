"""k-nearest-neighbour classifier by cosine similarity: the classes of the nearest known clips. Nothing is trained.

Conventions: with splits, the test clips are compared with the training and validation clips of their
split (there is nothing to validate), one value a split; without splits, each clip with all others, a single value.
Single labels: the class most neighbours have, of equal counts the one whose neighbours are nearer in
sum; accuracy. Multi-hot labels: the share of neighbours with each class as its score; macro mAP.
Embeddings are standardised by the statistics of the known clips, unless ``standardised`` is off.

When not: for large collections; this compares with every clip, in blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor
from torch.nn import functional

from soundloom.errors import InvalidArgumentError
from soundloom.evaluation import scores, validation
from soundloom.evaluation import splits as cuts
from soundloom.evaluation.probes.common import class_means
from soundloom.evaluation.protocols import PROTOCOLS, Protocol
from soundloom.evaluation.scores import Details, Score
from soundloom.evaluation.splits import Split
from soundloom.evaluation.standardisation import moments, standardise

__all__ = ["KNNDetails", "KNNSettings", "knn_probe", "validate"]

# Similarities held at a time.
BLOCK = 1 << 22


@dataclass(frozen=True, kw_only=True)
class KNNSettings:
    """How neighbours are found.

    Attributes:
        k: neighbours that vote.
        standardised: whether embeddings are standardised first.
    """

    k: int = 10
    standardised: bool = True

    def __post_init__(self) -> None:
        if self.k < 1:
            raise InvalidArgumentError(f"k must be at least 1, got {self.k}")


@dataclass(frozen=True, kw_only=True)
class KNNDetails(Details):
    """Details of the nearest neighbours.

    Attributes:
        splits: names of the splits, or "leave-one-out".
        k: neighbours that vote.
        standardised: whether embeddings were standardised first.
    """

    splits: list[str]
    k: int
    standardised: bool


def validate(embeddings: np.ndarray, labels: np.ndarray, splits: Sequence[Split] | None, k: int) -> None:
    """Refuse what cannot be asked.

    Raises:
        InvalidArgumentError: what `validation` and `splits.validate` refuse, or fewer clips to ask than k.
    """
    validation.check_embeddings(embeddings)
    validation.check_labels(labels, len(embeddings))
    if splits is not None:
        cuts.validate(splits, len(embeddings))
    check_neighbours(labels, splits, KNNSettings(k=k))


def check_neighbours(labels: np.ndarray, splits: Sequence[Split] | None, settings: KNNSettings) -> None:
    """Refuse fewer clips to ask than k.

    Raises:
        InvalidArgumentError: in one of the splits, or in all without splits, there are fewer.
    """
    k, known = settings.k, len(labels) - 1
    if splits is not None:
        known = min(len(split.train) + len(split.valid) for split in splits)
    if known < k:
        raise InvalidArgumentError(f"k is {k}, but there are only {known} clips to ask: choose a smaller k")


def knn_probe(
    embeddings: Float[np.ndarray, "clips dim"],
    labels: Shaped[np.ndarray, "clips ..."],
    splits: Sequence[Split] | None = None,
    *,
    settings: KNNSettings | None = None,
    seed: int = 0,
) -> Score:
    """Accuracy, or macro mAP, of the neighbours' classes; one value a split, or a single one without splits.

    Details: `KNNDetails`.

    Raises:
        InvalidArgumentError: what `validate` refuses.
    """
    settings = settings or KNNSettings()
    validate(embeddings, labels, splits, settings.k)
    features, multi = validation.as_float32(embeddings), labels.ndim == 2
    present = torch.from_numpy(validation.presence(labels)).float()
    everyone = np.arange(len(embeddings))
    if splits is None:
        rounds = [("leave-one-out", everyone, everyone)]
    else:
        rounds = [(split.name, np.union1d(split.train, split.valid), split.test) for split in splits]

    values: list[float] = []
    tables: list[np.ndarray] = []
    confusion = np.zeros((present.shape[1],) * 2, np.int64)
    for _, known, asking in rounds:
        answering, questions = features[known], features[asking]
        if settings.standardised:
            mean, scale = moments(answering)
            answering, questions = standardise(answering, mean, scale), standardise(questions, mean, scale)
        units, queries = functional.normalize(answering, dim=1), functional.normalize(questions, dim=1)
        votes = vote(queries, units, present[known], settings.k, skip_own=splits is None).numpy()
        if multi:
            tables.append(scores.average_precisions(votes, labels[asking]))
            values.append(float(np.nanmean(tables[-1])))
        else:
            confusion += scores.confusion_matrix(votes, labels[asking])
            values.append(scores.accuracy(votes, labels[asking]))
    return scores.summarise(
        "knn",
        "mAP" if multi else "accuracy",
        values,
        seed=seed,
        per_class=class_means(tables) if multi else scores.recalls(confusion),
        details=KNNDetails(splits=[name for name, _, _ in rounds], k=settings.k, standardised=settings.standardised),
    )


PROTOCOLS.register(
    "knn",
    Protocol(
        function=knn_probe,
        settings=KNNSettings,
        details=KNNDetails,
        paper="k nearest neighbours",
        each="fold",
        admits=check_neighbours,
    ),
    definition=knn_probe,
)


def vote(
    queries: Float[Tensor, "asking dim"],
    known: Float[Tensor, "known dim"],
    present: Float[Tensor, "known classes"],
    k: int,
    *,
    skip_own: bool,
) -> Float[Tensor, "asking classes"]:
    """How many of the k nearest have each class, equal counts parted by summed similarity.

    A sum of k cosines lies within [-k, k]; over 2k + 2 its differences stay below one vote.

    Args:
        queries: unit embeddings that ask.
        known: unit embeddings that answer.
        present: classes of the known.
        k: neighbours that vote.
        skip_own: query i is known i, and is not asked itself.
    """
    votes = []
    for rows in torch.split(torch.arange(len(queries)), max(1, BLOCK // len(known))):
        similarity = queries[rows] @ known.T
        if skip_own:
            similarity[torch.arange(len(rows)), rows] = -torch.inf
        nearest = similarity.topk(k, dim=1)
        weight = 1 + nearest.values.double() / (2 * k + 2)
        votes.append((weight[:, :, None] * present[nearest.indices]).sum(dim=1))
    return torch.cat(votes)
