"""Registry of models: registration, and loading by name.

A model is registered beside the function that builds it (`register_model`, docs/extending.md). The function takes the
part of the name that asks for it and where its weights come from; or nothing, where there is nothing to choose. Once
registered, ``mine#2#4+logmel`` names it in `load` and in every command. A function that is not registered is named by
where it is: ``my_package.models:mine#2#4``.
"""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from soundloom import packaged
from soundloom.components import Registry, check_trusted, is_object_name
from soundloom.embedder import Embedder, Stream, Window, Woven
from soundloom.encoders import Encoder
from soundloom.errors import ComponentError, ModelError, UnknownModelError
from soundloom.frontends import Frontend
from soundloom.models.hub import is_address
from soundloom.models.model_card import stated_licence
from soundloom.models.names import WORD, PartName, SavedName, parse
from soundloom.models.onnx_file import is_onnx, path_of, read_sidecar
from soundloom.models.saved_model import folder_of, from_pretrained, is_saved
from soundloom.models.weights.download import Announcement
from soundloom.models.weights.http_transfer import TransferProgress
from soundloom.models.weights.published_checkpoints import CHECKPOINTS, Checkpoint, register_checkpoint
from soundloom.models.weights.weight_source import WeightSource
from soundloom.one_thread import one_thread

__all__ = [
    "DEFAULT",
    "MODELS",
    "Model",
    "ModelPart",
    "absolute",
    "check_trusted_name",
    "load",
    "model_parts",
    "name_parts",
    "published_stream",
    "register_model",
    "registered_part",
]

DEFAULT = packaged.NAME
"""What `soundloom index`, `search` and `embed` use by default."""

KnownOutput = Callable[[Embedder, Float[np.ndarray, " samples"]], str]


@dataclass(frozen=True, kw_only=True)
class Model:
    """A model that can be loaded by name.

    Attributes:
        title: what it is, in a line.
        source: where it comes from: a paper, a checkpoint.
        build: makes it, of a `PartName` and a `WeightSource`, or of nothing.
        layers: the layer numbers that can be named after '#'; empty if there is nothing to choose, None for
            those of the built model.
        checkpoint: the published weights' name; None if it has none.
        licence: of the model, by SPDX name; empty where the checkpoint has it, or it is not known.
        classifies: whether its encoder has a classifier, whose classes are tags (`Encoder.classes`).
        known_output: compares the model's output for 3 s of a 1 kHz tone, at 16 kHz, with the published one, and says
            what it found; `ModelError` where they differ. None where none was published.
    """

    title: str
    source: str
    build: Callable[..., Embedder]
    layers: tuple[int, ...] | None = None
    checkpoint: str | None = None
    licence: str = ""
    classifies: bool = False
    known_output: KnownOutput | None = None

    @property
    def stated_licence(self) -> str:
        """The licence of the model, or of its published weights; empty where none is stated."""
        return self.licence or (CHECKPOINTS[self.checkpoint].licence if self.checkpoint else "")

    def make(self, part: PartName, weights: WeightSource) -> Embedder:
        """Build the model, or layers of it.

        Raises:
            ModelError: what was built is no embedder, or has no such layers.
        """
        takes_part = bool(inspect.signature(self.build).parameters)
        model: Any = self.build(part, weights) if takes_part else self.build()
        if not isinstance(model, Embedder):
            raise ModelError(f"{part} was built as {type(model).__name__}, a model is a soundloom.embedder.Embedder")
        if not takes_part and len(model.parts) == 1:
            for stream in model.streams:
                stream.renamed(part.word.rpartition(":")[2])
        return model.with_layers(part.layers) if part.layers and model.name != str(part) else model


MODELS: Registry[Model] = Registry(
    "model",
    ("soundloom.models",),
    base=Model,
    error=UnknownModelError,
    hint=" (see: soundloom models). One of your own is named package.module:object, or registered by a package that is "
    "installed",
)
"""Every model that can be loaded by name."""


