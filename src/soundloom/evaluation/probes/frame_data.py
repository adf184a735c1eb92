"""Shared parts of the protocols over frames: frames train with their clip's labels, scores average over a clip.

Conventions: frames (or windows, or chunks of 1 s) are ``[frames, dim]`` with the index of their clip,
integers ``[frames]`` counted from 0; labels and splits are of clips. Clips without frames may exist as
long as no split uses them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from soundloom.errors import InvalidArgumentError
from soundloom.evaluation import splits as cuts
from soundloom.evaluation import validation
from soundloom.evaluation.probes.batched_mlp import Loss, Perceptron, ProbeTraining, predict, train, train_for
from soundloom.evaluation.splits import Split
from soundloom.evaluation.standardisation import moments, standardise

__all__ = ["clip_means", "fit_frames", "rows_of", "validate"]


def validate(frames: np.ndarray, clips: np.ndarray, labels: np.ndarray, splits: Sequence[Split]) -> None:
    """Refuse frames that do not belong to the labelled clips, or splits that cannot be trained.

    Raises:
        InvalidArgumentError: what `validation` and `splits.validate` refuse, clip indices of another length or beyond
            the labels, or clips of a split without frames.
    """
    validation.check_embeddings(frames)
    validation.check_labels(labels, len(labels))
    cuts.validate(splits, len(labels))
    if clips.shape != (len(frames),) or not np.issubdtype(clips.dtype, np.integer):
        raise InvalidArgumentError(
            f"clips must hold the clip's index of each of the {len(frames)} frames as integers, "
            f"got shape {clips.shape} of {clips.dtype}"
        )
    if clips.min() < 0 or clips.max() >= len(labels):
        raise InvalidArgumentError(
            f"frames name clips {clips.min()} to {clips.max()}, there are labels of {len(labels)}"
        )
    framed = np.zeros(len(labels), bool)
    framed[clips] = True
    cuts.check_every_split(labels, splits)
    for split in splits:
        silent = [clip for clip in (*split.train, *split.valid, *split.test) if not framed[clip]]
        if silent:
            raise InvalidArgumentError(
                f"{len(silent)} clips of split {split.name!r} have no frame (clips {validation.listed(silent)}): "
                "were they shorter than a frame? pad them"
            )


def rows_of(clips: Int[np.ndarray, " frames"], wanted: Int[np.ndarray, " clips"]) -> Int[np.ndarray, " rows"]:
    """The frames that belong to the wanted clips."""
    return np.flatnonzero(np.isin(clips, wanted))


def clip_means(
    values: Float[np.ndarray, "frames classes"], clips: Int[np.ndarray, " frames"], wanted: Int[np.ndarray, " wanted"]
) -> Float[np.ndarray, "wanted classes"]:
    """Mean over the frames of each wanted clip, in the order wanted; each must have frames."""
    count = int(max(clips.max(), wanted.max())) + 1
    totals = np.zeros((count, values.shape[1]))
    np.add.at(totals, clips, values)
    means: Float[np.ndarray, "wanted classes"] = totals[wanted] / np.bincount(clips, minlength=count)[wanted, None]
    return means


def fit_frames(
    frames: Float[np.ndarray, "frames dim"],
    clips: Int[np.ndarray, " frames"],
    labels: Shaped[np.ndarray, "clips ..."],
    split: Split,
    *,
    hidden: Sequence[int],
    loss: Loss,
    rate: float,
    seeds: Sequence[int],
    training: ProbeTraining,
    refit: bool = False,
) -> tuple[Float[Tensor, "runs rows classes"], Int[np.ndarray, " rows"]]:
    """Train on the frames of a split; outputs for the test frames, and which frames those are.

    Frames are standardised by the training frames. Early stopping watches the validation frames. With ``refit`` and
    a carved split, training and validation frames together then train anew, for as many epochs as were best.
    """
    features = validation.as_float32(frames)
    targets = torch.from_numpy(validation.presence(labels)[clips].astype(np.float32))
    rows = [rows_of(clips, part) for part in (split.train, split.valid, split.test)]
    mean, scale = moments(features[rows[0]])
    fitted, watched, tested = (standardise(features[part], mean, scale) for part in rows)
    network = Perceptron(classes=validation.class_count(labels), hidden=tuple(hidden), loss=loss)
    networks = train(
        fitted, targets[rows[0]], watched, targets[rows[1]], network, rates=[rate], seeds=seeds, settings=training
    )
    if not (refit and split.carved):
        return predict(networks.parameters, tested)[:, 0], rows[2]
    both = np.concatenate(rows[:2])
    mean, scale = moments(features[both])
    known, tested = (standardise(features[part], mean, scale) for part in (both, rows[2]))
    outputs = []
    for run, seed in enumerate(seeds):
        epochs, size = int(networks.best_epoch[run, 0]), training.batch_size
        parameters = train_for(epochs, known, targets[both], network, rate=rate, seeds=[seed], batch_size=size)
        outputs.append(predict(parameters, tested)[:, 0])
    return torch.cat(outputs), rows[2]
