"""Tones of three classes in two folds, and a recipe of diverse embeddings that learns from them in a few steps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from soundloom.corpora import Corpus
from soundloom.corpora.clips import clip_table
from soundloom.objectives.labels import LabelSettings
from soundloom.recipes.diverse import DiverseRecipe
from soundloom.recipes.linear import LinearSettings
from soundloom.training import TrainingSettings

CLASSES = tuple("abc")

TINY = DiverseRecipe(
    epochs=1,
    network_epochs=0,
    validation=0.25,
    head=LabelSettings(loss="bce", hidden=0),
    linear=LinearSettings(linear_epochs=3, linear_rate=1e-2, linear_final_rate=1e-3, linear_batch=8),
    jobs=1,
    training=TrainingSettings(
        steps=2, batch=8, rate=1e-3, validate_every=1, device="cpu", log_every=1, checkpoint_minutes=0.0, threads=1
    ),
)


def two_folds_of_tones(folder: Path) -> Corpus:
    """Two folds of 1.5 s tones in three classes, two of each in a fold."""
    time = np.arange(24000) / 16000
    paths, labels, folds = [], [], []
    for number in range(12):
        path = folder / f"{number}.wav"
        tone = np.sin(2 * np.pi * 150 * 4 ** (number % 3) * time + number)
        soundfile.write(path, 0.2 * tone + 0.01 * np.random.default_rng(number).normal(size=24000), 16000)
        paths.append(str(path))
        labels.append(CLASSES[number % 3])
        folds.append(1 + number // 6)
    table = clip_table(paths, labels, folds=folds)
    return Corpus(name="tones", root=folder, task="single-label", classes=CLASSES, table=table, split_origin="official")
