"""How well sounds of a kind find each other: query by example, leaving one out.

    python -m benchmarks.retrieval [FOLDER] [--model NAME ...] [--weights [PART=]FILE ...] [--even] [--workers 2]
                                   [--quick] [--json OUT]

Every sound is a query, all others are ranked by the library's own similarity (parts in the model's balance, or evenly
with ``--even``), and those of its label are relevant.
Precision at 10 is their share of the ten first; average precision is the mean, over the relevant, of the precision at
the rank of each; its mean over all queries is given. Labels are those of ``meta/esc50.csv`` where the folder has one,
else the names of the folders that hold the files. Sounds of one recording are not kept apart, as the published
protocol of ESC-50 would.
"""

from __future__ import annotations

import argparse
import csv
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.timing import write_json
from soundloom import audio, synth
from soundloom.cli.evaluate_options import weights_for
from soundloom.library import Library
from soundloom.part_weights import apply_balance

MODELS = ("logmel", "mfcc", "logmel+mfcc", "logmel+mfcc+peaks")
K = 10


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.retrieval", description="measure query by example")
    parser.add_argument("folder", nargs="?", type=Path, help="labelled sounds (ESC-50, else the synthesiser's)")
    parser.add_argument("--model", action="append", help=f"may be given again ({', '.join(MODELS)})")
    parser.add_argument("--weights", action="append", default=[], help="[PART=]FILE instead of the published weights")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="files at a time (%(default)s)")
    parser.add_argument("--even", action="store_true", help="count the parts of a model evenly")
    parser.add_argument("--quick", action="store_true", help="200 files: to see that it runs")
    parser.add_argument("--json", type=Path, help="write the results there")
    options = parser.parse_args(arguments)

    with TemporaryDirectory() as temporary:
        folder = options.folder or labelled_sounds(Path(temporary))
        labels = labels_of(folder)
        chosen = sorted(labels)[:200] if options.quick else sorted(labels)
        rows: list[dict[str, str | float]] = []
        for name, weights in weights_for(options.model or MODELS, options.weights).items():
            place = Path(temporary) / f"{name.replace('/', '-')}.loom"
            library = Library.create(place, name, window=None, weights=weights)
            library.add(chosen, workers=options.workers)
            rows.append({"model": name, "dim": library.settings.dim, **scores(library, labels, even=options.even)})

    table = Table("model", "size", f"precision at {K}", "mean average precision", title=f"{len(chosen)} of {folder}")
    for row in rows:
        table.add_row(
            str(row["model"]), str(row["dim"]), f"{row['precision_at_10']:.4f}", f"{row['mean_average_precision']:.4f}"
        )
    chance = sum(n * (n - 1) for n in Counter(labels[path] for path in chosen).values())
    Console(width=120).print(table)
    print(f"by chance, precision is {chance / len(chosen) / (len(chosen) - 1):.4f}")
    if options.json is not None:
        write_json(options.json, rows)


def labelled_sounds(temporary: Path) -> Path:
    """ESC-50 where it is, else sounds of the synthesiser, written to a temporary folder."""
    shared = Path(os.environ.get("SOUNDLOOM_AUDIO", Path(__file__).parents[2] / "shared" / "audio"))
    if (shared / "esc50" / "meta" / "esc50.csv").is_file():
        return shared / "esc50"
    synth.write_set(temporary / "synthesised", count=20)
    return temporary / "synthesised"


def labels_of(folder: Path) -> dict[str, str]:
    """Path -> label of every sound in the folder."""
    paths = list(audio.find([folder.resolve()]))
    listed = folder / "meta" / "esc50.csv"
    if not listed.is_file():
        return {str(path): path.parent.name for path in paths}
    with listed.open(newline="") as file:
        # By stem: the sounds may have been coded anew and so have another suffix.
        label_of = {Path(row["filename"]).stem: row["category"] for row in csv.DictReader(file)}
    return {str(path): label_of[path.stem] for path in paths}


def scores(library: Library, labels: dict[str, str], *, even: bool = False) -> dict[str, float]:
    """Means over all sounds of a library that holds every file whole."""
    stored = library.rows(["path", "embedding"])
    embeddings = np.array(stored["embedding"].to_pylist(), np.float32)
    index = library.index()
    weights = apply_balance(dict.fromkeys(library.settings.parts, 1.0), {} if even else library.settings.balance)
    kinds = np.array([labels[path] for path in index.rows["path"].to_pylist()])
    assert stored["path"].to_pylist() == index.rows["path"].to_pylist()  # both in the order of the files
    precision, average = [], []
    for row, embedding in enumerate(embeddings):
        ranked = index.search(embedding, len(index), weights).rows
        relevant = kinds[ranked[ranked != row]] == kinds[row]
        if relevant.any():  # a sound that is the only one of its kind has nothing to find
            ranks = np.flatnonzero(relevant) + 1
            average.append(np.mean(np.arange(1, len(ranks) + 1) / ranks))
            precision.append(relevant[:K].mean())
    return {"precision_at_10": float(np.mean(precision)), "mean_average_precision": float(np.mean(average))}


if __name__ == "__main__":
    main()
