"""Three recordings of two sites in a library, and marks on them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from soundloom.annotations import Annotation
from soundloom.library import Library

RATE = 16_000
NAMES = ("POND_20240501_043000.wav", "POND_20240501_223000.wav", "HILL_20240501_053000.wav")


def sound(path: Path, seed: int) -> None:
    """Two seconds of noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.1 * np.random.default_rng(seed).normal(size=2 * RATE), RATE)


def recorded_library(folder: Path) -> Library:
    """A library of the recordings, which it makes."""
    for number, name in enumerate(NAMES):
        sound(folder / "sounds" / name, number)
    made = Library.create(folder / "sounds.loom", "mfcc", window=1.0)
    made.add(folder / "sounds", workers=1)
    return made


def marks(folder: Path) -> list[Annotation]:
    """Three marks, one a recording."""
    return [
        Annotation(str(folder / NAMES[0]), 0.25, 0.5, "crow", low=500.0, high=2000.0, annotator="ada", score=0.75),
        Annotation(str(folder / NAMES[1]), 1.0, 1.5, "owl", columns={"note": "far, faint"}),
        Annotation(str(folder / NAMES[2]), 0.0, 2.0, "crow"),
    ]
