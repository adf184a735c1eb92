"""Benchmarks with history: run those that fit in half an hour, keep the results, and fail where one became worse.

    python -m benchmarks.history [--folder FOLDER] [--runs 3] [--tolerance 0.2] [--minutes 30] [--only NAME] [--keep]

Every benchmark of `SUITE` runs in processes of its own, several times; a figure is the median of its runs. Beside what
a benchmark measures itself, the processor time of the whole process counts, as a multiple of a fixed workload of numpy
that is timed before each run: so a slower or busier machine changes it little. Checks (kills, damage, identity,
decoding) run once and must end with status 0.

Results are kept as FOLDER/MACHINE.jsonl, a line for each time: machine, versions, commit, date, figures with their
spread. They are compared with the last kept ones of the same machine (processor, cores, release of Python) as ratios.
A figure is a regression where it is worse by more than its tolerance: `--tolerance`, or the spread of the runs of both
times where that is larger; for recall, agreement and the like 0.01. Without regression the results are kept, with one
only by `--keep`, and the command ends with status 1. What the minutes did not suffice for is listed, not forgotten.
Benchmarks that need collections of others (loom, detectors, composed_recordings, yamnet_parity) are not among these.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.timing import machine, processor

ROOT = Path(__file__).parents[1]
QUALITY = 0.01
PROCESSOR = "processor time"
LIMIT = 600.0
"""Seconds for one run."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A benchmark of the suite.

    Attributes:
        name: its module in this package.
        arguments: of its command.
        key: the columns that name a row.
        lower: the columns of which less is better.
        higher: the columns of which more is better.
        quality: the columns of scores, of which more is better and which do not depend on the machine.
        rows: values that a row must have to count.
        check: it runs once, and its status is what counts.
    """

    name: str
    arguments: Sequence[str] = ("--quick",)
    key: Sequence[str] = ()
    lower: Sequence[str] = ()
    higher: Sequence[str] = ()
    quality: Sequence[str] = ()
    rows: Mapping[str, str] = field(default_factory=dict)
    check: bool = False


SUITE = (
    Measured(
        name="frontends", arguments=("--batch", "16", "--repeat", "3"), key=("task",), higher=("to_librosa",),
        quality=("agreement",), rows={"method": "soundloom"},
    ),
    Measured(name="search", key=("through", "filter", "weights"), lower=("p50",), quality=("recall",)),
    Measured(name="indexing", key=("what",), lower=("to_base",)),
    Measured(name="preparing", key=("what",), lower=("to_base",)),
    Measured(
        name="engines", arguments=("--encoder", "mobilenet", "--repeat", "3"), key=("encoder", "method"),
        higher=("ratio",),
    ),
    Measured(name="probes", key=("method",), lower=("to_scikit_learn",), quality=("accuracy",)),
    Measured(name="streams", key=("task", "what"), lower=("milliseconds",)),
    Measured(name="training", key=("stream",), lower=("to_alone",)),
    Measured(name="alignment", key=("way",), higher=("to_plain",)),
    Measured(name="retrieval", key=("model",), quality=("precision_at_10", "mean_average_precision")),
    Measured(name="page_map", lower=("whole, s", "peak after, MiB")),
    Measured(name="serving", lower=("p50 ms", "p95 ms"), higher=("searches a second",)),
    Measured(name="identity", check=True),
    Measured(name="kills", check=True),
    Measured(name="damage", check=True),
    Measured(name="plans", check=True),
    Measured(name="decoding", check=True),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A median of several runs.

    Attributes:
        value: the median.
        spread: the difference between the largest and the smallest value, as a share of the median.
        better: "lower" or "higher".
        quality: whether it is a score.
    """

    value: float
    spread: float
    better: str
    quality: bool = False


@dataclass(frozen=True, kw_only=True)
class Change:
    """A figure beside the kept one.

    Attributes:
        name: of the figure.
        before: the kept median.
        now: the new one.
        ratio: of the new one to the kept one.
        tolerance: by how much it may be worse, as a share; for a score, in its own unit.
        worse: whether it is worse by more.
    """

    name: str
    before: float
    now: float
    ratio: float
    tolerance: float
    worse: bool


