"""Classification objective: a head on the embedding predicts the classes of the clip that a window was cut from.

Verma 2023, section 3: the embedding "is passed onto a linear layer of 2048 neurons followed by a 200-neuron final
layer", and the loss is "Huber loss between the predicted vector [...] and a 200-dim vector binary vector"; section 2:
"the labels of the entire clip are assigned to each one of the audio chunks of 1s". Cross-entropies are there for those
who do without the paper's loss: ``bce`` takes classes for independent, ``cross-entropy`` for exclusive.

Between the two layers stands a ReLU, which the paper does not mention: without it they would be one.

When not: clips longer than the sounds that they are labelled for; most windows would then carry a wrong label.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from soundloom.corpora import Corpus, CorpusError
from soundloom.counted import counted
from soundloom.embedder import Stream
from soundloom.errors import InvalidArgumentError
from soundloom.feature_cache import FeatureDataset, Form
from soundloom.objectives.base import Batch, Objective, TrainingData, register_objective
from soundloom.objectives.shuffled_epochs import check_epochs, windows_of_step

__all__ = [
    "LOSSES",
    "SCORES",
    "ClassObjective",
    "LabelBatchSampler",
    "LabelHead",
    "LabelObjective",
    "LabelSettings",
    "label_sampler",
    "window_sampler",
]

Loss = Literal["huber", "bce", "cross-entropy"]

TOP = 5
"""Outputs among which a window's class is looked for, as in the paper's table 1."""


@dataclass(frozen=True, kw_only=True)
class LabelSettings:
    """The head and its loss; the defaults are the paper's.

    Attributes:
        loss: "huber" (delta 1) against zeros and ones, "bce" for independent logistic outputs, or
            "cross-entropy" of a softmax, a window's classes sharing one.
        hidden: units between embedding and classes; 0 for none, a linear head.
    """

    loss: Loss = "huber"
    hidden: int = 2048

    def __post_init__(self) -> None:
        if self.loss not in LOSSES:
            raise InvalidArgumentError(f"loss is one of {', '.join(LOSSES)}, got {self.loss!r}")
        if self.hidden < 0:
            raise InvalidArgumentError(
                f"hidden must be 0 (a linear head) or the number of hidden units, got {self.hidden}"
            )


class LabelHead(nn.Sequential):
    """Embeddings in, one output a class out: [B, D] -> [B, classes]."""

    def __init__(self, settings: LabelSettings, dim: int, classes: int) -> None:
        if settings.hidden:
            super().__init__(nn.Linear(dim, settings.hidden), nn.ReLU(), nn.Linear(settings.hidden, classes))
        else:
            super().__init__(nn.Linear(dim, classes))


class ClassObjective(Objective):
    """An objective that is given every window once an epoch, with its clip's classes."""

    splits_by_class = True

    @classmethod
    def sampler(
        cls,
        settings: Any,  # noqa: ARG003
        data: TrainingData,
        clips: Int[np.ndarray, " chosen"],
        *,
        batch: int,
        seed: int,
    ) -> LabelBatchSampler:
        """Windows of some clips and their classes."""
        return window_sampler(data, clips, batch=batch, seed=seed)


@register_objective("labels", LabelSettings, title="A head predicts the classes of each window's clip.")
class LabelObjective(ClassObjective):
    """The labels' loss of a batch of windows.

    Args:
        settings: head and loss.
        form: what the windows' rows are.
        dim: size of the stream's embedding.
        classes: how many there are.

    Attributes:
        head: trained with the stream.
    """

    def __init__(self, settings: LabelSettings, form: Form, *, dim: int, classes: int) -> None:
        super().__init__()
        if classes < 2:
            raise InvalidArgumentError(f"labels need 2 classes or more, got {classes}: there is nothing to classify")
        self.settings = settings
        self.form = form
        self.head = LabelHead(settings, dim, classes)

    @classmethod
    def select(cls, settings: LabelSettings, corpus: Corpus, stream: Stream) -> Corpus:  # noqa: ARG003
        """All clips, if they have two classes."""
        cls.check_classes(corpus)
        return corpus

    @staticmethod
    def check_classes(corpus: Corpus) -> None:
        """Refuse a corpus with fewer than two classes.

        Raises:
            CorpusError: it has fewer.
        """
        # Of a copy that is not the whole set, some classes may have no clips.
        present = int(np.asarray(corpus.label_matrix()).any(axis=0).sum()) if corpus.classes else 0
        if present < 2:
            raise CorpusError(
                f"{corpus.name} has clips of {counted(present, 'class', 'classes')}, and learning "
                "from labels needs two or more; triplets learn from the sounds alone (train triplet, or train diverse "
                "--objective triplet)"
            )

    @classmethod
    def create(cls, settings: LabelSettings, stream: Stream, data: TrainingData) -> Self:
        """With a head for the corpus's classes."""
        return cls(settings, data.dataset.form, dim=stream.dim, classes=len(data.corpus.classes))

    def forward(self, stream: Stream, batch: Batch) -> dict[str, Tensor]:
        """The loss, and ``top5``: the share of windows with a class of theirs among the five highest outputs.

        Args:
            stream: what learns.
            batch: ``windows``, rows as they are kept [B, R, *shape]; ``targets``, zeros and ones [B, classes].
        """
        outputs = self.head(stream.embed_window(self.form.representation(batch["windows"], stream)))
        targets = batch["targets"]
        highest = outputs.detach().topk(min(TOP, outputs.shape[1]), dim=1).indices
        found = targets.gather(1, highest).amax(dim=1)
        return {"loss": LOSSES[self.settings.loss](outputs, targets), "top5": found.mean()}


