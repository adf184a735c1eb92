"""What the benchmarks share: fair timing, the machine's description, and writing results."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import torch

T = TypeVar("T")

PACKAGES = ("soundloom", "torch", "numpy", "librosa", "nnAudio", "soundfile", "soxr")


def interleaved(methods: Mapping[str, Callable[[], object]], *, repeat: int) -> dict[str, float]:
    """Median seconds of each method, the methods taking turns so that the machine's moods strike all alike.

    In its turn a method is called twice and the second call counts, so that none pays for finding the
    processor's caches full of another's data.
    """
    seconds: dict[str, list[float]] = {name: [] for name in methods}
    for _ in range(repeat):
        for name, method in methods.items():
            method()
            start = time.perf_counter()
            method()
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(taken) for name, taken in seconds.items()}


def with_progress(items: Iterable[T], total: int, name: str, *, every: float = 10.0) -> Iterator[T]:
    """Go through items, and print on standard error how many are done and how long each takes.

    Args:
        items: what is gone through.
        total: their number.
        name: what they are, in the plural.
        every: seconds between two lines.
    """
    began = printed = time.monotonic()
    for done, item in enumerate(items, 1):
        yield item
        now = time.monotonic()
        if now - printed >= every or done == total:
            printed = now
            each = (now - began) / done
            left = each * (total - done)
            print(f"{done}/{total} {name}, {each:.2f} s each, {left:.0f} s left", file=sys.stderr, flush=True)


def machine() -> dict[str, object]:
    """The facts without which a timing says little."""
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in PACKAGES},
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def processor() -> str:
    """The processor's name, as the system tells it."""
    facts = Path("/proc/cpuinfo")
    if facts.exists():
        for line in facts.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def version(package: str) -> str | None:
    """A package's version, or None where it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def write_json(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Write rows with the machine's facts beside them."""
    path.write_text(json.dumps({"machine": machine(), "rows": list(rows)}, indent=2) + "\n")
