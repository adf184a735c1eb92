"""Normalisation of a front-end by a task's own clips: mean and deviation of all its values (EVAR; Niizumi 2022).

A model whose front-end asks for it (`Frontend.of_task`, such as that of ast-niizumi) is measured on every task with its
values normalised by what they are there: over the training clips where the task has parts, else over all clips. Every
clip counts the same, as EVAR's clips of one length do.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from soundloom.embedder import Embedder, Stream
from soundloom.encoders import Identity
from soundloom.evaluation.extraction import FeatureExtractor, Features, clip_extractor
from soundloom.frontends import Frontend

__all__ = ["task_statistics", "with_task_statistics"]


def with_task_statistics(model: Embedder, extract: Callable[[FeatureExtractor], Features]) -> Embedder:
    """The model, each front-end that asks for it normalised by a task's clips; others are left as they are.

    Args:
        model: as it was loaded.
        extract: extracts features of the task's clips.
    """

    def fitted(stream: Stream) -> Stream:
        if not stream.frontend.of_task:
            return stream
        return stream.with_frontend(stream.frontend.normalised_by(*task_statistics(stream.frontend, extract)))

    return model.with_streams(fitted).eval() if any(stream.frontend.of_task for stream in model.streams) else model


def task_statistics(frontend: Frontend, extract: Callable[[FeatureExtractor], Features]) -> tuple[float, float]:
    """Mean and deviation of the values of a front-end, before its normalisation, over a task's training clips."""
    plain = frontend.normalised_by(0.0, 0.5)
    moments = Stream("statistics", plain, Identity(), layers=(1,), pooling="mean,variance").eval()
    features = extract(clip_extractor(moments))
    training = np.array([part in (None, "train") for part in features.corpus.column("split")])
    rows = features.vectors[training[features.clips]].astype(np.float64)
    means, variances = np.split(rows, 2, axis=1)
    mean = means.mean()
    # The mean of the squares is that of each clip's and bin's variance and squared mean.
    return float(mean), float(np.sqrt((variances + means**2).mean() - mean**2))
