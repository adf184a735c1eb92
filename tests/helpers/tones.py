"""Sounds of decaying tones, and the rows that a library makes of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from soundloom.library import Library

RATE = 16000


def write_tone(path: Path, hertz: float, seconds: float = 0.5, level: float = 0.5) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    times = np.arange(round(seconds * RATE)) / RATE
    harmonics = sum(np.sin(2 * np.pi * hertz * n * times) / n for n in range(1, 6))
    soundfile.write(path, 0.4 * level * harmonics * np.exp(-3 * times), RATE, format="WAV")
    return path


def contents(library: Library) -> list[tuple[object, ...]]:
    """Every row to the bit, in order."""
    rows = library.rows(["path", "start", "end", "duration", "size", "hash", "tags", "embedding"])
    return [
        (*values[:-2], tuple(values[-2]), np.array(values[-1], np.float32).tobytes())
        for values in zip(*(rows[name].to_pylist() for name in rows.column_names), strict=True)
    ]


def write_tones(folder: Path) -> Path:
    """Six tones, a third of an octave apart."""
    for number in range(6):
        write_tone(folder / f"tone-{number}.wav", 110 * 2 ** (number / 3))
    return folder
