"""What probes share: standardise a split, train its runs, score the test part, average over the splits.

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
from soundloom.evaluation.probes.batched_mlp import Loss, Networks, Training, predict, train, train_for
from soundloom.evaluation.scaling import moments, standardise
from soundloom.evaluation.scores import Score
from soundloom.evaluation.splits import Split

__all__ = ["Fit", "Prepared", "fit_runs", "prepare", "probe", "run_seeds", "train_stopped", "validate"]


@dataclass(frozen=True, eq=False)
class Prepared:
    """A split ready to train on: embeddings standardised by the training part, targets as the loss wants them.

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


# A prepared split and the seed of each run -> the test outputs of each run, and what to note about the split.
Fit = Callable[[Prepared, Sequence[int]], tuple[Float[Tensor, "runs tested classes"], dict[str, object]]]


def validate(embeddings: np.ndarray, labels: np.ndarray, splits: Sequence[Split]) -> None:
    """Refuse what cannot be probed.

    Raises:
        InvalidArgumentError: what `checks` and `splits.validate` refuse: shapes that disagree, embeddings that are
            not finite, splits that overlap, training parts with one class or without a class that is tested.
    """
    validation.check_embeddings(embeddings)
    validation.check_labels(labels, len(embeddings))
    cuts.validate(splits, len(embeddings))
    for split in splits:
        validation.check_trainable(labels, split.train, split.test, split.name)


def prepare(embeddings: np.ndarray, labels: np.ndarray, split: Split) -> Prepared:
    """Cut and standardise one split, by the moments of its training part, of which carved validation is one."""
    features = validation.as_float32(embeddings)
    multi = labels.ndim == 2
    targets = torch.from_numpy(labels.astype(np.float32 if multi else np.int64))
    # One matrix, of which training and validation are views.
    order = torch.from_numpy(np.concatenate([split.train, split.valid]))
    known, known_targets, trained = features[order], targets[order], len(split.train)
    mean, scale = moments(known if split.carved else known[:trained])
    known = standardise(known, mean, scale)
    return Prepared(
        train=known[:trained],
        train_targets=known_targets[:trained],
        valid=known[trained:],
        valid_targets=known_targets[trained:],
        test=standardise(features[torch.from_numpy(split.test)], mean, scale),
        classes=validation.class_count(labels),
        loss="logistic" if multi else "softmax",
        whole=(known, known_targets) if split.carved else None,
    )


def train_stopped(
    data: Prepared,
    *,
    hidden: Sequence[int],
    rates: Sequence[float],
    seeds: Sequence[int],
    settings: Training,
    rung: int | None = None,
) -> Networks:
    """These runs at these rates, stopped early by validation, official or carved; the rest as of `train`."""
    return train(
        data.train,
        data.train_targets,
        data.valid,
        data.valid_targets,
        classes=data.classes,
        hidden=hidden,
        loss=data.loss,
        rates=rates,
        seeds=seeds,
        settings=settings,
        rung=rung,
    )


def fit_runs(
    data: Prepared, first: Networks, *, hidden: Sequence[int], rate: float, seeds: Sequence[int], settings: Training
) -> tuple[Float[Tensor, "runs tested classes"], list[int]]:
    """Train every run at the chosen rate.

    Official validation stops each run early. Where it was carved, every run trains on all clips for the number of
    epochs that was best for the first run; epochs, not steps, so that steps grow with the clips.

    Args:
        data: the split.
        first: the first run at this rate, of `train_stopped`.
        hidden: widths of the hidden layers.
        rate: learning rate.
        seeds: one a run.
        settings: as for `train_stopped`.

    Returns:
        Test outputs of each run, and the epochs that each trained.
    """
    if data.whole is not None:
        count = int(first.best_epoch)
        parameters = train_for(
            count,
            *data.whole,
            classes=data.classes,
            hidden=hidden,
            loss=data.loss,
            rate=rate,
            seeds=seeds,
            batch_size=settings.batch_size,
        )
        return predict(parameters, data.test)[:, 0], [count] * len(seeds)
    runs = [first]
    if len(seeds) > 1:
        runs.append(train_stopped(data, hidden=hidden, rates=[rate], seeds=seeds[1:], settings=settings))
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
    notes: dict[str, list[object]] = {}
    by_class: list[np.ndarray] = []
    confusion = np.zeros((validation.class_count(labels),) * 2, np.int64)
    with spread(len(splits)) as executor:
        fitted = list(
            executor.map(
                lambda number: fit(prepare(embeddings, labels, splits[number]), run_seeds(seed, number, runs)),
                range(len(splits)),
            )
        )
    for number, (split, (predictions, noted)) in enumerate(zip(splits, fitted, strict=True)):
        truth = labels[split.test]
        for run, prediction in enumerate(predictions.numpy()):
            if multi:
                by_class.append(scores.average_precisions(prediction, truth))
                table[run, number] = np.nanmean(by_class[-1])
            else:
                confusion += scores.confusion_matrix(prediction, truth)
                table[run, number] = scores.accuracy(prediction, truth)
        for key, value in noted.items():
            notes.setdefault(key, []).append(value)

    details: dict[str, object] = {"splits": [split.name for split in splits], "by_split": table.T.tolist(), **notes}
    if not multi:
        details["confusion"] = confusion.tolist()
    return scores.summarise(
        protocol,
        "mAP" if multi else "accuracy",
        table.mean(axis=1).tolist(),
        seed=seed,
        per_class=class_means(by_class) if multi else scores.recalls(confusion),
        details=details,
    )


def class_means(tables: Sequence[Float[np.ndarray, " classes"]]) -> dict[int, float]:
    """Mean of each class over several tables, leaving out what is nan; a class that is nan in all has no entry."""
    stacked = np.stack(tables)
    known = np.flatnonzero(~np.isnan(stacked).all(axis=0))
    return {int(label): float(np.nanmean(stacked[:, label])) for label in known}
