"""Recipe of the default model: four streams of one property each, woven, with words.

    pitch      which note: the distribution over 84 notes, learned from single notes (`notes`), as its characteristic
               function
    timbre     what it is played on or said by: cepstral coefficients through Verma's transformer, aligned with words,
               so that notes of one instrument come together (`coala` without decoders)
    texture    what it is like while it goes on: modulation statistics (`soundloom.frontends.Texture`), reduced
    general    what it is: a small ResNet that learned the embeddings, classes and relations of larger models
               (`distil`), its last layers fused (Niizumi 2022) and reduced

An offset is removed from the waveforms of every part (`soundloom.frontends.CentredFrontend`).
Reductions are principal components over the training sounds (`soundloom.embedder.Reduction`), but for pitch; those of
texture and the general part differ less between a sound and its quieter, faster and slower copies. The words are the
classes of the first teacher that has some, scored from the general part; of teachers without classes, a tag encoder is
aligned with the frozen general part (`soundloom.recipes.tag_alignment`).

    FOLDER/general/ timbre/ pitch/     the streams' runs, each stopped and resumed on its own
    FOLDER/config.json, model.safetensors, README.md      the model
    FOLDER/tags.safetensors, vocabulary.json              its words
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from types import MappingProxyType

import numpy as np
import soxr
import torch
from jaxtyping import Float, Int64

from soundloom.corpora import Corpus, CorpusError
from soundloom.distributed import leave_group, rank_and_world_size
from soundloom.embedder import Embedder, Reduction, Stream, Woven
from soundloom.encoders import Identity, PitchEncoder, PitchEncoderSettings
from soundloom.errors import InvalidArgumentError
from soundloom.evaluation import extraction
from soundloom.evaluation.training_clips import keep_training_clips
from soundloom.feature_cache import CacheProgress
from soundloom.frontends import CentredFrontend, Texture
from soundloom.models import load
from soundloom.models.saved_model import save_pretrained
from soundloom.objectives.alignment import AlignmentSettings
from soundloom.objectives.distillation import DistillationSettings
from soundloom.objectives.pitch import note_targets
from soundloom.recipes import coala, pitch
from soundloom.recipes.coala import CoalaRecipe
from soundloom.recipes.distil import DistilRecipe
from soundloom.recipes.initial_stream import streams_of
from soundloom.recipes.recipe import Recipe, RunOptions, register_recipe
from soundloom.recipes.tag_alignment import AligningSettings, align
from soundloom.tags import AlignedTags, VocabularySettings
from soundloom.tags.class_words import learn_class_head, named_classes
from soundloom.tags.tag_model import TAGS
from soundloom.training import Run, TrainingError, TrainingSettings
from soundloom.training.run_folder import open_folder
from soundloom.training.settings import Precision

__all__ = ["PARTS", "PRESETS", "LoomRecipe"]

PARTS = ("pitch", "timbre", "texture", "general")
"""The model's parts, in order."""


