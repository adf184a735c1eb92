"""What ``plan``, ``work`` and ``commit`` cost beside ``index`` on the same files and cores, start-up apart.

    python -m benchmarks.plan_overhead [--files 3000] [--workers 2] [--model mfcc] [--ray ADDRESS] [--json OUT]

Both are run as commands on noises of about so many seconds. What starting costs, which is importing torch and loading
the model in every process, is what the same commands take for as many files as there are workers, and is subtracted:
``index`` has one process with so many threads, ``work`` a process for each worker, and both start all of them then.
The two libraries are compared, bit for bit. With ``--ray`` the workers are actors of a cluster, ``local`` for
one of this machine alone.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.plans import equal_libraries, make_sounds
from benchmarks.timing import write_json
from soundloom.library import Library

__all__ = ["main", "run_overhead"]


def run_overhead(
    folder: Path, *, files: int, seconds: float, workers: int, model: str, ray: str = ""
) -> dict[str, Any]:
    """Seconds of index, and of plan, work and commit, by the clock and of processors.

    Args:
        folder: for sounds, libraries and plans; empty.
        files: how many sounds.
        seconds: their mean length, nearly.
        workers: how many processes, and threads of index.
        model: the model's name.
        ray: address of a cluster whose actors do the work.
    """
    actors = ("--ray", ray) if ray else ()
    taken: dict[str, dict[str, tuple[float, float]]] = {}
    equal = True
    for name, count in (("start", workers), ("all", files)):
        sounds, plan = folder / name, folder / f"{name}-plan"
        make_sounds(sounds, count, seconds)
        indexed, planned = (
            Library.create(folder / f"{name}-{which}.loom", model).folder for which in ("indexed", "planned")
        )
        taken[name] = {
            "index": _measured("index", sounds, "-l", indexed, "-j", workers),
            "plan": _measured("plan", sounds, "-l", planned, "-o", plan),
            "work": _measured("work", plan, *actors, "-j", workers),
            "commit": _measured("commit", plan),
        }
        equal = equal and equal_libraries(Library.open(planned), Library.open(indexed))

    def ratio(measure: int) -> float:
        spent = {step: taken["all"][step][measure] - taken["start"][step][measure] for step in taken["all"]}
        return (spent["plan"] + spent["work"] + spent["commit"]) / spent["index"]

    return {
        "model": model,
        "files": files,
        "workers": workers,
        "seconds by the clock and of processors": taken,
        "ratio by the clock": ratio(0),
        "ratio of processor time": ratio(1),
        "equal": equal,
    }


def _measured(*arguments: object) -> tuple[float, float]:
    """Seconds that a command takes by the clock, and of processors, with its children's."""
    began, before = time.monotonic(), os.times()
    command = [sys.executable, "-m", "soundloom", *map(str, arguments)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = os.times()
    busy = after.children_user + after.children_system - before.children_user - before.children_system
    return time.monotonic() - began, busy


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.plan_overhead", description=__doc__)
    parser.add_argument("--files", type=int, default=3000, help="how many sounds")
    parser.add_argument("--seconds", type=float, default=3.0, help="their mean length, nearly")
    parser.add_argument("--workers", type=int, default=2, help="processes of work, threads of index")
    parser.add_argument("--model", default="mfcc", help="the model")
    parser.add_argument("--ray", default="", metavar="ADDRESS", help="let actors of a cluster of Ray do the work")
    parser.add_argument("--quick", action="store_true", help="few files: to see that it runs")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write the figures there")
    options = parser.parse_args(arguments)
    files = 10 if options.quick else options.files
    with TemporaryDirectory() as folder:
        row = run_overhead(
            Path(folder),
            files=files,
            seconds=options.seconds,
            workers=options.workers,
            model=options.model,
            ray=options.ray,
        )
    print(json.dumps(row, indent=2))
    if options.json is not None:
        write_json(options.json, [row])
    if not row["equal"]:
        raise SystemExit("the libraries differ")


if __name__ == "__main__":
    main()
