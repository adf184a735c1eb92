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
``--validation 0 --keep last`` does without. Any stream can learn from free-form tags instead (``--objective
alignment``, `recipes.coala` without decoders); triplets are mixed from mel energies, which these streams do not hear.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import numpy as np

from soundloom.corpora import Corpus
from soundloom.embedder import Embedder, Stream, Window, Woven
from soundloom.encoders import MobileNetV1, Neuralogram, initialise
from soundloom.frontends import LogMel
from soundloom.objectives.labels import LabelSettings
from soundloom.objectives.windows import unscaled
from soundloom.prepared import Progress as Preparing
from soundloom.prepared import prepare
from soundloom.pretrained.cards import Card
from soundloom.pretrained.saving import save_pretrained
from soundloom.recipes import labels
from soundloom.recipes.folder import open_folder
from soundloom.recipes.labels import LabelRecipe
from soundloom.recipes.linear import LinearSettings, hear_windows, train_head
from soundloom.recipes.parting import part
from soundloom.recipes.streams import STREAMS, build_stream, form_of
from soundloom.tagger import Tagger
from soundloom.training import Progress, Run, TrainingSettings

__all__ = ["DIVERSE", "PRESETS", "DiverseRecipe", "model_of", "train"]

DIVERSE = ("pitch", "timbre", "waveform", "neuralogram")
"""The paper's streams."""

NETWORK = "network"
"""Where the Neuralogram's network is trained."""

CHUNK_FRAMES = 8
"""Frames of log-mel that lie wholly within a chunk of 100 ms."""

Told = Callable[[Progress], None] | None


@dataclass(frozen=True, kw_only=True)
class DiverseRecipe:
    """What learns from what.

    Attributes:
        streams: what is woven, in order; see soundloom.recipes.STREAMS.
        objective: what each learns from: "labels", or "alignment" with the corpus's tags.
        validation: share of the clips, in whole groups, that is kept apart to validate on; 0 for none.
        epochs: passes over the windows, which decide the steps of every stream; 0 to take steps as they are.
        network_epochs: passes over the chunks, for the Neuralogram's network; 0 to take steps as they are.
        head: the head that a stream is trained with, and the linear model.
        linear: how the linear model is trained.
        training: the trainer of every stream.
    """

    streams: tuple[str, ...] = DIVERSE
    objective: Literal["labels", "alignment"] = "labels"
    validation: float = 0.1
    epochs: int = 300
    network_epochs: int = 300
    head: LabelSettings = field(default_factory=LabelSettings)
    linear: LinearSettings = field(default_factory=LinearSettings)
    training: TrainingSettings = field(
        default_factory=lambda: TrainingSettings(rate=2e-4, final_rate=1e-6, schedule="exponential")
    )

    def __post_init__(self) -> None:
        unknown = [name for name in self.streams if name not in STREAMS]
        if unknown or not self.streams or len(set(self.streams)) < len(self.streams):
            raise ValueError(f"streams must be different ones of {', '.join(STREAMS)}, got {', '.join(self.streams)}")
        if self.objective not in ("labels", "alignment"):
            raise ValueError(f"objective is labels or alignment, got {self.objective!r}")
        if not 0 <= self.validation < 1:
            raise ValueError(f"validation must be a share from 0 to below 1, got {self.validation}")
        if min(self.epochs, self.network_epochs) < 0:
            raise ValueError(f"epochs must be 0 or more, got {self.epochs} and {self.network_epochs} for the network")


PRESETS: Mapping[str, DiverseRecipe] = MappingProxyType(
    {
        "paper": DiverseRecipe(),
        "small": DiverseRecipe(
            epochs=20,
            network_epochs=2,
            head=LabelSettings(loss="bce", hidden=0),
            linear=LinearSettings(linear_epochs=30, linear_rate=1e-3, linear_final_rate=1e-5),
            training=TrainingSettings(
                batch=64, rate=1e-3, final_rate=1e-5, schedule="cosine", warmup=100, validate_every=250, log_every=25
            ),
        ),
    }
)


