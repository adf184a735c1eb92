"""The default model on labelled sounds that it learned from, by which its settings were chosen; no test set is heard.

    python -m benchmarks.training_sounds pools.csv [--model loom] [--balance pitch=0.3,texture=0.7] [--scaled]

pools.csv is what `soundloom train loom` was given. Four questions, by whole embeddings as a library compares them:

    mean average precision   among the sounds whose label at least five have; of environmental and animal ones apart
    same note                precision at 10 of single notes among those of other instruments (column ``midi``)
    notes by a linear probe  of instruments left out: the largest two, and halves of the others (``group``)
    20 dB quieter            cosine of every twelfth sound with such a copy, median and twentieth
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int

from benchmarks.loom import Vectors, ranked
from benchmarks.timing import write_json
from soundloom import corpora
from soundloom.corpora import Corpus
from soundloom.embedder import Embedder
from soundloom.evaluation import extraction, splits
from soundloom.evaluation.probes.linear import LinearProbeSettings, linear_probe
from soundloom.evaluation.scores import average_precisions
from soundloom.models import load
from soundloom.objectives.pitch import midi_numbers
from soundloom.recipes.loom import QUIETER

FEWEST = 5
EVERY = 12
PLACES = 10

LAST = -2.0
"""Below any cosine."""


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sounds", type=Path, help="CSV with columns path, label, kind, group and midi")
    parser.add_argument("--model", default="loom")
    parser.add_argument("--balance", default="", help="PART=WEIGHT,..., instead of the model's own")
    parser.add_argument("--scaled", action="store_true", help="scale every column, whatever the model says")
    parser.add_argument("--cache", type=Path, help="where embeddings are kept")
    parser.add_argument("--json", type=Path, help="also write the results here")
    asked = parser.parse_args()
    model, corpus = load(asked.model), corpora.load(asked.sounds)
    if asked.balance:
        given = (pair.split("=") for pair in asked.balance.split(","))
        model.balance = {**model.balance, **{part: float(weight) for part, weight in given}}
    if asked.scaled:
        model.centred = ()
    heard = extraction.extract_features(corpus, extraction.clip_extractor(model), cache=asked.cache)
    results = {
        **_ranking(model, heard.corpus, heard.vectors),
        **_notes(model, heard.corpus, heard.vectors),
        **_quieter(model, heard.corpus, heard.vectors, asked.cache),
    }
    for name, value in results.items():
        print(f"{name:<42} {value:.4f}" if "quieter" in name else f"{name:<42} {100 * value:.1f} %")
    if asked.json:
        write_json(asked.json, [{"model": asked.model, **results}])


def _ranking(model: Embedder, corpus: Corpus, vectors: Vectors) -> dict[str, float]:
    labels = np.array([" ".join(names) for names in corpus.column("labels")])
    shared = Counter(labels.tolist())
    chosen = np.array([shared[label] >= FEWEST for label in labels])
    nature = np.isin(np.array(corpus.column("kind"))[chosen], ["env", "animal"])
    labels = labels[chosen]
    same = labels[:, None] == labels
    np.fill_diagonal(same, False)
    # A class for each sound: those of its label, ranked by their similarity to it.
    found = average_precisions(_similarities(model, vectors[chosen]), same)
    return {
        f"mean average precision, {len(found)} sounds": float(found.mean()),
        f"environmental and animal, {nature.sum()}": float(found[nature].mean()),
        f"all others, {(~nature).sum()}": float(found[~nature].mean()),
    }


def _notes(model: Embedder, corpus: Corpus, vectors: Vectors) -> dict[str, float]:
    numbers = midi_numbers(corpus)
    single = np.array([midi is not None for midi in numbers])
    notes = np.array([round(midi) for midi in numbers if midi is not None])
    instruments = np.array(corpus.column("group"))[single]
    vectors = vectors[single]
    others = (notes[:, None] == notes) & (instruments[:, None] != instruments)
    similarities = _similarities(model, vectors)
    similarities[instruments[:, None] == instruments] = LAST
    folds = _folds(instruments)
    pitch = vectors[:, model.parts["pitch"]]
    return {
        "the same note on another instrument at 10": _precision(similarities, others),
        "notes by a linear probe of pitch": _read(pitch, notes, folds),
        "notes by a linear probe of all parts": _read(vectors, notes, folds),
    }


def _quieter(model: Embedder, corpus: Corpus, vectors: Vectors, cache: Path | None) -> dict[str, float]:
    mask = np.arange(len(corpus)) % EVERY == 0
    extractor = extraction.clip_extractor(model, QUIETER)
    copies = extraction.extract_features(corpus.filter(mask=mask), extractor, cache=cache)
    every = np.concatenate([vectors, copies.vectors])
    # Copies are compared as queries are: by the statistics of the collection.
    scaled = _unit(ranked("", model, every, of=len(vectors))[""])
    cosines = (scaled[: len(vectors)][mask][copies.positions] * scaled[len(vectors) :]).sum(axis=1)
    return {"20 dB quieter, median": float(np.median(cosines)), "20 dB quieter, p5": float(np.quantile(cosines, 0.05))}


def _similarities(model: Embedder, vectors: Vectors) -> Float[np.ndarray, "clips clips"]:
    """Of every clip with every other; of itself, the lowest."""
    scaled = _unit(ranked("", model, vectors)[""])
    similarities = scaled @ scaled.T
    np.fill_diagonal(similarities, LAST)
    return similarities


def _unit(vectors: Vectors) -> Vectors:
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 0)


def _precision(similarities: Float[np.ndarray, "clips clips"], same: Bool[np.ndarray, "clips clips"]) -> float:
    """At ten, of as many as there are, over clips that have any."""
    there = same.sum(axis=1)
    order = np.argsort(-similarities, axis=1, kind="stable")[:, :PLACES]
    right = np.take_along_axis(same, order, axis=1).sum(axis=1)
    return float((right[there > 0] / np.minimum(there[there > 0], PLACES)).mean())


def _folds(instruments: np.ndarray) -> Int[np.ndarray, " notes"]:
    """The two instruments with the most notes are folds of their own; the others are dealt to two more."""
    names = [name for name, _ in Counter(instruments.tolist()).most_common()]
    place = {name: rank if rank < 2 else 2 + rank % 2 for rank, name in enumerate(names)}
    return np.array([place[name] for name in instruments.tolist()])


def _read(vectors: Vectors, notes: Int[np.ndarray, " notes"], folds: Int[np.ndarray, " notes"]) -> float:
    labels = np.unique(notes, return_inverse=True)[1]
    apart = splits.from_folds(folds, labels, seed=0)
    return linear_probe(np.ascontiguousarray(vectors), labels, apart, settings=LinearProbeSettings()).mean


if __name__ == "__main__":
    main()
