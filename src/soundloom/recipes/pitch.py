"""Pitch, from recordings of single notes whose MIDI number is known.

A pitch stream (`soundloom.encoders.PitchEncoder`) learns from the first second of each; some hundred notes of a few
instruments are enough, as what is learned of one note holds for all. Instruments that it never met are the test.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from soundloom.models.model_card import Card
from soundloom.objectives.base import TrainingData
from soundloom.objectives.pitch import PitchObjective, PitchSettings
from soundloom.recipes.recipe import StreamRecipe, register_recipe
from soundloom.training import TrainingSettings

__all__ = ["PRESETS", "PitchRecipe"]


@dataclass(frozen=True, kw_only=True)
class PitchRecipe(StreamRecipe):
    """One stream and how it is trained; clips without a note are left out."""

    stream: str = field(default="notes", metadata={"since": "notes"})
    validation: float = 0.0
    objective: PitchSettings = field(default_factory=PitchSettings)
    training: TrainingSettings = field(
        default_factory=lambda: TrainingSettings(
            steps=2000, batch=64, rate=3e-3, final_rate=3e-5, schedule="cosine", warmup=20, keep="last",
            validate_every=250, log_every=25,
        )
    )  # fmt: skip

    name = "notes"
    kind = PitchObjective

    def describe(self, data: str, training_data: TrainingData) -> Card:  # noqa: ARG002
        """The model card."""
        summary = "An embedding whose numbers are notes, learned from single notes."
        return self.card(data, summary=summary, tags=("pitch",))


PRESETS: Mapping[str, PitchRecipe] = MappingProxyType({"small": PitchRecipe()})
register_recipe(
    PRESETS,
    title="Learn which note sounds, from single notes whose MIDI number is known.",
    examples=("soundloom train notes pool=/data/audio --out runs/notes",),
)
