"""Perceptron as the published code of Favory 2020 trains it: scikit-learn's MLPClassifier by its defaults, ten runs.

One hidden layer of 256 rectified units, Adam at 1e-3, a weight penalty of 1e-4, batches of 200, at most 200 epochs,
until the training loss has not fallen by 1e-4 in ten of them. No clip validates: official validation parts are left
out (GTZAN: 443 songs train, 290 test), and nothing is carved out of training. The classifier is scikit-learn's own.

When not: for one's own comparisons; `mlp` stops by validation and trains all runs at once.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Shaped

from soundloom.errors import InvalidArgumentError, MissingExtraError
from soundloom.evaluation.probes.common import Fitted, ProbeDetails, StandardisedSplit, probe
from soundloom.evaluation.protocols import PROTOCOLS, Protocol
from soundloom.evaluation.scores import Score
from soundloom.evaluation.splits import Split, check_every_split

__all__ = ["SklearnMLPSettings", "sklearn_mlp_probe"]


@dataclass(frozen=True, kw_only=True)
class SklearnMLPSettings:
    """The paper's settings.

    Attributes:
        hidden: width of the hidden layer.
        runs: trainings that are averaged.
        epochs: passes over the training part, at most.
    """

    hidden: int = 256
    runs: int = 10
    epochs: int = 200

    def __post_init__(self) -> None:
        for name in ("hidden", "runs", "epochs"):
            if getattr(self, name) <= 0:
                raise InvalidArgumentError(f"{name} must be positive, got {getattr(self, name)}")


def sklearn_mlp_probe(
    embeddings: Float[np.ndarray, "clips dim"],
    labels: Shaped[np.ndarray, "clips ..."],
    splits: Sequence[Split],
    *,
    settings: SklearnMLPSettings | None = None,
    seed: int = 0,
) -> Score:
    """Accuracy, or macro mAP, of scikit-learn's perceptron; one value a run, averaged over the splits.

    Details: `ProbeDetails`.

    Raises:
        InvalidArgumentError: what `validate` refuses.
        MissingExtraError: scikit-learn is not installed.
    """
    settings = settings or SklearnMLPSettings()
    return probe("sklearn-mlp", embeddings, labels, splits, partial(fit, settings), runs=settings.runs, seed=seed)


PROTOCOLS.register(
    "sklearn-mlp",
    Protocol(
        function=sklearn_mlp_probe,
        settings=SklearnMLPSettings,
        details=ProbeDetails,
        paper="Favory 2020, 3.2, as its published code trains",
        standardises=True,
        admits=check_every_split,
    ),
    definition=sklearn_mlp_probe,
)


def fit(settings: SklearnMLPSettings, data: StandardisedSplit, seeds: Sequence[int]) -> Fitted:
    """Train all runs of one split."""
    features, targets = data.whole or (data.train, data.train_targets)
    test = data.test.numpy()
    outputs, epochs = np.zeros((len(seeds), len(test), data.classes), np.float32), []
    for run, seed in enumerate(seeds):
        classifier = _classifier(settings, seed)
        with warnings.catch_warnings():
            # The last epoch is a stop like any other.
            warnings.filterwarnings("ignore", message="Stochastic Optimizer")
            classifier.fit(features.numpy(), targets.numpy())
        # A class that no training clip has is never predicted.
        known = slice(None) if targets.ndim == 2 else classifier.classes_
        outputs[run][:, known] = classifier.predict_proba(test)
        epochs.append(int(classifier.n_iter_))
    return Fitted(torch.from_numpy(outputs), epochs)


def _classifier(settings: SklearnMLPSettings, seed: int) -> Any:
    try:
        from sklearn.neural_network import MLPClassifier
    except ImportError:
        raise MissingExtraError("scikit-learn", "eval", "the protocol sklearn-mlp") from None
    return MLPClassifier(hidden_layer_sizes=(settings.hidden,), max_iter=settings.epochs, random_state=seed)
