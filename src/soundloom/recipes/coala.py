"""COALA (Favory 2020): an embedding from sounds with free-form tags, and one space for both.

    AE-C   both autoencoders and the alignment         presets ``paper`` and ``small``
    E-C    the encoders and the alignment              ``paper-e-c``, ``small-e-c``
    CNN    the audio encoder, told to tell the tags    ``paper-cnn``, ``small-cnn``

The presets of the paper are its settings: SGD at 0.005 without momentum in batches of 128, for 200 epochs (the CNN 20).
It learned from 190,000 sounds; the small ones learn from a few thousand, on a CPU, in an hour or so, which SGD at that
rate would not have begun to use: Adam, tags of five sounds and three groups or more, and patches from anywhere within
ten seconds of the loudest, so that what is heard again is not the same again.

Where the published code differs from the paper the settings say so: `soundloom.objectives.alignment` for the losses,
`soundloom.recipes.max_energy_patches` for the loudest patch, `soundloom.tags.vocabulary` for the tags. Mel bands are of
magnitudes under a Hann window, as the code has them (`LogMel.coala`; the text says energies and Hamming), and clips
are padded with silence; the code adds noise of 5e-4, without which nothing here is random.

Beside the stream the run's folder keeps the tags' side (`soundloom.tags.tag_model`), by which sounds are searched.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from soundloom.corpora import Corpus, CorpusError
from soundloom.embedder import Stream, Window
from soundloom.encoders import COALAAudioEncoder, initialise
from soundloom.errors import InvalidArgumentError
from soundloom.feature_cache import CacheProgress, FeatureDataset, Form, MelEnergies, prepare
from soundloom.frontends import LogMel, NormalisedFrontend
from soundloom.models.model_card import Card
from soundloom.objectives.alignment import AlignmentObjective, AlignmentSettings
from soundloom.objectives.base import Batch
from soundloom.objectives.distributed import rank_and_world_size
from soundloom.objectives.labels import LabelBatchSampler, label_sampler
from soundloom.recipes.architectures import FRAMES, build_stream, form_of
from soundloom.recipes.feature_scaling import standardise
from soundloom.recipes.max_energy_patches import Loudness, band_ranges, loudest_starts, shifted
from soundloom.recipes.validation_split import fingerprint, groups_of, train_valid_split
from soundloom.tags import AlignedTags, Vocabulary, VocabularySettings, words_of
from soundloom.training import Run, TrainingError, TrainingProgress, TrainingSettings, Validation, fit
from soundloom.training.seeding import seeded

__all__ = ["PRESETS", "CoalaRecipe", "coala_stream", "learn", "tagged", "train"]

COALA = "coala"
"""The paper's own stream, besides those of `soundloom.recipes.architectures`."""

_LOOKED_AT = 512

_PAPER = TrainingSettings(optimiser="sgd", rate=0.005, momentum=0.0, batch=128, keep="last", validate_every=1000)


@dataclass(frozen=True, kw_only=True)
class CoalaRecipe:
    """What learns from what.

    Attributes:
        stream: what learns: coala, or one of soundloom.recipes.STREAMS (with audio_weight 0).
        tag_sources: where tags come from: of tags, labels, names and embedded; see soundloom.tags.tag_sources.
        tag_file: a CSV, JSON or parquet with tags for the files, besides; none for none.
        loudness: what the loudest patch is loudest in: logarithm (the code's) or energy (the paper's word).
        shift: rows by which a patch may begin before or after the loudest, anew each time it is drawn; 0 in the paper.
        validation: share of the sounds, in whole groups and with every tag's share, kept apart to validate on.
        epochs: passes over the sounds, which decide the steps; 0 to take steps as they are.
        vocabulary: which words become tags.
        objective: weights and form of the losses.
        training: the trainer.
    """

    stream: str = COALA
    tag_sources: tuple[str, ...] = ("tags",)
    tag_file: str | None = None
    loudness: Loudness = "logarithm"
    shift: int = 0
    validation: float = 0.1
    epochs: int = field(default=200, metadata={"length": True, "aliases": ("num_epochs", "max_epochs")})
    vocabulary: VocabularySettings = field(default_factory=VocabularySettings)
    objective: AlignmentSettings = field(default_factory=AlignmentSettings)
    training: TrainingSettings = field(default_factory=lambda: _PAPER)

    def __post_init__(self) -> None:
        if not 0 <= self.validation < 1:
            raise InvalidArgumentError(f"validation must be a share from 0 to below 1, got {self.validation}")
        for name in ("epochs", "shift"):
            if getattr(self, name) < 0:
                raise InvalidArgumentError(f"{name} must be 0 or more, got {getattr(self, name)}")
        if self.training.keep != "last":
            raise InvalidArgumentError(
                "keep must be 'last': the tag encoder is of the last step, and so must the stream be"
            )


