"""Linear probe (Niizumi 2022, IV-A): one linear layer on a frozen embedding, its rate by successive halving.

"We used the validation set for early stopping with a patience of 20 epochs and trained for up to 200
epochs with the Adam optimizer. We manually tuned the learning rate to get the best results between
0.00001 and 0.01 for every test. We ran each evaluation three times and averaged the results."

Conventions: softmax and accuracy for single labels, independent logistic outputs and macro mAP for
multi-hot ones. The learning rate is chosen for each split by its own validation part, in the first run,
among half decades from 1e-5 to 1e-2, by successive halving (Jamieson 2016): three rates start together, and
at epochs 4 and 8 the one with the highest validation loss so far leaves. Where the best is the lowest or
the highest tried, the next one is trained to its end too. The three are those around 0.015 / sqrt(dim): Adam moves
every weight by about the rate, whatever the gradient, so that an output moves by some rate times sqrt(dim) a step.
The constant was measured (3e-3 to 1e-2 was best at 120 dimensions, 3e-4 at 6,144) and is rather low: halving
favours high rates, which learn early but whose noise then makes the best epoch a matter of luck.

Where the set has a validation part, the procedure is the paper's: each run at that rate is stopped early
by it. Where it was carved out of training (`splits`), which the paper does not describe, a tenth of the
training clips would be lost to the classifiers that are scored; here the carved part only chooses
the rate and the number of epochs, and every run then trains on all training clips for that many epochs.

When not: to say what an embedding could do with a better classifier; see `mlp` and `shallow`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from jaxtyping import Float, Shaped

from soundloom.errors import InvalidArgumentError
from soundloom.evaluation.probes.batched_mlp import Networks, ProbeTraining
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

__all__ = ["LinearProbeSettings", "linear_probe", "validate"]

# Epochs after which the first rate leaves the search.
HALVING_EPOCH = 4

# Where the search starts, times sqrt(dim).
BASE_RATE = 0.015


@dataclass(frozen=True, kw_only=True)
class LinearProbeSettings:
    """The paper's settings.

    Attributes:
        rates: learning rates to search, ascending.
        runs: trainings that are averaged.
        training: epochs, patience and batch size; batches are small because Adam at these rates needs
            some thousand steps to fit a set of a thousand clips.
    """

    rates: tuple[float, ...] = (1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2)
    runs: int = 3
    training: ProbeTraining = field(default_factory=lambda: ProbeTraining(batch_size=64))

    def __post_init__(self) -> None:
        if not self.rates or min(self.rates) <= 0 or list(self.rates) != sorted(set(self.rates)):
            raise InvalidArgumentError(f"rates must be positive and ascending, got {self.rates}")
        if self.runs < 1:
            raise InvalidArgumentError(f"runs must be at least 1, got {self.runs}")


def linear_probe(
    embeddings: Float[np.ndarray, "clips dim"],
    labels: Shaped[np.ndarray, "clips ..."],
    splits: Sequence[Split],
    *,
    settings: LinearProbeSettings | None = None,
    seed: int = 0,
) -> Score:
    """Accuracy, or macro mAP, of a linear classifier; one value a run, averaged over the splits.

    Details: `ProbeDetails`.

    Raises:
        InvalidArgumentError: what `validate` refuses.
    """
    settings = settings or LinearProbeSettings()
    return probe("linear", embeddings, labels, splits, partial(fit, settings), runs=settings.runs, seed=seed)


PROTOCOLS.register(
    "linear",
    Protocol(
        function=linear_probe,
        settings=LinearProbeSettings,
        details=ProbeDetails,
        paper="Niizumi 2022, IV-A",
        standardises=True,
        admits=check_every_split,
    ),
    definition=linear_probe,
)


def fit(settings: LinearProbeSettings, data: StandardisedSplit, seeds: Sequence[int]) -> Fitted:
    """Search the rate with the first seed, then train all at it."""
    rates = settings.rates
    expected = BASE_RATE / data.train.shape[1] ** 0.5
    middle = min(range(len(rates)), key=lambda index: abs(math.log(rates[index] / expected)))
    frontier = neighbours(rates, middle) | {middle}
    tried: dict[int, Networks] = {}
    while frontier:
        contenders = sorted(frontier)
        networks = train_early_stopped(
            data,
            hidden=(),
            rates=[rates[k] for k in contenders],
            seeds=seeds[:1],
            settings=settings.training,
            halving_epoch=HALVING_EPOCH,
        )
        tried |= {index: networks.only(rate=column) for column, index in enumerate(contenders)}
        best = min(tried, key=lambda index: tried[index].loss.item())
        frontier = neighbours(rates, best) - tried.keys()
    outputs, epochs = fit_runs(data, tried[best], hidden=(), rate=rates[best], seeds=seeds, settings=settings.training)
    return Fitted(outputs, epochs, rates[best])


def neighbours(rates: Sequence[float], index: int) -> set[int]:
    """The indices next to one."""
    return {index - 1, index + 1} & set(range(len(rates)))
