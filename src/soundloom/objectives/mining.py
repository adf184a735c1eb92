"""Negative mining for triplets: semi-hard (Schroff 2015), hardest, or random, over the batch of all devices.

`semi_hard` is Schroff 2015, section 3.2: the nearest negative that is still farther than the positive. Where no
negative is farther, it is the farthest there is, the one of them that is least hard: the nearest would pull all
embeddings together, early in the training ("collapsed model", ibid.).

A candidate is no negative of an anchor when it is known to be like it: of the anchor's recording, or with a piece of it
mixed in; and, where labels are known, of a class of the anchor's. To an anchor whose positive was sampled by label
only the classes say what is like it: one recording may hold sounds of many.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from soundloom.distributed import all_gather
from soundloom.objectives.base import Batch
from soundloom.objectives.samplers import SAMPLERS

__all__ = ["MINING", "Known", "hardest", "negatives_of", "random_one", "semi_hard"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Known:
    """What is known of the sounds of a batch, anchors first and then their positives.

    Attributes:
        recordings: the recording of each, and the one of what was mixed into it (its own, if nothing was).
        labels: its classes, where labels are known.
        by_label: the anchors whose positive was sampled by label.
    """

    recordings: Int[Tensor, "both 2"]
    labels: Bool[Tensor, "both classes"] | None
    by_label: Bool[Tensor, " batch"]

    @classmethod
    def of(cls, batch: Batch) -> Self:
        """Recordings and labels of a batch of `triplet_sampler`, which say what may be a negative."""
        return cls(
            recordings=batch["recordings"].mT.flatten()[:, None].expand(-1, 2),
            labels=batch["labels"].transpose(0, 1).flatten(0, 1) if "labels" in batch else None,
            by_label=batch["sampler"] == SAMPLERS.index("labelled"),
        )

    def unlike(self) -> Bool[Tensor, "batch candidates"]:
        """Whether a candidate, of those that `all_gather` gives of this batch, may be the anchor's negative."""
        return self._unlike(all_gather(self.recordings), None if self.labels is None else all_gather(self.labels))

    def partners(self) -> Int[Tensor, " batch"]:
        """For each anchor another at random that is unlike it: what to mix in, and perhaps its negative as well."""
        return random_one(self._unlike_anchors())

    def have_negatives(self) -> bool:
        """Whether for every anchor another is unlike it."""
        return bool(self._unlike_anchors().any(dim=1).all())

    def mixed(self, rows: Bool[Tensor, " batch"], partners: Int[Tensor, " batch"]) -> Self:
        """The same when into the positives of these rows their anchor's partner was mixed."""
        count = len(rows)
        own, other = self.recordings.unbind(dim=1)
        other = torch.cat([other[:count], torch.where(rows, own[partners], other[count:])])
        labels = self.labels
        if labels is not None:
            labels = torch.cat([labels[:count], labels[count:] | (labels[partners] & rows[:, None])])
        return replace(self, recordings=torch.stack([own, other], dim=1), labels=labels)

    def _unlike_anchors(self) -> Tensor:
        """Whether an anchor may be another's negative."""
        anchors = len(self.by_label)
        return self._unlike(self.recordings[:anchors], None if self.labels is None else self.labels[:anchors])

    def _unlike(self, recordings: Tensor, labels: Tensor | None) -> Tensor:
        anchors = len(self.by_label)
        like: Tensor = (self.recordings[:anchors, :1, None] == recordings.mT[None]).any(dim=1)
        if self.labels is not None and labels is not None:
            shared = self.labels[:anchors].float() @ labels.float().mT > 0
            like = shared | (like & ~self.by_label[:, None])
        return ~like


def negatives_of(
    anchors: Float[Tensor, "batch dim"],
    near: Float[Tensor, " batch"],
    embeddings: Float[Tensor, "both dim"],
    known: Known,
    mining: str,
) -> tuple[Float[Tensor, " batch"], Bool[Tensor, " batch"]]:
    """The squared distance of each anchor to its negative, and whether it has one at all.

    Args:
        anchors: unit embeddings of this process's anchors.
        near: their squared distances to their positives.
        embeddings: unit embeddings of this process's anchors and positives.
        known: of these.
        mining: a name of `MINING`.
    """
    candidates, unlike = all_gather(embeddings), known.unlike()
    with torch.no_grad():
        far = (2 - 2 * anchors @ candidates.mT).float()
        chosen = MINING[mining](far, near, unlike)
    # Anew and by differences: a product of half precision may do to choose with, but not to learn from.
    return (anchors - candidates[chosen]).square().sum(dim=1), unlike.any(dim=1)


def semi_hard(
    far: Float[Tensor, "batch candidates"], near: Float[Tensor, " batch"], unlike: Bool[Tensor, "batch candidates"]
) -> Int[Tensor, " batch"]:
    """The nearest negative farther than the positive; where there is none, the farthest negative."""
    farther = unlike & (far > near[:, None])
    nearest = far.masked_fill(~farther, torch.inf).argmin(dim=1)
    farthest = far.masked_fill(~unlike, -torch.inf).argmax(dim=1)
    return torch.where(farther.any(dim=1), nearest, farthest)


def hardest(
    far: Float[Tensor, "batch candidates"],
    near: Float[Tensor, " batch"],  # noqa: ARG001 (a miner's signature)
    unlike: Bool[Tensor, "batch candidates"],
) -> Int[Tensor, " batch"]:
    """The nearest negative, nearer than the positive or not."""
    return far.masked_fill(~unlike, torch.inf).argmin(dim=1)


def _unmined(far: Tensor, near: Tensor, unlike: Tensor) -> Tensor:  # noqa: ARG001
    return random_one(unlike)


def random_one(allowed: Bool[Tensor, "rows columns"]) -> Int[Tensor, " rows"]:
    """A column at random of those allowed in each row; any in a row that allows none."""
    return torch.rand(allowed.shape, device=allowed.device).masked_fill(~allowed, -1).argmax(dim=1)


MINING: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "semi-hard": semi_hard,
    "hardest": hardest,
    "none": _unmined,
}
"""Name -> (squared distances, those of the positives, who may be a negative) -> the negative's place."""
