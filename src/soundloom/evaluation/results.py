"""Evaluation results as data: written to JSON, read again, joined with others.

A `Result` is one model on one corpus, with a `Measurement` for each protocol. It says what it depends on: the
model's fingerprint, a digest of the corpus (which clips, with which labels and splits; not where they lie),
the settings and the seed, and their hash, `Measurement.config`; numbers of equal ``config`` should be equal.

Not for embeddings: those are in the cache, and can be had from a library.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

from soundloom.atomic_file import replacing
from soundloom.corpora import Corpus
from soundloom.errors import EvaluationError
from soundloom.evaluation.extraction import LeftOut
from soundloom.evaluation.protocols import PROTOCOLS
from soundloom.evaluation.scores import Details, Score
from soundloom.html_table import html_table
from soundloom.system_errors import reason_of

__all__ = [
    "EvaluationError",
    "Measurement",
    "Projection",
    "Result",
    "corpus_digest",
    "join",
    "read",
    "write",
    "write_whole",
]

FORMAT = 1
"""The version of the JSON; a file of another version is refused."""


_RENAMED = {"top-k accuracy": "top_k_accuracy", "mAP": "mean_average_precision"}
"""Names of details in files of earlier versions -> their fields."""


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One protocol's score with what it rests on.

    Attributes:
        score: the numbers.
        clips: how many clips took part.
        tested: how many of them are tested at a time, in the smallest split; None if there are no splits, or in files
            of earlier versions.
        settings: the protocol's settings, as plain data.
        config: a hash of model, corpus, protocol, settings and seed.
        seconds: how long the protocol took, without embedding.
    """

    score: Score
    clips: int
    settings: Mapping[str, Any]
    config: str
    seconds: float
    tested: int | None = None


@dataclass(frozen=True, kw_only=True)
class Projection:
    """Embeddings in the plane, for the eye.

    Attributes:
        method: "t-SNE" or "PCA".
        points: x and y of each clip shown.
        labels: class number of each clip shown.
    """

    method: str
    points: Sequence[tuple[float, float]]
    labels: Sequence[int]


@dataclass(frozen=True, kw_only=True)
class Result:
    """One model on one corpus.

    Attributes:
        model: its name.
        fingerprint: of its weights and settings.
        dim: the size of its embedding.
        corpus: the corpus's short name.
        corpus_digest: which clips, labels and splits.
        classes: names of the classes, by number.
        split_origin: where the splits come from; "drawn" ones are this evaluation's.
        clips: how many clips the corpus has.
        left_out: those that could not be decoded.
        seed: what everything random was drawn from.
        embedded: how many clips were embedded for this result, rather than read from the cache.
        seconds: how long that took.
        environment: versions and machine.
        measurements: by protocol.
        refused: the protocols that this model or corpus does not allow, and why.
        trained_on: how many of the clips the model was trained on, as far as that is kept with it
            (`soundloom.evaluation.training_clips`).
        projection: the embedding in the plane, if asked for.
    """

    model: str
    fingerprint: str
    dim: int
    corpus: str
    corpus_digest: str
    classes: tuple[str, ...]
    split_origin: str
    clips: int
    left_out: tuple[LeftOut, ...]
    seed: int
    embedded: int
    seconds: float
    environment: Mapping[str, Any]
    measurements: Mapping[str, Measurement] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)
    trained_on: int = 0
    projection: Projection | None = None

    def _repr_html_(self) -> str:
        rows = [
            [escape(protocol), escape(one.score.metric), f"{one.score.mean:.4f}", _spread(one.score), f"{one.clips:,}"]
            for protocol, one in self.measurements.items()
        ]
        rows += [[escape(protocol), "not measured", "", escape(why), ""] for protocol, why in self.refused.items()]
        about = [escape(self.model), f"on {escape(self.corpus)}", f"{self.clips:,} clips", self.caution]
        head = html_table((), [[text for text in about if text]])
        return head + html_table(["protocol", "metric", "mean", "95 % interval", "clips"], rows)

    @property
    def scores(self) -> dict[str, Score]:
        """Protocol -> score."""
        return {name: measurement.score for name, measurement in self.measurements.items()}

    @property
    def caution(self) -> str:
        """How many of the clips the model was trained on, in words; empty of none."""
        return f"trained on {self.trained_on:,} of these {self.clips:,} clips" if self.trained_on else ""

    def __str__(self) -> str:
        counted = f"{self.model} on {self.corpus}: {self.clips - len(self.left_out)} of {self.clips} clips"
        lines = [", ".join(filter(None, (counted, self.caution)))]
        return "\n  ".join([*lines, *map(str, self.scores.values())])


