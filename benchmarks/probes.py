"""The linear probe beside scikit-learn's logistic regression, on five folds of the same embeddings.

    python -m benchmarks.probes [--clips 2000] [--dim 6144] [--classes 50] [--quick] [--json out.json]
    python -m benchmarks.probes --embeddings esc50.npz
    python -m benchmarks.probes --model logmel --on esc50=/data/ESC-50-master

Ours searches the learning rate in every fold and averages three runs; scikit-learn's fits once a fold (L-BFGS, at
most 1000 iterations, one strength of regularisation, standardised, training and validation clips together).
Both are fed the same embeddings and splits: those of a file (arrays ``embeddings``, ``labels`` and ``folds``), those
that a model gives of a collection with folds, or else random ReLU features of overlapping classes in 256 dimensions of
decaying variance: correlated, skewed, and hard, so that neither method is done after a few steps. Each method runs
once, in turn, and seconds are given both by the clock and of all processors together: on a machine with other work
only the latter mean something.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from benchmarks.timing import machine, write_json
from soundloom import corpora
from soundloom.corpora import Corpus
from soundloom.evaluation import Split, from_folds, linear_probe
from soundloom.models import load

FOLDS = 5
LATENT = 256


@dataclass(frozen=True, kw_only=True)
class Row:
    """One method.

    Attributes:
        method: whose.
        clips: in the set.
        dim: of the embeddings.
        classes: to tell apart.
        seconds: for all folds, by the clock.
        processor_seconds: of all threads together.
        to_scikit_learn: how many times faster than scikit-learn by the clock.
        processor_to_scikit_learn: and by processor seconds.
        accuracy: mean over the folds.
    """

    method: str
    clips: int
    dim: int
    classes: int
    seconds: float
    processor_seconds: float
    to_scikit_learn: float
    processor_to_scikit_learn: float
    accuracy: float


def embeddings(clips: int, dim: int, classes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Embeddings, labels and folds."""
    generator = np.random.default_rng(0)
    labels = np.arange(clips) % classes
    centres = generator.standard_normal((classes, LATENT))
    scale = 1 / np.arange(1, LATENT + 1)
    latent = scale * (centres[labels] + 2.5 * generator.standard_normal((clips, LATENT)))
    features = np.maximum(latent @ generator.standard_normal((LATENT, dim)), 0).astype(np.float32)
    return features, labels, np.arange(clips) // classes % FOLDS


def embedded(name: str, corpus: Corpus) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A collection's embeddings, labels and folds."""
    model = load(name)
    vectors = np.stack([model.embed(path) for path in corpus.column("path")])
    return vectors, corpus.label_ids(), np.array(corpus.column("fold"))


def ours(features: np.ndarray, labels: np.ndarray, splits: Sequence[Split]) -> float:
    return linear_probe(features, labels, splits).mean


def scikit_learn(features: np.ndarray, labels: np.ndarray, splits: Sequence[Split]) -> float:
    accuracies = []
    for split in splits:
        known = np.concatenate([split.train, split.valid])
        mean, scale = features[known].mean(axis=0), features[known].std(axis=0)
        scale[scale == 0] = 1
        model = LogisticRegression(max_iter=1000).fit((features[known] - mean) / scale, labels[known])
        accuracies.append(model.score((features[split.test] - mean) / scale, labels[split.test]))
    return float(np.mean(accuracies))


def measure(features: np.ndarray, labels: np.ndarray, folds: np.ndarray) -> list[Row]:
    """Time both on one set."""
    splits = from_folds(folds, labels)
    clock, processor, accuracy = {}, {}, {}
    for name, method in (("scikit-learn", scikit_learn), ("soundloom", ours)):
        start, start_processor = time.perf_counter(), time.process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            accuracy[name] = method(features, labels, splits)
        clock[name], processor[name] = time.perf_counter() - start, time.process_time() - start_processor
    return [
        Row(
            method=name,
            clips=len(features),
            dim=features.shape[1],
            classes=len(np.unique(labels)),
            seconds=clock[name],
            processor_seconds=processor[name],
            to_scikit_learn=clock["scikit-learn"] / clock[name],
            processor_to_scikit_learn=processor["scikit-learn"] / processor[name],
            accuracy=accuracy[name],
        )
        for name in clock
    ]


def show(rows: Sequence[Row]) -> None:
    """Print the table."""
    facts = machine()
    first = rows[0]
    title = f"Linear probe over the folds of {first.clips} x {first.dim}, {first.classes} classes"
    table = Table(title=title, caption=f"{facts['processor']}, {facts['threads']} threads")
    for column in ("method", "seconds", "x scikit-learn", "processor seconds", "x scikit-learn", "accuracy"):
        table.add_column(column)
    for row in rows:
        table.add_row(
            row.method,
            f"{row.seconds:.1f}",
            f"{row.to_scikit_learn:.2f}",
            f"{row.processor_seconds:.1f}",
            f"{row.processor_to_scikit_learn:.2f}",
            f"{row.accuracy:.3f}",
        )
    Console().print(table)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.probes", description=__doc__)
    parser.add_argument("--clips", type=int, default=2000)
    parser.add_argument("--dim", type=int, default=6144)
    parser.add_argument("--classes", type=int, default=50)
    parser.add_argument("--embeddings", type=Path, metavar="NPZ", help="measure on these instead")
    parser.add_argument("--model", default="logmel+mfcc", help="whose embeddings, with --on")
    parser.add_argument("--on", metavar="CORPUS=FOLDER", help="measure on this collection's embeddings instead")
    parser.add_argument("--quick", action="store_true", help="a small set: to see that it runs")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the rows there too")
    options = parser.parse_args(arguments)
    if options.embeddings is not None:
        with np.load(options.embeddings) as arrays:
            data = arrays["embeddings"].astype(np.float32), arrays["labels"], arrays["folds"]
    elif options.on is not None:
        name, _, root = options.on.partition("=")
        data = embedded(options.model, corpora.load(name, root))
    elif options.quick:
        data = embeddings(300, 64, 10)
    else:
        data = embeddings(options.clips, options.dim, options.classes)
    rows = measure(*data)
    show(rows)
    if options.json is not None:
        write_json(options.json, [asdict(row) for row in rows])


if __name__ == "__main__":
    main()
