"""Tables of results: models down, corpora and protocols across; and scores by class as a CSV.

The one place that names rows apart (two sets of weights of a model, two seeds) and that writes numbers: percent,
with half the width of the 95 % interval where there are several runs.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from soundloom.counted import counted
from soundloom.evaluation.protocols import PROTOCOLS
from soundloom.evaluation.reference_scores import Published, published
from soundloom.evaluation.results import Measurement, Result, write_whole
from soundloom.safe_text import csv_cell

__all__ = [
    "Cell",
    "Column",
    "Row",
    "Table",
    "cautions",
    "labels_of",
    "percent",
    "table_of",
    "write_per_class",
    "written",
]


@dataclass(frozen=True)
class Column:
    """What was measured: a corpus, a protocol and its metric."""

    corpus: str
    protocol: str
    metric: str


@dataclass(frozen=True)
class Cell:
    """What was measured of a model, and what others published of it."""

    measurement: Measurement
    published: Published | None

    @property
    def text(self) -> str:
        """The score, and in brackets what was published."""
        score = self.measurement.score
        beside = f" ({percent(self.published.value)})" if self.published else ""
        return written(score.mean, score.interval) + beside


@dataclass(frozen=True)
class Row:
    """A model and its cells; None where it was not measured."""

    model: str
    cells: tuple[Cell | None, ...]


@dataclass(frozen=True)
class Table:
    """All results side by side."""

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]

    def best(self, column: int) -> float | None:
        """The highest score of a column; None if there is nothing to compare."""
        means = [cell.measurement.score.mean for row in self.rows if (cell := row.cells[column]) is not None]
        return max(means) if len(means) > 1 else None

    def counts(self, column: int) -> list[str]:
        """What a column rests on: clips, tested and in all; runs, folds or draws; standardised embeddings or not."""
        protocol = self.columns[column].protocol
        held = [cell.measurement for row in self.rows if (cell := row.cells[column]) is not None]
        return sorted({", ".join([_clips(each), *_rounds(protocol, each)]) for each in held})


def _clips(measurement: Measurement) -> str:
    tested = "" if measurement.tested is None else f"{measurement.tested} tested of "
    return f"{tested}{measurement.clips} clips"


def _rounds(protocol: str, measurement: Measurement) -> list[str]:
    """What the values of a score are of, and whether the protocol has standardised the embeddings."""
    known, score = PROTOCOLS.get(protocol), measurement.score
    if known is None:
        return [counted(len(score.values), "value")]
    folds = len(getattr(score.details, "splits", ()))
    rounds = [counted(len(score.values), known.each)] if known.each else []
    if known.each == "fold":
        rounds = rounds if folds > 1 else []
    elif rounds and folds > 1:
        rounds = [f"{rounds[0]} of {folds} folds"]
    standardised = measurement.settings.get("standardised", known.standardises)
    return rounds if standardised is None else [*rounds, "standardised" if standardised else "not standardised"]


def percent(share: float) -> str:
    """A share as percent, with one decimal."""
    return f"{100 * share:.1f}"


def written(mean: float, interval: float | None) -> str:
    """A mean with its interval, in percent.

    >>> written(0.5306, 0.0044), written(0.25, None)
    ('53.1 ± 0.4', '25.0')
    """
    return percent(mean) + ("" if interval is None else f" ± {percent(interval)}")


def labels_of(results: Sequence[Result]) -> tuple[list[str], list[str]]:
    """A model's and a corpus's name for each result, with a piece of a hash where the plain name is not enough."""
    several = len({result.seed for result in results}) > 1
    models = _apart(results, lambda result: (result.model, result.fingerprint))
    corpora = _apart(results, lambda result: (result.corpus, result.corpus_digest))
    seeds = [f" (seed {result.seed})" if several else "" for result in results]
    return [model + seed for model, seed in zip(models, seeds, strict=True)], corpora


def table_of(results: Sequence[Result]) -> Table:
    """The table of results, in the order they come."""
    models, corpora = labels_of(results)
    columns: dict[Column, None] = {}
    cells: dict[str, dict[Column, Cell]] = {}
    for result, model, corpus in zip(results, models, corpora, strict=True):
        for protocol, measurement in result.measurements.items():
            metric = measurement.score.metric
            column = Column(corpus, protocol, metric)
            columns[column] = None
            known = published(result.model, result.corpus, protocol, metric)
            cells.setdefault(model, {})[column] = Cell(measurement, known)
    ordered = sorted(columns, key=lambda column: list(dict.fromkeys(corpora)).index(column.corpus))
    rows = (Row(model, tuple(held.get(column) for column in ordered)) for model, held in cells.items())
    return Table(tuple(ordered), tuple(rows))


def cautions(results: Sequence[Result]) -> list[str]:
    """A line for each corpus and the models that were trained on as many of its clips."""
    alike: dict[tuple[str, str], dict[str, None]] = {}
    for model, corpus, result in zip(*labels_of(results), results, strict=True):
        if result.caution:
            alike.setdefault((corpus, result.caution), {})[model] = None
    return [f"{', '.join(models)} on {corpus}: {caution}" for (corpus, caution), models in alike.items()]


def write_per_class(path: str | os.PathLike[str], results: Sequence[Result]) -> None:
    """Scores by class as a CSV: model, corpus, protocol, metric, class, value.

    Raises:
        EvaluationError: the file cannot be written.
    """
    models, corpora = labels_of(results)
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["model", "corpus", "protocol", "metric", "class", "value"])
    for result, model, corpus in zip(results, models, corpora, strict=True):
        for protocol, score in result.scores.items():
            for label, value in score.per_class.items():
                names = map(csv_cell, (model, corpus, protocol, score.metric, result.classes[label]))
                writer.writerow([*names, f"{value:.6f}"])
    write_whole(path, text.getvalue())


def _apart(results: Iterable[Result], identity: Callable[[Result], tuple[str, str]]) -> list[str]:
    """Names, with the beginning of the hash where another result has the same name and another hash."""
    pairs = [identity(result) for result in results]
    hashes: dict[str, set[str]] = {}
    for name, digest in pairs:
        hashes.setdefault(name, set()).add(digest)
    return [f"{name} [{digest[:6]}]" if len(hashes[name]) > 1 else name for name, digest in pairs]
