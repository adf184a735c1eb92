"""A step of COALA's training, data and all, beside the plain step that one would write.

    python -m benchmarks.alignment [--batch 128] [--compile] [--bf16] [--quick] [--json out.json]

Sounds that soundloom makes itself, tagged by what made them. Timed in turns, on as many sounds:

    plain       AE-C's losses of patches that are there already, backward, and a step of plain SGD, as torch builds it
    step        a step of the trainer: drawing and restoring patches, the same losses, backward, optimiser

and, where they are asked for, the trainer's step compiled, and in mixed precision, in which only some processors
compute.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from benchmarks.timing import machine, write_json
from benchmarks.training import WARM, corpus_in, steps
from soundloom.corpora import Corpus
from soundloom.feature_cache import FeatureDataset, MelEnergies, prepare
from soundloom.objectives.alignment import AlignmentObjective, AlignmentSettings
from soundloom.objectives.base import Batch
from soundloom.objectives.labels import LabelBatchSampler
from soundloom.recipes.architectures import FRAMES, build_stream
from soundloom.training import TrainingSettings


@dataclass(frozen=True, kw_only=True)
class Row:
    """One way to take a step.

    Attributes:
        way: its name.
        examples: sounds a second.
        to_plain: how many times faster it is than the plain one.
    """

    way: str
    examples: float
    to_plain: float


@dataclass(frozen=True, kw_only=True)
class Sounds:
    """What there is to learn from: batches of patches with their tags."""

    dataset: FeatureDataset
    draw: LabelBatchSampler
    tags: int

    def __call__(self, step: int) -> Batch:
        """The batch of a step."""
        return self.draw(step)

    def objective(self) -> AlignmentObjective:
        """AE-C's losses."""
        stream = build_stream("coala", 0, "coala")
        return AlignmentObjective(AlignmentSettings(same_tags_repel=False), self.dataset.form, stream, self.tags)


def sounds_of(corpus: Corpus, batch: int) -> Sounds:
    """The first patch of every sound, and its labels for tags."""
    dataset = prepare(corpus, MelEnergies(build_stream("coala", 0, "coala").frontend.base))
    targets = corpus.label_matrix().astype(np.float32)
    clips = np.flatnonzero(dataset.lengths > 0)
    draw = LabelBatchSampler(
        dataset=dataset, clips=clips, starts=np.zeros_like(clips), size=FRAMES, targets=targets, batch=batch, seed=0
    )
    return Sounds(dataset=dataset, draw=draw, tags=targets.shape[1])


def plain(sounds: Sounds, times: int) -> list[float]:
    """Seconds of each plain step."""
    stream, objective = build_stream("coala", 0, "coala").train(), sounds.objective().train()
    optimiser = torch.optim.SGD([*stream.parameters(), *objective.parameters()], lr=0.005)
    batch = sounds(0)
    taken = []
    for _ in range(times + WARM):
        start = time.perf_counter()
        objective(stream, batch)["loss"].backward()
        optimiser.step()
        optimiser.zero_grad()
        taken.append(time.perf_counter() - start)
    return taken[WARM:]


def measure(sounds: Sounds, batch: int, times: int, rounds: int, *, compiled: bool, mixed: bool) -> list[Row]:
    """Time every way in turns."""
    settings = TrainingSettings(
        steps=times + WARM + 2, batch=batch, optimiser="sgd", rate=0.005, momentum=0.0, checkpoint_minutes=1e6,
        log_every=10,
    )  # fmt: skip

    def trained(chosen: TrainingSettings) -> list[float]:
        return steps(build_stream("coala", 0, "coala"), sounds.objective(), sounds, chosen)[:times]

    methods: dict[str, Callable[[], list[float]]] = {
        "plain": lambda: plain(sounds, times),
        "step": lambda: trained(settings),
    }
    if compiled:
        methods["step, compiled"] = lambda: trained(replace(settings, compile=True))
    if mixed:
        methods["step, bf16"] = lambda: trained(replace(settings, precision="bf16"))
    seconds: dict[str, list[float]] = {way: [] for way in methods}
    for _ in range(rounds):
        for way, method in methods.items():
            seconds[way] += method()
    medians = {way: statistics.median(taken) for way, taken in seconds.items()}
    return [
        Row(way=way, examples=batch / median, to_plain=medians["plain"] / median) for way, median in medians.items()
    ]


def show(rows: Sequence[Row], batch: int) -> None:
    """Print the table."""
    facts = machine()
    title = f"AE-C's training steps, batch {batch}, sounds/s"
    table = Table(title=title, caption=f"{facts['processor']}, {facts['threads']} threads")
    for column in ("", "sounds/s", "x plain"):
        table.add_column(column)
    for row in rows:
        table.add_row(row.way, f"{row.examples:.1f}", f"{row.to_plain:.2f}")
    Console().print(table)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.alignment", description=__doc__)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--times", type=int, default=3, help="steps in each of three turns")
    parser.add_argument("--compile", action="store_true", help="also the trainer's step, compiled")
    parser.add_argument("--bf16", action="store_true", help="also the trainer's step in mixed precision")
    parser.add_argument("--quick", action="store_true", help="a small batch: to see that it runs")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the rows there too")
    options = parser.parse_args(arguments)
    batch, times, rounds = (8, 2, 1) if options.quick else (options.batch, options.times, 3)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SOUNDLOOM_HOME"] = str(Path(folder) / "home")
        sounds = sounds_of(corpus_in(Path(folder) / "sounds", 64 if options.quick else 320), batch)
        rows = measure(sounds, batch, times, rounds, compiled=options.compile, mixed=options.bf16)
    show(rows, batch)
    if options.json is not None:
        write_json(options.json, [asdict(row) for row in rows])


if __name__ == "__main__":
    main()