def _spread(score: Score) -> str:
    return "" if score.interval is None else f"± {score.interval:.4f}"


def corpus_digest(corpus: Corpus) -> str:
    """A hash of the clips, labels, splits, folds and groups of a corpus, wherever it lies."""
    digest = hashlib.sha256(json.dumps([corpus.name, corpus.task, corpus.classes]).encode())
    root = os.fspath(corpus.root)
    paths = [os.path.relpath(path, root).replace(os.sep, "/") for path in corpus.column("path")]
    columns = (corpus.column(name) for name in ("start", "end", "labels", "split", "fold", "group"))
    for row in zip(paths, *columns, strict=True):
        digest.update(json.dumps(row).encode())
    return digest.hexdigest()[:32]


def write(path: str | os.PathLike[str], results: Iterable[Result]) -> None:
    """Write results as JSON, whole or not at all.

    Raises:
        EvaluationError: the file cannot be written.
    """
    data = {"format": FORMAT, "results": [dataclasses.asdict(result) for result in results]}
    write_whole(path, json.dumps(data, indent=1, ensure_ascii=False))


def write_whole(path: str | os.PathLike[str], text: str) -> None:
    """Write a text file, whole or not at all.

    Raises:
        EvaluationError: the file cannot be written.
    """
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing(target, shared=True) as unfinished:
            unfinished.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise EvaluationError(f"cannot write {os.fspath(path)!r}: {reason_of(error)}") from None


def read(path: str | os.PathLike[str]) -> list[Result]:
    """Read results that `write` wrote.

    Raises:
        EvaluationError: no such file, or not results of this version.
    """
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
        if data["format"] != FORMAT:
            raise EvaluationError(
                f"{os.fspath(path)!r} has results of format {data['format']}, this soundloom reads {FORMAT}: "
                "evaluate again"
            )
        return [_result(row) for row in data["results"]]
    except OSError as error:
        raise EvaluationError(f"cannot read {os.fspath(path)!r}: {reason_of(error)}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise EvaluationError(
            f"{os.fspath(path)!r} does not hold results ({type(error).__name__}: {error}); "
            "give a results.json that soundloom evaluate wrote"
        ) from None


def join(results: Iterable[Result]) -> list[Result]:
    """Results of the same model, corpus and seed made one, in the order of their first; of a protocol twice, the last.

    Results that differ in weights, in the clips they were measured on or in the seed stay apart.
    """
    joined: dict[tuple[object, ...], Result] = {}
    for result in results:
        key = (result.model, result.fingerprint, result.corpus_digest, result.left_out, result.seed)
        if key in joined:
            before = joined[key]
            measurements = {**before.measurements, **result.measurements}
            refused = {**before.refused, **result.refused}
            result = dataclasses.replace(
                result,
                measurements=measurements,
                refused={name: reason for name, reason in refused.items() if name not in measurements},
                projection=result.projection or before.projection,
            )
        joined[key] = result
    return list(joined.values())


def _result(row: dict[str, Any]) -> Result:
    row["classes"] = tuple(row["classes"])
    row["left_out"] = tuple(LeftOut(**each) for each in row["left_out"])
    row["measurements"] = {name: _measurement(each) for name, each in row["measurements"].items()}
    if row["projection"]:
        points = [(x, y) for x, y in row["projection"]["points"]]
        row["projection"] = Projection(**{**row["projection"], "points": points})
    return Result(**row)


def _measurement(row: dict[str, Any]) -> Measurement:
    score = row["score"]
    score["values"] = tuple(score["values"])
    # JSON knows only strings as keys; classes are numbers.
    score["per_class"] = {int(label): value for label, value in score["per_class"].items()}
    score["details"] = _details(score["protocol"], score["details"])
    return Measurement(**{**row, "score": Score(**score)})


def _details(protocol: str, data: dict[str, Any] | None) -> Details | None:
    """The details of a protocol, whose class is that of its row in the table; None of a protocol that is unknown."""
    known = PROTOCOLS.get(protocol)
    if known is None or not data:
        return None
    return known.details.from_plain({_RENAMED.get(name, name): value for name, value in data.items()})
