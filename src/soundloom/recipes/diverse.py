"""Diverse embeddings (Verma 2023): four streams that each hear one property, woven, and a linear model over them.

Each stream is trained alone, from scratch, with a head of its own that is thrown away; then all are frozen, and the
same linear model is trained on their embeddings side by side (`recipes.linear`). The Neuralogram's network is trained
before its stream, on the labels too, alone with chunks: 8 frames of log-mel, 100 ms of sound, every 80 ms.

    FOLDER/pitch/ timbre/ waveform/ neuralogram/      the streams' runs, each stopped and resumed on its own
    FOLDER/network/                                   the run of the Neuralogram's network
    FOLDER/config.json, model.safetensors             the model, pitch+timbre+waveform+neuralogram
    FOLDER/tagger.json, tagger.safetensors            the linear model over it (`soundloom.tagger`)

The paper's preset has its loss, epochs and rates. It does not tell the optimiser, the batch, or how the rate falls:
here Adam, 128 and exponentially. Nor does it validate; a tenth of the clips is kept apart to choose the epoch by, and
``--validation 0 --keep last`` does without.

Streams can learn from something else than labels, ``--objective``. From free-form tags (``alignment``, `recipes.coala`
without decoders); or from the sounds alone (``triplet``, `recipes.triplet`), with every sampler of Jansen 2017, made on
waveforms for what these streams hear; but the stream of pitches is not told that a transposed sound is the same. The
Neuralogram's network then learns by triplets as well, of chunks; by tags it learns from the labels, or where there are
none by triplets. A collection without labels gives a model and no tagger.

Streams are trained side by side (``--jobs``), each in a process of its own and on as many threads of computation as
``threads`` says, so that how many are trained at a time changes no bit of what comes out.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, get_args

import numpy as np
import torch

from soundloom.corpora import Corpus
from soundloom.embedder import Embedder, Stream, Window, Woven
from soundloom.encoders import MobileNetV1, Neuralogram, initialise
from soundloom.errors import InvalidArgumentError
from soundloom.feature_cache import CacheProgress, Form, prepare
from soundloom.frontends import LogMel
from soundloom.models.model_card import Card
from soundloom.models.saved_model import save_pretrained
from soundloom.objectives.labels import LabelSettings
from soundloom.objectives.triplet import TripletSettings
from soundloom.objectives.windows import unscaled
from soundloom.recipes import labels, triplet
from soundloom.recipes.architectures import STREAMS, build_stream, form_of
from soundloom.recipes.labels import LabelRecipe
from soundloom.recipes.linear import LinearSettings, learn_classes
from soundloom.recipes.process_pool import Job, Tell, run_parallel
from soundloom.recipes.run_dir import open_folder
from soundloom.recipes.triplet import TripletRecipe
from soundloom.recipes.validation_split import train_valid_split
from soundloom.tagger import TAGGER, WEIGHTS
from soundloom.training import Run, TrainingProgress, TrainingSettings

__all__ = ["DIVERSE", "PRESETS", "DiverseRecipe", "model_of", "train"]

DIVERSE = ("pitch", "timbre", "waveform", "neuralogram")
"""The paper's streams."""

NETWORK = "network"
"""Where the Neuralogram's network is trained."""

CHUNK_FRAMES = 8
"""Frames of log-mel that lie wholly within a chunk of 100 ms."""

Objective = Literal["labels", "alignment", "triplet"]