def register_model(
    name: str,
    *,
    title: str,
    source: str = "",
    layers: Sequence[int] | None = None,
    checkpoint: Checkpoint | str | None = None,
    licence: str = "",
    classifies: bool = False,
    known_output: KnownOutput | None = None,
    aliases: Sequence[str] = (),
) -> Callable[[Callable[..., Embedder]], Callable[..., Embedder]]:
    """Register the function that builds a model; see `Model` for the arguments.

    Args:
        name: letters, digits, '_', '.' and '-'.
        title: what it is, in a line.
        source: a paper, a checkpoint.
        layers: the layers that can be named; those of the built model if not given.
        checkpoint: the published weights, which are registered with it, or the name of those registered already.
        licence: of the model, by SPDX name.
        classifies: whether its encoder has a classifier, whose classes are tags.
        known_output: compares an output with the published one.
        aliases: other names.

    Raises:
        ComponentError: the name is taken, or cannot be written in a model's name.
    """

    def register(build: Callable[..., Embedder]) -> Callable[..., Embedder]:
        for each in (name, *aliases):
            if not re.fullmatch(WORD, each):
                raise ComponentError(f"a model's name is letters, digits, '_', '.' and '-', got {each!r}")
        weights = register_checkpoint(checkpoint).name if isinstance(checkpoint, Checkpoint) else checkpoint
        numbers = None if layers is None else tuple(layers)
        row = Model(
            title=title,
            source=source,
            build=build,
            layers=numbers,
            checkpoint=weights,
            licence=licence,
            classifies=classifies,
            known_output=known_output,
        )
        MODELS.register(name, row, definition=build, aliases=aliases)
        return build

    return register


def published_stream(
    part: PartName,
    frontend: Frontend,
    encoder: Encoder,
    window: Window | None,
    *,
    pooling: str = "mean",
    min_samples: int | None = None,
) -> Stream:
    """The published embedding of an encoder, pooled as asked for; of a part with layers their fusion (Niizumi 2022)."""
    fused = "mean" if encoder.stride is None else "mean+max"
    return Stream(
        str(part),
        frontend,
        encoder,
        layers=part.layers or None,
        pooling=fused if part.layers else pooling,
        window=window,
        min_samples=min_samples,
    )


def load(
    name: str | os.PathLike[str] = DEFAULT,
    *,
    weights: str | os.PathLike[str] | Mapping[str, str | os.PathLike[str]] = "published",
    seed: int = 0,
    offline: bool = False,
    announce: Callable[[Announcement], None] | None = None,
    progress: Callable[[TransferProgress], None] | None = None,
    trust: bool = False,
) -> Embedder:
    """Build the model of that name, ready to embed.

    >>> model = load("logmel+mfcc")
    >>> model.dim, model.parts
    (248, {'logmel': slice(0, 128, None), 'mfcc': slice(128, 248, None)})

    Besides registered models a part can be one saved by `soundloom.save_pretrained`, or an audio model written by the
    transformers library: a path, such as ``logmel+./runs/mine`` (a folder beside you may do without the ``./``, unless
    a registered model has its name), or ``hf:owner/name`` on the Hugging Face hub; an ONNX file, ``onnx:FILE``
    (`soundloom.models.onnx_file`); or a function that builds one, as ``my_package.models:mine``, whose module is
    imported. With layers, ``./runs/mine#2#4``, their fusion.

    Args:
        name: the model's name, such as ``cnn14#3#6+logmel``, or the folder of a saved one.
        weights: "published" fetches them once and keeps them; "random" draws them from the seed; else a
            file of weights; or, for a model of several parts, part word -> any of these.
        seed: what random weights are drawn from.
        offline: never touch the network.
        announce: called with the address, size and hash of what is about to be downloaded.
        progress: called with the progress of a download.
        trust: whether code that a saved model names may be imported, though no installed package registers it
            (`soundloom.components.trust`).

    Raises:
        UnknownModelError: no such model, or no such layer; or the name is no text.
        ModelError: the weights cannot be had, or are of another model; a saved model is missing, damaged, or
            needs code that is not trusted.
        ComponentError: ``package.module:object`` cannot be imported.
    """
    if not isinstance(name, (str, os.PathLike)):
        raise UnknownModelError(
            f"a model is named by text, such as {DEFAULT!r}, or by its folder; got a {type(name).__name__}"
        )
    name = os.fspath(name)
    source = WeightSource(weights=weights, seed=seed, offline=offline, announce=announce, progress=progress)
    parts = name_parts(name)
    rows = [registered_part(part) if isinstance(part, PartName) else None for part in parts]
    named = [(part.word, row) for part, row in zip(parts, rows, strict=True) if isinstance(part, PartName) and row]
    words = [word for word, row in named if row.checkpoint]
    # Before anything is fetched: a weights file given to the wrong model should not cost a download.
    learned = [str(part) for part, row in zip(parts, rows, strict=True) if row is None or str(part) == packaged.NAME]
    source.check_used(words, name, learned)
    with one_thread:  # threads wait for each other longer than filters and windows take to compute
        embedders = [
            row.make(part, source) if isinstance(part, PartName) and row else _saved(part, offline, announce, trust)
            for part, row in zip(parts, rows, strict=True)
        ]
    model = embedders[0] if len(embedders) == 1 else Woven(embedders)
    return model.eval()


