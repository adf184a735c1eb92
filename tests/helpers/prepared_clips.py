"""Noise in files, and the rows that were prepared of it, for the tests of the feature cache."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from soundloom.corpora import Corpus, clip_table
from soundloom.feature_cache import (
    FeatureDataset,
)

RATE = 16000


def noise(seconds: float, seed: int) -> np.ndarray:
    """A noise that fades, so that loud and soft occur."""
    samples = np.random.default_rng(seed).normal(0, 0.2, round(seconds * RATE))
    return (samples * np.exp(-np.linspace(0, 12, len(samples)))).clip(-1, 1).astype(np.float32)


def corpus_of(paths: list[Path], starts: list[float | None] | None = None, ends: list[float | None] | None = None):
    table = clip_table([str(path) for path in paths], [[] for _ in paths], starts=starts, ends=ends)
    return Corpus(name="own", root=Path(), task="multi-label", classes=(), table=table)


def write(folder: Path, count: int, seconds: float = 0.5) -> list[Path]:
    """So many different sounds."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{number:03d}.wav" for number in range(count)]
    for number, path in enumerate(paths):
        soundfile.write(path, noise(seconds + 0.01 * (number % 7), seed=number), RATE)
    return paths


def every_row(dataset: FeatureDataset, clip: int) -> np.ndarray:
    return dataset.take(np.array([clip]), np.array([0]), int(dataset.lengths[clip]))[0].numpy()


def same(one: FeatureDataset, other: FeatureDataset) -> bool:
    return np.array_equal(one.lengths, other.lengths) and all(
        np.array_equal(every_row(one, clip), every_row(other, clip)) for clip in np.flatnonzero(one.lengths).tolist()
    )
