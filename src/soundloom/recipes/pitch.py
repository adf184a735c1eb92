"""Pitch, from recordings of single notes whose MIDI number is known.

A pitch stream (`soundloom.encoders.PitchEncoder`) learns from the first second of each; some hundred notes of a few
instruments are enough, as what is learned of one note holds for all. Instruments that it never met are the test.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from soundloom.corpora import Corpus
from soundloom.embedder import Stream
from soundloom.encoders import PitchEncoder
from soundloom.models.model_card import Card
from soundloom.objectives.base import TrainingData
from soundloom.objectives.pitch import PitchObjective, PitchSettings
from soundloom.recipes.recipe import RunOptions, StreamRecipe, register_recipe
from soundloom.training import Run, TrainingError, TrainingSettings

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

    def train(self, stream: Stream, corpus: Corpus, out: Path, options: RunOptions) -> Run:
        """As `StreamRecipe.train`; a pitch part to start from is trained as the stream of notes that it was made of.

        Raises:
            TrainingError: the stream gives no notes.
        """
        if not isinstance(stream.encoder, PitchEncoder):
            kind = type(stream.encoder).__name__
            raise TrainingError(
                f"the stream to train is a {kind}, which gives no notes: name another by --stream notes"
            )
        roots = stream.with_reduction(None).with_encoder(stream.encoder.with_roots(True))
        return super().train(roots, corpus, out, options)

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
