"""Labels: an embedding from a collection whose classes are known, by a head that is not part of the model.

The run's folder tags sounds, too: the same head is trained anew on the embeddings of the weights that were kept
(`recipes.linear`) and saved beside the model as its tagger, because the head of the training is that of the last step
and the model's weights are the best.

Head, loss and learning rates (from 2e-4 to 1e-6) are those of Verma 2023, section 3, by default. Not in the paper:
Adam, in batches of 128. For its four streams and their weaving see `diverse`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from soundloom.corpora import Corpus
from soundloom.distributed import rank_and_world_size
from soundloom.models.model_card import Card
from soundloom.objectives.base import TrainingData
from soundloom.objectives.labels import LabelObjective, LabelSettings
from soundloom.recipes.linear import LinearSettings, learn_classes
from soundloom.recipes.recipe import RunOptions, StreamRecipe, register_recipe
from soundloom.training import Run, TrainingSettings

__all__ = ["PRESETS", "LabelRecipe"]

_TRAINING = TrainingSettings(rate=2e-4, final_rate=1e-6, schedule="exponential")


@dataclass(frozen=True, kw_only=True)
class LabelRecipe(StreamRecipe):
    """One stream and how it is trained.

    Attributes:
        objective: head and loss.
        linear: how the tagger's head is trained.
    """

    stream: str = "resnet50"
    objective: LabelSettings = field(default_factory=LabelSettings)
    linear: LinearSettings = field(default_factory=lambda: LinearSettings(linear_epochs=30, linear_rate=1e-3))
    training: TrainingSettings = field(default_factory=lambda: _TRAINING)

    name = "labels"
    kind = LabelObjective

    def describe(self, data: str, training_data: TrainingData) -> Card:  # noqa: ARG002
        """The model card."""
        summary = f"An audio embedding ({self.stream}), learned from labels by the loss {self.objective.loss}."
        return self.card(data, summary=summary, tags=("classification",))

    def run(self, corpus: Corpus, out: Path, options: RunOptions = RunOptions()) -> Run:
        """Train the stream, then the tagger, which is saved beside the model; see `Recipe.run`."""
        run = super().run(corpus, out, options)
        if rank_and_world_size()[0] == 0:
            seed = self.training.seed
            learn_classes(run.model(), corpus, self.validation, self.objective, self.linear, seed).save(out)
        return run


PRESETS: Mapping[str, LabelRecipe] = MappingProxyType(
    {
        "paper": LabelRecipe(),
        "small": LabelRecipe(
            stream="resnet-small",
            objective=LabelSettings(loss="cross-entropy", hidden=0),
            training=TrainingSettings(
                steps=2000, rate=1e-3, final_rate=1e-5, schedule="cosine", warmup=100, validate_every=200, log_every=20
            ),
        ),
    }
)
register_recipe(
    PRESETS,
    title="Train on the labels of a collection, with a classification head.",
    examples=(
        "soundloom train labels esc50=/data/ESC-50-master --out runs/esc50 --preset small --fold 1,2,3,4",
        "soundloom train labels fsd50k=/data/FSD50K --out runs/fsd --stream resnet50 --loss bce",
        "soundloom train labels ~/labelled --out runs/tuned --preset small --init loom --lr 1e-4 --epochs 5",
    ),
)
