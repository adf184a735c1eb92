"""Reproduction of Niizumi 2022: which layers serve which tasks (figures 2-4), and what fusing two gains (table III).

Every layer of a model is measured on every task by the linear protocol. The layer that is best on average of the tasks
for which a late layer is best is L, that of the others M (`evaluation.analysis.layers.choose`). The model's customary
embedding and the fusion of M and L are then measured on the same tasks, by the same protocol. Published numbers stand
beside the models that compute embeddings as the paper's code does, such as cnn14-niizumi.

The tasks are those at hand. All layers are embedded in one pass; results are kept one by one, so that what was stopped
goes on. As a fused embedding is its layers side by side, the fusion needs no further pass.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from soundloom.corpora import Corpus
from soundloom.embedder import Embedder, Stream
from soundloom.errors import InvalidArgumentError
from soundloom.evaluation.analysis.layers import Choice, all_layers, choose, curves, single_layers
from soundloom.evaluation.extraction import FeatureExtractor, Features, clip_extractor, extract_features
from soundloom.evaluation.probes.linear import LinearProbeSettings
from soundloom.evaluation.report import svg
from soundloom.evaluation.report.html import write_page
from soundloom.evaluation.report.tables import cautions, percent, table_of
from soundloom.evaluation.results import Result, corpus_digest, read, write_whole
from soundloom.evaluation.results import write as write_results
from soundloom.evaluation.runner import evaluate_features
from soundloom.evaluation.task_statistics import with_task_statistics
from soundloom.evaluation.training_clips import find_training_clips
from soundloom.reproduce.reporter import SILENT, Reporter

__all__ = ["Study", "markdown", "reproduce", "write"]

_PROTOCOL = "linear"


@dataclass(frozen=True, kw_only=True)
class Study:
    """What was measured of a model.

    Attributes:
        model: its name.
        fused: name of the fusion of M and L.
        choice: M and L, and what they were chosen by.
        layers: results of single layers, task by task.
        compared: results of the model's customary embedding and of the fusion, task by task.
    """

    model: str
    fused: str
    choice: Choice
    layers: tuple[Result, ...]
    compared: tuple[Result, ...]

    def means(self) -> dict[str, float]:
        """The average over tasks: of the customary embedding, the fusion, M alone and L alone."""
        rows: dict[str, list[float]] = {}
        chosen = {f"{self.model}#{layer}" for layer in (self.choice.middle, self.choice.late)}
        for result in (*self.compared, *(row for row in self.layers if row.model in chosen)):
            rows.setdefault(result.model, []).append(result.scores[_PROTOCOL].mean)
        return {name: float(np.mean(values)) for name, values in rows.items()}


class _Kept:
    """Results by what they depend on, in a file; those that are there are not measured again."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._results = read(path) if path.is_file() else []

    def get_or_measure(self, key: tuple[str, str, str], measure: Callable[[], Result]) -> Result:
        """The result of a model's name and fingerprint on a corpus, measured now if it is not kept."""
        for result in self._results:
            if (result.model, result.fingerprint, result.corpus_digest) == key:
                return result
        self._results.append(measure())
        write_results(self._path, self._results)
        return self._results[-1]


@dataclass(frozen=True, kw_only=True)
class _Measurer:
    """Measures models on one corpus from features that were extracted before, or anew."""

    corpus: Corpus
    extract: Callable[[FeatureExtractor], Features]
    kept: _Kept
    settings: LinearProbeSettings
    seed: int
    reporter: Reporter
    trained_on: int = 0

    def columns(self, model: Stream, features: Callable[[], Features], columns: np.ndarray) -> Result:
        """A model whose embedding is some columns of features."""
        return self._measure(model, lambda _: replace(features(), vectors=features().vectors[:, columns]))

    def whole(self, model: Embedder) -> Result:
        """A model by its own embedding."""
        return self._measure(model, self.extract)

    def _measure(self, model: Embedder, extract: Callable[[FeatureExtractor], Features]) -> Result:
        def measure() -> Result:
            settings = {_PROTOCOL: self.settings}
            result = evaluate_features(model, self.corpus, [_PROTOCOL], extract, settings=settings, seed=self.seed)
            self.reporter.say(f"  {model.name:>16}  {result.scores[_PROTOCOL]}")
            return replace(result, trained_on=self.trained_on)

        return self.kept.get_or_measure((model.name, model.fingerprint(), corpus_digest(self.corpus)), measure)


