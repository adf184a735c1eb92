"""Inputs of the protocols from a corpus: targets and splits.

Splits are the corpus's own folds, else its own splits; validation is carved where it has none (`splits`). A
corpus without any is divided by group, 70 % to train, 10 % to validate and 20 % to test, from the seed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Shaped

from soundloom.corpora import Corpus
from soundloom.errors import InvalidArgumentError
from soundloom.evaluation.splits import Split, from_folds, from_parts

__all__ = ["splits_of", "targets_of"]

DRAWN = (0.7, 0.1, 0.2)
"""Shares of train, valid and test where a corpus has no splits."""


def targets_of(corpus: Corpus) -> Shaped[np.ndarray, "clips ..."]:
    """Class numbers of a single-label corpus, zeros and ones of a multi-label one.

    Raises:
        InvalidArgumentError: the corpus has no labels.
    """
    if not corpus.classes:
        raise InvalidArgumentError("its clips have no labels: give folders or lists that name them")
    return corpus.label_ids() if corpus.task == "single-label" else corpus.label_matrix()


def splits_of(corpus: Corpus, targets: Shaped[np.ndarray, "clips ..."], *, seed: int) -> list[Split]:
    """The splits to measure on; see the module's text.

    Raises:
        InvalidArgumentError: splits that leave a part empty, or folds that not every clip has.
        CorpusError: too few groups to draw splits.
    """
    folds, parts = corpus.column("fold"), corpus.column("split")
    if any(fold is not None for fold in folds):
        if None in folds:
            raise InvalidArgumentError(
                f"{folds.count(None)} clips are in no fold: leave them out with filter(fold=...)"
            )
        return from_folds(np.array(folds), targets, groups=_groups(corpus, folds), seed=seed)
    if not any(part is not None for part in parts):
        parts = corpus.with_grouped_splits(DRAWN, seed=seed).column("split")
    names = np.array([part or "" for part in parts])
    return from_parts(names, targets, groups=_groups(corpus, parts), seed=seed)


def _groups(corpus: Corpus, parts: Sequence[object]) -> Shaped[np.ndarray, " clips"]:
    """What validation must not be carved out of the middle of.

    A group that the corpus itself has in several parts (the speakers, where speakers are the classes) need not
    be held together: each of its clips stands alone.
    """
    groups = corpus.column("group")
    parts_of: dict[object, set[object]] = {}
    for group, part in zip(groups, parts, strict=True):
        parts_of.setdefault(group, set()).add(part)
    torn = {None} | {group for group, found in parts_of.items() if len(found) > 1}
    return np.array([f"clip {row}" if group in torn else f"group {group}" for row, group in enumerate(groups)])
