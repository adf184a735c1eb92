"""Frame classifier (Jansen 2017, 4.3): a shallow perceptron on frames, with all labels or with a few a class.

"[...] training a shallow fully-connected neural networks (1 or 2 layers of 512 units each) using
labeled AudioSet segments. The output layer consists of independent logistic regression models for each
class. [...] we compute segment-level scores (average of the frame-level predictions) for the evaluation
set, and we again report the mean average precision." And: "lightly supervised classifiers trained on just
20 examples per class (we report average performance over 3 training samples)".

Conventions: as in `frame_data`; single labels are taken as one independent output each. Probabilities, not
logits, are averaged. Not in the paper and chosen here: standardised frames, Adam at 1e-3, early stopping
on the validation frames as in `linear`, three runs where the paper has one.

When not: one vector a clip; see `mlp`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int, Shaped

from soundloom.errors import InvalidArgumentError
from soundloom.evaluation import scores, validation
from soundloom.evaluation.probes.batched_mlp import ProbeTraining
from soundloom.evaluation.probes.common import class_means, run_seeds
from soundloom.evaluation.probes.frame_data import clip_means, fit_frames, validate
from soundloom.evaluation.protocols import PROTOCOLS, Protocol
from soundloom.evaluation.scores import Details, Score
from soundloom.evaluation.splits import Split, carve, check_every_split

__all__ = [
    "FewShotDetails",
    "FewShotSettings",
    "ShallowDetails",
    "ShallowSettings",
    "draw_few",
    "few_shot",
    "shallow_classifier",
    "validate",
]

WINDOW = 0.96
"""Seconds of a frame: "each 0.96 second context window" (4.2)."""


@dataclass(frozen=True, kw_only=True)
class ShallowSettings:
    """The paper's settings.

    Attributes:
        layers: hidden layers, 1 or 2 in the paper.
        hidden: width of each.
        runs: trainings that are averaged.
        rate: learning rate of Adam.
        training: epochs, patience and batch size in frames.
    """

    layers: int = 1
    hidden: int = 512
    runs: int = 3
    rate: float = 1e-3
    training: ProbeTraining = field(default_factory=ProbeTraining)

    def __post_init__(self) -> None:
        for name in ("layers", "hidden", "runs", "rate"):
            if getattr(self, name) <= 0:
                raise InvalidArgumentError(f"{name} must be positive, got {getattr(self, name)}")


@dataclass(frozen=True, kw_only=True)
class FewShotSettings:
    """The paper's settings.

    Attributes:
        segments: training clips drawn for each class.
        draws: draws that are averaged.
        classifier: the classifier trained on each draw; its runs are not used, a draw is a run.
    """

    segments: int = 20
    draws: int = 3
    classifier: ShallowSettings = field(default_factory=ShallowSettings)

    def __post_init__(self) -> None:
        if self.segments < 1 or self.draws < 1:
            raise InvalidArgumentError(f"needs at least 1 segment and 1 draw, got {self.segments} and {self.draws}")


@dataclass(frozen=True, kw_only=True)
class ShallowDetails(Details):
    """Details of the classifier on all labels.

    Attributes:
        splits: names of the splits.
        by_split: the metric of each split and run, ``[splits, runs]``.
        layers: hidden layers.
    """

    splits: list[str]
    by_split: list[list[float]]
    layers: int


@dataclass(frozen=True, kw_only=True)
class FewShotDetails(Details):
    """Details of the classifier on a few clips a class.

    Attributes:
        splits: names of the splits.
        by_split: the metric of each split and draw, ``[splits, draws]``.
        segments: training clips drawn for each class.
        trained: training clips of each split and draw, ``[splits, draws]``.
    """

    splits: list[str]
    by_split: list[list[float]]
    segments: int
    trained: list[list[int]]


def shallow_classifier(
    frames: Float[np.ndarray, "frames dim"],
    clips: Int[np.ndarray, " frames"],
    labels: Shaped[np.ndarray, "clips ..."],
    splits: Sequence[Split],
    *,
    settings: ShallowSettings | None = None,
    seed: int = 0,
) -> Score:
    """Macro mAP over clips of frame scores averaged in each clip; one value a run, averaged over the splits.

    Details: `ShallowDetails`.

    Raises:
        InvalidArgumentError: what `frame_data.validate` refuses.
    """
    settings = settings or ShallowSettings()
    validate(frames, clips, labels, splits)
    tables = [
        clip_precisions(frames, clips, labels, split, settings, run_seeds(seed, number, settings.runs))
        for number, split in enumerate(splits)
    ]
    by_split = np.nanmean(np.stack(tables), axis=2)
    return scores.summarise(
        "shallow",
        "mAP",
        by_split.mean(axis=0).tolist(),
        seed=seed,
        per_class=class_means([run for table in tables for run in table]),
        details=ShallowDetails(
            splits=[split.name for split in splits], by_split=by_split.tolist(), layers=settings.layers
        ),
    )


PROTOCOLS.register(
    "shallow",
    Protocol(
        function=shallow_classifier,
        settings=ShallowSettings,
        details=ShallowDetails,
        paper="Jansen 2017, 4.3",
        window=WINDOW,
        standardises=True,
        admits=check_every_split,
    ),
    definition=shallow_classifier,
)


def few_shot(
    frames: Float[np.ndarray, "frames dim"],
    clips: Int[np.ndarray, " frames"],
    labels: Shaped[np.ndarray, "clips ..."],
    splits: Sequence[Split],
    *,
    settings: FewShotSettings | None = None,
    seed: int = 0,
    protocol: str = "few-shot",
) -> Score:
    """As `shallow_classifier`, trained on a few clips a class; one value a draw, averaged over the splits.

    No label but those of the few is used: a fifth of them stops the training, then all of them train for as many epochs
    (of a single clip a class, none can be spared: the split's validation part stops it). Details: `FewShotDetails`.

    Raises:
        InvalidArgumentError: what `frame_data.validate` refuses.
    """
    settings = settings or FewShotSettings()
    validate(frames, clips, labels, splits)
    tables = []
    trained: list[list[int]] = []
    for number, split in enumerate(splits):
        trained.append([])
        for draw in range(settings.draws):
            few = draw_few(split.train, labels, settings.segments, seed=(seed, number, draw))
            reduced = _of_few(split, few, labels, seed=(seed, number, draw))
            seeds = run_seeds(seed, number, settings.draws)[draw : draw + 1]
            tables.append(clip_precisions(frames, clips, labels, reduced, settings.classifier, seeds, refit=True)[0])
            trained[-1].append(len(few))
    by_split = np.nanmean(np.stack(tables), axis=1).reshape(len(splits), settings.draws)
    return scores.summarise(
        protocol,
        "mAP",
        by_split.mean(axis=0).tolist(),
        seed=seed,
        per_class=class_means(tables),
        details=FewShotDetails(
            splits=[split.name for split in splits],
            by_split=by_split.tolist(),
            segments=settings.segments,
            trained=trained,
        ),
    )


PROTOCOLS.register(
    "few-shot",
    Protocol(
        function=few_shot,
        settings=FewShotSettings,
        details=FewShotDetails,
        paper="Jansen 2017, 4.3",
        window=WINDOW,
        each="draw",
        standardises=True,
        admits=check_every_split,
    ),
    definition=few_shot,
)


@dataclass(frozen=True, kw_only=True)
class FiveShotSettings(FewShotSettings):
    """Five clips a class: of a collection with forty, such as ESC-50, twenty are half."""

    segments: int = 5


def five_shot(
    frames: Float[np.ndarray, "frames dim"],
    clips: Int[np.ndarray, " frames"],
    labels: Shaped[np.ndarray, "clips ..."],
    splits: Sequence[Split],
    *,
    settings: FiveShotSettings | None = None,
    seed: int = 0,
) -> Score:
    """As `few_shot`, with five clips a class."""
    return few_shot(
        frames, clips, labels, splits, settings=settings or FiveShotSettings(), seed=seed, protocol="few-shot-5"
    )


PROTOCOLS.register(
    "few-shot-5",
    Protocol(
        function=five_shot,
        settings=FiveShotSettings,
        details=FewShotDetails,
        paper="Jansen 2017, 4.3, with five clips a class instead of twenty",
        window=WINDOW,
        each="draw",
        standardises=True,
        admits=check_every_split,
    ),
    definition=five_shot,
)


def _of_few(
    split: Split, few: Int[np.ndarray, " few"], labels: Shaped[np.ndarray, "clips ..."], *, seed: Sequence[int]
) -> Split:
    """The split of drawn clips, a fifth of which stop the training."""
    try:
        fitted, stopping = carve(few, labels, fraction=0.2, seed=seed)
    except InvalidArgumentError:
        return Split(split.name, few, split.valid, split.test)
    return Split(split.name, fitted, stopping, split.test, carved=True)


def draw_few(
    train: Int[np.ndarray, " trained"],
    labels: Shaped[np.ndarray, "clips ..."],
    segments: int,
    *,
    seed: int | Sequence[int] = 0,
) -> Int[np.ndarray, " few"]:
    """So many random training clips of each class, or all it has; a clip drawn for two classes comes once."""
    generator = np.random.default_rng(seed)
    present = validation.presence(labels)[train]
    drawn = [generator.permutation(train[has])[:segments] for has in present.T]
    return np.unique(np.concatenate(drawn))


def clip_precisions(
    frames: np.ndarray,
    clips: np.ndarray,
    labels: np.ndarray,
    split: Split,
    settings: ShallowSettings,
    seeds: Sequence[int],
    *,
    refit: bool = False,
) -> Float[np.ndarray, "runs classes"]:
    """Average precision of each class over the test clips, for each run; ``refit`` as for `fit_frames`."""
    outputs, rows = fit_frames(
        frames,
        clips,
        labels,
        split,
        hidden=(settings.hidden,) * settings.layers,
        loss="logistic",
        rate=settings.rate,
        seeds=seeds,
        training=settings.training,
        refit=refit,
    )
    segments = [clip_means(run, clips[rows], split.test) for run in outputs.sigmoid().numpy()]
    return np.stack([scores.average_precisions(segment, labels[split.test]) for segment in segments])
