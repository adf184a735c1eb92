"""Labels: an embedding from a collection whose classes are known, by a head that is thrown away afterwards.

What the folder then holds tags sounds, too: the same head is trained anew on the embeddings of the weights that were
kept (`recipes.linear`), for which every sound is heard once more, and lies beside the model as its tagger. The head of
the training itself is that of the last step, and the model's weights are the best.

Head and loss are those of Verma 2023, section 3, by default, and so are the learning rates (from 2e-4 to 1e-6); what
the paper does not tell is Adam, in batches of 128. Any stream learns so; for its four streams and their weaving see
`diverse`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import numpy as np

from soundloom.corpora import Corpus, CorpusError
from soundloom.embedder import Stream
from soundloom.errors import InvalidArgumentError
from soundloom.feature_cache import CacheProgress, prepare
from soundloom.frontends import LogMel, NormalisedFrontend
from soundloom.models.model_card import Card
from soundloom.objectives.distributed import rank_and_world_size
from soundloom.objectives.labels import LabelBatchSampler, LabelObjective, LabelSettings, label_sampler
from soundloom.objectives.windows import unscaled
from soundloom.recipes.architectures import alone, build_stream, form_of
from soundloom.recipes.feature_scaling import standardise
from soundloom.recipes.linear import LinearSettings, learn_classes
from soundloom.recipes.validation_split import fingerprint, train_valid_split
from soundloom.training import Run, TrainingProgress, TrainingSettings, Validation, fit
from soundloom.training.seeding import seeded

__all__ = ["PRESETS", "LabelRecipe", "check_classes", "learn", "train"]

_TRAINING = TrainingSettings(rate=2e-4, final_rate=1e-6, schedule="exponential")


@dataclass(frozen=True, kw_only=True)
class LabelRecipe:
    """What learns from what.

    Attributes:
        stream: what learns; see soundloom.recipes.STREAMS.
        validation: share of the clips, in whole groups, that is kept apart to validate on; 0 for none.
        objective: head and loss.
        linear: how the tagger's head is trained.
        training: the trainer.
    """

    stream: str = "resnet50"
    validation: float = 0.1
    objective: LabelSettings = field(default_factory=LabelSettings)
    linear: LinearSettings = field(default_factory=lambda: LinearSettings(linear_epochs=30, linear_rate=1e-3))
    training: TrainingSettings = field(default_factory=lambda: _TRAINING)

    def __post_init__(self) -> None:
        if not 0 <= self.validation < 1:
            raise InvalidArgumentError(f"validation must be a share from 0 to below 1, got {self.validation}")


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


def train(
    recipe: LabelRecipe,
    corpus: Corpus,
    out: Path,
    *,
    resume: bool = True,
    progress: Callable[[TrainingProgress], None] | None = None,
    preparing: Callable[[CacheProgress], None] | None = None,
) -> Run:
    """Train a stream to tell the classes of a corpus, and leave a tagger beside it.

    Args:
        recipe: what learns from what.
        corpus: labelled sounds.
        out: the run's folder.
        resume: go on with the run that the folder holds, if it holds one.
        progress: told after every step.
        preparing: told after every clip that is decoded.

    Raises:
        CorpusError: the corpus has no two classes.
        TrainingError: as for `soundloom.training.fit`.
    """
    stream = alone(build_stream(recipe.stream, recipe.training.seed, out.absolute().name), "labels")
    run = learn(stream, recipe, corpus, out, resume=resume, progress=progress, preparing=preparing)
    if rank_and_world_size()[0] == 0:
        settings = recipe.training
        model = run.model()
        learn_classes(model, corpus, recipe.validation, recipe.objective, recipe.linear, settings.seed).save(out)
    return run


def check_classes(corpus: Corpus) -> None:
    """Refuse a collection in which nothing could be told apart.

    Raises:
        CorpusError: it has fewer than two classes.
    """
    if len(corpus.classes) < 2:
        raise CorpusError(
            f"{corpus.name} has {len(corpus.classes)} classes, and learning from labels needs two or more; triplets "
            "learn from the sounds alone (train triplet, or train diverse --objective triplet)"
        )


def learn(
    stream: Stream,
    recipe: LabelRecipe,
    corpus: Corpus,
    out: Path,
    *,
    resume: bool = True,
    progress: Callable[[TrainingProgress], None] | None = None,
    preparing: Callable[[CacheProgress], None] | None = None,
) -> Run:
    """As `train`, with a stream that was built already: the same each time, or a run cannot be resumed."""
    check_classes(corpus)
    settings = recipe.training
    dataset = prepare(corpus, form_of(stream), progress=preparing)
    size = stream.window.frames if stream.window is not None and isinstance(unscaled(stream.frontend), LogMel) else 1
    targets = corpus.label_matrix()
    learned, validated = train_valid_split(corpus, recipe.validation, settings.seed, by_class=True)

    def draw(clips: np.ndarray) -> LabelBatchSampler:
        return label_sampler(dataset, targets, clips, size=size, hop=size, batch=settings.batch, seed=settings.seed)

    if isinstance(stream.frontend, NormalisedFrontend):
        standardise(stream, draw(learned))
    validation = None
    if len(validated):
        once = draw(validated)
        validation = Validation(sampler=once, batches=once.epoch_steps)
    with seeded(settings.seed):
        objective = LabelObjective(recipe.objective, dataset.form, dim=stream.dim, classes=len(corpus.classes))
    data = fingerprint(corpus, dataset)
    return fit(
        stream,
        objective,
        draw(learned),
        settings=settings,
        folder=out,
        recipe=recipe,
        data=data,
        heading="soundloom train labels",
        validation=validation,
        card=_card(recipe, data),
        resume=resume,
        progress=progress,
    )


def _card(recipe: LabelRecipe, data: str) -> Card:
    return Card(
        tags=("classification",),
        summary=f"An audio embedding ({recipe.stream}), learned from labels by the loss {recipe.objective.loss}.",
        provenance=f"Trained with `soundloom train labels` on {data}. Its settings are in `settings.yaml`.",
    )