@dataclass(frozen=True, kw_only=True)
class LoomRecipe(Recipe):
    """The default model: how long each part learns, and how large it is.

    Attributes:
        keep: a model whose parts but the general one are taken as they are; none to train them.
        general_steps: steps of 256 windows.
        timbre_steps: steps of 128 sounds with words.
        pitch_steps: steps of 64 notes.
        init: a model whose streams of the same architectures to start from; none for random weights.
        layers: of the ResNet, fused into the general part.
        distillation: teachers of the general part, and how it learns from them.
        apart_from: as for `distil`: collections, as CORPUS=ROOT, none of whose Freesound recordings are learned from.
        validation: share of the clips, in whole groups, that the general part is validated on.
        precision: as for the trainer, of the general part.
        devices: as for the trainer, of the general part.
        threads: as for the trainer, of the general part.
        reduced_over: clips, evenly spread, over which the general part's reduction is fitted, at most.
        copied: clips, evenly spread, whose quieter, faster and slower copies are embedded, at most.
        steadiness: how much shorter directions of texture and of the general part are made in which such copies differ,
            0 for not at all.
        general_dim: numbers of the general part.
        texture_dim: numbers of the texture part.
        timbre_dim: numbers of the timbre part.
        fewest_sounds: words on fewer sounds are left out.
        aligning: how words are learned.
        seed: of every random number.
    """

    keep: str | None = None
    general_steps: int = field(default=5000, metadata={"length": True})
    timbre_steps: int = field(default=1200, metadata={"length": True})
    pitch_steps: int = field(default=2000, metadata={"length": True})
    init: str | None = None
    layers: tuple[int, ...] = (2, 3, 4)
    distillation: DistillationSettings = field(default_factory=lambda: DistillationSettings(mixtures=4.0, quieter=30.0))
    apart_from: tuple[str, ...] = ()
    validation: float = 0.05
    precision: Precision = "32"
    devices: int = 1
    threads: int = 0
    reduced_over: int = 4000
    copied: int = 720
    steadiness: float = 4.0
    general_dim: int = 384
    texture_dim: int = 192
    timbre_dim: int = 48
    fewest_sounds: int = 5
    aligning: AligningSettings = field(default_factory=AligningSettings)
    seed: int = 0

    name = "loom"

    def __post_init__(self) -> None:
        for name in ("general_steps", "timbre_steps", "pitch_steps", "general_dim", "texture_dim", "timbre_dim"):
            if getattr(self, name) < 1:
                raise InvalidArgumentError(f"{name} must be 1 or more, got {getattr(self, name)}")
        if self.copied < 1 or not 0 <= self.steadiness < float("inf"):
            raise InvalidArgumentError(
                f"copied must be 1 or more and steadiness 0 or more, got {self.copied} and {self.steadiness}"
            )

    def run(self, corpus: Corpus, out: Path, options: RunOptions = RunOptions()) -> Run:
        """Train the streams, reduce, weave, and learn the words; see `Recipe.run`.

        Args:
            corpus: sounds with labels, of which some are notes with a column ``midi``.
            out: the folder of the model and of its runs.
            options: how the run is carried out.
        """
        started = time.monotonic()
        self._check(corpus)
        open_folder(out, self, f"soundloom train {self.name}", resume=options.resume)
        runs = [_general(self).run(corpus, out / "general", options.named("general"))]
        # Only the general part is learned by several processes.
        if rank_and_world_size()[0] > 0:
            return runs[0]
        leave_group()
        (student,) = streams_of(runs[0].model())
        student = _centred(student)
        wide = student.with_layers(self.layers, "mean,max").renamed("general")
        if self.keep is None:
            runs.append(_timbre(self).run(coala.with_label_words(corpus), out / "timbre", options.named("timbre")))
            runs.append(_pitch(self).run(corpus, out / "pitch", options.named("pitch")))
            others = self._others(corpus, runs, options)
        else:
            others = _kept(self.keep)
        both = Woven([student.renamed("student"), wide]).eval()
        features = _features(both, corpus, options.preparing)
        parts = {name: np.ascontiguousarray(features.vectors[:, columns]) for name, columns in both.parts.items()}
        chosen = parts["general"][_spread(len(features.corpus), self.reduced_over)]
        general = self._steadied(_reduced(wide, chosen, self.general_dim), features.corpus, options)
        model = Woven([*others, general], out.resolve().name, BALANCE, CENTRED).eval()
        card = self.card(
            f"{corpus.name}, {len(corpus)} clips",
            tags=("audio-search",),
            summary="Pitch, timbre, texture and a general part, woven, with words for sounds.",
        )
        save_pretrained(model, out, card=card)
        learned = [*(str(run.folder) for run in runs), *filter(None, [self.keep])]
        keep_training_clips(out, features.corpus, learned, options.workers)
        self._learn_words(model, general, parts, features.corpus, corpus, out, options)
        return Run.of_parts(out, runs, time.monotonic() - started)

    def _check(self, corpus: Corpus) -> None:
        """Refuse, before an hour of training, a corpus that a later part could not learn from.

        Raises:
            CorpusError: it has no words, no notes, or too few sounds.
        """
        if self.keep is None:
            worded = coala.with_label_words(corpus)
            if not any(worded.column("tags")):
                label = next(chain.from_iterable(corpus.column("labels")), "")
                wanted = f"labels that are words, as {label!r} is not," if label else "labels,"
                lack = f"{corpus.name} has no words for timbre to learn: give its sounds {wanted}"
                raise CorpusError(f"{lack} or take all parts but the general one from a model with --keep loom")
            coala.tagged(worded, _timbre(self))
            note_targets(corpus, PitchEncoderSettings().bins)
        learned = {"general_dim": min(len(corpus), self.reduced_over)}
        if self.keep is None:
            learned |= {"texture_dim": len(corpus), "timbre_dim": len(corpus)}
        for name, sounds in learned.items():
            if getattr(self, name) >= sounds:
                flag = f"--{name.replace('_', '-')}"
                raise CorpusError(f"{sounds} sounds vary in fewer than {getattr(self, name)} directions: lower {flag}")

    def _others(self, corpus: Corpus, runs: Sequence[Run], options: RunOptions) -> list[Stream]:
        """Pitch, timbre and texture, reduced over the corpus."""
        (timbre,), (notes,) = (streams_of(run.model()) for run in runs[1:])
        texture = Stream("texture", Texture(), Identity(), layers=(1,), pooling="mean,deviation")
        streams = [_centred(stream) for stream in (_distributed(notes), timbre, texture)]
        # Woven, so that every clip is decoded once for all of them.
        wide = Woven(streams).eval()
        vectors = _features(wide, corpus, options.preparing).vectors
        shares, *others = (np.ascontiguousarray(vectors[:, columns]) for columns in wide.parts.values())
        characteristic = Reduction.characteristic(torch.from_numpy(shares), length=LENGTHS["pitch"])
        timbre, texture = map(_reduced, streams[1:], others, (self.timbre_dim, self.texture_dim))
        return [_with_rounded(streams[0], characteristic), timbre, self._steadied(texture, corpus, options)]

    def _steadied(self, stream: Stream, corpus: Corpus, options: RunOptions) -> Stream:
        """The stream with a reduction in which a sound and its copies differ less."""
        if not self.steadiness:
            return stream
        assert stream.reduction is not None
        mask = np.zeros(len(corpus), bool)
        mask[_spread(len(corpus), self.copied)] = True
        sounds = _features(stream.eval(), corpus.filter(mask=mask), options.preparing)
        copies = [_features(stream, sounds.corpus, options.preparing, copy).vectors for copy in COPIES]
        steadied = stream.reduction.steadied(
            torch.from_numpy(sounds.vectors), torch.from_numpy(np.stack(copies)), self.steadiness
        )
        return _with_rounded(stream, steadied)

    def _learn_words(
        self,
        model: Embedder,
        general: Stream,
        embeddings: Mapping[str, Float[np.ndarray, "clips _wide"]],
        embedded: Corpus,
        corpus: Corpus,
        out: Path,
        options: RunOptions,
    ) -> None:
        """Save the words beside the model: its teacher's classes, or those of the labels.

        Args:
            model: what was saved.
            general: its general part.
            embeddings: of sounds, by the student and by the general part before it is reduced.
            embedded: those sounds.
            corpus: all sounds.
            out: the model's folder.
            options: how the run is carried out.
        """
        if (out / "general" / TAGS).is_file():
            classes = AlignedTags.load(out / "general")
            assert classes.head is not None
            assert general.reduction is not None
            with torch.no_grad():
                reduced = general.reduction(torch.from_numpy(embeddings["general"])).clone()
                scores = classes.head(torch.from_numpy(embeddings["student"])).sigmoid()
            words = [
                [*labels, *tags]
                for labels, tags in zip(embedded.column("labels"), embedded.column("tags"), strict=True)
            ]
            groups = [group or str(row) for row, group in enumerate(embedded.column("group"))]
            head = learn_class_head(reduced, scores, named_classes(classes.vocabulary, words), groups)
            AlignedTags("general", general.dim, classes.vocabulary, head=head).save(out, half=True)
            return
        known, vocabulary = coala.tagged(coala.with_label_words(corpus), _timbre(self))
        features = _features(model, known, options.preparing)
        ours = np.ascontiguousarray(features.vectors[:, model.parts["general"]])
        labels = features.corpus.label_matrix()
        align("general", ours, labels, vocabulary, self.aligning, self.seed, options.progress).save(out, half=True)


