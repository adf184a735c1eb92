"""Train, validation and test indices from the folds or parts of a corpus.

Official folds and parts are taken as they are: no clip ever moves from one fold, or from test, to
another. Only where a set has no validation part (ESC-50, UrbanSound8K: folds; GTZAN's two lists as
COALA uses them) is one carved, and always out of the training part. Such a split says so (``carved``):
its validation clips are training clips, on loan to choose settings, and the probes give them back.

- clips that share a group (a recording, a speaker, an uploader) go together, when groups are given;
- classes are served from the rarest to the commonest: groups that hold the class are drawn in random
  order until a share ``fraction`` of its training clips is in validation. A group is not drawn when
  that would leave one of its classes without training clips, so a class of one group stays in training;
  where no group can be drawn at all, clips are drawn singly;
- the draw follows from the seed and the split's name alone.

This is the greedy idea of iterative stratification (Sechidis 2011) for one part; it serves single labels
and multi-hot labels alike. When not: as a way to make folds; corpora bring theirs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int, Shaped

from soundloom.errors import InvalidArgumentError
from soundloom.evaluation import validation

__all__ = ["Split", "carve", "check_every_split", "from_folds", "from_parts", "validate"]

PARTS = ("train", "valid", "test")


@dataclass(frozen=True, eq=False)
class Split:
    """Index triples into the clips: disjoint, none empty.

    Attributes:
        name: the fold that is tested, or ``"test"``.
        train: clips to fit, ascending.
        valid: clips that stop the training and choose its settings, ascending.
        test: clips that are scored, ascending.
        carved: whether ``valid`` was cut out of the set's training part, not given by the set.
    """

    name: str
    train: Int[np.ndarray, " trained"]
    valid: Int[np.ndarray, " validated"]
    test: Int[np.ndarray, " tested"]
    carved: bool = False

    @property
    def known(self) -> Int[np.ndarray, " known"]:
        """The training and validation clips together, ascending."""
        return np.sort(np.concatenate([self.train, self.valid]))


def validate(splits: Sequence[Split], clips: int) -> None:
    """Refuse splits that do not cut these clips cleanly.

    Raises:
        InvalidArgumentError: no split, an empty part, a clip in two parts, or an index outside the clips.
    """
    if not splits:
        raise InvalidArgumentError("no split given: make some with from_folds or from_parts")
    for split in splits:
        parts = [getattr(split, part) for part in PARTS]
        for part, indices in zip(PARTS, parts, strict=True):
            if not len(indices):
                raise InvalidArgumentError(f"the {part} part of split {split.name!r} is empty")
        together = np.concatenate(parts)
        if together.min() < 0 or together.max() >= clips:
            raise InvalidArgumentError(
                f"split {split.name!r} names clips {together.min()} to {together.max()}, there are {clips}: "
                "was it made for another corpus?"
            )
        if len(np.unique(together)) != len(together):
            raise InvalidArgumentError(f"split {split.name!r} has clips in two of its parts")


def check_every_split(labels: np.ndarray, splits: Sequence[Split] | None, settings: object = None) -> None:  # noqa: ARG001
    """Refuse splits if a classifier cannot learn one of them; `soundloom.evaluation.protocols.Protocol.admits`.

    Raises:
        InvalidArgumentError: what `validation.check_trainable` refuses.
    """
    for split in splits or ():
        validation.check_trainable(labels, split.train, split.test, split.name)


def from_folds(
    folds: Shaped[np.ndarray, " clips"],
    labels: Shaped[np.ndarray, "clips ..."],
    *,
    groups: Shaped[np.ndarray, " clips"] | None = None,
    fraction: float = 0.1,
    seed: int = 0,
) -> list[Split]:
    """One split a fold: that fold is tested, the others train, and validation is carved from the others.

    Args:
        folds: the fold of each clip, numbers or names; folds are taken in sorted order.
        labels: classes of the clips, of either kind.
        groups: what must not be torn apart between training and validation; None: every clip alone.
        fraction: share of each class's training clips that validates.
        seed: what the carving draws from.

    Raises:
        InvalidArgumentError: a single fold, or labels or groups of another length.
    """
    validation.check_labels(labels, len(folds))
    names = np.unique(folds)
    if len(names) < 2:
        raise InvalidArgumentError(f"cross-validation needs at least two folds, got {names.tolist()}")
    splits = []
    for number, name in enumerate(names):
        train, valid = carve(
            np.flatnonzero(folds != name), labels, groups=groups, fraction=fraction, seed=(seed, number)
        )
        splits.append(Split(str(name), train, valid, np.flatnonzero(folds == name), carved=True))
    validate(splits, len(folds))
    return splits


def from_parts(
    parts: Shaped[np.ndarray, " clips"],
    labels: Shaped[np.ndarray, "clips ..."],
    *,
    groups: Shaped[np.ndarray, " clips"] | None = None,
    fraction: float = 0.1,
    seed: int = 0,
) -> list[Split]:
    """The one split of a set that names its parts; validation is carved from training if no part is ``"valid"``.

    Args:
        parts: ``"train"``, ``"valid"`` or ``"test"`` for each clip; the empty string leaves a clip out.
        labels: classes of the clips, of either kind.
        groups: as in `from_folds`.
        fraction: as in `from_folds`.
        seed: as in `from_folds`.

    Raises:
        InvalidArgumentError: another part name, no training or test clips, or labels or groups of another length.
    """
    validation.check_labels(labels, len(parts))
    unknown = sorted({str(part) for part in parts} - {*PARTS, ""})
    if unknown:
        raise InvalidArgumentError(f"parts must be of {list(PARTS)} or empty, got {unknown[: validation.SHOWN]}")
    train, valid, test = (np.flatnonzero(parts == part) for part in PARTS)
    carved = not len(valid) and len(train) > 0
    if carved:
        train, valid = carve(train, labels, groups=groups, fraction=fraction, seed=(seed, 0))
    splits = [Split("test", train, valid, test, carved=carved)]
    validate(splits, len(parts))
    return splits


def carve(
    train: Int[np.ndarray, " trained"],
    labels: Shaped[np.ndarray, "clips ..."],
    *,
    groups: Shaped[np.ndarray, " clips"] | None = None,
    fraction: float = 0.1,
    seed: int | Sequence[int] = 0,
) -> tuple[Int[np.ndarray, " kept"], Int[np.ndarray, " carved"]]:
    """Cut a validation part out of training clips, by class and by group (see the module's text).

    Returns:
        The clips that still train and those that validate, both ascending.

    Raises:
        InvalidArgumentError: a fraction outside (0, 1), groups of another length, or no clip that can be spared.
    """
    if not 0 < fraction < 1:
        raise InvalidArgumentError(f"fraction must lie between 0 and 1, got {fraction}")
    if groups is not None and len(groups) != len(labels):
        raise InvalidArgumentError(f"groups are of {len(groups)} clips, labels of {len(labels)}")
    # counts[g, c]: training clips of group g with class c. A clip without any class counts for none.
    owner = np.arange(len(train)) if groups is None else np.unique(groups[train], return_inverse=True)[1]
    counts = np.zeros((owner.max() + 1, validation.class_count(labels)), np.int64)
    np.add.at(counts, owner, validation.presence(labels)[train])

    generator = np.random.default_rng(seed)
    total = counts.sum(axis=0)
    taken = np.zeros_like(total)
    carved = np.zeros(len(counts), bool)
    for label in np.argsort(total, kind="stable"):
        wanted = max(1, round(fraction * total[label]))
        for group in generator.permutation(np.flatnonzero(counts[:, label])):
            if taken[label] >= wanted:
                break
            exhausted = (counts[group] > 0) & (taken + counts[group] >= total)
            if not carved[group] and not exhausted.any():
                carved[group] = True
                taken += counts[group]
    if not carved.any() and groups is not None:
        # Too few groups to spare one, such as three instruments: clips are drawn singly. What is tested stays
        # apart all the same; only the choice of settings uses a group that is also trained on.
        return carve(train, labels, fraction=fraction, seed=seed)
    if not carved.any():
        raise InvalidArgumentError("no validation part can be carved: every class has a single clip")
    return train[~carved[owner]], train[carved[owner]]