def train(
    recipe: DiverseRecipe,
    corpus: Corpus,
    out: Path,
    *,
    resume: bool = True,
    progress: Told = None,
    preparing: Callable[[Preparing], None] | None = None,
) -> Run:
    """Train the streams, weave them, and train the linear model over them.

    Args:
        recipe: what learns from what.
        corpus: labelled sounds.
        out: the folder of the model and of the streams' runs.
        resume: go on with the runs that the folder holds, if it holds some.
        progress: told after every step of every run.
        preparing: told after every clip that is decoded.

    Raises:
        CorpusError: the corpus has no two classes.
        TrainingError: as for `soundloom.training.fit`.
        ModelError: the streams do not hear seconds.
    """
    began = time.monotonic()
    open_folder(out, recipe, "soundloom train diverse")
    runs = [_train_stream(name, recipe, corpus, out, resume, progress, preparing) for name in recipe.streams]
    model = model_of(out, recipe.streams)
    card = Card(
        tags=("audio-tagging",),
        summary="Streams that each hear one property of a sound, woven (Verma 2023).",
        provenance=f"Trained with `soundloom train diverse` on {corpus.name}, {len(corpus)} clips. Its settings are in "
        "`settings.yaml`, its classes in `tagger.json`.",
    )
    save_pretrained(model, out, card=card)
    learned, validated = part(corpus, recipe.validation, recipe.training.seed, by_class=True)
    windows, targets = hear_windows(model, corpus), corpus.label_matrix()
    head = train_head(
        windows.of(learned), windows.of(validated), targets, recipe.head, recipe.linear, recipe.training.seed
    )
    Tagger(model, head, recipe.head, corpus.classes).save(out)
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
    from soundloom.pretrained import from_pretrained

    parts = [from_pretrained(out / name) for name in streams]
    return (Woven(parts) if len(parts) > 1 else parts[0]).eval()


def _train_stream(
    name: str,
    recipe: DiverseRecipe,
    corpus: Corpus,
    out: Path,
    resume: bool,
    progress: Told,
    preparing: Callable[[Preparing], None] | None,
) -> Run:
    """Train one stream in its own folder, its network first if it has one."""
    stream = build_stream(name, recipe.training.seed, name)
    inner = unscaled(stream.frontend)
    learn = partial(labels.learn, resume=resume, progress=progress, preparing=preparing)
    if isinstance(inner, Neuralogram):
        network = _network(recipe.training.seed)
        chunks = _label_recipe(network, NETWORK, recipe, recipe.network_epochs, corpus)
        learn(network, chunks, corpus, out / NETWORK)
        inner.network.load_state_dict(network.encoder.state_dict())
    if recipe.objective == "labels":
        return learn(stream, _label_recipe(stream, name, recipe, recipe.epochs, corpus), corpus, out / name)
    from soundloom.recipes import coala

    aligned = replace(
        coala.PRESETS["paper-e-c"],
        stream=name,
        validation=recipe.validation,
        epochs=recipe.epochs,
        training=replace(recipe.training, keep="last"),
    )
    return coala.learn(stream, aligned, corpus, out / name, resume=resume, progress=progress, preparing=preparing)


def _label_recipe(stream: Stream, name: str, recipe: DiverseRecipe, epochs: int, corpus: Corpus) -> LabelRecipe:
    """The recipe of one stream's labels, with steps for so many epochs."""
    training = recipe.training
    if epochs:
        prepared = prepare(corpus, form_of(stream))
        learned, _ = part(corpus, recipe.validation, training.seed, by_class=True)
        size = CHUNK_FRAMES if name == NETWORK else 1
        count = int(np.isin(prepared.windows(size, size)[0], learned).sum())
        steps = max(training.warmup + 1, epochs * -(-count // training.batch))
        training = replace(training, steps=steps)
    return LabelRecipe(stream=name, validation=recipe.validation, objective=recipe.head, training=training)


def _network(seed: int) -> Stream:
    """MobileNet on the log-mel of chunks."""
    encoder = MobileNetV1()
    initialise(encoder, seed)
    window = Window(frames=CHUNK_FRAMES, fixed=True)
    return Stream(NETWORK, LogMel.jansen(), encoder, layers=None, pooling="mean", window=window)
