"""Whether files decode to what they hold: every container and codec that FFmpeg writes, and every fault of a header.

    python -m benchmarks.decoding [--quick] [--shapes N] [--folder FOLDER] [--json OUT]

Files are written with FFmpeg (PyAV) in every combination of container, codec, rate and channels that it takes, and
damaged in the ways that recorders, full disks and careless programs do: cut, never finished, counted twice or by half,
joined, followed or preceded by tags and junk. Each is decoded by soundloom and by FFmpeg in a plain loop to the end;
the sound that a damaged file was made of is the truth.

equal     as long as the truth within a codec frame, no lag, the same samples (lossless) or within 1e-3 (lossy)
noted     another length than the header's, said in a notice, and equal to the truth
refused   an error that names the reason
SHORTER   shorter than the truth without a word: must not be
WRONG     longer, shifted, or other samples

Exits with 1 if any file is SHORTER or WRONG.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from jaxtyping import Float32
from rich.console import Console
from rich.table import Table

from benchmarks.container_faults import faults
from benchmarks.container_files import SHAPES, Made, make_files
from benchmarks.timing import write_json
from soundloom import audio
from soundloom.errors import AudioError

LOSSLESS = 2e-5
LOSSY = 1e-3
BAD = ("SHORTER", "WRONG", "CRASH")


@dataclass(frozen=True, kw_only=True)
class Result:
    """What became of one file.

    Attributes:
        kind: how the file was made: whole, or its fault.
        file: container, codec, rate and channels.
        verdict: one of those above.
        text: lengths, differences, notices or the error.
    """

    kind: str
    file: str
    verdict: str
    text: str


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.decoding", description="compare decoding with FFmpeg's")
    parser.add_argument("--quick", action="store_true", help="one rate, two channels, the common containers")
    parser.add_argument("--shapes", type=int, default=len(SHAPES), help="rates and channels to try of each codec")
    parser.add_argument("--folder", type=Path, help="keep the files there (a temporary folder)")
    parser.add_argument("--json", type=Path, help="write the results there")
    options = parser.parse_args(arguments)
    with TemporaryDirectory() as temporary, audio.AvProcess() as av:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        results = []
        for made in make_files(folder, quick=options.quick, shapes=options.shapes):
            results.append(judged(made, av))
            for damaged in faults(made):
                results.append(judged(damaged, av))
                damaged.path.unlink()
            if options.folder is None:
                made.path.unlink(missing_ok=True)
    report(results)
    if options.json is not None:
        write_json(options.json, [asdict(result) for result in results])
    if any(result.verdict in BAD for result in results):
        raise SystemExit(1)


def judged(made: Made, av: audio.AvProcess) -> Result:
    """Decode one file and compare it with the truth."""
    notices: list[audio.Notice] = []
    name = f"{made.container} {made.codec} {made.rate} Hz {made.channels} ch"
    try:
        samples = audio.read(made.path, made.rate, av=av, notices=notices)
    except AudioError as error:
        verdict = "CRASH" if "process that decodes it" in error.reason else "refused"
        return Result(kind=made.kind, file=name, verdict=verdict, text=error.reason)
    said = [notice.text for notice in notices if notice.code in ("repaired", "truncated", "joined", "unclosed")]
    verdict, text = compared(samples, made)
    if (verdict == "SHORTER" and any(notice.code in ("truncated", "unclosed") for notice in notices)) or (
        verdict == "equal" and said
    ):
        verdict = "noted"
    return Result(kind=made.kind, file=name, verdict=verdict, text="; ".join([text, *said]))


def compared(samples: Float32[np.ndarray, " samples"], made: Made) -> tuple[str, str]:
    """The verdict on decoded samples, and why."""
    truth = made.truth
    difference = len(samples) - len(truth)
    text = f"{len(samples) / made.rate:.3f} of {len(truth) / made.rate:.3f} s"
    if abs(difference) > made.frame:
        return ("SHORTER" if difference < 0 else "WRONG"), text
    common = min(len(samples), len(truth))
    if not common:
        return "WRONG", text
    least = LOSSLESS if made.lossless else LOSSY
    # Where a stream was joined or cut, what overlaps the seam may differ.
    apart = np.abs(samples[:common] - truth[:common])
    far = float(apart.max())
    if far <= least or float(np.mean(apart > least)) < made.seam:
        return "equal", text
    return "WRONG", f"{text}; lag {lag(samples[:common], truth[:common])}, differs by {far:.4f}"


def lag(one: Float32[np.ndarray, " samples"], other: Float32[np.ndarray, " samples"]) -> int:
    """Samples by which one sound comes later than another, by the peak of their correlation."""
    size = 2 * len(one)
    correlation = np.fft.irfft(np.fft.rfft(one, size) * np.conj(np.fft.rfft(other, size)), size)
    place = int(np.argmax(correlation))
    return place if place < len(one) else place - size


def report(results: Sequence[Result]) -> None:
    """Print the counts by kind, and every file that is not as it should be."""
    verdicts = ("equal", "noted", "refused", *BAD)
    table = Table("kind", *verdicts, "all", title="decoding against FFmpeg, files")
    counts = Counter((result.kind, result.verdict) for result in results)
    for kind in sorted({result.kind for result in results}):
        row = [counts[kind, verdict] for verdict in verdicts]
        table.add_row(kind, *(str(count or "") for count in row), str(sum(row)))
    sums = [sum(count for (_, found), count in counts.items() if found == verdict) for verdict in verdicts]
    table.add_row("all", *map(str, sums), str(len(results)), end_section=True)
    console = Console(width=160)
    console.print(table)
    for result in results:
        if result.verdict in BAD or (result.kind == "whole" and result.verdict != "equal"):
            console.print(f"{result.verdict} {result.kind}: {result.file}: {result.text}", markup=False, soft_wrap=True)


if __name__ == "__main__":
    main()