def main(arguments: Sequence[str] | None = None, suite: Sequence[Measured] = SUITE) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.history", description="find what became slower")
    parser.add_argument("--folder", type=Path, default=ROOT / "bench-history", help="of the results (%(default)s)")
    parser.add_argument("--runs", type=int, default=3, help="of each benchmark (%(default)s)")
    parser.add_argument("--tolerance", type=float, default=0.2, help="share by which a time may grow (%(default)s)")
    parser.add_argument("--minutes", type=float, default=30.0, help="after which none is begun (%(default)s)")
    parser.add_argument("--only", action="append", choices=[one.name for one in suite], help="may be given again")
    parser.add_argument("--keep", action="store_true", help="keep the results although something is worse")
    options = parser.parse_args(arguments)
    chosen = [one for one in suite if options.only is None or one.name in options.only]
    figures, failed, left_out = measure(chosen, options.runs, time.monotonic() + 60 * options.minutes)
    file = options.folder / f"{machine_name()}.jsonl"
    before = last_kept(file)
    changes = compare(before, figures, options.tolerance)
    report(changes, figures, failed, left_out)
    worse = bool(failed) or any(change.worse for change in changes)
    if options.keep or not worse:
        keep(file, figures, before)
        print(f"kept in {file}")
    if worse:
        raise SystemExit(1)


def measure(suite: Sequence[Measured], runs: int, until: float) -> tuple[dict[str, Figure], dict[str, str], list[str]]:
    """Run the benchmarks in turns: figures by name, what failed and why, and what there was no time for."""
    values: dict[str, list[float]] = {}
    kinds: dict[str, tuple[str, bool]] = {}
    failed: dict[str, str] = {}
    left_out: list[str] = []
    # A whole round of all, then the next: what disturbs the machine for a while disturbs one run of each.
    for turn in range(runs):
        for one in suite:
            if one.name in failed or (one.check and turn):
                continue
            if time.monotonic() > until:
                left_out.append(f"{one.name}, run {turn + 1}")
                continue
            began = time.monotonic()
            try:
                found = run(one)
            except RuntimeError as error:
                failed[one.name] = str(error)
                print(f"{one.name}: failed", file=sys.stderr, flush=True)
                continue
            print(f"{one.name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
            for name, (value, better, quality) in found.items():
                values.setdefault(f"{one.name}: {name}", []).append(value)
                kinds[f"{one.name}: {name}"] = better, quality
    figures = {}
    for name, measured in values.items():
        median = statistics.median(measured)
        spread = (max(measured) - min(measured)) / abs(median) if median else 0.0
        figures[name] = Figure(value=median, spread=spread, better=kinds[name][0], quality=kinds[name][1])
    return figures, failed, left_out


def run(one: Measured) -> dict[str, tuple[float, str, bool]]:
    """Run a benchmark once: name of each figure -> value, which direction is better, whether it is a score.

    Raises:
        RuntimeError: it failed, or took too long.
    """
    unit = workload()
    with TemporaryDirectory() as temporary:
        out = Path(temporary) / "rows.json"
        command = [sys.executable, "-m", f"benchmarks.{one.name}", *one.arguments, "--json", str(out)]
        before = os.times()
        try:
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT)
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"did not end within {LIMIT:.0f} s") from None
        after = os.times()
        if done.returncode:
            raise RuntimeError(f"status {done.returncode}: {(done.stderr or done.stdout).strip()[-2000:]}")
        taken = after.children_user + after.children_system - before.children_user - before.children_system
        found: dict[str, tuple[float, str, bool]] = {PROCESSOR: (taken / unit, "lower", False)}
        if not one.check:
            for row in json.loads(out.read_text("utf-8"))["rows"]:
                found |= row_figures(one, row)
    return found