PRESETS: Mapping[str, LoomRecipe] = MappingProxyType({"loom": LoomRecipe()})
register_recipe(
    PRESETS,
    title="The default model: pitch, timbre, texture and a general part, woven, with words.",
    examples=("soundloom train loom pool=/data/audio --out runs/loom",),
)


WHITENING = {"timbre": 0.75, "texture": 0.75, "general": 0.5}
"""Part -> power of a component's deviation by which it is divided: 0 leaves principal components, 1 makes all alike.

That of the general part, as its 384 numbers, was chosen by labelled training sounds."""

BALANCE = {"pitch": 0.1, "timbre": 0.3, "texture": 0.5}
"""What counts in a search where nobody says what matters; notes and voices are for those who ask for them.

Chosen by mean average precision among labelled sounds of the training set. Pitch counts as little as leaves quiet
copies of these a cosine of 0.95; less would hardly raise the precision, and more finds more of the same notes."""

CENTRED = PARTS
"""A search scales no column of any part: a component's deviation says what it is worth, and products of characteristic
functions are those of the distributions only where all columns are in one unit.

Among labelled sounds of the training set the mean average precision rises by 1.6 points."""

LENGTHS = {"pitch": 0.3, "timbre": 0.3, "texture": 1.0, "general": 1.0}
"""Lengths of the parts beside each other, for where embeddings are compared whole and unweighed."""


