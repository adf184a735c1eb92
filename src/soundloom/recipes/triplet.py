"""Triplets (Jansen 2017): an embedding of sounds from the sounds alone.

The defaults are the paper's: ResNet-50 on 64 x 96 log-mel windows with 128 linear units, samplers with the parameters
of its table 1, mixed. The paper does not tell the optimiser's settings; Adam in batches of 128 is that of Hershey et
al. 2017, whose network it takes, and the rate a customary one. It learned from 3 million clips; the preset ``small``
from a few thousand, on a CPU, in minutes.

A stream of other front-ends than log-mel learns from seconds of sound that are changed before it hears them
(`soundloom.objectives.waveform_samplers`): its front-end is then part of every step. All such streams share what is
prepared, the sounds themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from soundloom.corpora import Corpus, CorpusError
from soundloom.embedder import Stream
from soundloom.errors import InvalidArgumentError
from soundloom.feature_cache import CacheProgress, Form, Samples, prepare
from soundloom.frontends import NormalisedFrontend
from soundloom.models.model_card import Card
from soundloom.objectives.triplet import TripletObjective, TripletSettings
from soundloom.objectives.triplet_batches import TripletBatchSampler, triplet_sampler
from soundloom.objectives.triplet_pairs import Recordings
from soundloom.recipes.architectures import CHUNK, alone, build_stream, changing_form_of
from soundloom.recipes.feature_scaling import standardise
from soundloom.recipes.validation_split import fingerprint, train_valid_split
from soundloom.training import Run, TrainingError, TrainingProgress, TrainingSettings, Validation, fit

__all__ = ["PRESETS", "TripletRecipe", "learn", "train", "windows_of"]


@dataclass(frozen=True, kw_only=True)
class TripletRecipe:
    """What learns from what.

    Attributes:
        stream: what learns; see soundloom.recipes.STREAMS.
        validation: share of the clips, in whole groups, that is kept apart to validate on; 0 for none.
        validation_batches: batches of a validation.
        objective: samplers and loss.
        training: the trainer.
    """

    stream: str = "resnet50-hershey"
    validation: float = 0.1
    validation_batches: int = 8
    objective: TripletSettings = field(default_factory=TripletSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)

    def __post_init__(self) -> None:
        if not 0 <= self.validation < 1:
            raise InvalidArgumentError(f"validation must be a share from 0 to below 1, got {self.validation}")
        if self.validation_batches < 1:
            raise InvalidArgumentError(f"validation_batches must be at least 1, got {self.validation_batches}")


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


def train(
    recipe: TripletRecipe,
    corpus: Corpus,
    out: Path,
    *,
    resume: bool = True,
    progress: Callable[[TrainingProgress], None] | None = None,
    preparing: Callable[[CacheProgress], None] | None = None,
) -> Run:
    """Train a stream on the sounds of a corpus; its labels are not looked at, but by the sampler "labelled".

    Args:
        recipe: what learns from what.
        corpus: any sounds.
        out: the run's folder.
        resume: go on with the run that the folder holds, if it holds one.
        progress: told after every step.
        preparing: told after every clip that is decoded.

    Raises:
        CorpusError: the corpus has not what a sampler needs, such as two recordings.
        TrainingError: as for `soundloom.training.fit`; or the stream cannot be trained by itself.
    """
    stream = alone(build_stream(recipe.stream, recipe.training.seed, out.absolute().name), "triplet")
    return learn(stream, recipe, corpus, out, resume=resume, progress=progress, preparing=preparing)


def windows_of(stream: Stream) -> tuple[Form, int, float]:
    """How clips are kept to draw triplets for a stream: the form, rows of a window, and seconds from row to row.

    Raises:
        TrainingError: a stream of log-mel frames that has no window.
    """
    form = changing_form_of(stream)
    if isinstance(form, Samples):
        return form, round(CHUNK / form.hop), form.hop
    if stream.window is None:
        raise TrainingError(f"{stream.name} takes mel energies of any length, and triplets are of windows: give it one")
    return form, stream.window.frames, stream.frontend.hop


def learn(
    stream: Stream,
    recipe: TripletRecipe,
    corpus: Corpus,
    out: Path,
    *,
    resume: bool = True,
    progress: Callable[[TrainingProgress], None] | None = None,
    preparing: Callable[[CacheProgress], None] | None = None,
) -> Run:
    """As `train`, with a stream that was built already: the same each time, or a run cannot be resumed."""
    settings = recipe.training
    form, frames, hop = windows_of(stream)
    dataset = prepare(corpus, form, progress=preparing)
    labels = corpus.label_matrix() if recipe.objective.labelled else None
    learned, validated = train_valid_split(corpus, recipe.validation, settings.seed, by_class=labels is not None)
    recordings = Recordings.of(corpus)

    def draw(clips: Any, seed: int) -> TripletBatchSampler:
        chosen = recipe.objective, dataset, recordings, clips, settings.batch, seed, labels
        return triplet_sampler(*chosen, frames=frames, hop=hop)

    drawn = draw(learned, settings.seed)
    if isinstance(stream.frontend, NormalisedFrontend):
        standardise(stream, drawn)
    validation = None
    if len(validated):
        try:
            validation = Validation(sampler=draw(validated, settings.seed + 1), batches=recipe.validation_batches)
        except CorpusError as error:
            raise CorpusError(f"of the clips kept apart to validate on: {error}. Or set validation to 0") from None
    data = fingerprint(corpus, dataset)
    return fit(
        stream,
        TripletObjective(recipe.objective, dataset.form),
        drawn,
        settings=settings,
        folder=out,
        recipe=recipe,
        data=data,
        heading="soundloom train triplet",
        validation=validation,
        card=_card(recipe, data),
        resume=resume,
        progress=progress,
    )


def _card(recipe: TripletRecipe, data: str) -> Card:
    samplers = ", ".join(f"{name} {share:.2f}" for name, share in recipe.objective.shares.items())
    return Card(
        tags=("triplet",),
        summary=f"An audio embedding ({recipe.stream}), learned from triplets (Jansen 2017): {samplers}.",
        provenance=f"Trained with `soundloom train triplet` on {data}. Its settings are in `settings.yaml`.",
    )
