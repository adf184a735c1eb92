"""Triplets (Jansen 2017): an embedding of sounds from the sounds alone.

The defaults are the paper's: ResNet-50 on 64 x 96 log-mel windows with 128 linear units, samplers with the parameters
of its table 1, mixed. The paper does not give the optimiser's settings: Adam in batches of 128 is that of Hershey et
al. 2017, whose network it takes, and the rate a customary one. It learned from 3 million clips; the preset ``small``
learns from a few thousand, on a CPU, in minutes.

A stream whose front-end has no energies learns from seconds of sound that are changed before the front-end
(`soundloom.objectives.waveform_samplers`), which is then part of every step. All such streams share cached waveforms.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from jaxtyping import Int

from soundloom.corpora import CorpusError
from soundloom.embedder import Stream
from soundloom.errors import InvalidArgumentError
from soundloom.models.model_card import Card
from soundloom.objectives.base import TrainingData
from soundloom.objectives.triplet import TripletObjective
from soundloom.objectives.triplet_batches import TripletSettings
from soundloom.recipes.architectures import STREAMS
from soundloom.recipes.recipe import StreamRecipe, register_recipe
from soundloom.training import TrainingSettings, Validation

__all__ = ["PRESETS", "TripletRecipe"]


@dataclass(frozen=True, kw_only=True)
class TripletRecipe(StreamRecipe):
    """One stream and how it is trained; labels are not looked at, except by the sampler "labelled".

    Attributes:
        validation_batches: batches of a validation.
        objective: samplers and loss.
    """

    stream: str = "resnet50-hershey"
    validation_batches: int = 8
    objective: TripletSettings = field(default_factory=TripletSettings)

    name = "triplet"
    kind = TripletObjective

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.validation_batches < 1:
            raise InvalidArgumentError(f"validation_batches must be at least 1, got {self.validation_batches}")

    @property
    def splits_by_class(self) -> bool:
        """Only where labels are looked at."""
        return bool(self.objective.labelled)

    def validator(self, stream: Stream, data: TrainingData, clips: Int[np.ndarray, " chosen"]) -> Validation:
        """Some batches of triplets.

        Raises:
            CorpusError: no triplets can be made of these clips.
        """
        try:
            sampler = self.sampler(stream, data, clips, self.training.batch, self.training.seed + 1)
        except CorpusError as error:
            raise CorpusError(f"of the clips kept apart to validate on: {error}. Or set validation to 0") from None
        return Validation(sampler=sampler, batches=self.validation_batches)

    def for_part(self, stream: str, **settings: Any) -> StreamRecipe:
        """The recipe for one of several streams; one that must distinguish transpositions learns from none."""
        recipe = replace(self, stream=stream, **settings)
        if stream in STREAMS and STREAMS[stream].pitch_sensitive:
            return replace(recipe, objective=replace(recipe.objective, shift=0))
        return recipe

    def describe(self, data: str, training_data: TrainingData) -> Card:  # noqa: ARG002
        """The model card."""
        samplers = ", ".join(f"{name} {share:.2f}" for name, share in self.objective.shares.items())
        summary = f"An audio embedding ({self.stream}), learned from triplets (Jansen 2017): {samplers}."
        return self.card(data, summary=summary, tags=("triplet",))


PRESETS: Mapping[str, TripletRecipe] = MappingProxyType(
    {
        "paper": TripletRecipe(),
        "small": TripletRecipe(
            stream="resnet-small",
            training=TrainingSettings(
                steps=500, rate=1e-3, final_rate=1e-5, schedule="cosine", warmup=100, validate_every=200, log_every=20
            ),
        ),
    }
)
register_recipe(
    PRESETS,
    title="Learn from any folder of sounds, without labels (Jansen 2017).",
    examples=(
        "soundloom train triplet ~/sounds --out runs/mine --preset small",
        "soundloom train triplet pool=/data/audio --out runs/near --preset small --noise 0 --translation 0 --mixing 0",
        "soundloom train triplet ~/sounds --out runs/timbre --preset small --stream timbre",
        "soundloom train triplet ~/sounds --out runs/tuned --preset small --init loom --lr 1e-4",
        "soundloom train triplet ~/sounds --out runs/paper --device cuda --devices 4 --precision bf16",
    ),
)