@dataclass(frozen=True, kw_only=True)
class ModelPart:
    """A part of a model's name, and what is known of it without loading it.

    Attributes:
        name: as it is written.
        row: what is registered; None of a saved model.
        folder: where a saved model lies on this machine, or the file of an ONNX graph; None of a registered one.
        licence: by SPDX name, of the row or the folder's card; None where none is stated.
    """

    name: str
    row: Model | None
    folder: Path | None
    licence: str | None


def model_parts(name: str, *, offline: bool = False) -> list[ModelPart]:
    """The parts of a model, described; what is on the hub is fetched.

    Raises:
        UnknownModelError: no such model, or no such layer.
        ModelError: a saved model cannot be had.
    """
    found = []
    for part in name_parts(name):
        if isinstance(part, PartName):
            row = registered_part(part)
            found.append(ModelPart(name=str(part), row=row, folder=None, licence=row.stated_licence or None))
        else:
            graph = is_onnx(part.place)
            place = path_of(part.place) if graph else folder_of(part.place, offline=offline)
            licence = read_sidecar(place).licence if graph else stated_licence(place)
            found.append(ModelPart(name=str(part), row=None, folder=place, licence=licence))
    return found


def absolute(name: str) -> str:
    """A name that means the same in every folder: relative paths of saved models made absolute."""
    parts = [
        part
        if isinstance(part, PartName) or is_address(part.place)
        else replace(part, place=_absolute_place(part.place))
        for part in name_parts(name)
    ]
    return "+".join(map(str, parts))


def _absolute_place(place: str) -> str:
    if is_onnx(place):
        return f"onnx:{os.path.abspath(path_of(place))}"
    return os.path.abspath(os.path.expanduser(place))


def check_trusted_name(name: str, where: str, trust: bool = False) -> None:
    """Refuse to import code for a model's name that a file holds, such as a library's settings.

    Raises:
        ComponentError: a part is ``package.module:object`` and not trusted (`soundloom.components.trust`).
    """
    for part in name_parts(name):
        if isinstance(part, PartName) and is_object_name(part.word):
            check_trusted(part.word, where, trust)


def name_parts(name: str) -> list[PartName | SavedName]:
    """The parts of a name in order: of the table, or where a saved model is."""

    def saved(text: str) -> bool:
        place = SavedName.of(text).place
        return (
            is_address(place)
            or is_onnx(place)
            or (not is_object_name(place) and is_saved(place) and place not in MODELS)
        )

    # A path may itself hold a '+', or end like a layer.
    if os.path.isdir(os.path.expanduser(name)) and is_saved(name) and SavedName.of(name).place not in MODELS:
        return [SavedName(name)]
    texts = [text.strip() for text in name.split("+")]
    if all(map(saved, texts)):
        return [SavedName.of(text) for text in texts]
    named = iter(parse("+".join(text for text in texts if not saved(text))))
    return [SavedName.of(text) if saved(text) else next(named) for text in texts]


def _saved(
    part: PartName | SavedName, offline: bool, announce: Callable[[Announcement], None] | None, trust: bool
) -> Embedder:
    """The saved model, or layers of it.

    Raises:
        ModelError: layers are asked of a weaving, or of an encoder that does not have them; or as `from_pretrained`.
    """
    assert isinstance(part, SavedName)
    model = from_pretrained(part.place, offline=offline, announce=announce, trust=trust)
    return model.with_layers(part.layers) if part.layers else model


def registered_part(part: PartName) -> Model:
    """The registered model, or the function, that a part names; the part must ask for layers that it has."""
    row = MODELS.find(part.word, adapt=_adapted)
    if part.layers and row.layers == ():
        raise UnknownModelError(f"{part.word!r} has no numbered layers: leave out {str(part)[len(part.word) :]!r}")
    if row.layers is not None and not set(part.layers) <= set(row.layers):
        raise UnknownModelError(f"{str(part)!r}: the layers of {part.word!r} are {', '.join(map(str, row.layers))}")
    return row


def _adapted(target: object, name: str) -> Model:
    """A model of something that is not registered: a function or class that builds it, or the model itself."""
    if isinstance(target, Model):
        return target
    if isinstance(target, Embedder):
        return Model(title=name, source=name, build=lambda: target)
    if callable(target):
        return Model(title=(inspect.getdoc(target) or name).partition("\n")[0], source=name, build=target)
    raise ComponentError(f"{name!r} is {target!r}: a model is named by a function that builds an Embedder")
