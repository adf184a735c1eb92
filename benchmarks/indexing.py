"""What indexing costs beside what cannot be saved: decoding and resampling the files.

    python -m benchmarks.indexing [FOLDER] [--model loom] [--engine auto] [--files 1000] [--workers 2]

Six runs over the same files take turns: decoding and resampling alone, embedding alone (of waveforms that are in
memory), both, writing the rows alone, `Library.add`, and the whole command ``soundloom index`` with the start of its
process and the building of its search index. The sounds are ESC-50 where the folder named by SOUNDLOOM_AUDIO holds it,
else the synthesiser's.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import numpy as np
from rich.console import Console
from rich.table import Table

import soundloom
from benchmarks.timing import interleaved, machine, write_json
from soundloom import audio, synth
from soundloom.engine_choice import ENGINES, accelerating
from soundloom.library import Library
from soundloom.one_thread import one_thread

BASE = "decode + resample"
TARGET = 1.25
T = TypeVar("T")
R = TypeVar("R")
SOUNDLOOM = [sys.executable, "-c", "from soundloom.cli import main; main()"]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.indexing", description="time the making of a library")
    parser.add_argument("folder", nargs="?", type=Path, help="of sounds (ESC-50, else the synthesiser's)")
    parser.add_argument("--model", default="loom", help="(%(default)s)")
    parser.add_argument("--engine", choices=ENGINES, default="auto", help="as of soundloom index (%(default)s)")
    parser.add_argument("--files", type=int, default=1000, help="at most so many (%(default)s)")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="files at a time (%(default)s)")
    parser.add_argument("--repeat", type=int, default=3, help="times each runs (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="40 files, once: to see that it runs")
    parser.add_argument("--json", type=Path, help="write the results there")
    options = parser.parse_args(arguments)
    count, repeat = (40, 1) if options.quick else (options.files, options.repeat)

    with TemporaryDirectory() as temporary:
        folder = options.folder or example_sounds(Path(temporary))
        chosen = linked(audio.find([folder]), count, Path(temporary) / "chosen")
        rows = measure(chosen, options.model, options.engine, options.workers, repeat, Path(temporary))

    facts = machine()
    title = (
        f"indexing {len(chosen)} files of {folder} with {options.model} ({options.engine}), {options.workers} workers, "
    )
    title += f"{facts['processor']}, medians of {repeat}"
    table = Table("what", "seconds", "files/s", "x real time", f"to {BASE}", title=title)
    for row in rows:
        table.add_row(
            str(row["what"]), f"{row['seconds']:.2f}", f"{row['files_per_second']:.0f}",
            f"{row['real_time']:,.0f}", f"{row['to_base']:.2f}",
        )  # fmt: skip
    Console(width=120).print(table)
    print(f"target: Library.add at most {TARGET} times {BASE}")
    if options.json is not None:
        write_json(options.json, rows)


def example_sounds(temporary: Path) -> Path:
    """ESC-50's recordings where they are, else sounds of the synthesiser's, written to a temporary folder."""
    shared = Path(os.environ.get("SOUNDLOOM_AUDIO", Path(__file__).parents[2] / "shared" / "audio"))
    recordings = shared / "esc50" / "audio"
    if recordings.is_dir():
        return recordings
    synth.write_set(temporary / "synthesised", count=50)
    return temporary / "synthesised"


def linked(paths: Iterable[Path], count: int, folder: Path) -> list[Path]:
    """Links to so many of the files, evenly chosen, in a new folder: the command takes that, not a thousand names."""
    every = list(paths)
    folder.mkdir()
    chosen = [every[place] for place in np.linspace(0, len(every) - 1, min(count, len(every))).round().astype(int)]
    links = [folder / f"{number:06d}{path.suffix}" for number, path in enumerate(chosen)]
    for link, path in zip(links, chosen, strict=True):
        link.symlink_to(path.resolve())
    return links


def measure(
    paths: Sequence[Path], name: str, engine: str, workers: int, repeat: int, temporary: Path
) -> list[dict[str, str | float]]:
    """A row for each of the runs."""
    model = accelerating(soundloom.load, engine)(name)
    rate = model.sample_rate
    waveforms = each(lambda path: audio.read(path, rate), paths, workers)
    segments = [segment.samples for wave in waveforms for segment in audio.segments([wave], rate, 10.0, 10.0)]
    libraries = fresh(temporary)

    filled = Library.create(next(libraries), model)
    filled.add(paths, workers=workers)
    written = filled.rows(["path", "start", "end", "duration", "size", "mtime_ns", "hash", "tags", "embedding"])

    def write() -> None:
        store = Library.create(next(libraries), model)._store
        store.append(written)
        store.compact()

    def command() -> None:
        arguments = ["index", str(paths[0].parent), "-l", str(next(libraries)), "-m", name, "-j", str(workers)]
        arguments += ["--engine", engine]
        subprocess.run([*SOUNDLOOM, *arguments], check=True, capture_output=True)

    taken = interleaved(
        {
            BASE: lambda: each(lambda path: len(audio.read(path, rate)), paths, workers),
            "embed": lambda: each(model.embed_samples, segments, workers),
            "decode + resample + embed": lambda: each(
                lambda path: model.embed_samples(audio.read(path, rate)), paths, workers
            ),
            "write rows": write,
            "Library.add": lambda: Library.create(next(libraries), model).add(paths, workers=workers),
            "soundloom index": command,
        },
        repeat=repeat,
    )
    heard = sum(map(len, waveforms)) / rate
    return [
        {
            "what": what,
            "seconds": seconds,
            "files_per_second": len(paths) / seconds,
            "real_time": heard / seconds,
            "to_base": seconds / taken[BASE],
        }
        for what, seconds in taken.items()
    ]


def each(work: Callable[[T], R], items: Sequence[T], workers: int) -> list[R]:
    """The work done on every item by so many threads, each computing on one."""
    with one_thread, ThreadPoolExecutor(workers) as executor:
        return list(executor.map(work, items))


def fresh(temporary: Path) -> Iterator[Path]:
    """Names of libraries that are not there yet."""
    number = 0
    while True:
        number += 1
        yield temporary / f"{number}.loom"


if __name__ == "__main__":
    main()
