"""MLP probe (Favory 2020, 3.2): one hidden layer of 256 on standardised embeddings, ten runs.

"As a classifier for each of the different tasks, we use a multi-layer perceptron (MLP) with one hidden
layer of 256 features [...] we repeat the training procedure of the MLP in each task 10 times, average
and report the mean accuracies."

Not in the paper and chosen here: Adam at 1e-3 (as in the classifier of Cramer 2019 that it follows),
early stopping as in `linear`, and as there all training clips for a known number of epochs where validation
was carved out of them. The runs train at once, each with its own initial weights and batches.

When not: for claims about linear separability; see `linear`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from jaxtyping import Float, Shaped

from soundloom.errors import InvalidArgumentError
from soundloom.evaluation.probes.batched_mlp import ProbeTraining
from soundloom.evaluation.probes.common import (
    Fitted,
    ProbeDetails,
    StandardisedSplit,
    fit_runs,
    probe,
    train_early_stopped,
    validate,
)
from soundloom.evaluation.protocols import PROTOCOLS, Protocol
from soundloom.evaluation.scores import Score
from soundloom.evaluation.splits import Split, check_every_split

__all__ = ["MLPSettings", "mlp_probe", "validate"]


@dataclass(frozen=True, kw_only=True)
class MLPSettings:
    """The paper's settings.

    Attributes:
        hidden: width of the hidden layer.
        runs: trainings that are averaged.
        rate: learning rate of Adam.
        training: epochs, patience and batch size.
    """

    hidden: int = 256
    runs: int = 10
    rate: float = 1e-3
    training: ProbeTraining = field(default_factory=ProbeTraining)

    def __post_init__(self) -> None:
        for name in ("hidden", "runs", "rate"):
            if getattr(self, name) <= 0:
                raise InvalidArgumentError(f"{name} must be positive, got {getattr(self, name)}")


def mlp_probe(
    embeddings: Float[np.ndarray, "clips dim"],
    labels: Shaped[np.ndarray, "clips ..."],
    splits: Sequence[Split],
    *,
    settings: MLPSettings | None = None,
    seed: int = 0,
) -> Score:
    """Accuracy, or macro mAP, of a perceptron; one value a run, averaged over the splits.

    Details: `ProbeDetails`.

    Raises:
        InvalidArgumentError: what `validate` refuses.
    """
    settings = settings or MLPSettings()
    return probe("mlp", embeddings, labels, splits, partial(fit, settings), runs=settings.runs, seed=seed)


PROTOCOLS.register(
    "mlp",
    Protocol(
        function=mlp_probe,
        settings=MLPSettings,
        details=ProbeDetails,
        paper="Favory 2020, 3.2",
        standardises=True,
        admits=check_every_split,
    ),
    definition=mlp_probe,
)


def fit(settings: MLPSettings, data: StandardisedSplit, seeds: Sequence[int]) -> Fitted:
    """Train all runs of one split."""
    hidden, rate, training = (settings.hidden,), settings.rate, settings.training
    first = train_early_stopped(data, hidden=hidden, rates=[rate], seeds=seeds[:1], settings=training)
    outputs, epochs = fit_runs(data, first, hidden=hidden, rate=rate, seeds=seeds, settings=training)
    return Fitted(outputs, epochs)
