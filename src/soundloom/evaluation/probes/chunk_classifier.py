"""Chunk classifier (Verma 2023, 2 and 3.5): a two-layer head on 1 s chunks, averaged over each clip.

"The labels of the entire clip are assigned to each one of the audio chunks of 1s during training";
"for testing, the labels are averaged across the entire clip to report mean-average precision at the
clip level"; and top-5 accuracy "with 1s input". The head is the paper's: "a linear layer of 2048 neurons
followed by a 200-neuron final layer", trained with the Huber loss between outputs and the vector of
zeros and ones.

Conventions: as in `frame_data`, a frame being a chunk. A chunk is right when a class of its clip is among its five
highest outputs. Departures: a ReLU between the two layers, without which they would be one; a constant
rate of 2e-4, where the paper's falls to 1e-6 over 300 epochs, with early stopping as in `linear`; three runs.

When not: clip labels on long clips with rare events, which label most chunks wrongly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int, Shaped

from soundloom.errors import InvalidArgumentError
from soundloom.evaluation import scores, validation
from soundloom.evaluation.probes.batched_mlp import ProbeTraining
from soundloom.evaluation.probes.common import class_means, run_seeds
from soundloom.evaluation.probes.frame_data import clip_means, fit_frames
from soundloom.evaluation.probes.frame_data import validate as validate_frames
from soundloom.evaluation.protocols import PROTOCOLS, Protocol
from soundloom.evaluation.scores import Details, Score
from soundloom.evaluation.splits import Split, check_every_split

__all__ = ["ChunkDetails", "ChunkSettings", "chunk_probe", "validate"]


@dataclass(frozen=True, kw_only=True)
class ChunkSettings:
    """The paper's settings.

    Attributes:
        hidden: width of the head's hidden layer.
        top: how many outputs the chunk accuracy looks at.
        runs: trainings that are averaged.
        rate: learning rate of Adam.
        training: epochs, patience and batch size in chunks.
    """

    hidden: int = 2048
    top: int = 5
    runs: int = 3
    rate: float = 2e-4
    training: ProbeTraining = field(default_factory=lambda: ProbeTraining(epochs=300))

    def __post_init__(self) -> None:
        for name in ("hidden", "top", "runs", "rate"):
            if getattr(self, name) <= 0:
                raise InvalidArgumentError(f"{name} must be positive, got {getattr(self, name)}")


@dataclass(frozen=True, kw_only=True)
class ChunkDetails(Details):
    """Details of the classifier on chunks.

    Attributes:
        splits: names of the splits.
        by_split: the metric of each split and run, ``[splits, runs]``.
        k: how many outputs the chunk accuracy looks at.
        top_k_accuracy: of chunks, one value a run.
    """

    splits: list[str]
    by_split: list[list[float]]
    k: int
    top_k_accuracy: list[float]


def validate(frames: np.ndarray, clips: np.ndarray, labels: np.ndarray, splits: Sequence[Split], top: int) -> None:
    """Refuse what cannot be probed.

    Raises:
        InvalidArgumentError: what `frame_data.validate` refuses, or fewer classes than the accuracy looks at.
    """
    validate_frames(frames, clips, labels, splits)
    if top > validation.class_count(labels):
        raise InvalidArgumentError(
            f"top-{top} accuracy needs {top} classes, the labels have {validation.class_count(labels)}"
        )


def chunk_probe(
    frames: Float[np.ndarray, "frames dim"],
    clips: Int[np.ndarray, " frames"],
    labels: Shaped[np.ndarray, "clips ..."],
    splits: Sequence[Split],
    *,
    settings: ChunkSettings | None = None,
    seed: int = 0,
) -> Score:
    """Clip-level macro mAP of averaged chunk outputs; one value a run, averaged over the splits.

    Details: `ChunkDetails`.

    Raises:
        InvalidArgumentError: what `validate` refuses.
    """
    settings = settings or ChunkSettings()
    validate(frames, clips, labels, splits, settings.top)
    tables: list[np.ndarray] = []
    precision = np.zeros((len(splits), settings.runs))
    top = np.zeros_like(precision)
    for number, split in enumerate(splits):
        outputs, rows = fit_frames(
            frames,
            clips,
            labels,
            split,
            hidden=(settings.hidden,),
            loss="huber",
            rate=settings.rate,
            seeds=run_seeds(seed, number, settings.runs),
            training=settings.training,
        )
        for run, output in enumerate(outputs.numpy()):
            averaged = clip_means(output, clips[rows], split.test)
            tables.append(scores.average_precisions(averaged, labels[split.test]))
            precision[number, run] = np.nanmean(tables[-1])
            top[number, run] = scores.top_k_accuracy(output, labels[clips[rows]], settings.top)
    return scores.summarise(
        "chunks",
        "mAP",
        precision.mean(axis=0).tolist(),
        seed=seed,
        per_class=class_means(tables),
        details=ChunkDetails(
            splits=[split.name for split in splits],
            by_split=precision.tolist(),
            k=settings.top,
            top_k_accuracy=top.mean(axis=0).tolist(),
        ),
    )


PROTOCOLS.register(
    "chunks",
    Protocol(
        function=chunk_probe,
        settings=ChunkSettings,
        details=ChunkDetails,
        paper="Verma 2023, 2 and 3.5",
        window=1.0,
        standardises=True,
        admits=check_every_split,
    ),
    definition=chunk_probe,
)
