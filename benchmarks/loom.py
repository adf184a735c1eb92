"""The default model on sounds that it never heard: every part alone, the whole, and what needs no learning.

    python -m benchmarks.loom --audio FOLDER [--model loom] [--json out.json]

FOLDER holds esc50/, fsdd/, arabic_commands.csv and pitch.csv with their sounds. Two tables: the linear probe of Niizumi
2022 (accuracy in percent; five folds, official takes or speakers, or unheard instruments), and precision at 10 of
leave-one-out retrieval as a library ranks: columns standardised over the collection, or centred where the model says
so, parts at unit length, weighed by the model's balance. Notes by instrument and instruments by note tell whether parts
earn their names: a search by pitch alone should find the same notes, one by timbre alone the same instrument.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from rich.console import Console
from rich.table import Table

from benchmarks.timing import write_json
from soundloom import corpora
from soundloom.cli.tag_predictions import tag_files
from soundloom.column_deviations import shared_deviations
from soundloom.corpora import Corpus
from soundloom.embedder import Embedder
from soundloom.errors import QueryError
from soundloom.evaluation import extraction
from soundloom.evaluation.probes.linear import LinearProbeSettings
from soundloom.evaluation.protocols import PROTOCOLS
from soundloom.evaluation.retrieval.query_by_example import LeaveOneOutSettings, leave_one_out
from soundloom.evaluation.scores import average_precisions
from soundloom.evaluation.standardisation import moments, standardise
from soundloom.models import load
from soundloom.reproduce.coala import as_a_library
from soundloom.tags import Vocabulary, aligned_tags

Vectors = Float[np.ndarray, "clips dim"]

TASKS = {
    "esc50": "esc50",
    "fsdd-digits": "fsdd",
    "fsdd-speakers": "fsdd",
    "arabic-commands": "",
    "notes-pitch": "",
    "notes-instrument": "",
}
"""Corpus -> its folder in the one that is given."""

BASELINES = ("logmel", "mfcc")

PLACES = 10


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--audio", type=Path, required=True, help="folder of the test collections")
    parser.add_argument("--model", default="loom", help="the model; its parts are rows")
    parser.add_argument("--cache", type=Path, help="where embeddings are kept")
    parser.add_argument("--json", type=Path, help="also write the results here")
    asked = parser.parse_args()
    tasks = {name: corpora.load(name, asked.audio / folder) for name, folder in TASKS.items()}
    linear: dict[str, dict[str, float]] = {}
    retrieval: dict[str, dict[str, float]] = {}
    for name in (*BASELINES, asked.model):
        model = load(name)
        for task, corpus in tasks.items():
            heard = extraction.extract_features(corpus, extraction.clip_extractor(model), cache=asked.cache)
            for row, vectors in _rows(name, model, heard.vectors).items():
                linear.setdefault(row, {})[task] = (
                    PROTOCOLS["linear"]
                    .score([replace(heard, vectors=vectors)], {}, settings=LinearProbeSettings(), seed=0)
                    .mean
                )
            for row, vectors in ranked(name, model, heard.vectors).items():
                retrieval.setdefault(row, {})[task] = _precision(heard.corpus, vectors)
    _show("linear probe, accuracy in percent", linear)
    _show(f"retrieval as a library ranks, precision at {PLACES} in percent", retrieval)
    heard = extraction.extract_features(tasks["esc50"], extraction.clip_extractor(model), cache=asked.cache)
    words, unknown = _words(asked.model, model, heard)
    if words:
        found = ", ".join(f"{word} {100 * precision:.0f}" for word, precision in words.items())
        print(f"ESC-50 by the names of its classes, average precision in percent, chance 2: {found}")
        print(f"mean over {len(words)} that are known: {100 * np.mean(list(words.values())):.1f}")
        precisions = [*words.values(), *[1 / (len(words) + len(unknown))] * len(unknown)]
        print(f"mean over all, {len(unknown)} unknown ones at chance: {100 * np.mean(precisions):.1f}; {unknown}")
        print(f"a word for the class among the first three: {100 * _first_words(asked.model, heard.corpus):.1f} %")
    if asked.json:
        rows = [{"row": row, "linear": linear[row], "retrieval": retrieval[row]} for row in linear]
        write_json(asked.json, rows)


def _rows(name: str, model: Embedder, vectors: Vectors) -> dict[str, Vectors]:
    """The whole, and every part if there are several."""
    parts = {f"{name}: {part}": vectors[:, columns] for part, columns in model.parts.items()}
    return {**(parts if len(parts) > 1 else {}), name: vectors}


def ranked(name: str, model: Embedder, vectors: Vectors, of: int | None = None) -> dict[str, Vectors]:
    """The same, as a library compares: a cosine of these is its similarity.

    Args:
        name: of the row that is the whole.
        model: whose vectors these are.
        vectors: of the collection, and of what is compared with it.
        of: how many are the collection's; all, if not given.
    """
    every = torch.from_numpy(vectors)
    mean, scale = moments(every[:of])
    scale = torch.from_numpy(shared_deviations(scale.numpy(), model.parts, model.centred))
    standard = standardise(every, mean, scale).numpy()
    scaled = np.zeros_like(standard)
    for part, columns in model.parts.items():
        norms = np.linalg.norm(standard[:, columns], axis=1, keepdims=True)
        share = model.balance.get(part, 1.0) ** 0.5
        np.divide(share * standard[:, columns], norms, out=scaled[:, columns], where=norms > 0)
    return _rows(name, model, scaled)


def _precision(corpus: Corpus, vectors: Vectors) -> float:
    labels = corpus.label_matrix()
    settings = LeaveOneOutSettings(k=PLACES, standardised=False)
    return leave_one_out(
        vectors, labels if corpus.task == "multi-label" else labels.argmax(axis=1), settings=settings
    ).mean


def _words(name: str, model: Embedder, heard: extraction.Features) -> tuple[dict[str, float], list[str]]:
    """Name of a class of ESC-50 -> average precision of the class as a library ranks, and the names not known."""
    aligned = aligned_tags(name)
    if aligned is None:
        return {}, []
    names = [label.replace("_", " ") for label in heard.corpus.classes]
    known = [name for name in names if _is_known(aligned.vocabulary, name)]
    scores = as_a_library(np.ascontiguousarray(heard.vectors[:, model.parts[aligned.part]]), aligned, known)
    columns = [names.index(name) for name in known]
    found = dict(zip(known, average_precisions(scores, heard.corpus.label_matrix()[:, columns]).tolist(), strict=True))
    return dict(sorted(found.items(), key=lambda row: -row[1])), [name for name in names if name not in found]


def _first_words(name: str, corpus: Corpus) -> float:
    """Share of the sounds to which `soundloom tag --top 3` gives what the name of their class stands for."""
    aligned = aligned_tags(name)
    assert aligned is not None
    vocabulary = aligned.vocabulary
    words = list[set[str]]()
    for label in corpus.classes:
        named = label.replace("_", " ")
        counts = vocabulary.query([named]) > 0 if _is_known(vocabulary, named) else np.zeros(len(vocabulary), np.bool_)
        words.append({vocabulary.tags[place] for place in np.flatnonzero(counts)})
    paths: list[str] = corpus.column("path")
    given: dict[str, set[str]] = {path: set() for path in paths}
    for row in tag_files(paths, name, top=3, least=0.0).rows:
        given[row.path].add(row.tag)
    wanted = [words[number] for number in corpus.label_matrix().argmax(axis=1)]
    return float(np.mean([bool(given[path] & right) for path, right in zip(paths, wanted, strict=True)]))


def _is_known(vocabulary: Vocabulary, name: str) -> bool:
    """Whether a library could be asked for it."""
    try:
        vocabulary.query([name])
    except QueryError:
        return False
    return True


def _show(title: str, rows: Mapping[str, Mapping[str, float]]) -> None:
    table = Table(title=title, title_justify="left", box=None)
    for heading in ("", *TASKS, "mean"):
        table.add_column(heading, justify="right" if heading else "left", no_wrap=True)
    for row, scores in rows.items():
        cells = [100 * scores[task] for task in TASKS]
        table.add_row(row, *(f"{cell:.1f}" for cell in [*cells, float(np.mean(cells))]))
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
