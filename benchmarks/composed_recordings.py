"""Detectors on recordings that are composed of known sounds at known levels, from ten marked calls of each.

    python -m benchmarks.composed_recordings [--audio FOLDER] [--hours 10] [--seed 0] [--keep FOLDER] [--json OUT]
                                             [--quick]

Crows, frogs, dogs and sirens of ESC-50, cut to where they are loud, are laid at random times and +10 to -10 dB into
wind, rain and engines: on average a call of each every two minutes, some over each other. The level is that of the
call's mean power over that of the background under it. Four training recordings of ten minutes are of folds 1 and 2,
each with clips of its own, as recordings are of other animals; the first calls of each kind in them are marked, ten in
all, the others are not, and nothing else is said. All other recordings are of folds 3 and 4. One detector of four
labels is trained as a user would (`Detector.train`), and run on the test recordings from files, decoding included.

Reported for each label: average precision of windows; precision and recall of events at a probability of one half and
for an aimed precision of 0.9, with the interval that was stated; recall by level. An event is right if it touches a
call, a call is found if an event touches it. Fold 5 is not used.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
import time
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from rich.console import Console
from rich.table import Table

import soundloom
from benchmarks.detectors import esc50_folder
from benchmarks.timing import write_json
from soundloom import audio
from soundloom.annotations import Annotation
from soundloom.detectors import Aim, Detector
from soundloom.detectors.detection import scored_windows
from soundloom.library.tags.logistic_regression import average_precision

RATE = 16_000
CALLS = ("crow", "frog", "dog", "siren")
BACKGROUNDS = ("wind", "rain", "engine")
FILE = 600
"""Seconds of a recording."""

EVERY = 120.0
"""Seconds from one call of a kind to the next, on average."""

LEVELS = (-10.0, 10.0)
BANDS = ((-10.0, -3.0), (-3.0, 3.0), (3.0, 10.0))
MARKED = 10
TRAINING = 4


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.composed_recordings", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--audio", type=Path, help="the folder of ESC-50")
    parser.add_argument("--hours", type=float, default=10.0, help="of test recordings (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the composition (%(default)s)")
    parser.add_argument("--keep", type=Path, help="keep the recordings there")
    parser.add_argument("--quick", action="store_true", help="twenty minutes: to see that it runs")
    parser.add_argument("--json", type=Path, help="write the results there")
    options = parser.parse_args(arguments)
    folder = esc50_folder(options.audio)
    if folder is None:
        return
    files = 2 if options.quick else max(1, round(options.hours * 3600 / FILE))
    with tempfile.TemporaryDirectory() as temporary:
        out = options.keep or Path(temporary)
        out.mkdir(parents=True, exist_ok=True)
        training = [
            composed(folder, (1, 2), out / f"train-{n}.flac", [options.seed, 0, n], part=(n, TRAINING))
            for n in range(TRAINING)
        ]
        test = [composed(folder, (3, 4), out / f"test-{n}.flac", [options.seed, 1, n]) for n in range(files)]
        marks = [one for label in CALLS for one in first_calls(training, label)]
        started = time.perf_counter()
        detector = Detector.train(CALLS, [stripped(one) for one in marks])
        trained = time.perf_counter() - started
        rows = measured(
            detector, [out / f"test-{n}.flac" for n in range(files)], [one for some in test for one in some]
        )
    windows = ", ".join(f"{one.label} {one.window:g} s" for one in detector.labels)
    print(f"windows of {windows}, hop {detector.hop} s, trained in {trained:.0f} s")
    report(rows)
    if options.json is not None:
        write_json(options.json, rows)


def first_calls(recordings: Sequence[Sequence[Annotation]], label: str) -> list[Annotation]:
    """The first calls of a label in every recording, in turn, until there are enough."""
    by_turn = zip_longest(*([one for one in some if one.label == label] for some in recordings))
    return [one for turn in by_turn for one in turn if one is not None][:MARKED]


def composed(
    folder: Path, folds: tuple[int, int], out: Path, seed: Sequence[int], *, part: tuple[int, int] = (0, 1)
) -> list[Annotation]:
    """Write a recording, and return its calls, by start; their level is in the score.

    Args:
        folder: of ESC-50.
        folds: of which the clips are.
        out: the recording.
        seed: of what is drawn.
        part: the number of the part of the calls' clips, and of how many parts.
    """
    rng = np.random.default_rng(seed)
    with (folder / "meta" / "esc50.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if int(row["fold"]) in folds]
    clips = {kind: sorted(Path(row["filename"]).stem for row in rows if row["category"] == kind)
             for kind in (*CALLS, *BACKGROUNDS)}  # fmt: skip
    sound = background(folder, clips[BACKGROUNDS[rng.integers(len(BACKGROUNDS))]], rng)
    found = []
    for label in CALLS:
        for _ in range(int(rng.poisson(FILE / EVERY))):
            stems = clips[label][part[0] :: part[1]]
            call = loud_part(read(folder, stems[rng.integers(len(stems))]))
            first, level = int(rng.integers(len(sound) - len(call))), float(rng.uniform(*LEVELS))
            under = sound[first : first + len(call)]
            gain = np.sqrt((under**2).mean() / max(1e-12, (call**2).mean())) * 10 ** (level / 20)
            sound[first : first + len(call)] += gain * call
            found.append(Annotation(str(out), first / RATE, (first + len(call)) / RATE, label, level))
    soundfile.write(out, np.clip(sound, -1, 1), RATE)
    return sorted(found, key=lambda one: one.start)


def background(folder: Path, stems: Sequence[str], rng: np.random.Generator) -> np.ndarray:
    """Clips of one kind in random order, brought to one level, overlapping by half a second."""
    fade, sound = RATE // 2, np.zeros(FILE * RATE)
    ramp, first = np.sin(np.linspace(0, np.pi / 2, fade)), 0
    while first < len(sound):
        clip = read(folder, stems[rng.integers(len(stems))])
        clip = 0.02 * clip / max(1e-6, float(np.sqrt((clip**2).mean())))
        clip[:fade] *= ramp
        clip[-fade:] *= ramp[::-1]
        room = sound[first : first + len(clip)]
        room += clip[: len(room)]
        first += len(clip) - fade
    return sound + 1e-4 * rng.normal(size=len(sound))


def loud_part(clip: np.ndarray) -> np.ndarray:
    """The longest stretch of a clip, up to 3 s, that is nowhere 25 dB below its peak for a third of a second."""
    frame = RATE // 50
    power = (clip[: len(clip) // frame * frame].reshape(-1, frame) ** 2).mean(axis=1)
    loud = np.flatnonzero(power > power.max() * 10**-2.5)
    parts = np.split(loud, np.flatnonzero(np.diff(loud) > 17) + 1)
    longest = max(parts, key=lambda part: power[part].sum())
    return clip[longest[0] * frame : min(longest[-1] + 1, longest[0] + 150) * frame].copy()


def read(folder: Path, stem: str) -> np.ndarray:
    (path,) = (folder / "audio").glob(f"{stem}.*")
    return audio.read(path, RATE).astype(np.float64)


def stripped(one: Annotation) -> Annotation:
    return Annotation(one.path, one.start, one.end, one.label)


def measured(detector: Detector, files: Sequence[Path], calls: Sequence[Annotation]) -> list[dict[str, Any]]:
    """The figures of every label."""
    model = soundloom.load()
    started = time.perf_counter()
    journal = files[0].parent / "journal"
    windows = list(scored_windows(detector, files, {}, model=model, journal=journal))
    seconds = time.perf_counter() - started
    print(f"{sum(one.duration for one in windows) / 3600:.2f} h in {seconds:.0f} s")
    aims = {"half": Aim(probability=0.5), "precision": Aim(precision=0.9)}
    reports = {name: detector.detect(files, aim, model=model, journal=journal) for name, aim in aims.items()}
    rows = []
    for column, label in enumerate(CALLS):
        of = [one for one in calls if one.label == label]
        truth, scores = [], []
        inner = detector.labels[column].window / 4
        for one in windows:
            here = [call for call in of if call.path == one.path]
            stretches = [one.around(number, 4 * inner) for number in range(len(one.starts))]
            middles = [(start + inner, end - inner) for start, end in stretches]
            truth += [any(call.start < end and start < call.end for call in here) for start, end in middles]
            scores += one.probabilities[:, column].tolist()
        row: dict[str, Any] = {
            "label": label,
            "calls": len(of),
            "ap": average_precision(np.array(scores), np.array(truth)),
        }
        for aim, found in reports.items():
            events = [one for one in found.events if one.label == label]
            right = [any(touch(one, call) for call in of) for one in events]
            hit = [any(touch(one, call) for one in events) for call in of]
            row[f"precision_{aim}"] = float(np.mean(right)) if right else float("nan")
            row |= {f"recall_{aim}": float(np.mean(hit)), f"stated_{aim}": str(found.points[label].precision)}
            if aim == "half":
                for low, high in BANDS:
                    some = [yes for yes, call in zip(hit, of, strict=True) if low <= (call.score or 0) < high]
                    row[f"recall_{low:g}_{high:g}"] = float(np.mean(some)) if some else float("nan")
        rows.append(row)
    return rows


def touch(one: Annotation, call: Annotation) -> bool:
    return one.path == call.path and one.start < call.end and call.start < one.end


def report(rows: Sequence[dict[str, Any]]) -> None:
    bands = [f"{low:g} to {high:g} dB" for low, high in BANDS]
    table = Table("label", "calls", "AP", "precision, recall at 0.5", *bands, "at --precision 0.9", "stated")
    for row in rows:
        half, aimed = (f"{row[f'precision_{aim}']:.2f}, {row[f'recall_{aim}']:.2f}" for aim in ("half", "precision"))
        by_level = [f"{row[f'recall_{low:g}_{high:g}']:.2f}" for low, high in BANDS]
        calls, precision = str(row["calls"]), f"{row['ap']:.3f}"
        table.add_row(row["label"], calls, precision, half, *by_level, aimed, row["stated_precision"])
    Console(width=150).print(table)


if __name__ == "__main__":
    main()
