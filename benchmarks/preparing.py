"""What preparing a corpus costs beside decoding it, and what drawing from it costs afterwards.

    python -m benchmarks.preparing [--clips 500] [--workers 2] [--batch 256] [--frames 96] [--repeat 3] [--json OUT]

Five runs over the same clips take turns: decoding and resampling alone, the mel energies of waveforms that are in
memory, `prepare` into an empty folder, `prepare` where everything is there, and a hundred batches of windows taken at
random places. The clips are those of the shared pool, evenly chosen, where the folder named by SOUNDLOOM_AUDIO holds
it, else the synthesiser's.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from benchmarks.indexing import each
from benchmarks.timing import interleaved, machine, write_json
from soundloom import audio, corpora, synth
from soundloom.corpora import Corpus
from soundloom.feature_cache import MelEnergies, prepare
from soundloom.frontends import LogMel

BASE = "decode + resample"
BATCHES = 100


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.preparing", description="time the preparing of clips")
    parser.add_argument("--clips", type=int, default=500, help="at most so many (%(default)s)")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="clips at a time (%(default)s)")
    parser.add_argument("--batch", type=int, default=256, help="windows in a batch (%(default)s)")
    parser.add_argument("--frames", type=int, default=96, help="frames in a window (%(default)s)")
    parser.add_argument("--repeat", type=int, default=3, help="times each runs (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="20 clips, once: to see that it runs")
    parser.add_argument("--json", type=Path, help="write the results there")
    options = parser.parse_args(arguments)
    count, repeat = (20, 1) if options.quick else (options.clips, options.repeat)

    with TemporaryDirectory() as temporary:
        corpus = example_corpus(Path(temporary), count)
        rows = measure(corpus, options.workers, options.batch, options.frames, repeat, Path(temporary))

    title = f"preparing {len(corpus)} clips of {corpus.name} for LogMel.jansen(), {options.workers} workers, "
    title += f"{machine()['processor']}, medians of {repeat}"
    table = Table("what", "seconds", "x real time", f"to {BASE}", title=title)
    for row in rows:
        table.add_row(str(row["what"]), f"{row['seconds']:.3f}", f"{row['real_time']:,.0f}", f"{row['to_base']:.3f}")
    Console(width=120).print(table)
    each_batch = float(rows[-1]["seconds"]) / BATCHES
    print(f"a batch of {options.batch} windows of {options.frames} frames: {1e3 * each_batch:.2f} ms, ", end="")
    print(f"{options.batch / each_batch:,.0f} windows/s")
    if options.json is not None:
        write_json(options.json, rows)


def example_corpus(temporary: Path, count: int) -> Corpus:
    """So many clips of the pool where it is, else of the synthesiser's, written to a temporary folder."""
    shared = Path(os.environ.get("SOUNDLOOM_AUDIO", Path(__file__).parents[2] / "shared" / "audio"))
    if (shared / "pool.csv").is_file():
        corpus = corpora.load("pool", shared)
    else:
        synth.write_set(temporary / "synthesised", count=count)
        corpus = corpora.load(temporary / "synthesised")
    chosen = np.zeros(len(corpus), bool)
    chosen[np.linspace(0, len(corpus) - 1, min(count, len(corpus))).round().astype(int)] = True
    return corpus.filter(mask=chosen)


def measure(
    corpus: Corpus, workers: int, batch: int, frames: int, repeat: int, temporary: Path
) -> list[dict[str, str | float]]:
    """A row for each of the runs."""
    form = MelEnergies(LogMel.jansen())
    paths = corpus.column("path")
    waveforms = each(lambda path: audio.read(path, form.sample_rate), paths, workers)
    dataset = prepare(corpus, form, folder=temporary / "there")
    clips, starts = dataset.windows(frames, frames)
    places = np.random.default_rng(0).integers(0, len(clips), (BATCHES, batch))
    folders = (temporary / str(number) for number in range(10**9))

    def draw() -> None:
        for some in places:
            dataset.take(clips[some], starts[some], frames)

    taken = interleaved(
        {
            BASE: lambda: each(lambda path: len(audio.read(path, form.sample_rate)), paths, workers),
            "mel energies and codes": lambda: each(lambda wave: form.keep(torch.from_numpy(wave)), waveforms, workers),
            "prepare": lambda: prepare(corpus, form, folder=next(folders), workers=workers),
            "prepare again": lambda: prepare(corpus, form, folder=temporary / "there", workers=workers),
            f"take {BATCHES} batches": draw,
        },
        repeat=repeat,
    )
    heard = sum(map(len, waveforms)) / form.sample_rate
    drawn = BATCHES * batch * frames * LogMel.jansen().hop
    return [
        {
            "what": what,
            "seconds": seconds,
            "real_time": (drawn if what.startswith("take") else heard) / seconds,
            "to_base": seconds / taken[BASE],
        }
        for what, seconds in taken.items()
    ]


if __name__ == "__main__":
    main()
