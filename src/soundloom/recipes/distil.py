"""Distillation: a small stream learns to embed as larger models do, from sounds without labels (Hinton et al. 2015).

The default student is a small ResNet of 2.8 million parameters on YAMNet's log-mel windows; its teacher is YAMNet. A
collection of a few hours goes far, as any mixture of its sounds is a new sound that the teacher is asked about.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from soundloom.corpora import Corpus
from soundloom.embedder import Stream
from soundloom.models.model_card import Card
from soundloom.objectives.base import TrainingData
from soundloom.objectives.distillation import DistillationObjective, DistillationSettings
from soundloom.recipes.recipe import StreamRecipe, register_recipe
from soundloom.recipes.validation_split import without_recordings
from soundloom.training import TrainingSettings

__all__ = ["PRESETS", "DistilRecipe"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class DistilRecipe(StreamRecipe):
    """One stream and how it is trained; labels are not looked at.

    Attributes:
        apart_from: collections, each as CORPUS=ROOT, none of whose Freesound recordings are learned from.
    """

    stream: str = "resnet-student"
    apart_from: tuple[str, ...] = field(default=(), metadata={"since": (), "resumable": True})
    objective: DistillationSettings = field(default_factory=DistillationSettings)
    epochs: int = field(default=6, metadata={"resumable": True, "since": 0})
    training: TrainingSettings = field(
        default_factory=lambda: TrainingSettings(
            steps=5000, batch=256, optimiser="adamw", rate=2e-3, final_rate=1e-5, schedule="cosine", warmup=150,
            weight_decay=1e-3, clip=5.0, keep="last", validate_every=300, log_every=20,
        )
    )  # fmt: skip

    name = "distil"
    kind = DistillationObjective

    @property
    def models(self) -> tuple[str, ...]:
        """The one that it begins with, if any, and the teachers."""
        return (*super().models, *self.objective.teachers)

    def select(self, corpus: Corpus, stream: Stream) -> Corpus:
        """The clips of recordings that no collection of `apart_from` holds; those left out are logged."""
        kept, left_out = without_recordings(corpus, self.apart_from) if self.apart_from else (corpus, [])
        for path in left_out:
            _log.warning("left out, as its recording is in %s: %s", " or ".join(self.apart_from), path)
        return super().select(kept, stream)

    def describe(self, data: str, training_data: TrainingData) -> Card:  # noqa: ARG002
        """The model card, which names the teachers."""
        teachers = ", ".join(self.objective.teachers)
        return self.card(data, summary=f"An audio embedding ({self.stream}), distilled from {teachers}.")


PRESETS: Mapping[str, DistilRecipe] = MappingProxyType({"small": DistilRecipe()})
register_recipe(
    PRESETS,
    title="Learn to embed as larger models do, from any folder of sounds, without labels.",
    examples=(
        "soundloom train distil ~/sounds --out runs/student",
        "soundloom train distil ~/sounds --out runs/student --teachers yamnet --weights yamnet.tflite --epochs 12",
        "soundloom train distil ~/sounds --out runs/tiny --stream mobilenet --teachers runs/large",
    ),
)
