"""Inputs of the protocols from the features of a corpus: targets and splits; and the score.

Splits are the corpus's own folds, else its own splits; validation is carved where it has none (`splits`). A
corpus without any is parted by group, 70 % to train, 10 % to validate and 20 % to test, from the seed. What a
protocol refuses comes out as an `EvaluationError` that names the corpus.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Shaped

from soundloom.corpora import Corpus, CorpusError
from soundloom.errors import InvalidArgumentError
from soundloom.evaluation.analysis.ablation import AblationDetails, ablate
from soundloom.evaluation.analysis.correlation import correlation_analysis
from soundloom.evaluation.extraction import Features, named_statistics
from soundloom.evaluation.protocols import find_protocol
from soundloom.evaluation.results import EvaluationError
from soundloom.evaluation.scores import Score, summarise
from soundloom.evaluation.splits import Split, from_folds, from_parts

__all__ = ["ABLATED", "run_ablation", "run_correlation", "run_protocol", "splits_of", "targets_of"]

ABLATED = "linear"
"""The protocol that an ablation repeats for every subset of the parts."""

DRAWN = (0.7, 0.1, 0.2)
"""Shares of train, valid and test where a corpus has no splits."""


def run_protocol(protocol: str, features: Features, *, settings: Any, seed: int) -> Score:
    """The score of a protocol of the table.

    Raises:
        EvaluationError: the protocol refuses this corpus or these embeddings.
    """
    row = find_protocol(protocol)
    with _naming(protocol, features.corpus):
        targets = targets_of(features.corpus)
        arguments: list[Any] = [features.vectors, features.clips] if row.window is not None else [features.vectors]
        arguments.append(targets)
        if row.splits:
            arguments.append(splits_of(features.corpus, targets, seed=seed))
        return row.function(*arguments, settings=settings, seed=seed)


def run_correlation(features: Features, acoustics: Features, *, seed: int) -> Score:
    """The correlation analysis, over the clips that have both embeddings and acoustic features.

    Raises:
        EvaluationError: too few clips, or nothing varies.
    """
    with _naming("correlation", features.corpus):
        _, mine, theirs = np.intersect1d(features.positions, acoustics.positions, return_indices=True)
        return correlation_analysis(features.vectors[mine], named_statistics(acoustics.vectors[theirs]), seed=seed)


def run_ablation(features: Features, parts: Mapping[str, slice], *, settings: Any, seed: int) -> Score:
    """The ablation of a woven model, as a score: that of all parts, the rest in the details.

    Details: `AblationDetails`.

    Raises:
        EvaluationError: the protocol refuses this corpus or these embeddings.
    """
    with _naming("ablation", features.corpus):
        if len(parts) < 2:
            raise InvalidArgumentError(f"the model has the one part {', '.join(parts)}: weave two or more with '+'")
        targets = targets_of(features.corpus)
        protocol = partial(
            find_protocol(ABLATED).function,
            labels=targets,
            splits=splits_of(features.corpus, targets, seed=seed),
            settings=settings,
            seed=seed,
        )
        # Guessing: one class in so many; for several labels a clip, mAP is the share of clips with the class.
        chance = 1 / len(features.corpus.classes) if targets.ndim == 1 else float(targets.mean())
        ablation = ablate(features.vectors, parts, protocol, chance=chance)
    everything = ablation.scores[tuple(parts)]
    return summarise(
        "ablation",
        everything.metric,
        everything.values,
        seed=seed,
        details=AblationDetails(
            protocol=ABLATED,
            chance=ablation.chance,
            subsets={"+".join(names): (score.mean, score.interval) for names, score in ablation.scores.items()},
            contributions=ablation.contributions,
        ),
    )


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


@contextmanager
def _naming(protocol: str, corpus: Corpus) -> Iterator[None]:
    """Whatever is refused, said with what it was refused for."""
    try:
        if not len(corpus):
            raise InvalidArgumentError("none of its clips could be decoded")
        yield
    except (ValueError, CorpusError) as error:
        raise EvaluationError(f"{protocol} on {corpus.name}: {error}") from error
