"""Diverse embeddings (Verma 2023): four streams of one property each, woven, and a linear model over them.

Each stream is trained alone, from scratch, with a head of its own that is thrown away; then all are frozen, and the
same linear model is trained on their embeddings side by side (`recipes.linear`). The Neuralogram's network is trained
before its stream, on the labels too, alone with chunks: 8 frames of log-mel, 100 ms of sound, every 80 ms.

    FOLDER/pitch/ timbre/ waveform/ neuralogram/      the streams' runs, each stopped and resumed on its own
    FOLDER/network/                                   the run of the Neuralogram's network
    FOLDER/config.json, model.safetensors             the model, pitch+timbre+waveform+neuralogram
    FOLDER/tagger.json, tagger.safetensors            the linear model over it (`soundloom.tagger`)

The paper's preset has its loss, epochs and rates. It does not report the optimiser, the batch, or how the rate falls:
here Adam, 128 and exponentially. Nor does it validate: all clips train, and the last weights are kept. Otherwise a
tenth of the clips is kept apart to choose the epoch by (``--validation 0.1 --keep best``). The stream `waveform-maxima`
in place of `waveform` does without the logarithm on the filters' maxima, of which the paper says nothing.

Streams can learn from something else than labels, ``--objective``: from free-form tags (``alignment``, `recipes.coala`
without decoders); or from the sounds alone (``triplet``, `recipes.triplet`), with every sampler of Jansen 2017; for a
stream that is sensitive to pitch, none is transposed. The Neuralogram's network then learns from triplets of
chunks; with tags it learns from the labels, or from triplets where there are none. A collection
without labels gives a model and no tagger.

Streams are trained side by side (``--jobs``), each in a process of its own and on as many threads of computation as
``threads`` says, so that how many are trained at a time changes no bit of what comes out.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import cast

import torch

from soundloom.corpora import Corpus
from soundloom.distributed import leave_group, rank_and_world_size
from soundloom.embedder import Embedder, Stream, Window, Woven
from soundloom.encoders import Encoder, initialise
from soundloom.errors import InvalidArgumentError
from soundloom.evaluation.training_clips import keep_training_clips
from soundloom.feature_cache import CacheProgress
from soundloom.models.saved_model import from_pretrained, save_pretrained
from soundloom.objectives.base import OBJECTIVES
from soundloom.objectives.labels import LabelObjective, LabelSettings
from soundloom.objectives.triplet_batches import TripletSettings
from soundloom.recipes.architectures import STREAMS
from soundloom.recipes.initial_stream import initial_stream
from soundloom.recipes.linear import LinearSettings, learn_classes
from soundloom.recipes.recipe import Recipe, RunOptions, StreamRecipe, register_recipe, stream_recipe
from soundloom.recipes.validation_split import check_share
from soundloom.tagger import TAGGER, WEIGHTS
from soundloom.training import Run, TrainingProgress, TrainingSettings
from soundloom.training.run_folder import open_folder
from soundloom.workers.parallel import ParallelJob, Report, run_parallel

__all__ = ["DIVERSE", "PRESETS", "DiverseRecipe", "model_of"]

DIVERSE = ("pitch", "timbre", "waveform", "neuralogram")
"""The paper's streams."""

NETWORK = "network"
"""The folder of the network inside a front-end, which is trained before the stream."""


