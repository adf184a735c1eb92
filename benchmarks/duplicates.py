"""How many copies of sounds are found by their fingerprints: coded otherwise, at another rate or level, trimmed.

    python -m benchmarks.duplicates [FOLDER] [--clips N] [--quick] [--json OUT]

Some clips of a folder are copied in five ways, and all files, copies and originals, are searched for duplicates, as
`Library.duplicates` does. Pairs are ranked by the share of bits in which their fingerprints agree. A copy and its
original are right; clips of different recordings are wrong; other copies of one clip, and clips of one recording, are
not counted. Recall is the share of the copies in the longest ranking of which 99 % are right. Clips are of one
recording where the column ``src_file`` of ``meta/esc50.csv`` says so.
"""

from __future__ import annotations

import argparse
import csv
import os
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import numpy as np
import soundfile
import soxr
from rich.console import Console
from rich.table import Table

from benchmarks.retrieval import labelled_sounds
from benchmarks.timing import with_progress, write_json
from soundloom import audio
from soundloom.file_pool import Failed, process
from soundloom.library.duplicates.fingerprint import SAMPLE_RATE, fingerprint
from soundloom.library.duplicates.fingerprint_matches import matching_pairs

RATE = 44_100
PRECISION, TARGET = 0.99, 0.95


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.duplicates", description="measure near duplicates")
    parser.add_argument("folder", nargs="?", type=Path, help="sounds (ESC-50, else the synthesiser's)")
    parser.add_argument("--clips", type=int, default=2000, help="how many are copied (%(default)s)")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="files at a time (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="20 clips: to see that it runs")
    parser.add_argument("--json", type=Path, help="write the results there")
    options = parser.parse_args(arguments)
    with TemporaryDirectory() as temporary:
        folder = options.folder or labelled_sounds(Path(temporary) / "sounds")
        files = sorted(audio.find([folder]))[: 40 if options.quick else None]
        chosen = random.Random(0).sample(files, min(len(files), 20 if options.quick else options.clips))
        began = time.monotonic()
        copies = list(with_progress(_copies(chosen, Path(temporary) / "copies"), len(chosen) * len(KINDS), "copies"))
        every = [Sound(file, str(file)) for file in files] + copies
        results = process(every, _fingerprint, workers=options.workers)
        prints = list(with_progress(results, len(every), "fingerprints"))
        broken = [result for result in prints if isinstance(result, Failed)]
        assert not broken, broken[:3]
        computed = time.monotonic()
        matches = matching_pairs([result for result in prints if not isinstance(result, Failed)])
        found = time.monotonic()
    pairs = [(match.agreement, every[match.first], every[match.second]) for match in matches]
    rows = recall_by_kind(pairs, copies, _recordings(folder))
    _print(rows, len(files), len(copies))
    print(f"copies and fingerprints: {computed - began:.0f} s; comparison: {found - computed:.1f} s")
    if options.json is not None:
        write_json(options.json, rows)


@dataclass(frozen=True)
class Sound:
    """A file; of a copy, what it is a copy of and how it was made."""

    file: Path
    original: str
    kind: str = ""


def _encode(codec: str, bit_rate: int, rate: int) -> Callable[[np.ndarray, Path], None]:
    def write(samples: np.ndarray, file: Path) -> None:
        with av.open(str(file), "w") as container:
            stream = container.add_stream(codec, rate=rate, options={"b": str(bit_rate)})
            stream.bit_rate, stream.layout = bit_rate, "mono"
            resampler = av.AudioResampler(format=stream.format, layout="mono", rate=rate)
            frame = av.AudioFrame.from_ndarray(samples[None].astype(np.float32), format="fltp", layout="mono")
            frame.sample_rate = RATE
            fifo = av.AudioFifo()
            for part in (*resampler.resample(frame), *resampler.resample(None)):
                fifo.write(part)
            size = stream.codec_context.frame_size
            while (part := fifo.read(size) or fifo.read(size, partial=True)) is not None:
                container.mux(stream.encode(part))
            container.mux(stream.encode(None))

    return write


def _write(change: Callable[[np.ndarray], np.ndarray], rate: int = RATE) -> Callable[[np.ndarray, Path], None]:
    return lambda samples, file: soundfile.write(file, change(samples), rate, subtype="PCM_16")


KINDS: dict[str, tuple[str, Callable[[np.ndarray, Path], None]]] = {
    "MP3, 64 kbit/s": (".mp3", _encode("libmp3lame", 64_000, RATE)),
    "Opus, 24 kbit/s": (".ogg", _encode("libopus", 24_000, 48_000)),
    "8 kHz": (".wav", _write(lambda samples: soxr.resample(samples, RATE, 8000), 8000)),
    "-20 dB": (".wav", _write(lambda samples: 0.1 * samples)),
    "0.3 s trimmed": (".wav", _write(lambda samples: samples[min(round(0.3 * RATE), len(samples) // 2) :])),
}


def _copies(files: Sequence[Path], folder: Path) -> Iterator[Sound]:
    for number, (kind, (ending, write)) in enumerate(KINDS.items()):
        (folder / str(number)).mkdir(parents=True)
        for index, file in enumerate(files):
            copy = folder / str(number) / f"{index}{ending}"
            write(audio.read(file, RATE), copy)
            yield Sound(copy, str(file), kind)


def _fingerprint(sound: Sound, av: audio.AvProcess) -> np.ndarray:
    return fingerprint(audio.stream(sound.file, SAMPLE_RATE, av=av))


def _recordings(folder: Path) -> dict[str, str]:
    """File name without ending -> recording, where a table says so."""
    table = folder / "meta" / "esc50.csv"
    if not table.exists():
        return {}
    with open(table, newline="", encoding="utf-8") as stream:
        return {Path(row["filename"]).stem: row["src_file"] for row in csv.DictReader(stream)}


def recall_by_kind(
    pairs: Sequence[tuple[float, Sound, Sound]], copies: Sequence[Sound], recordings: dict[str, str]
) -> list[dict[str, str | float]]:
    """The recall of every kind of copy, and of all, in the longest ranking that is precise enough."""

    def recording(sound: Sound) -> str:
        return recordings.get(Path(sound.original).stem, sound.original)

    right, wrong, kept = set[tuple[str, str]](), 0, set[tuple[str, str]]()
    for _, one, other in sorted(pairs, key=lambda pair: -pair[0]):
        if recording(one) != recording(other):
            wrong += 1
        elif one.original == other.original and bool(one.kind) != bool(other.kind):
            right.add((one.original, one.kind or other.kind))
        if len(right) >= PRECISION * (len(right) + wrong):
            kept = set(right)
    rows: list[dict[str, str | float]] = []
    for kind in KINDS:
        count = sum(copy.kind == kind for copy in copies)
        rows.append({"copy": kind, "recall": sum(one == kind for _, one in kept) / count, "target": TARGET})
    return [*rows, {"copy": "all", "recall": len(kept) / len(copies), "target": TARGET}]


def _print(rows: Sequence[dict[str, str | float]], files: int, copies: int) -> None:
    table = Table(title=f"{copies} copies among {files} originals: recall at precision {PRECISION}")
    for name in ("copy", "recall", "target"):
        table.add_column(name, justify="left" if name == "copy" else "right")
    for row in rows:
        table.add_row(str(row["copy"]), f"{row['recall']:.3f}", f"{row['target']:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