def exclusive(outputs: Float[Tensor, "batch classes"], targets: Float[Tensor, "batch classes"]) -> Float[Tensor, ""]:
    """Cross-entropy of a softmax; several classes share one equally, and none costs nothing."""
    shares = targets / targets.sum(dim=1, keepdim=True).clamp_min(1)
    return functional.cross_entropy(outputs, shares)


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "huber": functional.huber_loss,
    "bce": functional.binary_cross_entropy_with_logits,
    "cross-entropy": exclusive,
}
"""Name -> loss of outputs and zeros and ones, both [B, classes], averaged over windows (and classes)."""


def _clipped(outputs: Tensor) -> Tensor:
    return outputs.clamp(0, 1)


def _softmax(outputs: Tensor) -> Tensor:
    return outputs.softmax(dim=-1)


SCORES: dict[str, Callable[[Tensor], Tensor]] = {
    "huber": _clipped,
    "bce": torch.sigmoid,
    "cross-entropy": _softmax,
}
"""Name of the loss -> what makes scores in [0, 1] of outputs [..., classes]."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LabelBatchSampler:
    """Batches of labelled windows, in shuffled epochs (`shuffled_epochs`).

    Attributes:
        dataset: where the windows' rows are.
        clips: the clip of each window, [W].
        starts: the first row of each window, [W].
        size: rows of a window.
        targets: zeros and ones of each clip, [clips, classes].
        batch: windows a step.
        seed: of the shuffles.
        room: rows by which each window may begin later, [W], how many being drawn anew every time; None for none.
    """

    dataset: FeatureDataset
    clips: Int[np.ndarray, " windows"]
    starts: Int[np.ndarray, " windows"]
    size: int
    targets: Float[np.ndarray, "clips classes"]
    batch: int
    seed: int
    room: Int[np.ndarray, " windows"] | None = None

    def __post_init__(self) -> None:
        check_epochs(len(self.clips), self.batch)

    def __len__(self) -> int:
        """Windows in an epoch."""
        return len(self.clips)

    def __call__(self, step: int) -> Batch:
        """The batch of a step: ``windows`` as they are kept, and ``targets``."""
        chosen = windows_of_step(step, len(self), self.batch, self.seed)
        clips = self.clips[chosen]
        starts = self.starts[chosen]
        if self.room is not None:
            # A key apart from the shuffles': they are of epochs, this is of steps.
            starts = starts + np.random.default_rng([self.seed, step, 1]).integers(0, self.room[chosen] + 1)
        windows = self.dataset.take(clips, starts, self.size)
        return {"windows": windows, "targets": torch.from_numpy(self.targets[clips])}


def label_sampler(
    dataset: FeatureDataset,
    targets: Bool[np.ndarray, "clips classes"],
    clips: Int[np.ndarray, " chosen"],
    *,
    size: int = 1,
    hop: int = 1,
    batch: int,
    seed: int,
) -> LabelBatchSampler:
    """Draw from all windows of some clips.

    Args:
        dataset: the corpus.
        targets: true where a clip of the corpus has the class (`Corpus.label_matrix`).
        clips: the clips to draw from, by their places in the corpus.
        size: rows of a window: 1 where a row is a chunk.
        hop: rows from one window to the next.
        batch: windows a step.
        seed: of the shuffles.

    Raises:
        InvalidArgumentError: none of the clips has a window, or the batch is empty.
    """
    owners, starts = dataset.windows(size, hop)
    mine = np.isin(owners, clips)
    return LabelBatchSampler(
        dataset=dataset,
        clips=owners[mine],
        starts=starts[mine],
        size=size,
        targets=targets.astype(np.float32),
        batch=batch,
        seed=seed,
    )


def window_sampler(
    data: TrainingData, clips: Int[np.ndarray, " chosen"], *, batch: int, seed: int
) -> LabelBatchSampler:
    """`label_sampler` of training windows side by side: ``windows`` and ``targets``, their clips' classes.

    Raises:
        InvalidArgumentError: none of the clips has a window.
    """
    targets, size = data.corpus.label_matrix(), data.window
    return label_sampler(data.dataset, targets, clips, size=size, hop=size, batch=batch, seed=seed)
