"""2-D projection of embeddings for the report, by t-SNE or PCA; not a metric.

t-SNE (van der Maaten 2008) of the standardised embeddings, begun from their first two principal components,
where scikit-learn is installed; else those two components themselves. A large corpus is shown by a sample,
drawn from the seed.

When not: to judge distances between clusters or their sizes; t-SNE keeps neither.
"""

from __future__ import annotations

import importlib.util
import warnings

import numpy as np
from jaxtyping import Float

from soundloom.evaluation.extraction import Features
from soundloom.evaluation.results import Projection

__all__ = ["principal_components", "project"]

SHOWN = 2000
"""Clips in the picture at most."""

NEIGHBOURS = 30
"""t-SNE's perplexity, lowered for small corpora."""

COMPONENTS = 50
"""Principal components that t-SNE works on: the rest is mostly noise, and costs time."""


def project(features: Features, *, seed: int) -> Projection | None:
    """The clips of a corpus in the plane; a clip of several labels has the first. None of fewer than four clips."""
    labelled = [(row, labels[0]) for row, labels in enumerate(features.corpus.column("labels")) if labels]
    if len(labelled) < 4:
        return None
    drawn = np.random.default_rng(seed).permutation(len(labelled))[:SHOWN]
    rows, labels = zip(*(labelled[place] for place in np.sort(drawn)), strict=True)
    components = principal_components(features.vectors[list(rows)], COMPONENTS).astype(np.float32)
    components = np.pad(components, ((0, 0), (0, max(0, 2 - components.shape[1]))))
    if importlib.util.find_spec("sklearn") is None:
        method, points = "PCA", components[:, :2]
    else:
        from sklearn.manifold import TSNE
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

        perplexity = min(NEIGHBOURS, (len(rows) - 1) / 3)
        # Several threads are hardly quicker on so few points, and on a busy machine much slower.
        with warnings.catch_warnings(), threadpool_limits(1):
            # Embeddings that are all alike have no directions; the picture is a heap, which is the truth.
            warnings.simplefilter("ignore", RuntimeWarning)
            tsne = TSNE(perplexity=perplexity, init=_start(components), learning_rate="auto", random_state=seed)
            method, points = "t-SNE", tsne.fit_transform(components)
    numbers = {name: number for number, name in enumerate(features.corpus.classes)}
    return Projection(
        method=method,
        points=[(float(x), float(y)) for x, y in points.round(3)],
        labels=[numbers[label] for label in labels],
    )


def principal_components(vectors: Float[np.ndarray, "clips dim"], count: int) -> Float[np.ndarray, "clips _components"]:
    """The first principal components of standardised vectors, fewer where they do not vary in so many directions."""
    centred = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    deviations = centred.std(axis=0)
    standard = centred[:, deviations > 0] / deviations[deviations > 0]
    left, values, _ = np.linalg.svd(standard, full_matrices=False)
    varying = values > values.max(initial=0.0) * max(standard.shape) * np.finfo(np.float32).eps
    kept = min(count, int(varying.sum()))
    return np.asarray(left[:, :kept] * values[:kept])


def _start(components: Float[np.ndarray, "clips _components"]) -> Float[np.ndarray, "clips 2"]:
    """The first two components, small, as t-SNE wants to begin."""
    start = components[:, :2]
    return start / max(float(start[:, 0].std()), 1e-12) * 1e-4