QUIETER = extraction.Disturbance("20 dB quieter", lambda samples: samples * np.float32(0.1))

COPIES = (
    QUIETER,
    extraction.Disturbance("6 % faster", lambda samples: soxr.resample(samples, 1.06, 1.0)),
    extraction.Disturbance("6 % slower", lambda samples: soxr.resample(samples, 1.0, 1.06)),
)
"""What a sound stays the same in; of disturbances tried on the training sounds, these helped a search the most."""


def _reduced(stream: Stream, vectors: Float[np.ndarray, "clips wide"], components: int) -> Stream:
    """The stream with the reduction of its embeddings of a corpus."""
    whiten, length = WHITENING[stream.name], LENGTHS[stream.name]
    return _with_rounded(stream, Reduction.fit(torch.from_numpy(vectors), components, whiten=whiten, length=length))


def _with_rounded(stream: Stream, reduction: Reduction) -> Stream:
    # Rounded, as the largest matrices are then stored in half the bytes.
    reduction.matrix.copy_(reduction.matrix.half())
    return stream.with_reduction(reduction)


def _distributed(notes: Stream) -> Stream:
    """The stream of notes whose shares add up to one over a sound."""
    assert isinstance(notes.encoder, PitchEncoder)
    return notes.with_encoder(notes.encoder.with_roots(False)).with_layers((1,), "mean").renamed("pitch")


def _centred(stream: Stream) -> Stream:
    """The stream on waveforms without their offset."""
    if isinstance(stream.frontend, CentredFrontend):
        return stream
    return stream.with_frontend(CentredFrontend(stream.frontend))


def _kept(name: str) -> list[Stream]:
    """The parts but the general one of a model of this recipe.

    Raises:
        TrainingError: it has other parts.
    """
    parts = {part.name: part for part in streams_of(load(name))}
    if tuple(parts) != PARTS:
        raise TrainingError(f"keep names a model with the parts {', '.join(PARTS)}, {name} has {', '.join(parts)}")
    return [_centred(parts[part]) for part in PARTS[:-1]]


def _general(recipe: LoomRecipe) -> DistilRecipe:
    usual = DistilRecipe()
    training = replace(
        usual.training, seed=recipe.seed, precision=recipe.precision, devices=recipe.devices, threads=recipe.threads
    )
    return replace(
        usual, validation=recipe.validation, apart_from=recipe.apart_from, epochs=0, objective=recipe.distillation,
        training=_lasting(training, recipe.general_steps),
    )  # fmt: skip


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


def _spread(clips: int, wanted: int) -> Int64[np.ndarray, " chosen"]:
    """So many of the clips, evenly spread, or all."""
    return np.unique(np.linspace(0, clips - 1, min(clips, wanted)).round().astype(np.int64))


def _features(
    model: Embedder,
    corpus: Corpus,
    progress: Callable[[CacheProgress], None] | None,
    disturbance: extraction.Disturbance | None = None,
) -> extraction.Features:
    """Embeddings of the clips; progress is reported as that of decoding."""

    def report(reached: extraction.ExtractionProgress) -> None:
        if progress is not None:
            progress(CacheProgress(reached.done, reached.total, reached.path))

    return extraction.extract_features(corpus, extraction.clip_extractor(model, disturbance), progress=report)
