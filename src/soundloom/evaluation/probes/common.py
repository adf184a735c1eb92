"""Shared parts of the probes: standardise a split, train its runs, score the test part, average over the splits.

A probe (`linear`, `mlp`) is a function from a prepared split and the seeds of its runs to the test
outputs of each run; everything else about it is here. One value a run: the mean over splits of the
test metric, accuracy for single labels and macro mAP for multi-hot labels, so that the interval of the
score is over runs, as field reports have it; the numbers of each split are in the details.

Splits are independent, so they are spread over the threads: two threads that each train a split never wait for
one another, two that share each small matrix product do at every step. So many splits are in memory at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from soundloom.evaluation import scores, validation
from soundloom.evaluation import splits as cuts
from soundloom.evaluation.probes.batched_mlp import (
    Loss,
    Networks,
    Perceptron,
    ProbeTraining,
    predict,
    train,
    train_for,
)
from soundloom.evaluation.scores import Details, Score
from soundloom.evaluation.splits import Split
from soundloom.evaluation.standardisation import moments, standardise

__all__ = [
    "Fit",
    "Fitted",
    "ProbeDetails",
    "StandardisedSplit",
    "fit_runs",
    "probe",
    "run_seeds",
    "standardise_split",
    "train_early_stopped",
    "validate",
]


@dataclass(frozen=True, eq=False)
class StandardisedSplit:
    """A split to train on: embeddings standardised by the training part, targets in the form of the loss.

    Attributes:
        train: ``[trained, dim]``.
        train_targets: int64 ``[trained]`` or float32 ``[trained, classes]``.
        valid: ``[validated, dim]``.
        valid_targets: like ``train_targets``.
        test: ``[tested, dim]``.
        classes: width of the output.
        loss: softmax for single labels, logistic for multi-hot ones.
        whole: where validation was carved out of training, features and targets of both together; else None.
    """

    train: Tensor
    train_targets: Tensor
    valid: Tensor
    valid_targets: Tensor
    test: Tensor
    classes: int
    loss: Loss
    whole: tuple[Tensor, Tensor] | None = None

    def perceptron(self, hidden: Sequence[int]) -> Perceptron:
        """A perceptron for these targets, with hidden layers of these widths."""
        return Perceptron(classes=self.classes, hidden=tuple(hidden), loss=self.loss)


@dataclass(frozen=True, kw_only=True)
class ProbeDetails(Details):
    """Details of a probe.

    Attributes:
        splits: names of the splits.
        by_split: the metric of each split and run, ``[splits, runs]``.
        epochs: epochs trained, ``[splits, runs]``.
        rates: learning rate chosen in each split; None where it is not searched.
        confusion: counts ``[classes, classes]`` of all runs; None for multi-hot labels.
    """

    splits: list[str]
    by_split: list[list[float]]
    epochs: list[list[int]]
    rates: list[float] | None = None
    confusion: list[list[int]] | None = None


@dataclass(frozen=True, eq=False)
class Fitted:
    """The runs of one split.

    Attributes:
        outputs: of each run for the test clips.
        epochs: epochs that each run trained.
        rate: the learning rate, if it was searched.
    """

    outputs: Float[Tensor, "runs tested classes"]
    epochs: list[int]
    rate: float | None = None


# A standardised split and the seed of each run -> its trained runs.
Fit = Callable[[StandardisedSplit, Sequence[int]], Fitted]


def validate(embeddings: np.ndarray, labels: np.ndarray, splits: Sequence[Split]) -> None:
    """Refuse what cannot be probed.

    Raises:
        InvalidArgumentError: what `validation` and `splits.validate` refuse: shapes that disagree, embeddings that are
            not finite, splits that overlap, training parts with one class or without a class that is tested.
    """
    validation.check_embeddings(embeddings)
    validation.check_labels(labels, len(embeddings))
    cuts.validate(splits, len(embeddings))
    cuts.check_every_split(labels, splits)


def standardise_split(embeddings: np.ndarray, labels: np.ndarray, split: Split) -> StandardisedSplit:
    """Cut and standardise one split, by the moments of its training part, of which carved validation is one."""
    features = validation.as_float32(embeddings)
    multi = labels.ndim == 2
    targets = torch.from_numpy(labels.astype(np.float32 if multi else np.int64))
    # One matrix, of which training and validation are views.
    order = torch.from_numpy(np.concatenate([split.train, split.valid]))
    known, known_targets, trained = features[order], targets[order], len(split.train)
    mean, scale = moments(known if split.carved else known[:trained])
    known = standardise(known, mean, scale)
    return StandardisedSplit(
        train=known[:trained],
        train_targets=known_targets[:trained],
        valid=known[trained:],
        valid_targets=known_targets[trained:],
        test=standardise(features[torch.from_numpy(split.test)], mean, scale),
        classes=validation.class_count(labels),
        loss="logistic" if multi else "softmax",
        whole=(known, known_targets) if split.carved else None,
    )


def train_early_stopped(
    data: StandardisedSplit,
    *,
    hidden: Sequence[int],
    rates: Sequence[float],
    seeds: Sequence[int],
    settings: ProbeTraining,
    halving_epoch: int | None = None,
) -> Networks:
    """These runs at these rates, stopped early by validation, official or carved; the rest as of `train`."""
    return train(
        data.train,
        data.train_targets,
        data.valid,
        data.valid_targets,
        data.perceptron(hidden),
        rates=rates,
        seeds=seeds,
        settings=settings,
        halving_epoch=halving_epoch,
    )


def fit_runs(
    data: StandardisedSplit,
    first: Networks,
    *,
    hidden: Sequence[int],
    rate: float,
    seeds: Sequence[int],
    settings: ProbeTraining,
) -> tuple[Float[Tensor, "runs tested classes"], list[int]]:
    """Train every run at the chosen rate.

    Official validation stops each run early. Where it was carved, every run trains on all clips for the number of
    epochs that was best for the first run; epochs, not steps, so that steps grow with the clips.

    Args:
        data: the split.
        first: the first run at this rate, of `train_early_stopped`.
        hidden: widths of the hidden layers.
        rate: learning rate.
        seeds: one a run.
        settings: as for `train_early_stopped`.

    Returns:
        Test outputs of each run, and the epochs that each trained.
    """
    if data.whole is not None:
        count = int(first.best_epoch)
        parameters = train_for(
            count,
            *data.whole,
            data.perceptron(hidden),
            rate=rate,
            seeds=seeds,
            batch_size=settings.batch_size,
        )
        return predict(parameters, data.test)[:, 0], [count] * len(seeds)
    runs = [first]
    if len(seeds) > 1:
        runs.append(train_early_stopped(data, hidden=hidden, rates=[rate], seeds=seeds[1:], settings=settings))
    predictions = torch.cat([predict(networks.parameters, data.test)[:, 0] for networks in runs])
    return predictions, torch.cat([networks.epochs[:, 0] for networks in runs]).tolist()


@contextmanager
def spread(splits: int) -> Iterator[Executor]:
    """Workers for so many splits, that share torch's threads among them."""
    before = torch.get_num_threads()
    workers = min(splits, before)
    with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(before // workers,)) as executor:
        try:
            yield executor
        finally:
            # Some back ends of torch have one number of threads for all of Python's threads.
            torch.set_num_threads(before)


def run_seeds(seed: int, split: int, runs: int) -> list[int]:
    """A seed for each run of a split: unrelated to one another, the same however many runs there are."""
    return [int(np.random.SeedSequence((seed, split, run)).generate_state(1)[0]) for run in range(runs)]


def probe(
    protocol: str,
    embeddings: Float[np.ndarray, "clips dim"],
    labels: Shaped[np.ndarray, "clips ..."],
    splits: Sequence[Split],
    fit: Fit,
    *,
    runs: int,
    seed: int,
) -> Score:
    """Run a probe on every split and average.

    Raises:
        InvalidArgumentError: what `validate` refuses.
    """
    validate(embeddings, labels, splits)
    multi = labels.ndim == 2
    table = np.zeros((runs, len(splits)))
    by_class: list[np.ndarray] = []
    confusion = np.zeros((validation.class_count(labels),) * 2, np.int64)
    with spread(len(splits)) as executor:
        fitted = list(
            executor.map(
                lambda number: fit(
                    standardise_split(embeddings, labels, splits[number]), run_seeds(seed, number, runs)
                ),
                range(len(splits)),
            )
        )
    for number, (split, runs_of_split) in enumerate(zip(splits, fitted, strict=True)):
        truth = labels[split.test]
        for run, prediction in enumerate(runs_of_split.outputs.numpy()):
            if multi:
                by_class.append(scores.average_precisions(prediction, truth))
                table[run, number] = np.nanmean(by_class[-1])
            else:
                confusion += scores.confusion_matrix(prediction, truth)
                table[run, number] = scores.accuracy(prediction, truth)
    rates = [each.rate for each in fitted if each.rate is not None]
    return scores.summarise(
        protocol,
        "mAP" if multi else "accuracy",
        table.mean(axis=1).tolist(),
        seed=seed,
        per_class=class_means(by_class) if multi else scores.recalls(confusion),
        details=ProbeDetails(
            splits=[split.name for split in splits],
            by_split=table.T.tolist(),
            epochs=[each.epochs for each in fitted],
            rates=rates or None,
            confusion=None if multi else confusion.tolist(),
        ),
    )


def class_means(tables: Sequence[Float[np.ndarray, " classes"]]) -> dict[int, float]:
    """Mean of each class over several tables, leaving out what is nan; a class that is nan in all has no entry."""
    stacked = np.stack(tables)
    known = np.flatnonzero(~np.isnan(stacked).all(axis=0))
    return {int(label): float(np.nanmean(stacked[:, label])) for label in known}
