"""Retrieval protocols: query by example (Jansen 2017, 4.2) and leave-one-out precision. Nothing is trained.

`query_by_example` (Jansen 2017, 4.2): "For each sound event category, we sample 100 segments where it is
present and 100 segments where it is not. We report the mean average precision (mAP) of separating
within-class and across-class pairs using cosine distance in the embedding space (chance baseline is 0.331)."
The pairs of a class with m present and o absent segments are m(m-1)/2 within and m o across; a random
order has the average precision of their share, with 100 and 100

    (100 * 99 / 2) / (100 * 99 / 2 + 100 * 100) = 4950 / 14950 = 0.331.

A class with fewer than 100 segments takes all it has and as many others, which moves chance a little
(40 and 40: 0.328); the details say where chance lies.

`leave_one_out`: every clip asks for its like among all others; precision among the first k, and the
mean average precision of the whole ranking. Of ties at place k, the expected number of hits counts.

Conventions: labels of either kind; in multi-hot sets two clips are alike when they share a class.
Cosine similarity of the raw embeddings, or of standardised ones on request (statistics of all clips: no
labels are seen); the details say which. When not: to compare k-NN classifiers; see `knn`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor
from torch.nn import functional

from soundloom.errors import InvalidArgumentError
from soundloom.evaluation import validation
from soundloom.evaluation.protocols import PROTOCOLS, Protocol
from soundloom.evaluation.retrieval.average_precision import average_precision, tie_ends
from soundloom.evaluation.scores import Details, Score, summarise
from soundloom.evaluation.splits import Split
from soundloom.evaluation.standardisation import moments, standardise

__all__ = [
    "ByExampleDetails",
    "ByExampleSettings",
    "LeaveOneOutDetails",
    "LeaveOneOutSettings",
    "directions",
    "leave_one_out",
    "query_by_example",
    "validate",
]

# Similarities held at a time by leave_one_out: 4 million float32, of 20,000 clips 200 queries a block.
BLOCK = 1 << 22


@dataclass(frozen=True, kw_only=True)
class ByExampleSettings:
    """The paper's settings.

    Attributes:
        segments: segments drawn with each class, and as many without it.
        draws: how often all is drawn anew; each draw is a value of the score.
        standardised: whether embeddings are standardised first.
    """

    segments: int = 100
    draws: int = 1
    standardised: bool = False

    def __post_init__(self) -> None:
        if self.segments < 2 or self.draws < 1:
            raise InvalidArgumentError(f"needs at least 2 segments and 1 draw, got {self.segments} and {self.draws}")


@dataclass(frozen=True, kw_only=True)
class LeaveOneOutSettings:
    """What is asked of each clip.

    Attributes:
        k: how many nearest clips the precision looks at.
        standardised: whether embeddings are standardised first.
    """

    k: int = 10
    standardised: bool = False

    def __post_init__(self) -> None:
        if self.k < 1:
            raise InvalidArgumentError(f"k must be at least 1, got {self.k}")


@dataclass(frozen=True, kw_only=True)
class ByExampleDetails(Details):
    """Details of query by example.

    Attributes:
        standardised: whether embeddings were standardised first.
        chance: mean over classes of the share of within-class pairs.
        skipped: the classes without two segments or without a segment outside.
    """

    standardised: bool
    chance: float
    skipped: list[int]


@dataclass(frozen=True, kw_only=True)
class LeaveOneOutDetails(Details):
    """Details of leave-one-out retrieval.

    Attributes:
        mean_average_precision: of the whole rankings.
        standardised: whether embeddings were standardised first.
        k: how many nearest clips the precision looks at.
        queries: clips that were queries.
    """

    mean_average_precision: float
    standardised: bool
    k: int
    queries: int


def validate(embeddings: np.ndarray, labels: np.ndarray) -> None:
    """Refuse what cannot be searched.

    Raises:
        InvalidArgumentError: what `validation` and `check_classes` refuse.
    """
    validation.check_embeddings(embeddings)
    validation.check_labels(labels, len(embeddings))
    check_classes(labels)


def check_classes(labels: np.ndarray, splits: Sequence[Split] | None = None, settings: object = None) -> None:  # noqa: ARG001
    """Refuse labels by which nothing can be ranked; `soundloom.evaluation.protocols.Protocol.admits`.

    Raises:
        InvalidArgumentError: there is no class with both two clips and a clip without it.
    """
    present = validation.presence(labels).sum(axis=0)
    if not ((present >= 2) & (present < len(labels))).any():
        raise InvalidArgumentError(
            f"{len(labels)} clips of {int((present > 0).sum())} class(es): "
            "retrieval needs a class of two clips or more, and a clip outside it"
        )


def check_rankings(labels: np.ndarray, splits: Sequence[Split] | None, settings: LeaveOneOutSettings) -> None:
    """Refuse labels by which nothing can be ranked, and fewer clips than are looked at.

    Raises:
        InvalidArgumentError: what `check_classes` refuses, or fewer than k other clips.
    """
    check_classes(labels, splits)
    if len(labels) <= settings.k:
        raise InvalidArgumentError(
            f"k is {settings.k}, but a clip has only {len(labels) - 1} others: choose a smaller k"
        )


def query_by_example(
    embeddings: Float[np.ndarray, "clips dim"],
    labels: Shaped[np.ndarray, "clips ..."],
    *,
    settings: ByExampleSettings | None = None,
    seed: int = 0,
) -> Score:
    """Mean over classes of the average precision of within-class pairs among all pairs; one value a draw.

    Details: `ByExampleDetails`.

    Raises:
        InvalidArgumentError: what `validate` refuses.
    """
    validate(embeddings, labels)
    settings = settings or ByExampleSettings()
    units = directions(embeddings, standardised=settings.standardised)
    present = validation.presence(labels)
    usable = [int(c) for c in np.flatnonzero((present.sum(axis=0) >= 2) & ~present.all(axis=0))]
    precisions = np.zeros((settings.draws, len(usable)))
    chances = np.zeros(len(usable))
    for draw in range(settings.draws):
        generator = np.random.default_rng((seed, draw))
        for column, label in enumerate(usable):
            inside, outside = np.flatnonzero(present[:, label]), np.flatnonzero(~present[:, label])
            inside = generator.permutation(inside)[: settings.segments]
            outside = generator.permutation(outside)[: len(inside)]
            within = units[inside] @ units[inside].T
            across = units[inside] @ units[outside].T
            rows, columns = np.triu_indices(len(inside), 1)
            pairs = torch.cat([within[rows, columns], across.flatten()])
            relevant = torch.arange(len(pairs)) < len(rows)
            precisions[draw, column] = average_precision(pairs, relevant).item()
            chances[column] = len(rows) / len(pairs)
    return summarise(
        "query-by-example",
        "mAP",
        precisions.mean(axis=1).tolist(),
        seed=seed,
        per_class=dict(zip(usable, precisions.mean(axis=0).tolist(), strict=True)),
        details=ByExampleDetails(
            standardised=settings.standardised,
            chance=float(chances.mean()),
            skipped=[label for label in range(present.shape[1]) if label not in usable],
        ),
    )


PROTOCOLS.register(
    "query-by-example",
    Protocol(
        function=query_by_example,
        settings=ByExampleSettings,
        details=ByExampleDetails,
        paper="Jansen 2017, 4.2",
        each="draw",
        splits=False,
        admits=check_classes,
    ),
    definition=query_by_example,
)


def leave_one_out(
    embeddings: Float[np.ndarray, "clips dim"],
    labels: Shaped[np.ndarray, "clips ..."],
    *,
    settings: LeaveOneOutSettings | None = None,
    seed: int = 0,
) -> Score:
    """Mean over clips of the share of their like among their k nearest; a single value, nothing is drawn.

    Clips that have no like (alone in their class, or without a class) do not ask, but may be found.
    Details: `LeaveOneOutDetails`.

    Raises:
        InvalidArgumentError: what `validate` refuses, or fewer than k other clips.
    """
    validate(embeddings, labels)
    settings = settings or LeaveOneOutSettings()
    check_rankings(labels, None, settings)
    clips = len(embeddings)
    units = directions(embeddings, standardised=settings.standardised)
    present = torch.from_numpy(validation.presence(labels))
    classes = present.float()
    precision, mean_precision = torch.zeros(clips, dtype=torch.float64), torch.zeros(clips, dtype=torch.float64)
    for queries in torch.split(torch.arange(clips), max(1, BLOCK // clips)):
        alike = classes[queries] @ classes.T > 0
        similarity = units[queries] @ units.T
        # The query itself stands behind all others and is never relevant.
        own = torch.arange(len(queries)), queries
        alike[own], similarity[own] = False, -torch.inf
        precision[queries] = precision_at(similarity, alike, settings.k)
        mean_precision[queries] = average_precision(similarity, alike)
    asked = ~mean_precision.isnan()
    return summarise(
        "leave-one-out",
        f"precision at {settings.k}",
        [precision[asked].mean().item()],
        seed=seed,
        per_class={
            label: precision[asked & present[:, label]].mean().item()
            for label in range(present.shape[1])
            if (asked & present[:, label]).any()
        },
        details=LeaveOneOutDetails(
            mean_average_precision=mean_precision[asked].mean().item(),
            standardised=settings.standardised,
            k=settings.k,
            queries=int(asked.sum()),
        ),
    )


PROTOCOLS.register(
    "leave-one-out",
    Protocol(
        function=leave_one_out,
        settings=LeaveOneOutSettings,
        details=LeaveOneOutDetails,
        paper="nearest clips",
        each="",
        splits=False,
        admits=check_rankings,
    ),
    definition=leave_one_out,
)


def precision_at(
    scores: Float[Tensor, "lists items"], relevant: Bool[Tensor, "lists items"], k: int
) -> Float[Tensor, " lists"]:
    """Share of relevant items among the first k, expected over the orders of equal scores; float64."""
    ordered, order = torch.sort(scores, dim=-1, descending=True)
    found = functional.pad(relevant.gather(-1, order).cumsum(-1), (1, 0)).double()  # found[j]: among the first j
    ends = tie_ends(ordered)
    end = ends[:, k - 1] + 1
    # The tie that place k stands in begins where the last tie that ends before k has ended.
    begin = torch.where(ends[:, :k] < k - 1, ends[:, :k] + 1, 0).amax(dim=-1)
    begin = torch.where(end == k, k, begin)
    before, after = (found.gather(-1, place[:, None])[:, 0] for place in (begin, end))
    share = (k - begin).double() / (end - begin).clamp(min=1)
    return (before + share * (after - before)) / k


def directions(embeddings: Float[np.ndarray, "clips dim"], *, standardised: bool) -> Float[Tensor, "clips dim"]:
    """Embeddings at unit length, standardised first if asked; a zero embedding stays zero, like to none."""
    features = validation.as_float32(embeddings)
    if standardised:
        features = standardise(features, *moments(features))
    return functional.normalize(features, dim=1)