@dataclass(frozen=True, kw_only=True)
class DiverseRecipe:
    """What learns from what.

    Attributes:
        streams: what is woven, in order; see soundloom.recipes.STREAMS.
        objective: what each learns from: "labels", "alignment" with the corpus's tags, or "triplet", sounds alone.
        validation: share of the clips, in whole groups, that is kept apart to validate on; 0 for none.
        epochs: passes over the windows, which decide the steps of every stream; 0 to take steps as they are.
        network_epochs: passes over the chunks, for the Neuralogram's network; 0 to take steps as they are.
        jobs: streams trained at a time, each in a process of its own; 0 for as many as there are processors for.
        head: the head that a stream is trained with, and the linear model.
        triplet: how triplets are made, for that objective.
        linear: how the linear model is trained.
        training: the trainer of every stream.
    """

    streams: tuple[str, ...] = DIVERSE
    objective: Objective = "labels"
    validation: float = 0.1
    epochs: int = 300
    network_epochs: int = 300
    jobs: int = field(default=0, metadata={"resumable": True})
    head: LabelSettings = field(default_factory=LabelSettings)
    triplet: TripletSettings = field(default_factory=TripletSettings)
    linear: LinearSettings = field(default_factory=LinearSettings)
    training: TrainingSettings = field(
        default_factory=lambda: TrainingSettings(rate=2e-4, final_rate=1e-6, schedule="exponential", threads=1)
    )

    def __post_init__(self) -> None:
        unknown = [name for name in self.streams if name not in STREAMS]
        if unknown or not self.streams or len(set(self.streams)) < len(self.streams):
            raise InvalidArgumentError(
                f"streams must be different ones of {', '.join(STREAMS)}, got {', '.join(self.streams)}"
            )
        if self.objective not in get_args(Objective):
            raise InvalidArgumentError(f"objective is one of {', '.join(get_args(Objective))}, got {self.objective!r}")
        if not 0 <= self.validation < 1:
            raise InvalidArgumentError(f"validation must be a share from 0 to below 1, got {self.validation}")
        if min(self.epochs, self.network_epochs) < 0:
            raise InvalidArgumentError(
                f"epochs must be 0 or more, got {self.epochs} and {self.network_epochs} for the network"
            )
        if self.jobs < 0:
            raise InvalidArgumentError(f"jobs must be 0 (by itself) or more, got {self.jobs}")
        if self.jobs > 1 and self.training.devices * self.training.nodes > 1:
            raise InvalidArgumentError(
                f"streams that learn on several devices learn one at a time: jobs 1, not {self.jobs}"
            )

    def at_a_time(self) -> int:
        """How many streams are trained side by side."""
        training = self.training
        if self.jobs:
            return min(self.jobs, len(self.streams))
        if training.device == "cuda" or (training.device == "auto" and torch.cuda.is_available()):
            return 1
        if training.threads == 0 or training.devices * training.nodes > 1:
            return 1
        return max(1, min((os.cpu_count() or 1) // training.threads, len(self.streams)))


PRESETS: Mapping[str, DiverseRecipe] = MappingProxyType(
    {
        "paper": DiverseRecipe(),
        "small": DiverseRecipe(
            epochs=20,
            network_epochs=2,
            head=LabelSettings(loss="bce", hidden=0),
            linear=LinearSettings(linear_epochs=30, linear_rate=1e-3, linear_final_rate=1e-5),
            training=TrainingSettings(
                batch=64, rate=1e-3, final_rate=1e-5, schedule="cosine", warmup=100, validate_every=250, log_every=25,
                threads=1,
            ),
        ),
    }
)  # fmt: skip


def train(
    recipe: DiverseRecipe,
    corpus: Corpus,
    out: Path,
    *,
    resume: bool = True,
    progress: Callable[[TrainingProgress], None] | None = None,
    preparing: Callable[[CacheProgress], None] | None = None,
) -> Run:
    """Train the streams, weave them, and train the linear model over them.

    Args:
        recipe: what learns from what.
        corpus: sounds, with what the objective learns from.
        out: the folder of the model and of the streams' runs.
        resume: go on with the runs that the folder holds, if it holds some.
        progress: told after every step of every run, with the run's name.
        preparing: told after every clip that is decoded, with the name of the run that it is for.

    Raises:
        CorpusError: the streams are to learn from labels, and the corpus has no two classes.
        TrainingError: a stream cannot be trained, which the others do not suffer from; or as for `open_folder`.
        ModelError: the streams do not hear seconds.
    """
    began = time.monotonic()
    if recipe.objective == "labels":
        labels.check_classes(corpus)
    open_folder(out, recipe, "soundloom train diverse")

    def tell(reached: TrainingProgress | CacheProgress) -> None:
        if isinstance(reached, TrainingProgress):
            if progress is not None:
                progress(reached)
        elif preparing is not None:
            preparing(reached)

    # The longest begins first, so that it is not waited for in the end.
    order = sorted(recipe.streams, key=lambda name: name != "neuralogram")
    jobs = [Job(name=name, work=_train_stream, arguments=(name, recipe, corpus, out, resume)) for name in order]
    runs: list[Run] = run_parallel(jobs, recipe.at_a_time(), tell)
    model = model_of(out, recipe.streams)
    labelled = len(corpus.classes) > 1
    save_pretrained(model, out, card=_card(recipe, corpus, labelled=labelled))
    for left in (TAGGER, WEIGHTS):
        (out / left).unlink(missing_ok=True)
    if labelled:
        seed = recipe.training.seed
        learn_classes(model, corpus, recipe.validation, recipe.head, recipe.linear, seed).save(out)
    return Run(
        folder=out,
        steps=sum(run.steps for run in runs),
        early=any(run.early for run in runs),
        loss=None,
        best_step=None,
        seconds=time.monotonic() - began,
    )


def model_of(out: Path, streams: tuple[str, ...]) -> Embedder:
    """The streams of a folder's runs, woven in that order; one alone is itself."""
    from soundloom.models import from_pretrained

    parts = [from_pretrained(out / name) for name in streams]
    return (Woven(parts) if len(parts) > 1 else parts[0]).eval()


def _card(recipe: DiverseRecipe, corpus: Corpus, *, labelled: bool) -> Card:
    classes = ", its classes in `tagger.json`" if labelled else ""
    return Card(
        tags=("audio-tagging",) if labelled else (),
        summary="Streams that each hear one property of a sound, woven (Verma 2023); learned by the objective "
        f"{recipe.objective}.",
        provenance=f"Trained with `soundloom train diverse` on {corpus.name}, {len(corpus)} clips. Its settings are in "
        f"`settings.yaml`{classes}.",
    )


@dataclass(frozen=True, kw_only=True)
class _School:
    """What every stream of a run is trained with.

    Attributes:
        recipe: what learns from what.
        corpus: sounds.
        out: the folder of the streams' runs.
        resume: go on with the runs that it holds.
        told: takes progress.
    """

    recipe: DiverseRecipe
    corpus: Corpus
    out: Path
    resume: bool
    told: Tell

    def learn(self, stream: Stream, objective: Objective, epochs: int) -> Run:
        """Train a stream, or go on training it, in a folder of its name."""

        def told(reached: TrainingProgress | CacheProgress) -> None:
            self.told(replace(reached, name=stream.name))

        common = {"resume": self.resume, "progress": told, "preparing": told}
        return _LESSONS[objective](self, stream, epochs, common)

    def lasting(self, epochs: int, form: Form, size: int, told: Tell, *, by_class: bool) -> TrainingSettings:
        """The trainer, with steps for so many passes over the windows, each of so many rows, if epochs decide."""
        training = self.recipe.training
        if not epochs:
            return training
        dataset = prepare(self.corpus, form, progress=told)
        learned, _ = train_valid_split(self.corpus, self.recipe.validation, training.seed, by_class=by_class)
        count = int(np.isin(dataset.windows(size, size)[0], learned).sum())
        return replace(training, steps=max(training.warmup + 1, epochs * -(-count // training.batch)))


def _train_stream(name: str, recipe: DiverseRecipe, corpus: Corpus, out: Path, resume: bool, *, tell: Tell) -> Run:
    """Train one stream in its own folder, its network first if it has one."""
    school = _School(recipe=recipe, corpus=corpus, out=out, resume=resume, told=tell)
    stream = build_stream(name, recipe.training.seed, name)
    inner = unscaled(stream.frontend)
    if isinstance(inner, Neuralogram):
        network, objective = _network(recipe.training.seed), recipe.objective
        if objective == "alignment":
            objective = "labels" if len(corpus.classes) > 1 else "triplet"
        school.learn(network, objective, recipe.network_epochs)
        inner.network.load_state_dict(network.encoder.state_dict())
    return school.learn(stream, recipe.objective, recipe.epochs)


def _by_labels(school: _School, stream: Stream, epochs: int, common: dict[str, Any]) -> Run:
    size = CHUNK_FRAMES if stream.name == NETWORK else 1
    training = school.lasting(epochs, form_of(stream), size, common["preparing"], by_class=True)
    mine = school.recipe
    lesson = LabelRecipe(
        stream=stream.name,
        validation=mine.validation,
        objective=mine.head,
        linear=mine.linear,
        training=training,
    )
    return labels.learn(stream, lesson, school.corpus, school.out / stream.name, **common)


def _by_tags(school: _School, stream: Stream, epochs: int, common: dict[str, Any]) -> Run:
    from soundloom.recipes import coala

    lesson = replace(
        coala.PRESETS["paper-e-c"],
        stream=stream.name,
        validation=school.recipe.validation,
        epochs=epochs,
        training=replace(school.recipe.training, keep="last"),
    )
    return coala.learn(stream, lesson, school.corpus, school.out / stream.name, **common)


def _by_triplets(school: _School, stream: Stream, epochs: int, common: dict[str, Any]) -> Run:
    form, size, _ = triplet.windows_of(stream)
    mine = school.recipe
    # Transposed sounds are alike to every stream but the one that is to tell pitches.
    objective = replace(mine.triplet, shift=0) if stream.name == "pitch" else mine.triplet
    training = school.lasting(epochs, form, size, common["preparing"], by_class=bool(mine.triplet.labelled))
    lesson = TripletRecipe(stream=stream.name, validation=mine.validation, objective=objective, training=training)
    return triplet.learn(stream, lesson, school.corpus, school.out / stream.name, **common)


_LESSONS: Mapping[str, Callable[[_School, Stream, int, dict[str, Any]], Run]] = MappingProxyType(
    {"labels": _by_labels, "alignment": _by_tags, "triplet": _by_triplets}
)
"""Objective -> what trains a stream by it for so many epochs, told how to resume and whom to tell."""


def _network(seed: int) -> Stream:
    """MobileNet on the log-mel of chunks."""
    encoder = MobileNetV1()
    initialise(encoder, seed)
    window = Window(frames=CHUNK_FRAMES, fixed=True)
    return Stream(NETWORK, LogMel.jansen(), encoder, layers=None, pooling="mean", window=window)
