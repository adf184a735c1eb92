"""Any task of the HEAR benchmark, in the folder form its preprocessing gives (Turian et al. 2022, PMLR 176).

``task_metadata.json`` says what kind of task it is, ``labelvocabulary.csv`` which classes it has, and a JSON file
per split or fold which labels each file has. Of a task of events, every event becomes a clip with its start
and end, and a file without events has none.
"""

from __future__ import annotations

import re
from typing import Any

from soundloom.corpora.adapter import CorpusAdapter, register_corpus
from soundloom.corpora.dataset_reader import Copy
from soundloom.corpora.splits import canonical_split
from soundloom.corpora.table import Corpus

__all__ = ["HEAR"]


def _read(copy: Copy, *, sample_rate: int | None = None) -> Corpus:
    """Read a HEAR task.

    Args:
        copy: the task's folder.
        sample_rate: which of the rates it was prepared at; the highest when left out.
    """
    about = copy.json("task_metadata.json")
    vocabulary = copy.columns("labelvocabulary.csv", ["idx", "label"])
    numbers = copy.integers(vocabulary["idx"], "idx")
    rate = _rate(copy, sample_rate)
    eventful = about.get("embedding_type") == "event"
    files: list[str] = []
    labels: list[list[str]] = []
    spans: list[tuple[float | None, float | None]] = []
    parts: list[str] = []
    for part in _parts(copy):
        for file, given in copy.json(f"{part}.json").items():
            for label, start, end in _events(copy, file, given) if eventful else [(_labels(given), None, None)]:
                files.append(f"{rate}/{part}/{file}")
                labels.append(label)
                spans.append((start, end))
                parts.append(part)
    return copy.corpus(
        files,
        labels,
        classes=[label for _, label in sorted(zip(numbers, vocabulary["label"], strict=True))],
        task="single-label" if about.get("prediction_type") == "multiclass" else "multi-label",
        starts=[start for start, _ in spans],
        ends=[end for _, end in spans],
        splits=[canonical_split(part) for part in parts],
        folds=[int(part.removeprefix("fold")) if part.startswith("fold") else None for part in parts],
    )


def _rate(copy: Copy, wanted: int | None) -> int:
    rates = sorted(int(entry.name) for entry in copy.root.iterdir() if entry.is_dir() and entry.name.isdigit())
    if not rates or (wanted is not None and wanted not in rates):
        raise copy.error(f"audio in a folder named after its rate{f', {wanted}' if wanted else ''}", f"rates {rates}")
    return wanted or rates[-1]


def _parts(copy: Copy) -> list[str]:
    """The names of the splits or folds, which are those of their lists."""
    stems = sorted(path.stem for path in copy.root.glob("*.json"))
    parts = [part for part in stems if canonical_split(part) or re.fullmatch(r"fold\d+", part)]
    if not parts:
        raise copy.error("train.json, valid.json and test.json, or fold00.json and so on", f"{[*stems]}")
    return parts


def _labels(given: list[Any]) -> list[str]:
    return [str(label) for label in given]


def _events(copy: Copy, file: str, given: list[Any]) -> list[tuple[list[str], float, float]]:
    """The events of a file, whose times are in milliseconds."""
    try:
        return [([str(event["label"])], event["start"] / 1000, event["end"] / 1000) for event in given]
    except (KeyError, TypeError) as error:
        raise copy.error(f"a label, start and end of every event of {file}", f"{given[:1]}") from error


HEAR = register_corpus(
    CorpusAdapter(
        name="hear",
        title="A task of the HEAR benchmark",
        task="multi-label",
        layout="task_metadata.json, labelvocabulary.csv, {split}.json and {rate}/{split}/*.wav",
        address="https://hearbenchmark.com/hear-tasks.html",
        licence="the task's own",
        read=_read,
    )
)
