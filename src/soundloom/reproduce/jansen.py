"""Reproduction of Jansen 2017, tables 1 and 2: the share of the supervised gain that each sampler recovers.

Rows are the samplers, all of them together, log-mel without learning, and triplets sampled by label. Every embedding is
measured on the same windows of 0.96 s (`window_embeddings`), in each of the corpus's splits, averaged over the splits:

    retrieval     4.2: the mean over a clip's windows; pairs of a class among the test clips, by cosine
    classifiers   4.3: one or two layers of 512 on windows, whose scores are averaged over the clip
    20 a class    table 2: the same from a few training clips, a deeper one on log-mel, and a network from scratch

What is learned without labels comes from another collection, or from none of the clips that are tested: it is given
apart. The topline learns in each split from the clips that split trains on. In a split of few test clips chance is a
little lower than the paper's 0.331, and there is less to search among; so retrieval among all clips of the corpus is
measured too, for all but the topline, of which there is one a split.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from soundloom.corpora import Corpus
from soundloom.errors import InvalidArgumentError
from soundloom.evaluation.probes.batched_mlp import ProbeTraining
from soundloom.evaluation.probes.frame_classifier import (
    FewShotSettings,
    ShallowSettings,
    draw_few,
    few_shot,
    shallow_classifier,
)
from soundloom.evaluation.protocol_inputs import splits_of, targets_of
from soundloom.evaluation.results import corpus_digest, write_whole
from soundloom.evaluation.retrieval.query_by_example import query_by_example
from soundloom.evaluation.runner import environment
from soundloom.evaluation.splits import Split
from soundloom.feature_cache import form_of, prepare
from soundloom.objectives import only
from soundloom.recipes.architectures import build_stream
from soundloom.recipes.initial_stream import streams_of
from soundloom.recipes.linear import WindowEmbeddings
from soundloom.recipes.triplet import TripletRecipe
from soundloom.reproduce.jansen_tables import BASELINE, COLUMNS, TITLES, TOPLINE, cells, draw_bars, markdown
from soundloom.reproduce.reporter import SILENT, Reporter
from soundloom.reproduce.result_cache import ResultCache
from soundloom.reproduce.train_from_scratch import from_scratch
from soundloom.reproduce.window_embeddings import embedded, log_mel
from soundloom.training.flat_config import flatten

__all__ = ["JansenResult", "JansenSettings", "reproduce", "write"]

SAMPLERS = {name: (name,) for name in ("noise", "translation", "mixing", "proximity")}
UNLABELLED: Mapping[str, tuple[str, ...]] = {**SAMPLERS, "joint": tuple(SAMPLERS)}
"""Row -> the samplers that share its triplets."""


@dataclass(frozen=True, kw_only=True)
class JansenSettings:
    """What is measured, besides the recipe that trains.

    Attributes:
        splits: how many of a corpus's splits (folds) to measure on, the first ones; 0 for all.
        runs: trainings of each shallow classifier that are averaged; 1 in the paper.
        epochs: most epochs of each; validation stops it earlier.
        segments: clips a class of the lightly supervised setting; 0 does without table 2.
        draws: how often those are drawn.
        scratch_steps: steps of the network from scratch.
        unit_length: bring the embeddings of windows that were learned to unit length, as the triplet loss sees them;
            the paper does not say whether its classifiers and its retrieval do.
        seed: of draws and classifiers.
    """

    splits: int = 0
    runs: int = 1
    epochs: int = 200
    segments: int = 20
    draws: int = 3
    scratch_steps: int = 1000
    unit_length: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (
            ("splits", 0),
            ("runs", 1),
            ("epochs", 1),
            ("segments", 0),
            ("draws", 1),
            ("scratch_steps", 1),
        ):
            if getattr(self, name) < least:
                raise InvalidArgumentError(f"{name} must be at least {least}, got {getattr(self, name)}")


@dataclass(frozen=True, kw_only=True)
class JansenResult:
    """What was measured on a corpus.

    Attributes:
        corpus: its name.
        splits: names of the splits measured on.
        by_split: row -> column -> mAP in each split; the rows of table 2 have one column, "few".
        whole: row -> retrieval mAP among all clips.
        learned_from: name of the collection that was learned from without labels.
        recipe: what was trained.
        settings: what was measured.
    """

    corpus: str
    splits: tuple[str, ...]
    by_split: Mapping[str, Mapping[str, tuple[float, ...]]]
    whole: Mapping[str, float]
    learned_from: str
    recipe: TripletRecipe
    settings: JansenSettings

    @property
    def table(self) -> dict[str, dict[str, float]]:
        """Table 1: means over the splits."""
        return {
            row: {column: float(np.mean(values)) for column, values in found.items()}
            for row, found in self.by_split.items()
            if not row.startswith("few")
        }

    @property
    def few(self) -> dict[str, float]:
        """Table 2: means over the splits."""
        return {row: float(np.mean(found["few"])) for row, found in self.by_split.items() if row.startswith("few")}


def reproduce(
    corpus: Corpus,
    unlabelled: Corpus,
    recipe: TripletRecipe,
    settings: JansenSettings,
    out: Path,
    reporter: Reporter = SILENT,
) -> JansenResult:
    """Train and measure every row.

    Args:
        corpus: labelled clips to measure on.
        unlabelled: clips to learn from without their labels; none of the corpus's.
        recipe: what learns, how, and for how long; its samplers are the rows'.
        settings: what is measured.
        out: a folder for runs and the cache of measured numbers; a stopped reproduction goes on from there.
        reporter: takes the progress.

    Raises:
        CorpusError: a collection has not what a sampler or a protocol needs.
        TrainingError: a run cannot begin, go on, or be kept.
    """
    return _Reproduction(corpus, recipe, settings, out, reporter).over(unlabelled)


def write(found: Sequence[JansenResult], out: Path) -> dict[str, Any]:
    """Write results.json, tables.md and a picture for each corpus; returns everything measured as plain data."""
    one = found[0]
    results = {
        "paper": "Jansen 2017",
        "learned from": one.learned_from,
        "recipe": flatten(one.recipe),
        "settings": asdict(one.settings),
        "environment": environment(),
        "corpora": [
            {
                **{name: getattr(each, name) for name in ("corpus", "splits", "by_split", "whole")},
                "table 1": cells(each.table),
                "table 2": each.few,
            }
            for each in found
        ],
    }
    write_whole(out / "results.json", json.dumps(results, indent=1, default=asdict))
    write_whole(out / "tables.md", "\n".join(markdown(each.corpus, each.table, each.whole, each.few) for each in found))
    for each in found:
        draw_bars(each.corpus, each.table, each.few, out / f"{each.corpus}.png")
    return results


@dataclass(frozen=True, eq=False)
class _Representation:
    """A representation of every window of the corpus, and its identity."""

    identity: str
    windows: WindowEmbeddings


class _Reproduction:
    """One corpus, prepared and split."""

    def __init__(
        self, corpus: Corpus, recipe: TripletRecipe, settings: JansenSettings, out: Path, reporter: Reporter
    ) -> None:
        self.recipe, self.settings, self.out, self.reporter = recipe, settings, out, reporter
        self.blank = build_stream(recipe.stream, recipe.training.seed, BASELINE)
        form = form_of(self.blank)
        # Clips that could not be decoded are left out of every row.
        decoded = prepare(corpus, form, progress=reporter.preparing).lengths > 0
        self.corpus = corpus.filter(mask=decoded)
        self.dataset = prepare(self.corpus, form)
        self.labels = targets_of(self.corpus)
        splits = splits_of(self.corpus, self.labels, seed=settings.seed)
        self.splits = splits[: settings.splits or None]
        self.results = ResultCache(out / "measured.json")

    def over(self, unlabelled: Corpus) -> JansenResult:
        """All rows of both tables; the topline, which takes a training a split, last."""
        baseline = representation = _Representation(repr(self.blank.frontend), log_mel(self.blank, self.dataset))
        found, whole = {BASELINE: self.in_splits(BASELINE, baseline)}, {BASELINE: self.whole(BASELINE, baseline)}
        for row, samplers in UNLABELLED.items():
            representation = self.learned(row, samplers, unlabelled)
            found[row], whole[row] = self.in_splits(row, representation), self.whole(row, representation)
        if self.settings.segments:
            # The last row learned is the joint model's.
            found["few joint"] = self.few("few joint", representation, layers=1)
            found["few log-mel"] = self.few("few log-mel", baseline, layers=4)
            found["few scratch"] = self.scratch()
        found[TOPLINE] = self.in_splits(TOPLINE, self.topline)
        return JansenResult(
            corpus=self.corpus.name,
            splits=tuple(split.name for split in self.splits),
            by_split={row: found[row] for row in TITLES if row in found},
            whole=whole,
            learned_from=unlabelled.name,
            recipe=self.recipe,
            settings=self.settings,
        )

    def learned(self, run: str, samplers: Sequence[str], corpus: Corpus) -> _Representation:
        """What triplets of these samplers teach; the run goes on where it was stopped."""
        self.reporter.say(f"{run}: learning from {corpus.name}")
        recipe = replace(self.recipe, objective=replace(self.recipe.objective, **only(*samplers)))
        (stream,) = streams_of(recipe.run(corpus, self.out / "runs" / run, self.reporter.run_options).model())
        windows = embedded(stream, self.dataset)
        if not self.settings.unit_length:
            return _Representation(stream.fingerprint(), windows)
        lengths = np.linalg.norm(windows.vectors, axis=1, keepdims=True)
        vectors = np.divide(windows.vectors, lengths, out=np.zeros_like(windows.vectors), where=lengths > 0)
        return _Representation(f"{stream.fingerprint()}, unit length", replace(windows, vectors=vectors))

    def topline(self, split: Split) -> _Representation:
        """What labels teach, of the clips that a split does not test."""
        known = np.zeros(len(self.corpus), bool)
        known[split.known] = True
        name = f"{TOPLINE}-{self.corpus.name}-{split.name}"
        return self.learned(name, ("labelled",), self.corpus.filter(mask=known))

    def in_splits(
        self, row: str, representation_of: _Representation | Callable[[Split], _Representation]
    ) -> dict[str, tuple[float, ...]]:
        """The columns of table 1, in each split, of one representation for all or one for each."""
        columns: dict[str, list[float]] = {column: [] for column in COLUMNS}
        for split in self.splits:
            representation = (
                representation_of if isinstance(representation_of, _Representation) else representation_of(split)
            )
            self.reporter.say(f"{row}: measuring split {split.name} of {self.corpus.name}")
            for column, measure in self.measures(representation, split).items():
                decides = [representation.identity, self.settings.runs, self.settings.epochs]
                columns[column].append(self._measured(f"{row}, {column}", split, decides, measure))
        return {column: tuple(values) for column, values in columns.items()}

    def measures(self, representation: _Representation, split: Split) -> dict[str, Callable[[], float]]:
        """How each column of table 1 is measured."""

        def retrieval() -> float:
            means = representation.windows.means()
            return query_by_example(means[split.test], self.labels[split.test], seed=self.settings.seed).mean

        def classifier(layers: int) -> Callable[[], float]:
            settings = self.shallow(layers, self.settings.runs)
            windows, seed = representation.windows, self.settings.seed
            return lambda: (
                shallow_classifier(
                    windows.vectors, windows.clips, self.labels, [split], settings=settings, seed=seed
                ).mean
            )

        return {"retrieval": retrieval, "1 layer": classifier(1), "2 layers": classifier(2)}

    def shallow(self, layers: int, runs: int) -> ShallowSettings:
        """A classifier of so many hidden layers, of the paper's width."""
        return ShallowSettings(layers=layers, runs=runs, training=ProbeTraining(epochs=self.settings.epochs))

    def whole(self, row: str, representation: _Representation) -> float:
        """Retrieval among all clips, test or not: who learned nothing from them may be asked for any."""
        return self._measured(
            f"{row}, retrieval",
            None,
            [representation.identity],
            lambda: query_by_example(representation.windows.means(), self.labels, seed=self.settings.seed).mean,
        )

    def few(self, row: str, representation: _Representation, *, layers: int) -> dict[str, tuple[float, ...]]:
        """Table 2: a classifier of a few clips a class, the mean over draws in each split."""
        settings = FewShotSettings(
            segments=self.settings.segments,
            draws=self.settings.draws,
            classifier=self.shallow(layers, 1),
        )
        windows = representation.windows

        def measure(split: Split) -> float:
            self.reporter.say(f"{row}: measuring split {split.name} of {self.corpus.name}")
            return few_shot(
                windows.vectors, windows.clips, self.labels, [split], settings=settings, seed=self.settings.seed
            ).mean

        decides = [representation.identity, asdict(settings), "stopped by labels of the few"]
        return {"few": tuple(self._measured(row, split, decides, partial(measure, split)) for split in self.splits)}

    def scratch(self) -> dict[str, tuple[float, ...]]:
        """Table 2: the network itself, trained on the very clips that `few` draws."""
        settings = self.settings
        training = replace(
            self.recipe.training,
            steps=settings.scratch_steps,
            warmup=min(self.recipe.training.warmup, settings.scratch_steps // 2),
            seed=settings.seed,
        )

        def measure(split: Split) -> float:
            values = []
            for draw in range(settings.draws):
                self.reporter.say(f"few scratch: draw {draw + 1} in split {split.name} of {self.corpus.name}")
                clips = draw_few(split.train, self.labels, settings.segments, seed=(settings.seed, 0, draw))
                folder = self.out / "runs" / f"scratch-{self.corpus.name}-{split.name}-{draw + 1}"
                values.append(
                    from_scratch(
                        self.recipe.stream,
                        self.corpus,
                        self.dataset,
                        clips,
                        split,
                        settings=training,
                        folder=folder,
                        progress=self.reporter.training,
                    )
                )
            return float(np.mean(values))

        decides = [self.recipe.stream, asdict(training), settings.segments, settings.draws]
        values = (self._measured("few scratch", split, decides, partial(measure, split)) for split in self.splits)
        return {"few": tuple(values)}

    def _measured(self, name: str, split: Split | None, decides: Sequence[Any], measure: Callable[[], float]) -> float:
        """A number of this corpus, from the cache if it is there."""
        where = f"{self.corpus.name} {'all clips' if split is None else f'split {split.name}'}"
        everything = [corpus_digest(self.corpus), self.settings.seed, *decides]
        return self.results.get_or_compute(f"{where}: {name}", everything, measure)
