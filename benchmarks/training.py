"""A step of training, data and all, beside the forward and backward pass of the model alone.

    python -m benchmarks.training [--streams resnet50,resnet-small] [--batch 128] [--quick] [--json out.json]

Triplets, as ``soundloom train triplet`` learns from them, of sounds that soundloom makes itself. Three things are timed
in turns, on as many windows (twice the batch: anchors and positives):

    plain       forward and backward of the encoder as torch builds it, on windows that are there already
    alone       the same with the memory order that the trainer gives it
    step        a step of the trainer: drawing and restoring windows, positives, forward, mining, backward, optimiser

The first is what one would write; a step should cost at most 1.1 times the second.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from benchmarks.timing import machine, write_json
from soundloom import corpora, synth
from soundloom.embedder import Stream
from soundloom.feature_cache import FeatureDataset, form_of, prepare
from soundloom.objectives.base import BatchSampler, Objective
from soundloom.objectives.triplet import TripletObjective, TripletSettings
from soundloom.objectives.triplet_batches import triplet_sampler
from soundloom.objectives.triplet_pairs import Recordings
from soundloom.recipes.architectures import FRAMES, build_stream
from soundloom.training import TrainingProgress, TrainingSettings, fit

WARM = 2
"""Steps that are not counted."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One stream.

    Attributes:
        stream: its name.
        batch: anchors a step.
        plain: windows a second.
        alone: windows a second.
        step: windows a second.
        to_plain: how many times faster a step is than plain forward and backward.
        to_alone: how many times longer a step takes than the model alone.
    """

    stream: str
    batch: int
    plain: float
    alone: float
    step: float
    to_plain: float
    to_alone: float


def corpus_in(folder: Path, sounds: int) -> corpora.Corpus:
    """Sounds of 16 families, a few seconds each."""
    synth.write_set(folder, max(2, sounds // len(synth.FAMILIES)))
    return corpora.load(folder)


def passes(stream: Stream, windows: torch.Tensor, times: int) -> list[float]:
    """Seconds of each forward and backward pass."""
    taken = []
    stream.train()
    for _ in range(times + 1):
        start = time.perf_counter()
        embeddings = stream.embed_window(windows)
        embeddings.backward(torch.ones_like(embeddings))
        for parameter in stream.parameters():
            parameter.grad = None
        taken.append(time.perf_counter() - start)
    return taken[1:]


def steps(stream: Stream, objective: Objective, draw: BatchSampler, settings: TrainingSettings) -> list[float]:
    """Seconds of each step of the trainer, from the end of one to the end of the next."""
    ends: list[float] = []

    def done(_: TrainingProgress) -> None:
        ends.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as folder:
        fit(stream, objective, draw, settings=settings, folder=Path(folder) / "run", progress=done)
    return [after - before for before, after in pairwise(ends)][WARM:]


def measure(name: str, corpus: corpora.Corpus, batch: int, times: int, rounds: int) -> Row:
    """Time one stream, the three ways in turns."""
    stream = build_stream(name, 0, name)
    dataset: FeatureDataset = prepare(corpus, form_of(stream))
    chosen = TripletSettings(proximity=0.0)
    objective = TripletObjective(chosen, dataset.form)
    draw = triplet_sampler(chosen, dataset, Recordings.of(corpus), np.arange(len(corpus)), batch, 0)
    windows = torch.randn(2 * batch, 1, stream.frontend.bins, FRAMES)
    # The curves and checkpoints at the very end are not steps.
    settings = TrainingSettings(steps=times + WARM + 2, batch=batch, checkpoint_minutes=1e6, log_every=10)
    plain, alone = build_stream(name, 0, name), build_stream(name, 0, name)
    alone.to(memory_format=torch.channels_last)
    methods: dict[str, Callable[[], list[float]]] = {
        "plain": lambda: passes(plain, windows, times),
        "alone": lambda: passes(alone, windows, times),
        "step": lambda: steps(build_stream(name, 0, name), objective, draw, settings)[:times],
    }
    seconds: dict[str, list[float]] = {way: [] for way in methods}
    for _ in range(rounds):
        for way, method in methods.items():
            seconds[way] += method()
    medians = {way: statistics.median(taken) for way, taken in seconds.items()}
    return Row(
        stream=name,
        batch=batch,
        **{way: 2 * batch / median for way, median in medians.items()},
        to_plain=medians["plain"] / medians["step"],
        to_alone=medians["step"] / medians["alone"],
    )


def show(rows: Sequence[Row]) -> None:
    """Print the table."""
    facts = machine()
    table = Table(title="Training steps, windows/s", caption=f"{facts['processor']}, {facts['threads']} threads")
    for column in ("stream", "batch", "plain", "alone", "step", "step: x plain", "step: x alone, time"):
        table.add_column(column)
    for row in rows:
        numbers = (
            f"{row.plain:.0f}",
            f"{row.alone:.0f}",
            f"{row.step:.0f}",
            f"{row.to_plain:.2f}",
            f"{row.to_alone:.2f}",
        )
        table.add_row(row.stream, str(row.batch), *numbers)
    Console().print(table)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training", description=__doc__)
    parser.add_argument("--streams", default="resnet-small,resnet50", metavar="NAME,...")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--times", type=int, default=3, help="steps in each of three turns")
    parser.add_argument("--quick", action="store_true", help="one small stream: to see that it runs")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the rows there too")
    options = parser.parse_args(arguments)
    names = ["resnet-small"] if options.quick else options.streams.split(",")
    batch, times, rounds = (8, 2, 1) if options.quick else (options.batch, options.times, 3)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SOUNDLOOM_HOME"] = str(Path(folder) / "home")
        corpus = corpus_in(Path(folder) / "sounds", 64 if options.quick else 320)
        rows = [measure(name, corpus, batch, times, rounds) for name in names]
    show(rows)
    if options.json is not None:
        write_json(options.json, [asdict(row) for row in rows])


if __name__ == "__main__":
    main()
