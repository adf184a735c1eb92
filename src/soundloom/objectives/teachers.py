"""Teachers of a distillation: the targets that a loaded model gives for equally long waveforms.

Any model that can be named teaches by its embedding, the mean over its frames; one whose encoder has class scores
(`Encoder.class_layer`) by these, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from soundloom.embedder import Embedder
from soundloom.embedder.resampler import resampler
from soundloom.errors import InvalidArgumentError
from soundloom.models import load

__all__ = ["Targets", "Teacher", "load_teachers"]


@dataclass(frozen=True)
class Targets:
    """What a teacher gives for a batch.

    Attributes:
        embeddings: the mean over its frames, ``[batch, dim]``.
        scores: class probabilities, ``[batch, classes]``; None for a teacher without.
    """

    embeddings: Float[Tensor, "batch dim"]
    scores: Float[Tensor, "batch classes"] | None


class Teacher:
    """A frozen model that is asked for targets.

    Args:
        model: whose frames are the targets.
        sample_rate: of the waveforms, in hertz; they are resampled to the model's.

    Attributes:
        name: the model's name.
        dim: size of its embeddings.
        classes: names of its class scores; empty for a teacher without.
    """

    def __init__(self, model: Embedder, sample_rate: int) -> None:
        self.name, self.dim = model.name, model.frame_dim
        self._fingerprint = model.fingerprint()
        # Convolutions over channels that lie side by side are faster; weights are the same.
        self._model = model.eval().requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._resampler = resampler(sample_rate, model.sample_rate)
        self._class_layer, self.classes = model.class_layer, model.classes

    @property
    def identity(self) -> str:
        """Equal for teachers that give equal targets."""
        return f"{self._fingerprint} {len(self.classes)}"

    @torch.inference_mode()
    def targets(self, waveforms: Float[Tensor, "batch samples"]) -> Targets:
        """Embeddings and class scores of waveforms."""
        frames = self._model.frames(self._model.padded(self._resampler(waveforms)))
        weights = frames.weights / frames.weights.sum()
        embeddings = frames.values @ weights
        if self._class_layer is None:
            return Targets(embeddings, None)
        scores = torch.sigmoid(self._class_layer(frames.values.movedim(1, 2)))
        return Targets(embeddings, (scores * weights[:, None]).sum(dim=1))


def load_teachers(names: Sequence[str], weights: Sequence[str], sample_rate: int) -> list[Teacher]:
    """Load teachers by name.

    Args:
        names: models as `soundloom.load` takes them.
        weights: "published" or a file for each; empty for published ones.
        sample_rate: of the waveforms that they will be given, in hertz.

    Raises:
        InvalidArgumentError: there are no teachers, or not as many weights as teachers.
        ModelError: a model cannot be loaded.
    """
    if not names:
        raise InvalidArgumentError("teachers must name one model or more, such as yamnet, got none")
    if weights and len(weights) != len(names):
        raise InvalidArgumentError(
            f"weights must be one for each of the {len(names)} teachers ('published' or a file), got {len(weights)}"
        )
    sources = weights or ["published"] * len(names)
    return [Teacher(load(name, weights=source), sample_rate) for name, source in zip(names, sources, strict=True)]
