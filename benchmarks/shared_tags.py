"""Whether tag edits of several processes, each with its own copy of a library in a bucket, are all kept.

    python -m benchmarks.shared_tags [--edits 1000] [--writers 2] [--files 50] [--json OUT]

A library of noises is made in a local server of S3 (moto). So many processes, each as a machine with its own cache,
give tags to random files at the same time, half of them to files that others tag, too; each takes some of its own tags
back. In the end the tags of all rows are compared with what was done.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.plans import local_s3, make_sounds
from benchmarks.timing import write_json
from soundloom.library import Library

__all__ = ["main", "run_edits"]


def edits_of(writer: int, count: int, files: int) -> list[tuple[bool, str, int]]:
    """What a writer does: whether it gives or takes, a tag, and the number of a file. Its tags are its own."""
    rng, given, edits = random.Random(writer), list[tuple[str, int]](), list[tuple[bool, str, int]]()
    for number in range(count):
        if given and rng.random() < 0.2:
            edits.append((False, *given.pop(rng.randrange(len(given)))))
        else:
            given.append((f"w{writer}-{number}", rng.randrange(files)))
            edits.append((True, *given[-1]))
    return edits


def write(address: str, sounds: Path, writer: int, count: int) -> None:
    """One writer."""
    library, files = Library.open(address), sorted(sounds.iterdir())
    for give, tag, number in edits_of(writer, count, len(files)):
        (library.tags.add if give else library.tags.remove)(tag, [files[number]])


def run_edits(folder: Path, address: str, *, edits: int, writers: int, files: int) -> dict[str, float]:
    """One run; see the module.

    Args:
        folder: for sounds and caches; empty.
        address: of the library.
        edits: how many, by all writers.
        writers: how many processes.
        files: how many sounds.
    """
    make_sounds(folder / "sounds", files)
    os.environ["SOUNDLOOM_HOME"] = str(folder / "reader")
    library = Library.create(address, "mfcc", window=1.0)
    library.add(folder / "sounds")
    began, each = time.monotonic(), edits // writers
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "benchmarks.shared_tags", "--writer", address, str(folder), str(writer), str(each)],
            env={**os.environ, "SOUNDLOOM_HOME": str(folder / f"writer-{writer}"), "OMP_NUM_THREADS": "1"},
        )
        for writer in range(writers)
    ]
    failed = sum(process.wait() != 0 for process in processes)
    seconds = time.monotonic() - began
    names = sorted((folder / "sounds").iterdir())
    expected: dict[str, set[str]] = {str(name): set() for name in names}
    for writer in range(writers):
        for give, tag, number in edits_of(writer, each, files):
            (expected[str(names[number])].add if give else expected[str(names[number])].discard)(tag)
    rows = Library.open(address).rows(["path", "tags"])
    wrong = sum(
        set(tags or ()) != expected[path]
        for path, tags in zip(rows["path"].to_pylist(), rows["tags"].to_pylist(), strict=True)
    )
    return {
        "edits": each * writers, "writers": writers, "failed writers": failed, "rows": rows.num_rows,
        "rows with other tags": wrong, "seconds": seconds,
    }  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.shared_tags", description=__doc__)
    parser.add_argument("--edits", type=int, default=1000, help="how many, by all writers (%(default)s)")
    parser.add_argument("--writers", type=int, default=2, help="how many processes (%(default)s)")
    parser.add_argument("--files", type=int, default=50, help="how many sounds (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="20 edits: to see that it runs")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write the figures there")
    parser.add_argument("--writer", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.writer:
        address, folder, writer, count = options.writer
        write(address, Path(folder) / "sounds", int(writer), int(count))
        return
    with TemporaryDirectory() as folder, local_s3("libraries") as bucket:
        row = run_edits(
            Path(folder), f"{bucket}/field.loom", edits=20 if options.quick else options.edits,
            writers=options.writers, files=options.files,
        )  # fmt: skip
    print(json.dumps(row, indent=2))
    if options.json is not None:
        write_json(options.json, [row])
    if row["failed writers"] or row["rows with other tags"]:
        raise SystemExit("edits were lost")


if __name__ == "__main__":
    main()