_CASES = {"": AlignmentSettings(), "-e-c": AlignmentSettings.e_c(), "-cnn": AlignmentSettings.cnn()}
_SMALL = CoalaRecipe(
    epochs=0,
    shift=440,
    vocabulary=VocabularySettings(fewest_sounds=5, fewest_groups=3),
    training=TrainingSettings(
        steps=600, batch=128, rate=1e-3, final_rate=1e-5, schedule="cosine", warmup=20, keep="last",
        validate_every=100, log_every=10,
    ),
)  # fmt: skip

PRESETS: Mapping[str, CoalaRecipe] = MappingProxyType(
    {
        f"{name}{case}": replace(
            recipe, objective=objective, epochs=20 if (name, case) == ("paper", "-cnn") else recipe.epochs
        )
        for name, recipe in (("paper", CoalaRecipe()), ("small", _SMALL))
        for case, objective in _CASES.items()
    }
)


def train(
    recipe: CoalaRecipe,
    corpus: Corpus,
    out: Path,
    *,
    resume: bool = True,
    progress: Callable[[TrainingProgress], None] | None = None,
    preparing: Callable[[CacheProgress], None] | None = None,
) -> Run:
    """Train a stream on sounds with tags, and keep it with its tags.

    Args:
        recipe: what learns from what.
        corpus: sounds; those that have no tag of the vocabulary are left out.
        out: the run's folder.
        resume: go on with the run that the folder holds, if it holds one.
        progress: told after every step.
        preparing: told after every clip that is decoded.

    Raises:
        CorpusError: the corpus has no tags to learn from.
        ModelError: no tag of it is frequent enough.
        TrainingError: as for `soundloom.training.fit`; or the stream cannot be trained so.
    """
    stream = coala_stream(recipe.training.seed, out.absolute().name) if recipe.stream == COALA else None
    stream = stream or build_stream(recipe.stream, recipe.training.seed, out.absolute().name)
    return learn(stream, recipe, corpus, out, resume=resume, progress=progress, preparing=preparing)


