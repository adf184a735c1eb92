"""Plans over small sounds: the sounds, a plan that is done, a copy of it, and what a plain index makes of them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import soundfile

from soundloom.library import Library
from soundloom.library.storage.facts_table import read_facts_table
from soundloom.library.storage.root_registry import RootRegistry
from soundloom.plans import Plan

RATE = 8000
COLUMNS = ("path", "start", "end", "duration", "size", "mtime_ns", "hash", "tags", "embedding", "notices", "decoder")


def make_sounds(folder: Path, count: int = 9) -> Path:
    """Noises of one to three seconds, a silence, and a file that is no sound."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for number in range(count):
        soundfile.write(folder / f"{number:03}.wav", 0.1 * rng.normal(size=RATE * (1 + number % 3) + number), RATE)
    soundfile.write(folder / "silence.wav", np.zeros(RATE), RATE)
    (folder / "broken.wav").write_bytes(b"no sound at all")
    return folder


def same_library(one: Library, other: Library) -> None:
    """Rows, facts, failures and roots of two libraries are the same, bit for bit."""
    assert one.rows(COLUMNS).equals(other.rows(COLUMNS))
    assert one.failures() == other.failures()
    assert read_facts_table(one.folder).equals(read_facts_table(other.folder))
    assert RootRegistry(one.folder).paths() == RootRegistry(other.folder).paths()


def indexed_library(sounds: Path) -> Library:
    """What a plain index makes of the sounds."""
    library = Library.create(sounds.parent / "indexed.loom", "mfcc", window=1.0)
    library.add(sounds)
    return library


def finished_plan(sounds: Path) -> Plan:
    """A plan of the sounds that two workers have worked on, and that is not committed."""
    library = Library.create(sounds.parent / "planned.loom", "mfcc", window=1.0)
    plan = Plan.create(library, sounds, sounds.parent / "plan")
    report = plan.work(workers=2)
    assert (report.shards, report.files, report.failed) == (11, 11, 1)
    return plan


def copied_plan(finished: Plan, folder: Path) -> Plan:
    """The same for a library of its own, of which a test may do what it likes."""
    library = Library.create(folder / "library.loom", "mfcc", window=1.0).folder
    shutil.copytree(finished.address, folder / "plan")
    data = json.loads((folder / "plan" / "plan.json").read_text())
    (folder / "plan" / "plan.json").write_text(json.dumps({**data, "library": str(library)}))
    return Plan.open(folder / "plan")