def row_figures(one: Measured, row: Mapping[str, Any]) -> dict[str, tuple[float, str, bool]]:
    """The figures of one row of a benchmark's JSON; none where the row does not count."""
    if any(row.get(column) != value for column, value in one.rows.items()):
        return {}
    prefix = " ".join(str(row[column]) for column in one.key if row.get(column) not in (None, ""))
    columns = [
        *((column, "lower", False) for column in one.lower),
        *((column, "higher", False) for column in one.higher),
        *((column, "higher", True) for column in one.quality),
    ]
    return {
        f"{prefix} {column}".strip(): (float(row[column]), better, quality)
        for column, better, quality in columns
        if row.get(column) is not None and np.isfinite(row[column])
    }


def workload() -> float:
    """Processor seconds of a fixed piece of work: matrix products and Fourier transforms, the fastest of three."""
    values = np.random.default_rng(0).standard_normal((512, 512)).astype(np.float32)
    seconds = []
    for _ in range(3):
        began = time.process_time()
        for _ in range(20):
            values = np.tanh(values @ values / 512 + np.fft.irfft(np.fft.rfft(values), 512))
        seconds.append(time.process_time() - began)
    return min(seconds)


def compare(before: Mapping[str, Figure], now: Mapping[str, Figure], tolerance: float) -> list[Change]:
    """The figures that both times have, and which are worse than their tolerance allows."""
    changes = []
    for name, new in now.items():
        old = before.get(name)
        if old is None or not old.value:
            continue
        ratio = new.value / old.value
        if new.quality:
            allowed = QUALITY
            worse = old.value - new.value > allowed
        else:
            allowed = max(tolerance, old.spread, new.spread)
            worse = ratio > 1 + allowed if new.better == "lower" else ratio < 1 / (1 + allowed)
        changes.append(Change(name=name, before=old.value, now=new.value, ratio=ratio, tolerance=allowed, worse=worse))
    return changes


def machine_name() -> str:
    """A file's name for this kind of machine: results of others are not compared with it."""
    release = ".".join(map(str, sys.version_info[:2]))
    return re.sub(r"[^a-z0-9.]+", "-", f"{processor()} {os.cpu_count()} cores python {release}".lower()).strip("-")


def last_kept(file: Path) -> dict[str, Figure]:
    """The figures that were kept last; none where there are none."""
    if not file.is_file():
        return {}
    *_, last = file.read_text("utf-8").splitlines()
    return {name: Figure(**figure) for name, figure in json.loads(last)["figures"].items()}


def keep(file: Path, figures: Mapping[str, Figure], before: Mapping[str, Figure]) -> None:
    """Append the figures, with those of before that were not measured this time."""
    file.parent.mkdir(parents=True, exist_ok=True)
    every = {**before, **figures}
    entry = {
        "commit": commit(),
        "machine": machine(),
        "figures": {name: vars(figure) for name, figure in every.items()},
        "measured": sorted(figures),
    }
    with file.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(entry) + "\n")


def commit() -> str:
    """The commit that was measured, with a mark where files differ from it."""
    described = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    return described.stdout.strip() or "unknown"


def report(
    changes: Sequence[Change], figures: Mapping[str, Figure], failed: Mapping[str, str], left_out: Sequence[str]
) -> None:
    """Print every figure beside the kept one."""
    known = {change.name: change for change in changes}
    table = Table("figure", "kept", "now", "ratio", "may be worse by", "", title="benchmarks, medians")
    for name, figure in figures.items():
        change = known.get(name)
        cells = ("", "", "", "new") if change is None else (
            f"{change.before:.4g}", f"{change.ratio:.3f}", f"{change.tolerance:.2f}", "WORSE" if change.worse else "",
        )  # fmt: skip
        table.add_row(name, cells[0], f"{figure.value:.4g}", *cells[1:])
    Console(width=150).print(table)
    for name, text in failed.items():
        print(f"FAILED {name}: {text}")
    if left_out:
        print(f"no time for {'; '.join(left_out)}")


if __name__ == "__main__":
    main()