@dataclass(frozen=True, kw_only=True)
class DiverseRecipe(Recipe):
    """Several streams, trained apart by one objective, and a linear model over them.

    Attributes:
        streams: what is woven, in order; see soundloom.recipes.STREAMS.
        objective: what each learns from: "labels", "alignment" with the corpus's tags, "triplet", sounds alone, or
            another of soundloom.objectives.OBJECTIVES.
        validation: share of the clips, in whole groups, that is kept apart to validate on; 0 for none.
        init: a model whose streams of the same architectures to start from; none for random weights.
        epochs: passes over the windows, which decide the steps of every stream; 0 to take steps as they are.
        network_epochs: passes over the chunks, for the Neuralogram's network; 0 to take steps as they are.
        jobs: streams trained at a time, each in a process of its own; 0 for as many as there are processors for.
        head: the head that a stream is trained with, and the linear model.
        triplet: how triplets are made, for that objective.
        linear: how the linear model is trained.
        training: the trainer of every stream.
    """

    streams: tuple[str, ...] = DIVERSE
    objective: str = "labels"
    validation: float = 0.1
    init: str | None = None
    epochs: int = field(default=300, metadata={"resumable": True})
    network_epochs: int = field(default=300, metadata={"resumable": True})
    jobs: int = field(default=0, metadata={"resumable": True})
    head: LabelSettings = field(default_factory=LabelSettings)
    triplet: TripletSettings = field(default_factory=TripletSettings)
    linear: LinearSettings = field(default_factory=LinearSettings)
    training: TrainingSettings = field(
        default_factory=lambda: TrainingSettings(rate=2e-4, final_rate=1e-6, schedule="exponential", threads=1)
    )

    name = "diverse"

    def __post_init__(self) -> None:
        unknown = [name for name in self.streams if ":" not in name and name not in STREAMS]
        if unknown or not self.streams or len(set(self.streams)) < len(self.streams):
            raise InvalidArgumentError(
                f"streams must be different ones of {', '.join(STREAMS)}, got {', '.join(self.streams)}"
            )
        if self.objective not in OBJECTIVES:
            raise InvalidArgumentError(f"objective is one of {', '.join(OBJECTIVES)}, got {self.objective!r}")
        check_share(self.validation)
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

    @property
    def uses_labels(self) -> bool:
        """Only where the streams learn from them."""
        return self.for_stream(self.streams[0], self.objective, self.epochs).uses_labels

    @property
    def models(self) -> tuple[str, ...]:
        """The one that the streams begin with, if any."""
        return () if self.init is None else (self.init,)

    def run(self, corpus: Corpus, out: Path, options: RunOptions = RunOptions()) -> Run:
        """Train the streams, weave them, and train the linear model over them; see `Recipe.run`.

        Raises:
            TrainingError: also when a stream cannot be trained, from which the others do not suffer.
        """
        started = time.monotonic()
        if self.uses_labels:
            LabelObjective.check_classes(corpus)
        open_folder(out, self, f"soundloom train {self.name}", resume=options.resume)

        def report(progress: TrainingProgress | CacheProgress) -> None:
            listener = options.progress if isinstance(progress, TrainingProgress) else options.preparing
            if listener is not None:
                listener(progress)  # type: ignore[arg-type]

        # The longest training begins first, so that it is not waited for in the end.
        order = sorted(self.streams, key=lambda name: -STREAMS[name].trainings if name in STREAMS else 0)
        quiet = replace(options, progress=None, preparing=None)
        jobs = [
            ParallelJob(name=name, work=_train_stream, arguments=(name, self, corpus, out, quiet)) for name in order
        ]
        runs: list[Run] = run_parallel(jobs, self.at_a_time(), report)
        if rank_and_world_size()[0] > 0:
            return Run.of_parts(out, runs, time.monotonic() - started)
        leave_group()
        model = model_of(out, self.streams)
        labelled = len(corpus.classes) > 1
        save_pretrained(
            model,
            out,
            card=self.card(
                f"{corpus.name}, {len(corpus)} clips",
                tags=("audio-tagging",) if labelled else (),
                summary="Streams of one property of a sound each, woven (Verma 2023); learned by the objective "
                f"{self.objective}.",
                besides=", its classes in `tagger.json`" if labelled else "",
            ),
        )
        keep_training_clips(out, corpus, self.models, options.workers)
        for left in (TAGGER, WEIGHTS):
            (out / left).unlink(missing_ok=True)
        if labelled:
            learn_classes(model, corpus, self.validation, self.head, self.linear, self.training.seed).save(out)
        return Run.of_parts(out, runs, time.monotonic() - started)

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

    def for_stream(self, name: str, objective: str, epochs: int) -> StreamRecipe:
        """How one stream is trained by an objective: by its recipe, with the settings that this one has for it."""
        recipe = stream_recipe(objective)
        shared = {each.name for each in fields(recipe)} & {"validation", "init", "linear", "training"}
        settings = {each: getattr(self, each) for each in shared} | {"epochs": epochs}
        for own in (self.head, self.triplet):
            if type(own) is OBJECTIVES[objective].settings:
                settings["objective"] = own
        return recipe.for_part(name, **settings)


PRESETS: Mapping[str, DiverseRecipe] = MappingProxyType(
    {
        # The paper keeps no clips apart, and takes the weights of the last epoch.
        "paper": DiverseRecipe(validation=0.0, training=replace(DiverseRecipe().training, keep="last")),
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
register_recipe(
    PRESETS,
    title="Pitch, timbre, waveform and neuralogram, learned apart and woven (Verma 2023).",
    examples=(
        "soundloom train diverse fsd50k=/data/FSD50K --out runs/diverse --preset small",
        "soundloom train diverse ~/sounds --out runs/unlabelled --preset small --objective triplet",
        "soundloom train diverse ~/sounds --out runs/two --streams pitch,timbre --jobs 1 --threads 2",
    ),
)


def model_of(out: Path, streams: tuple[str, ...]) -> Embedder:
    """The streams of a folder's runs, woven in that order; one alone is itself."""
    parts = [from_pretrained(out / name) for name in streams]
    return (Woven(parts) if len(parts) > 1 else parts[0]).eval()


def _train_stream(
    name: str, recipe: DiverseRecipe, corpus: Corpus, out: Path, options: RunOptions, *, report: Report
) -> Run:
    """Train one stream in its own folder; first the network inside its front-end, if there is one."""
    stream = initial_stream(name, recipe.init, recipe.training.seed, name)
    inner = stream.frontend.base.pretrained_network
    if inner is not None and recipe.init is None:
        network, objective = _network(stream, recipe.training.seed), recipe.objective
        if not OBJECTIVES[objective].kind.fits_chunks:
            objective = "labels" if len(corpus.classes) > 1 else "triplet"
        lesson = recipe.for_stream(NETWORK, objective, recipe.network_epochs)
        _train_in_folder(lesson, network, corpus, out, options, report)
        inner.load_state_dict(network.encoder.state_dict())
    return _train_in_folder(
        recipe.for_stream(name, recipe.objective, recipe.epochs), stream, corpus, out, options, report
    )


def _train_in_folder(
    recipe: StreamRecipe,
    stream: Stream,
    corpus: Corpus,
    out: Path,
    options: RunOptions,
    report: Callable[[object], None],
) -> Run:
    """Train a stream in a folder of its name, and report its progress under that name."""
    options = replace(options, progress=report, preparing=report).named(stream.name)
    return recipe.train(stream, corpus, out / stream.name, options)


def _network(stream: Stream, seed: int) -> Stream:
    """The network inside a stream's front-end as a stream to train."""
    frontend, frames = stream.frontend.base.network_input
    encoder = cast(Encoder, deepcopy(stream.frontend.base.pretrained_network)).requires_grad_(True)
    initialise(encoder, seed)
    return Stream(NETWORK, frontend, encoder, layers=None, pooling="mean", window=Window(frames=frames, fixed=True))
