"""Recipe of the default model: four streams of one property each, woven, with a tag model.

    pitch      which note: shares of 84 notes, learned from single notes (`notes`), reduced
    timbre     what it is played on or said by: cepstral coefficients through Verma's transformer, aligned with words,
               so that notes of one instrument come together (`coala` without decoders)
    texture    what it is like while it goes on: modulation statistics (`soundloom.frontends.Texture`), reduced
    general    what it is: a small ResNet learned from triplets of all samplers and of equal labels (`triplet`), its
               middle layers fused (Niizumi 2022) and reduced

Reductions are principal components over the training sounds (`soundloom.embedder.Reduction`). Pitch has one, too:
in a small collection some notes hardly occur, and standardising such columns amplifies what little there is;
components are of many notes each. Last, a tag encoder is aligned with the frozen general part, so that sounds are found
by words (`aligning`).

    FOLDER/general/ timbre/ pitch/     the streams' runs, each stopped and resumed on its own
    FOLDER/config.json, model.safetensors, README.md      the model
    FOLDER/tags.safetensors, vocabulary.json              its words
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Float

from soundloom.corpora import Corpus
from soundloom.embedder import Embedder, Reduction, Stream, Woven
from soundloom.encoders import Identity
from soundloom.evaluation import extraction
from soundloom.evaluation.runner import default_cache
from soundloom.feature_cache import CacheProgress
from soundloom.frontends import Texture
from soundloom.models.saved_model import save_pretrained
from soundloom.objectives.alignment import AlignmentSettings
from soundloom.objectives.triplet_batches import TripletSettings
from soundloom.recipes import coala, pitch, triplet
from soundloom.recipes.coala import CoalaRecipe
from soundloom.recipes.initial_stream import streams_of
from soundloom.recipes.recipe import Recipe, RunOptions, register_recipe
from soundloom.recipes.tag_alignment import AligningSettings, align
from soundloom.tags import VocabularySettings
from soundloom.training import Run, TrainingSettings
from soundloom.training.run_folder import open_folder

__all__ = ["PARTS", "PRESETS", "LoomRecipe"]

PARTS = ("pitch", "timbre", "texture", "general")
"""The model's parts, in order."""


@dataclass(frozen=True, kw_only=True)
class LoomRecipe(Recipe):
    """The default model: how long each part learns, and how large it is.

    Attributes:
        general_steps: steps of 128 triplets.
        timbre_steps: steps of 128 sounds with words.
        pitch_steps: steps of 64 notes.
        init: a model whose streams of the same architectures to start from; none for random weights.
        layers: of the ResNet, fused into the general part.
        general_dim: numbers of the general part.
        texture_dim: numbers of the texture part.
        timbre_dim: numbers of the timbre part.
        pitch_dim: numbers of the pitch part.
        fewest_sounds: words on fewer sounds are left out.
        aligning: how words are learned.
        seed: of every random number.
    """

    general_steps: int = 1400
    timbre_steps: int = 1200
    pitch_steps: int = 2000
    init: str | None = field(default=None, metadata={"aliases": ("pretrained",)})
    layers: tuple[int, ...] = (2, 3)
    general_dim: int = 256
    texture_dim: int = 192
    timbre_dim: int = 48
    pitch_dim: int = 64
    fewest_sounds: int = 5
    aligning: AligningSettings = field(default_factory=AligningSettings)
    seed: int = 0

    name = "loom"

    def run(self, corpus: Corpus, out: Path, options: RunOptions = RunOptions()) -> Run:  # noqa: B008
        """Train the streams, reduce, weave, and learn the words; see `Recipe.run`.

        Args:
            corpus: sounds with labels, of which some are notes with a column ``midi``.
            out: the folder of the model and of its runs.
            options: how the run is carried out.
        """
        started = time.monotonic()
        open_folder(out, self, f"soundloom train {self.name}")
        worded = _with_words(corpus)
        runs = [
            _general(self).run(corpus, out / "general", options),
            _timbre(self).run(worded, out / "timbre", options),
            _pitch(self).run(corpus, out / "pitch", options),
        ]
        (general,), (pitch_stream,), (timbre,) = (streams_of(runs[number].model()) for number in (0, 2, 1))
        general = general.with_layers(self.layers, "mean,max").renamed("general")
        texture = Stream("texture", Texture(), Identity(), layers=(1,), pooling="mean,deviation")
        streams = (pitch_stream, timbre, texture, general)
        # Woven, so that every clip is decoded once for all of them.
        wide = Woven(streams).eval()
        vectors = _features(wide, corpus, options.preparing).vectors
        dims = (self.pitch_dim, self.timbre_dim, self.texture_dim, self.general_dim)
        model = Woven(
            [
                _reduced(stream, vectors[:, columns], dim, length)
                for stream, columns, dim, length in zip(streams, wide.parts.values(), dims, LENGTHS, strict=True)
            ],
            "loom",
            BALANCE,
        ).eval()
        card = self.card(
            f"{corpus.name}, {len(corpus)} clips",
            tags=("audio-search",),
            summary="Pitch, timbre, texture and a general part, woven, with words for sounds.",
        )
        save_pretrained(model, out, card=card)
        known, vocabulary = coala.tagged(worded, _timbre(self))
        features = _features(model, known, options.preparing)
        ours = np.ascontiguousarray(features.vectors[:, model.parts["general"]])
        labels = features.corpus.label_matrix()
        align("general", ours, labels, vocabulary, self.aligning, self.seed, options.progress).save(out, half=True)
        return Run(
            folder=out,
            steps=sum(run.steps for run in runs),
            early=False,
            loss=None,
            best_step=None,
            seconds=time.monotonic() - started,
        )


