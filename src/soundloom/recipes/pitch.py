"""Pitch, from recordings of single notes whose MIDI number is known.

A pitch stream (`soundloom.encoders.PitchEncoder`) learns from the first second of each; some hundred notes of a few
instruments do, as what is learned of one note holds for all. Instruments that it never heard are the test.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import numpy as np
from jaxtyping import Bool

from soundloom.corpora import Corpus, CorpusError
from soundloom.errors import InvalidArgumentError
from soundloom.feature_cache import CacheProgress, prepare
from soundloom.frontends import ConstantQ
from soundloom.models.model_card import Card
from soundloom.objectives.labels import LabelBatchSampler
from soundloom.objectives.pitch import PitchObjective
from soundloom.recipes.architectures import LOWEST_NOTE, build_stream, form_of
from soundloom.recipes.validation_split import fingerprint, train_valid_split
from soundloom.training import Run, TrainingProgress, TrainingSettings, Validation, fit

__all__ = ["PRESETS", "PitchRecipe", "train"]


@dataclass(frozen=True, kw_only=True)
class PitchRecipe:
    """What learns for how long.

    Attributes:
        validation: share of the notes, in whole groups, that is kept apart to validate on; 0 for none.
        training: the trainer.
    """

    validation: float = 0.0
    training: TrainingSettings = field(
        default_factory=lambda: TrainingSettings(
            steps=2000, batch=64, rate=3e-3, final_rate=3e-5, schedule="cosine", warmup=20, keep="last",
            validate_every=250, log_every=25,
        )
    )  # fmt: skip

    def __post_init__(self) -> None:
        if not 0 <= self.validation < 1:
            raise InvalidArgumentError(f"validation must be a share from 0 to below 1, got {self.validation}")


PRESETS: Mapping[str, PitchRecipe] = MappingProxyType({"small": PitchRecipe()})


def train(
    recipe: PitchRecipe,
    corpus: Corpus,
    out: Path,
    *,
    resume: bool = True,
    progress: Callable[[TrainingProgress], None] | None = None,
    preparing: Callable[[CacheProgress], None] | None = None,
) -> Run:
    """Train a stream to tell the notes of a corpus; clips without a note are left out.

    Args:
        recipe: what learns for how long.
        corpus: with a column ``midi``.
        out: the run's folder.
        resume: go on with the run that the folder holds, if it holds one.
        progress: told after every step.
        preparing: told after every clip that is decoded.

    Raises:
        CorpusError: no clip has a note that the stream hears.
        TrainingError: as for `soundloom.training.fit`.
    """
    stream = build_stream("notes", recipe.training.seed, out.absolute().name)
    assert isinstance(stream.frontend, ConstantQ)
    targets = note_targets(corpus, stream.frontend.bins)
    noted = np.asarray(targets.any(axis=1))
    corpus, targets = corpus.filter(mask=noted), targets[noted]
    dataset = prepare(corpus, form_of(stream), progress=preparing)
    learned, validated = train_valid_split(corpus, recipe.validation, recipe.training.seed, by_class=False)

    def draw(clips: np.ndarray) -> LabelBatchSampler:
        heard = clips[dataset.lengths[clips] > 0]
        return LabelBatchSampler(
            dataset=dataset, clips=heard, starts=np.zeros_like(heard), size=1, targets=targets.astype(np.float32),
            batch=recipe.training.batch, seed=recipe.training.seed,
        )  # fmt: skip

    validation = None
    if len(validated):
        once = draw(validated)
        validation = Validation(sampler=once, batches=once.epoch_steps)
    data = fingerprint(corpus, dataset)
    return fit(
        stream,
        PitchObjective(dataset.form),
        draw(learned),
        settings=recipe.training,
        folder=out,
        recipe=recipe,
        data=data,
        heading="soundloom train notes",
        validation=validation,
        card=_card(data),
        resume=resume,
        progress=progress,
    )


def _card(data: str) -> Card:
    return Card(
        tags=("pitch",),
        summary="An embedding whose numbers are notes, learned from single notes.",
        provenance=f"Trained with `soundloom train notes` on {data}. Its settings are in `settings.yaml`.",
    )


def note_targets(corpus: Corpus, bins: int) -> Bool[np.ndarray, "clips {bins}"]:
    """True where a clip has the note, its MIDI number rounded.

    Raises:
        CorpusError: no clip has one in reach.
    """
    if "midi" not in corpus.table.column_names:
        raise CorpusError(f"{corpus.name} has no column midi: notes are learned from clips whose MIDI number is known")
    places = np.array([-1 if midi is None else round(midi) - LOWEST_NOTE for midi in corpus.column("midi")])
    inside = (places >= 0) & (places < bins)
    if not inside.any():
        raise CorpusError(f"{corpus.name}: no clip has a MIDI number from {LOWEST_NOTE} to {LOWEST_NOTE + bins - 1}")
    targets = np.zeros((len(corpus), bins), dtype=bool)
    targets[inside, places[inside]] = True
    return targets
