"""Clustered features and slow probes, for the tests of probes."""

from __future__ import annotations

import numpy as np

from soundloom.evaluation import (
    ProbeTraining,
)

QUICK = ProbeTraining(epochs=12, patience=3, batch_size=16)


def clustered(clips=150, classes=5, dim=12, spread=1.0, seed=0):
    """Embeddings around a centre a class, their labels, and three folds."""
    generator = np.random.default_rng(seed)
    labels = np.arange(clips) % classes
    centres = generator.standard_normal((classes, dim))
    embeddings = centres[labels] + spread * generator.standard_normal((clips, dim))
    return embeddings.astype(np.float32), labels, np.arange(clips) // classes % 3
