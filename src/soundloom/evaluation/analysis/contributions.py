"""Contributions of the parts of a woven embedding, as Shapley values: to the score, every class, a single clip.

Verma 2023 (introduction): "these feature-based embeddings are interpretable; for example, for a task, we can see how
much pitch-based and timbre-based features would contribute, in terms of absolute metrics". The same linear model is
trained on every subset of the parts, and each subset's outputs for the test chunks are measured as the paper's tables
are: top-5 accuracy of chunks of 1 s, and macro mAP of clips, whose outputs are their chunks' means. From the scores of
all subsets follows each part's fair share (`shapley`)

    of both metrics;
    of every class's average precision: for a siren, pitch; for rain, timbre;
    of a single clip's output for its own class: which part saw what the clip is, and which was misled.

The score of no part is that of knowing nothing: top-k / classes for single labels, a class's share of the clips for
its average precision, and for an output its mean over the test clips.

When not: to explain one model's decision to the last digit. A clip's shares are of models trained on subsets, which is
what can be said of an output that is not a sum.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int

from soundloom.errors import InvalidArgumentError
from soundloom.evaluation import scores
from soundloom.evaluation.analysis.shapley import Subset, shapley_values, subsets_of
from soundloom.evaluation.probes.frame_data import clip_means
from soundloom.pictures.typography import DPI, FAINT, fitted, font, text

__all__ = ["Contributions", "Measured", "contributions", "mean_of", "measure", "plot"]

TOP = 5
"""Outputs among which a chunk's class is looked for (Verma 2023, table 1)."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Measured:
    """The scores of one subset.

    Attributes:
        top: share of chunks with a class of theirs among the five highest outputs.
        precision: macro mAP of clips.
        classes: average precision of every class, [classes]; nan for a class that no clip has.
        clips: each clip's mean output for its own class (the mean over them if it has several), [clips].
    """

    top: float
    precision: float
    classes: Float[np.ndarray, " classes"]
    clips: Float[np.ndarray, " clips"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Contributions:
    """Every subset's scores, and each part's shares of them.

    Attributes:
        parts: names, in the embedding's order.
        measured: subset -> its scores; the smallest first.
        chance: the scores of no part.
        top: part -> its share of the top-5 accuracy.
        precision: part -> its share of the mAP.
        classes: part -> its share of every class's average precision, [classes]; nan where there is none.
        clips: part -> how much it moved each clip's output for its own class, [clips].
    """

    parts: tuple[str, ...]
    measured: Mapping[Subset, Measured]
    chance: Measured
    top: Mapping[str, float]
    precision: Mapping[str, float]
    classes: Mapping[str, Float[np.ndarray, " classes"]]
    clips: Mapping[str, Float[np.ndarray, " clips"]]

    def helps_most(self) -> list[str | None]:
        """For every class the part with the largest share; None for a class that no clip has."""
        shares = np.stack([self.classes[part] for part in self.parts])
        return [None if np.isnan(column).any() else self.parts[int(column.argmax())] for column in shares.T]


def measure(
    outputs: Float[np.ndarray, "chunks classes"],
    owners: Int[np.ndarray, " chunks"],
    labels: Bool[np.ndarray, "clips classes"],
) -> Measured:
    """The scores of one subset's outputs.

    Args:
        outputs: of every chunk; higher means more likely.
        owners: the clip of each chunk; every clip has one or more.
        labels: true where a clip has the class.

    Raises:
        InvalidArgumentError: a clip has no chunk, or what `scores` refuses.
    """
    silent = np.setdiff1d(np.arange(len(labels)), owners)
    if len(silent):
        raise InvalidArgumentError(
            f"{len(silent)} of {len(labels)} clips have no chunk, such as number {silent[0]}: leave them out"
        )
    averaged = clip_means(outputs, owners, np.arange(len(labels)))
    precisions = scores.average_precisions(averaged, labels)
    return Measured(
        top=scores.top_k_accuracy(outputs, labels[owners], min(TOP, labels.shape[1])),
        precision=float(np.nanmean(precisions)),
        classes=precisions,
        clips=_own(averaged, labels),
    )


def contributions(
    outputs: Mapping[Subset, Float[np.ndarray, "chunks classes"]],
    owners: Int[np.ndarray, " chunks"],
    labels: Bool[np.ndarray, "clips classes"],
    parts: Sequence[str],
) -> Contributions:
    """Measure every subset and share out the scores.

    Args:
        outputs: subset, in the parts' order -> outputs for every test chunk.
        owners: as for `measure`.
        labels: as for `measure`.
        parts: their names.

    Raises:
        InvalidArgumentError: the outputs of a subset are missing, or what `measure` refuses.
    """
    missing = [subset for subset in subsets_of(parts) if subset not in outputs]
    if missing:
        raise InvalidArgumentError(f"no outputs of {len(missing)} subsets of the parts, such as {'+'.join(missing[0])}")
    measured = {subset: measure(outputs[subset], owners, labels) for subset in subsets_of(parts)}
    everything = clip_means(outputs[tuple(parts)], owners, np.arange(len(labels)))
    return _shared(tuple(parts), measured, _chance(everything, labels))


def mean_of(every: Sequence[Contributions]) -> Contributions:
    """Folds of one corpus as one: metrics and classes are means over folds, clips come one fold after another.

    Raises:
        InvalidArgumentError: there is none, or they are of different parts.
    """
    if len({one.parts for one in every}) != 1:
        raise InvalidArgumentError(
            f"contributions of one or more folds and the same parts, got {[one.parts for one in every]}"
        )
    measured = {subset: _mean([one.measured[subset] for one in every]) for subset in every[0].measured}
    return _shared(every[0].parts, measured, _mean([one.chance for one in every]))


def plot(found: Contributions, path: Path, title: str) -> None:
    """Draw every subset's top-5 and mAP as bars, with chance as a dotted line, in a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    sizes = [len(subset) for subset in found.measured]
    figure = Figure(figsize=(11, 1.2 + 0.36 * len(sizes)), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(fitted(title, font(12), 10), **text(12))
    panels = figure.subplots(1, 2, sharey=True)
    headings = {"top": "top-5 of 1 s chunks, %", "precision": "mAP of clips, %"}
    for panel, (metric, heading) in zip(panels, headings.items(), strict=True):
        values = [100 * getattr(one, metric) for one in found.measured.values()]
        panel.barh(range(len(sizes)), values, color=[f"C{size - 1}" for size in sizes])
        for place, value in enumerate(values):
            panel.text(value, place, f" {value:.1f}", va="center", **text(8))
        panel.axvline(100 * getattr(found.chance, metric), color=FAINT, linestyle=":", linewidth=1)
        panel.set_xlim(0, 1.12 * max(values))
        panel.set_xlabel(heading, **text(10))
    panels[0].set_yticks(range(len(sizes)), ["+".join(subset) for subset in found.measured], **text(10))
    panels[0].invert_yaxis()
    figure.savefig(path, format="png", dpi=DPI, facecolor="white")


def _shared(parts: tuple[str, ...], measured: Mapping[Subset, Measured], chance: Measured) -> Contributions:
    every = {(): chance, **measured}

    def shares(metric: str) -> dict[str, np.ndarray]:
        return shapley_values({subset: np.asarray(getattr(one, metric)) for subset, one in every.items()}, parts)

    return Contributions(
        parts=parts,
        measured=measured,
        chance=chance,
        top={part: float(share) for part, share in shares("top").items()},
        precision={part: float(share) for part, share in shares("precision").items()},
        classes=shares("classes"),
        clips=shares("clips"),
    )


def _chance(averaged: Float[np.ndarray, "clips classes"], labels: Bool[np.ndarray, "clips classes"]) -> Measured:
    """Knowing nothing: five classes at random, every clip alike."""
    prior = labels.mean(axis=0)
    # None of a clip's own classes is among those drawn: hypergeometric; for single labels 1 - 5 / classes.
    classes, own = labels.shape[1], labels.sum(axis=1)
    missed = np.ones(len(labels))
    for drawn in range(min(TOP, classes)):
        missed *= np.clip((classes - own - drawn) / (classes - drawn), 0, 1)
    precisions = np.where(prior > 0, prior, np.nan)
    return Measured(
        top=float(1 - missed[own > 0].mean()),
        precision=float(np.nanmean(precisions)),
        classes=precisions,
        clips=_own(np.tile(averaged.mean(axis=0), (len(labels), 1)), labels),
    )


def _own(averaged: Float[np.ndarray, "clips classes"], labels: Bool[np.ndarray, "clips classes"]) -> np.ndarray:
    """Each clip's output for its own classes; 0 for a clip without any."""
    own: np.ndarray = (averaged * labels).sum(axis=1) / np.maximum(labels.sum(axis=1), 1)
    return own


def _mean(every: Sequence[Measured]) -> Measured:
    stacked = np.stack([one.classes for one in every])
    known = ~np.isnan(stacked).all(axis=0)
    classes = np.full(stacked.shape[1], np.nan)
    classes[known] = np.nanmean(stacked[:, known], axis=0)
    return Measured(
        top=float(np.mean([one.top for one in every])),
        precision=float(np.mean([one.precision for one in every])),
        classes=classes,
        clips=np.concatenate([one.clips for one in every]),
    )