def learn(
    stream: Stream,
    recipe: CoalaRecipe,
    corpus: Corpus,
    out: Path,
    *,
    resume: bool = True,
    progress: Callable[[TrainingProgress], None] | None = None,
    preparing: Callable[[CacheProgress], None] | None = None,
) -> Run:
    """As `train`, with a stream that was built already: the same each time, or a run cannot be resumed."""
    known, vocabulary = tagged(corpus, recipe)
    dataset = prepare(known, _form(stream), progress=preparing)
    learned, validated = train_valid_split(known, recipe.validation, recipe.training.seed, by_class=True)
    patches = _patches(recipe, stream, dataset, known, learned)
    if recipe.epochs:
        steps = recipe.epochs * max(1, len(learned) // recipe.training.batch)
        recipe = replace(recipe, training=replace(recipe.training, steps=steps))
    objective = _objective(recipe, stream, dataset.form, len(vocabulary))
    drawn = patches(learned, recipe.training.batch)
    data = fingerprint(known, dataset)
    run = fit(
        stream,
        objective,
        _with_tags(drawn),
        settings=recipe.training,
        folder=out,
        recipe=recipe,
        data=data,
        heading="soundloom train coala",
        validation=_validation(recipe.training, patches, validated),
        card=_card(recipe, data, vocabulary),
        resume=resume,
        progress=progress,
    )
    if rank_and_world_size()[0] == 0:
        aligned = _aligned(stream, objective.cpu(), vocabulary)
        aligned.centre.copy_(aligned.common(_embeddings(stream, objective, drawn)))
        aligned.save(out)
    return run


def coala_stream(seed: int, name: str) -> Stream:
    """COALA's audio encoder over its front-end, whose bands are yet to be scaled; weights drawn from a seed."""
    encoder = COALAAudioEncoder()
    initialise(encoder, seed)
    window = Window(frames=FRAMES, fixed=True)
    return Stream(name, NormalisedFrontend(LogMel.coala()), encoder, layers=None, pooling="mean", window=window)


def tagged(corpus: Corpus, recipe: CoalaRecipe) -> tuple[Corpus, Vocabulary]:
    """The sounds that have tags, their tags for labels, and the vocabulary of those.

    Raises:
        CorpusError: there are no tags where the recipe looks for them.
        ModelError: none is frequent enough.
    """
    import pyarrow as pa

    words = words_of(corpus, recipe.tag_sources, recipe.tag_file)
    if not any(words):
        raise CorpusError(
            f"{corpus.name} has no tags in {', '.join(recipe.tag_sources)}: take them from elsewhere with tag_sources "
            "(tags, labels, names, embedded) or tag_file"
        )
    vocabulary = Vocabulary.build(words, recipe.vocabulary, groups=groups_of(corpus))
    known = frozenset(vocabulary.tags)
    kept = [[word for word in each if word in known] for each in words]
    table = corpus.table.set_column(
        corpus.table.column_names.index("labels"),
        corpus.table.schema.field("labels"),
        pa.array(kept, pa.list_(pa.string())),
    )
    every = replace(corpus, table=table, classes=vocabulary.tags, task="multi-label")
    return every.filter(mask=np.array([bool(each) for each in kept])), vocabulary


_Patches = Callable[[Int[np.ndarray, " clips"], int], LabelBatchSampler]
"""Clips and a batch -> draws of their patches."""


def _form(stream: Stream) -> Form:
    if isinstance(stream.frontend, NormalisedFrontend) and isinstance(stream.frontend.inner, LogMel):
        return MelEnergies(stream.frontend.inner)
    return form_of(stream)


def _patches(
    recipe: CoalaRecipe, stream: Stream, dataset: FeatureDataset, known: Corpus, learned: Int[np.ndarray, " clips"]
) -> _Patches:
    """How patches are drawn: the loudest of each clip, or every chunk where a row is one; the bands are scaled."""
    targets, seed = known.label_matrix(), recipe.training.seed
    if not isinstance(dataset.form, MelEnergies):
        if isinstance(stream.frontend, NormalisedFrontend):
            standardise(stream, label_sampler(dataset, targets, learned, batch=1, seed=seed))
        return lambda clips, batch: label_sampler(dataset, targets, clips, batch=batch, seed=seed)
    frontend = stream.frontend.inner if isinstance(stream.frontend, NormalisedFrontend) else stream.frontend
    if not isinstance(frontend, LogMel) or stream.window is None:
        raise TrainingError(f"{recipe.stream} takes mel energies of any length, and COALA's patches have one: a window")
    size = stream.window.frames
    starts = loudest_starts(dataset, frontend, size=size, loudness=recipe.loudness)
    heard = learned[dataset.lengths[learned] > 0]
    if isinstance(stream.frontend, NormalisedFrontend):
        factor, shift = band_ranges(dataset, frontend, heard, starts[heard], size)
        stream.frontend.scale.copy_(factor)
        stream.frontend.shift.copy_(shift)

    earliest, room = shifted(starts, dataset.lengths, size=size, shift=recipe.shift)

    def draw(clips: Int[np.ndarray, " clips"], batch: int) -> LabelBatchSampler:
        mine = clips[dataset.lengths[clips] > 0]
        return LabelBatchSampler(
            dataset=dataset, clips=mine, starts=earliest[mine], size=size, targets=targets.astype(np.float32),
            batch=batch, seed=seed, room=room[mine],
        )  # fmt: skip

    return draw


def _with_tags(draw: LabelBatchSampler) -> Callable[[int], Batch]:
    """The draw's batches under the names that the alignment knows."""

    def drawn(step: int) -> Batch:
        batch = draw(step)
        return {"windows": batch["windows"], "tags": batch["targets"]}

    return drawn


def _validation(settings: TrainingSettings, patches: _Patches, clips: Int[np.ndarray, " clips"]) -> Validation | None:
    """Every clip once, in batches like those that are learned from: what stands out depends on among how many."""
    processes = settings.devices * settings.nodes
    batch = min(settings.batch, len(clips) - len(clips) % processes)
    if batch < 2 * processes:
        return None
    draw = patches(clips, batch)
    return Validation(sampler=_with_tags(draw), batches=max(1, len(draw) // batch))


def _objective(recipe: CoalaRecipe, stream: Stream, form: Form, tags: int) -> AlignmentObjective:
    """The losses, with heads drawn from the seed."""
    try:
        with seeded(recipe.training.seed):
            objective = AlignmentObjective(recipe.objective, form, stream, tags)
    except ValueError as error:
        raise TrainingError(str(error)) from None
    if isinstance(stream.encoder, COALAAudioEncoder) and not recipe.objective.contrast_weight:
        # Several devices refuse parameters that no loss depends on.
        stream.encoder.fc_audio.requires_grad_(False)
    return objective


def _aligned(stream: Stream, objective: AlignmentObjective, vocabulary: Vocabulary) -> AlignedTags:
    """The tags' side of what was trained."""
    if not objective.settings.contrast_weight:
        return AlignedTags(stream.name, stream.dim, vocabulary, head=objective.head)
    chain = objective.audio_map
    if chain is None and isinstance(stream.encoder, COALAAudioEncoder):
        chain = stream.encoder.fc_audio
    linear = chain[0] if chain is not None else None
    if not isinstance(linear, nn.Linear):
        raise TrainingError(f"{stream.name}: nothing maps its embeddings to the tags'")
    return AlignedTags(
        stream.name, stream.dim, vocabulary, encoder=objective.tag_encoder, audio_map=linear,
        decoder=objective.tag_decoder, head=objective.head,
    )  # fmt: skip


@torch.inference_mode()
def _embeddings(stream: Stream, objective: AlignmentObjective, draw: LabelBatchSampler) -> Float[Tensor, "sounds dim"]:
    """Embeddings of some of the sounds that were learned from."""
    few = replace(draw, batch=64)
    batches = range(max(1, min(_LOOKED_AT, len(few)) // 64))
    return torch.cat([stream.embed_window(objective.heard(stream, few(step)["windows"])) for step in batches])


def _card(recipe: CoalaRecipe, data: str, vocabulary: Vocabulary) -> Card:
    objective = recipe.objective
    return Card(
        tags=("audio-tagging", "coala"),
        summary=f"An audio embedding ({recipe.stream}), learned from {len(vocabulary)} free-form tags (Favory 2020); "
        f"weights of the losses: audio {objective.audio_weight:g}, tags {objective.tag_weight:g}, alignment "
        f"{objective.contrast_weight:g}, direct {objective.direct_weight:g}.",
        provenance=f"Trained with `soundloom train coala` on {data}. Its settings are in `settings.yaml`, its tags in "
        "`vocabulary.json`.",
    )