def reproduce(
    models: Mapping[str, Embedder],
    corpora: Sequence[Corpus],
    out: Path,
    reporter: Reporter = SILENT,
    *,
    layers: Sequence[int] = (),
    settings: LinearProbeSettings | None = None,
    seed: int = 0,
    cache: Path | None = None,
    workers: int | None = None,
) -> list[Study]:
    """Measure models on corpora.

    Args:
        models: name -> the model, without layers named; its encoder must have several.
        corpora: the tasks; two or more, of different kinds, make a choice of layers.
        out: a folder for results; a stopped reproduction goes on from there.
        reporter: takes the progress.
        layers: those that are measured, by number; all of each encoder if not given.
        settings: of the linear protocol.
        seed: as for `evaluate`.
        cache: where embeddings are kept.
        workers: how many files are embedded at a time.

    Raises:
        EvaluationError: a model is woven, or has a single layer; or as for `evaluate`.
        InvalidArgumentError: there is no model or no corpus, or a model has no such layer.
    """
    if not models or not corpora:
        raise InvalidArgumentError("a study of layers is of one model or more on one corpus or more, got none")
    chosen = settings or LinearProbeSettings()
    text = json.dumps([asdict(chosen), seed], sort_keys=True)
    kept = _Kept(out / "measured" / f"{hashlib.sha256(text.encode()).hexdigest()[:12]}.json")
    measurers = [
        _Measurer(
            corpus=corpus,
            extract=functools.partial(
                extract_features, corpus, cache=cache, workers=workers, progress=reporter.embedding
            ),
            kept=kept,
            settings=chosen,
            seed=seed,
            reporter=reporter,
        )
        for corpus in corpora
    ]
    return [_study(name, model, layers, measurers, reporter) for name, model in models.items()]


def _study(
    name: str,
    model: Embedder,
    wanted: Sequence[int],
    measurers: Sequence[_Measurer],
    reporter: Reporter,
) -> Study:
    encoder = all_layers(model).encoder
    numbers = [layer for layer in encoder.available if not wanted or layer in wanted]
    encoder.check_wanted(wanted or numbers)
    clips = find_training_clips(name)
    measurers = [replace(measurer, trained_on=clips.count(measurer.corpus)) for measurer in measurers]
    layers: list[Result] = []
    fitted: list[tuple[Embedder, Stream]] = []
    for measurer in measurers:
        reporter.say(f"{name} on {measurer.corpus.name}: layers {', '.join(map(str, numbers))}")
        own = with_task_statistics(model, measurer.extract)
        stream = all_layers(own)
        # When they are first asked for: results that are kept ask for none.
        features = functools.cache(functools.partial(measurer.extract, clip_extractor(stream)))
        single = single_layers(stream)
        layers += [measurer.columns(single[layer][0], features, single[layer][1]) for layer in numbers]
        fitted.append((own, stream))
    ((_, tasks),) = curves(layers).items()
    choice = choose({task: {layer: score.mean for layer, score in curve.items()} for task, curve in tasks.items()})
    pair = sorted({layer for layer in (choice.middle, choice.late) if layer is not None})
    compared: list[Result] = []
    for measurer, (own, stream) in zip(measurers, fitted, strict=True):
        reporter.say(
            f"{name} on {measurer.corpus.name}: its embedding, and layers {' and '.join(map(str, pair))} fused"
        )
        features = functools.cache(functools.partial(measurer.extract, clip_extractor(stream)))
        single = single_layers(stream)
        fused = stream.with_layers(pair, stream.pooling)
        compared.append(measurer.whole(own))
        compared.append(measurer.columns(fused, features, np.concatenate([single[layer][1] for layer in pair])))
    return Study(
        model=name,
        fused=compared[-1].model,
        choice=choice,
        layers=tuple(layers),
        compared=tuple(compared),
    )


def write(studies: Sequence[Study], out: Path) -> str:
    """Write results.json, tables.md, report.html and a figure for each model; returns the tables."""
    text = markdown(studies)
    results = [result for study in studies for result in (*study.compared, *study.layers)]
    write_results(out / "results.json", results)
    write_whole(out / "tables.md", text)
    write_page(out / "report.html", results)
    for study in studies:
        for (model, _), tasks in curves(study.layers).items():
            title = f"{model}: score by layer, linear"
            write_whole(out / f"layers-{model}.svg", svg.layer_curves(tasks, study.choice, title))
    return text


def markdown(studies: Sequence[Study]) -> str:
    """Table III, the averages of fused and single embeddings, and the scores behind figures 2-4."""
    compared = [result for study in studies for result in study.compared]
    lines = ["Table III: the customary embedding, and middle and late layer fused. Percent; in brackets: published."]
    lines += ["", *_rows(compared), ""]
    lines += [line for caution in cautions(compared) for line in (f"{caution}.", "")]
    lines += ["Averages over the tasks, percent:", ""]
    for study in studies:
        means = study.means()
        lines.append(f"- {', '.join(f'{name} {percent(mean)}' for name, mean in means.items())}. {_chosen(study)}")
    for study in studies:
        lines += ["", f"Layers of {study.model}, percent (figures 2-4):", "", *_rows(study.layers)]
    return "\n".join(lines) + "\n"


def _rows(results: Sequence[Result]) -> Iterator[str]:
    """A table of markdown, models down and corpora across; the highest of each corpus is bold."""
    table = table_of(results)
    yield f"| | {' | '.join(column.corpus for column in table.columns)} |"
    yield f"|---|{'---|' * len(table.columns)}"
    for row in table.rows:
        cells = []
        for number, cell in enumerate(row.cells):
            text = "" if cell is None else cell.text
            best = cell is not None and cell.measurement.score.mean == table.best(number)
            cells.append(f"**{text}**" if best else text)
        yield f"| {row.model} | {' | '.join(cells)} |"


def _chosen(study: Study) -> str:
    choice = study.choice
    groups = (("M", choice.middle, choice.middle_tasks), ("L", choice.late, choice.late_tasks))
    return "; ".join(f"{letter} = {layer} for {', '.join(tasks)}" for letter, layer, tasks in groups if tasks)
