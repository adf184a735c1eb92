"""COALA (Favory 2020): an embedding from sounds with free-form tags, and one space for both.

    AE-C   both autoencoders and the alignment         presets ``paper`` and ``small``
    E-C    the encoders and the alignment              ``paper-e-c``, ``small-e-c``
    CNN    the audio encoder, predicting the tags      ``paper-cnn``, ``small-cnn``
    AE-C   with equation 10 as printed, not as coded   ``paper-equation-10``, ``small-equation-10``

The presets of the paper are its settings: SGD at 0.005 without momentum in batches of 128, for 200 epochs (the CNN 20).
It learned from 190,000 sounds; the small ones learn from a few thousand, on a CPU, in an hour or so, which SGD at that
rate would not have begun to use: Adam, tags of five sounds and three groups or more, and patches from anywhere within
ten seconds of the loudest, so that a sound is not the same each time.

Where the published code differs from the paper the settings say so: `soundloom.objectives.alignment` for the losses,
`soundloom.recipes.max_energy_patches` for the loudest patch, `soundloom.tags.vocabulary` for the tags. Mel bands are of
magnitudes under a Hann window, as the code has them (`LogMel.coala`; the text says energies and Hamming), and clips
are padded with silence; the code adds noise of 5e-4, without which nothing here is random.

Beside the stream the run's folder holds the tag model (`soundloom.tags.tag_model`), by which sounds are searched.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from types import MappingProxyType
from typing import Any, cast

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from soundloom.corpora import Corpus, CorpusError
from soundloom.embedder import Stream
from soundloom.errors import InvalidArgumentError
from soundloom.feature_cache import FeatureDataset
from soundloom.frontends import EnergyFrontend
from soundloom.models.model_card import Card
from soundloom.objectives.alignment import AlignmentObjective, AlignmentSettings, has_own_map
from soundloom.objectives.base import Objective, TrainingData, WindowSampler
from soundloom.objectives.labels import LabelBatchSampler, window_sampler
from soundloom.recipes.max_energy_patches import Loudness, band_ranges, loudest_starts, shifted
from soundloom.recipes.recipe import StreamRecipe, register_recipe
from soundloom.tags import AlignedTags, Vocabulary, VocabularySettings, words_of
from soundloom.training import Run, TrainingError, TrainingSettings, Validation

__all__ = ["PRESETS", "CoalaRecipe", "tagged", "with_label_words"]

_LOOKED_AT = 512

_PAPER = TrainingSettings(optimiser="sgd", rate=0.005, momentum=0.0, batch=128, keep="last", validate_every=1000)


@dataclass(frozen=True, kw_only=True)
class CoalaRecipe(StreamRecipe):
    """One stream and how it is trained; a stream other than coala needs audio_weight 0.

    Attributes:
        tag_sources: where tags come from: tags, labels, names, embedded or published; see soundloom.tags.tag_sources.
        tag_file: a CSV, JSON or parquet with tags for the files, besides; none for none.
        loudness: what the loudest patch is loudest in: logarithm (the code's) or energy (the paper's word).
        shift: rows by which a patch may begin before or after the loudest, anew each time it is drawn; 0 in the paper.
        vocabulary: which words become tags.
        objective: weights and form of the losses.
    """

    stream: str = "coala"
    tag_sources: tuple[str, ...] = ("tags",)
    tag_file: str | None = None
    loudness: Loudness = "logarithm"
    shift: int = 0
    epochs: int = field(default=200, metadata={"resumable": True})
    vocabulary: VocabularySettings = field(default_factory=VocabularySettings)
    objective: AlignmentSettings = field(default_factory=AlignmentSettings)
    training: TrainingSettings = field(default_factory=lambda: _PAPER)

    name = "coala"
    kind = AlignmentObjective

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.shift < 0:
            raise InvalidArgumentError(f"shift must be 0 or more, got {self.shift}")
        if self.training.keep != "last":
            raise InvalidArgumentError(
                "keep must be 'last': the tag encoder is of the last step, and so must the stream be"
            )

    @property
    def uses_labels(self) -> bool:
        """Only where they are tags."""
        return "labels" in self.tag_sources

    def for_part(self, stream: str, **settings: Any) -> StreamRecipe:
        """The recipe for one of several streams: the paper's E-C, since only COALA's own windows can be decoded."""
        training = replace(settings.pop("training", self.training), keep="last")
        return replace(self, stream=stream, objective=AlignmentSettings.e_c(), training=training, **settings)

    def select(self, corpus: Corpus, stream: Stream) -> Corpus:  # noqa: ARG002
        """The sounds that have a tag of the vocabulary, which is then the corpus's classes."""
        return tagged(corpus, self)[0]

    def sampler(
        self, stream: Stream, data: TrainingData, clips: Int[np.ndarray, " chosen"], batch: int, seed: int
    ) -> LabelBatchSampler:
        """The loudest patch of each clip; or every chunk, where clips are stored as chunks."""
        dataset, size = data.dataset, data.window
        if dataset.form.sounds_are != "energies":
            return window_sampler(data, clips, batch=batch, seed=seed)
        starts = _loudest_starts(dataset, cast(EnergyFrontend, stream.frontend.base), size, self.loudness)
        earliest, room = shifted(starts, dataset.lengths, size=size, shift=self.shift)
        mine = clips[dataset.lengths[clips] > 0]
        return LabelBatchSampler(
            dataset=dataset, clips=mine, starts=earliest[mine], size=size,
            targets=data.corpus.label_matrix().astype(np.float32), batch=batch, seed=seed, room=room[mine],
        )  # fmt: skip

    def normalise(self, stream: Stream, sampler: WindowSampler) -> None:
        """Scale the bands of energies to [0, 1] over the loudest patches; other bins to mean 0 and deviation 1."""
        scaled, dataset = stream.frontend.normalisation, sampler.dataset
        if scaled is None or dataset.form.sounds_are != "energies":
            super().normalise(stream, sampler)
            return
        base = cast(EnergyFrontend, stream.frontend.base)
        starts = _loudest_starts(dataset, base, sampler.size, self.loudness)
        factor, shift = band_ranges(dataset, base, sampler.clips, starts[sampler.clips], sampler.size)
        scaled.scale.copy_(factor)
        scaled.shift.copy_(shift)

    def lasting(self, sampler: WindowSampler, clips: int) -> StreamRecipe:  # noqa: ARG002
        """Epochs are passes over whole batches of clips, as in the published code."""
        if not self.epochs:
            return self
        return replace(self, training=self.training.lasting(self.epochs * max(1, clips // self.training.batch)))

    def create(self, stream: Stream, data: TrainingData) -> Objective:
        """The losses; a map of the stream's own that no loss depends on is frozen, as several devices demand."""
        objective = super().create(stream, data)
        own_map = stream.encoder.alignment_map
        if own_map is not None and not self.objective.contrast_weight:
            own_map.requires_grad_(False)
        return objective

    def validator(self, stream: Stream, data: TrainingData, clips: Int[np.ndarray, " chosen"]) -> Validation | None:
        """Every clip once, in batches like those that are learned from: the loss depends on the size of the batch."""
        processes = self.training.devices * self.training.nodes
        batch = min(self.training.batch, len(clips) - len(clips) % processes)
        if batch < 2 * processes:
            return None
        sampler = self.sampler(stream, data, clips, batch, self.training.seed)
        return Validation(sampler=sampler, batches=max(1, len(sampler) // batch))

    def finish(
        self,
        run: Run,
        stream: Stream,
        objective: Objective,
        sampler: WindowSampler,
        data: TrainingData,
        learned: Int[np.ndarray, " learned"],  # noqa: ARG002
    ) -> None:
        """Save the tag model beside the model."""
        aligned = _aligned(stream, cast(AlignmentObjective, objective), tagged(data.source, self)[1])
        aligned.centre.copy_(aligned.common(_embeddings(stream, cast(LabelBatchSampler, sampler))))
        aligned.save(run.folder)

    def describe(self, data: str, training_data: TrainingData) -> Card:
        """The model card."""
        objective, count = self.objective, len(training_data.corpus.classes)
        summary = (
            f"An audio embedding ({self.stream}), learned from {count} free-form tags (Favory 2020); weights of the "
            f"losses: audio {objective.audio_weight:g}, tags {objective.tag_weight:g}, alignment "
            f"{objective.contrast_weight:g}, direct {objective.direct_weight:g}."
        )
        return self.card(
            data, summary=summary, tags=("audio-tagging", "coala"), besides=", its tags in `vocabulary.json`"
        )


_CASES = {
    "": AlignmentSettings(),
    "-e-c": AlignmentSettings.e_c(),
    "-cnn": AlignmentSettings.cnn(),
    "-equation-10": AlignmentSettings.paper(),
}
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
register_recipe(
    PRESETS,
    title="Align sounds with the free-form tags people gave them (Favory 2020).",
    examples=("soundloom train coala fsd50k=/data/FSD50K --out runs/coala",),
)


def tagged(corpus: Corpus, recipe: CoalaRecipe) -> tuple[Corpus, Vocabulary]:
    """The sounds that have tags, their tags for labels, and the vocabulary of those.

    Raises:
        CorpusError: there are no tags where the recipe looks for them.
        ModelError: none is frequent enough.
    """
    words = words_of(corpus, recipe.tag_sources, recipe.tag_file)
    if not any(words):
        raise CorpusError(
            f"{corpus.name} has no tags in {', '.join(recipe.tag_sources)}: take them from elsewhere with "
            "--tag-sources (tags, labels, names, embedded, published) or --tag-file"
        )
    vocabulary = Vocabulary.build(words, recipe.vocabulary, groups=corpus.split_groups())
    known = frozenset(vocabulary.tags)
    kept = [[word for word in each if word in known] for each in words]
    table = corpus.table.set_column(
        corpus.table.column_names.index("labels"),
        corpus.table.schema.field("labels"),
        pa.array(kept, pa.list_(pa.string())),
    )
    every = replace(corpus, table=table, classes=vocabulary.tags, task="multi-label")
    return every.filter(mask=np.array([bool(each) for each in kept])), vocabulary


def with_label_words(corpus: Corpus) -> Corpus:
    """The corpus with the words of its labels, and its kinds if it has some, for tags.

    Tags of a collection name takes, round robins and languages; words of two letters are codes.
    """
    names = corpus.table.column_names
    kinds = corpus.column("kind") if "kind" in names else [None] * len(corpus)
    words = [
        [word for text in (*labels, kind or "") for word in re.split(r"[\W_]+", text) if len(word) > 2]
        for labels, kind in zip(corpus.column("labels"), kinds, strict=True)
    ]
    column = names.index("tags")
    table = corpus.table.set_column(
        column, corpus.table.schema.field("tags"), pa.array(words, corpus.table.schema.field("tags").type)
    )
    return replace(corpus, table=table)


@lru_cache(maxsize=1)
def _loudest_starts(
    dataset: FeatureDataset, frontend: EnergyFrontend, size: int, loudness: Loudness
) -> Int[np.ndarray, " clips"]:
    """`loudest_starts`, which reads every row, once for training and validation."""
    return loudest_starts(dataset, frontend, size=size, loudness=loudness)


def _aligned(stream: Stream, objective: AlignmentObjective, vocabulary: Vocabulary) -> AlignedTags:
    """The tag model of what was trained."""
    if not objective.settings.contrast_weight:
        return AlignedTags(stream.name, stream.dim, vocabulary, head=objective.head)
    chain = stream.encoder.alignment_map if has_own_map(stream) else objective.audio_map
    if chain is None:
        raise TrainingError(f"{stream.name}: nothing maps its embeddings to the tags'")
    return AlignedTags(
        stream.name, stream.dim, vocabulary, encoder=objective.tag_encoder, audio_map=cast(nn.Linear, chain[0]),
        decoder=objective.tag_decoder, head=objective.head,
    )  # fmt: skip


@torch.inference_mode()
def _embeddings(stream: Stream, sampler: LabelBatchSampler) -> Float[Tensor, "sounds dim"]:
    """Embeddings of some of the sounds that were learned from."""
    few, form = replace(sampler, batch=64), sampler.dataset.form
    batches = range(max(1, min(_LOOKED_AT, len(few)) // 64))
    return torch.cat([stream.embed_window(form.representation(few(step)["windows"], stream)) for step in batches])
