"""The default model: four streams that each hear one thing, woven, and words for them.

    pitch      which note: shares of 84 notes, learned from single notes (`notes`), reduced
    timbre     what it is played on or said by: cepstral coefficients through Verma's transformer, aligned with words,
               so that notes of one instrument come together (`coala` without decoders)
    texture    what it is like while it goes on: modulation statistics (`soundloom.frontends.Texture`), reduced
    general    what it is: a small ResNet learned from triplets of all samplers and of equal labels (`triplet`), its
               middle layers fused (Niizumi 2022) and reduced

Reductions are principal components over the training sounds (`soundloom.embedder.Reduction`). Pitch has one, too:
in a small collection some notes hardly sound, and whoever standardises such columns blows up what little there is;
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
from soundloom.models import from_pretrained
from soundloom.models.model_card import Card
from soundloom.models.saved_model import save_pretrained
from soundloom.objectives.alignment import AlignmentSettings
from soundloom.objectives.triplet import TripletSettings
from soundloom.recipes import coala, pitch, triplet
from soundloom.recipes.coala import CoalaRecipe
from soundloom.recipes.run_dir import open_folder
from soundloom.recipes.tag_alignment import AligningSettings, align
from soundloom.tags import VocabularySettings
from soundloom.training import Run, TrainingProgress, TrainingSettings

__all__ = ["PARTS", "PRESETS", "LoomRecipe", "train"]

PARTS = ("pitch", "timbre", "texture", "general")
"""The model's parts, in order."""


@dataclass(frozen=True, kw_only=True)
class LoomRecipe:
    """How long each part learns, and how large it is.

    Attributes:
        general_steps: steps of 128 triplets.
        timbre_steps: steps of 128 sounds with words.
        pitch_steps: steps of 64 notes.
        layers: of the ResNet, fused into the general part.
        general_dim: numbers of the general part.
        texture_dim: numbers of the texture part.
        timbre_dim: numbers of the timbre part.
        pitch_dim: numbers of the pitch part.
        fewest_sounds: words on fewer sounds are left out.
        aligning: how words are learned.
        seed: what every draw begins from.
    """

    general_steps: int = 1400
    timbre_steps: int = 1200
    pitch_steps: int = 2000
    layers: tuple[int, ...] = (2, 3)
    general_dim: int = 256
    texture_dim: int = 192
    timbre_dim: int = 48
    pitch_dim: int = 64
    fewest_sounds: int = 5
    aligning: AligningSettings = field(default_factory=AligningSettings)
    seed: int = 0


PRESETS: Mapping[str, LoomRecipe] = MappingProxyType({"loom": LoomRecipe()})


def train(
    recipe: LoomRecipe,
    corpus: Corpus,
    out: Path,
    *,
    resume: bool = True,
    progress: Callable[[TrainingProgress], None] | None = None,
    preparing: Callable[[CacheProgress], None] | None = None,
) -> Run:
    """Train the streams, reduce, weave, and learn the words.

    Args:
        recipe: how long each part learns.
        corpus: sounds with labels, of which some are notes with a column ``midi``.
        out: the folder of the model and of its runs.
        resume: go on with the runs that the folder holds, if it holds some.
        progress: told after every step of every run.
        preparing: told after every clip that is decoded.

    Raises:
        CorpusError: the corpus has no notes, or no words.
        TrainingError: as for `soundloom.training.fit`.
    """
    began = time.monotonic()
    open_folder(out, recipe, "soundloom train loom")
    worded = _worded(corpus)
    runs = [
        triplet.train(_general(recipe), corpus, out / "general", resume=resume, progress=progress, preparing=preparing),
        coala.train(_timbre(recipe), worded, out / "timbre", resume=resume, progress=progress, preparing=preparing),
        pitch.train(_pitch(recipe), corpus, out / "pitch", resume=resume, progress=progress, preparing=preparing),
    ]
    general = _stream(out / "general").with_layers(recipe.layers, "mean,max")
    general.name, general.parts = "general", {"general": slice(0, general.dim)}
    texture = Stream("texture", Texture(), Identity(), layers=(1,), pooling="mean,deviation")
    streams = (_stream(out / "pitch"), _stream(out / "timbre"), texture, general)
    # Woven, so that every clip is decoded once for all of them.
    wide = Woven(streams).eval()
    vectors = _heard(wide, corpus, preparing).vectors
    dims = (recipe.pitch_dim, recipe.timbre_dim, recipe.texture_dim, recipe.general_dim)
    model = Woven(
        [
            _reduced(stream, vectors[:, columns], dim, length)
            for stream, columns, dim, length in zip(streams, wide.parts.values(), dims, LENGTHS, strict=True)
        ],
        "loom",
        BALANCE,
    ).eval()
    save_pretrained(model, out, card=_card(corpus))
    known, vocabulary = coala.tagged(worded, _timbre(recipe))
    heard = _heard(model, known, preparing)
    ours = np.ascontiguousarray(heard.vectors[:, model.parts["general"]])
    tags = align("general", ours, heard.corpus.label_matrix(), vocabulary, recipe.aligning, recipe.seed, progress)
    tags.save(out, half=True)
    return Run(
        folder=out,
        steps=sum(run.steps for run in runs),
        early=False,
        loss=None,
        best_step=None,
        seconds=time.monotonic() - began,
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
        objective=TripletSettings(labelled=1.0, grid="anywhere"),
        training=_lasting(replace(small.training, keep="last", seed=recipe.seed), recipe.general_steps),
    )


def _timbre(recipe: LoomRecipe) -> CoalaRecipe:
    return CoalaRecipe(
        stream="timbre",
        validation=0.0,
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
    return replace(usual, training=_lasting(replace(usual.training, seed=recipe.seed), recipe.pitch_steps))


def _lasting(training: TrainingSettings, steps: int) -> TrainingSettings:
    """The trainer for so many steps, of which a tenth at most is warming up."""
    return replace(training, steps=steps, warmup=min(training.warmup, steps // 10))


def _worded(corpus: Corpus) -> Corpus:
    """The corpus with the words of its labels, and its kinds if it has some, for tags.

    Tags of a collection tell takes, round robins and languages, and words of two letters are codes.
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


def _heard(model: Embedder, corpus: Corpus, told: Callable[[CacheProgress], None] | None) -> extraction.Features:
    """Embeddings of the clips; who listens to decoding is told of them, too."""

    def heard(reached: extraction.ExtractionProgress) -> None:
        if told is not None:
            told(CacheProgress(reached.done, reached.total, reached.path))

    listener = extraction.clip_extractor(model)
    return extraction.extract_features(
        corpus, listener, cache=default_cache(), workers=os.cpu_count() or 1, progress=heard
    )


def _stream(folder: Path) -> Stream:
    stream = from_pretrained(folder)
    assert isinstance(stream, Stream)
    return stream


def _card(corpus: Corpus) -> Card:
    return Card(
        tags=("audio-search",),
        summary="Pitch, timbre, texture and a general ear, woven, with words for what they hear.",
        provenance=f"Trained with `soundloom train loom` on {corpus.name}, {len(corpus)} clips. Its settings are in "
        "`settings.yaml`.",
    )