PRESETS: Mapping[str, LoomRecipe] = MappingProxyType({"loom": LoomRecipe()})
register_recipe(
    PRESETS,
    title="The default model: pitch, timbre, texture and a general part, woven, with words.",
    examples=("soundloom train loom pool=/data/audio --out runs/loom",),
)


WHITENING = 0.75
"""Power of a component's deviation by which it is divided: between raw principal components and all alike."""

BALANCE = {"pitch": 0.3, "timbre": 0.3}
"""What counts in a search where nobody says what matters; notes and voices are for those who ask for them."""

LENGTHS = (0.3, 0.3, 1.0, 1.0)
"""Lengths of the parts beside each other, for where embeddings are compared whole and unweighed."""


def _reduced(stream: Stream, vectors: Float[np.ndarray, "clips wide"], dim: int, length: float) -> Stream:
    """The stream with the reduction of its embeddings of a corpus."""
    return stream.with_reduction(Reduction.fit(torch.from_numpy(vectors), dim, whiten=WHITENING, length=length))


def _general(recipe: LoomRecipe) -> triplet.TripletRecipe:
    small = triplet.PRESETS["small"]
    return replace(
        small,
        validation=0.0,
        init=recipe.init,
        objective=TripletSettings(labelled=1.0, grid="anywhere"),
        training=_lasting(replace(small.training, keep="last", seed=recipe.seed), recipe.general_steps),
    )


def _timbre(recipe: LoomRecipe) -> CoalaRecipe:
    return CoalaRecipe(
        stream="timbre",
        validation=0.0,
        init=recipe.init,
        epochs=0,
        vocabulary=VocabularySettings(fewest_sounds=recipe.fewest_sounds),
        objective=AlignmentSettings(audio_weight=0, tag_weight=0, same_tags_repel=False),
        training=_lasting(
            TrainingSettings(
                batch=128, rate=1e-3, final_rate=1e-5, schedule="cosine", warmup=50, keep="last", log_every=20,
                seed=recipe.seed,
            ),
            recipe.timbre_steps,
        ),
    )  # fmt: skip


def _pitch(recipe: LoomRecipe) -> pitch.PitchRecipe:
    usual = pitch.PRESETS["small"]
    return replace(
        usual, init=recipe.init, training=_lasting(replace(usual.training, seed=recipe.seed), recipe.pitch_steps)
    )


def _lasting(training: TrainingSettings, steps: int) -> TrainingSettings:
    """The trainer for so many steps, of which a tenth at most is warming up."""
    return replace(training, steps=steps, warmup=min(training.warmup, steps // 10))


def _with_words(corpus: Corpus) -> Corpus:
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


def _features(model: Embedder, corpus: Corpus, progress: Callable[[CacheProgress], None] | None) -> extraction.Features:
    """Embeddings of the clips; progress is reported as that of decoding."""

    def report(reached: extraction.ExtractionProgress) -> None:
        if progress is not None:
            progress(CacheProgress(reached.done, reached.total, reached.path))

    extractor, workers = extraction.clip_extractor(model), os.cpu_count() or 1
    return extraction.extract_features(corpus, extractor, cache=default_cache(), workers=workers, progress=report)
