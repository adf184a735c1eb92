"""The models there are: one table from a name's word to what builds it."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from soundloom.embedder import Embedder, Stream, Woven
from soundloom.encoders import CNN14, COALAAudioEncoder, Identity, VGGish
from soundloom.errors import ModelError, UnknownModelError
from soundloom.frontends import MFCC, LogMel, PeakMap
from soundloom.models import zoo
from soundloom.models.download import Announcement
from soundloom.models.http_transfer import Progress
from soundloom.models.hub import is_address
from soundloom.models.names import PartName, SavedName, parse
from soundloom.models.saved_model import PACKAGED, from_pretrained, is_saved
from soundloom.models.weight_source import WeightSource

__all__ = ["DEFAULT", "MODELS", "Model", "absolute", "load"]

DEFAULT = "loom"
"""What `soundloom index`, `search` and `embed` use unless told otherwise."""


@dataclass(frozen=True, kw_only=True)
class Model:
    """A row of the table.

    Attributes:
        title: what it is, in a line.
        source: where it comes from: a paper, a checkpoint.
        build: makes the part.
        layers: the layer numbers that can be named after '#'; none if there is nothing to choose.
        checkpoint: the published weights' name; None if there is nothing to train.
    """

    title: str
    source: str
    build: Callable[[PartName, WeightSource], Embedder]
    layers: tuple[int, ...] = ()
    checkpoint: str | None = None


def _logmel(part: PartName, _: WeightSource) -> Embedder:
    return Stream(str(part), LogMel.jansen(), Identity(), layers=(1,), pooling="mean,deviation")


def _mfcc(part: PartName, _: WeightSource) -> Embedder:
    return Stream(str(part), MFCC.coala(), Identity(), layers=(1,), pooling="mean,deviation")


def _peaks(part: PartName, _: WeightSource) -> Embedder:
    return Stream(str(part), PeakMap.verma(), Identity(), layers=(1,), pooling="mean")


def _packaged(part: PartName, _: WeightSource) -> Embedder:
    return from_pretrained(PACKAGED / part.word)


MODELS: dict[str, Model] = {
    "loom": Model(
        title="pitch, timbre, texture and a general ear, 560 numbers that can be steered; knows words",
        source="trained by soundloom on openly licensed sounds; comes with the package",
        build=_packaged,
    ),
    "logmel": Model(
        title="mean and deviation over time of 64 log-mel bands",
        source="front-end of Jansen 2017, section 4.1; nothing to train",
        build=_logmel,
    ),
    "mfcc": Model(
        title="mean and deviation over time of 20 MFCC with first and second differences",
        source="baseline of Favory 2020, section 3.1, at 16 kHz; nothing to train",
        build=_mfcc,
    ),
    "peaks": Model(
        title="how often each of 80 semitones from 40 Hz is a spectral peak",
        source="peak map of Verma 2023, section 3.1, averaged over time; nothing to train",
        build=_peaks,
    ),
    "vggish": Model(
        title="VGGish, 128 numbers; layers as vggish#10#15",
        source="Hershey 2017, trained on YouTube-8M; fusion of Niizumi 2022",
        build=zoo.vggish,
        layers=VGGish.available,
        checkpoint="vggish",
    ),
    "cnn14": Model(
        title="CNN14 at 16 kHz, 2048 numbers; layers as cnn14#3#6",
        source="Kong 2020 (PANNs), trained on AudioSet; fusion of Niizumi 2022",
        build=zoo.cnn14_16k,
        layers=CNN14.available,
        checkpoint="cnn14-16k",
    ),
    "cnn14-32k": Model(
        title="CNN14 at 32 kHz, 2048 numbers; layers as cnn14-32k#3#6",
        source="Kong 2020 (PANNs), trained on AudioSet",
        build=zoo.cnn14_32k,
        layers=CNN14.available,
        checkpoint="cnn14-32k",
    ),
    "ast": Model(
        title="Audio Spectrogram Transformer, 768 numbers; layers as ast#5#12",
        source="Gong 2021, trained on AudioSet; fusion of Niizumi 2022",
        build=zoo.ast,
        layers=tuple(range(1, 13)),
        checkpoint="ast",
    ),
    "coala": Model(
        title="COALA's audio encoder, 1152 numbers, aligned with tags",
        source="Favory 2020, trained on Freesound",
        build=zoo.coala,
        layers=COALAAudioEncoder.available,
        checkpoint="coala-audio",
    ),
}


def load(
    name: str = DEFAULT,
    *,
    weights: str | os.PathLike[str] | Mapping[str, str | os.PathLike[str]] = "published",
    seed: int = 0,
    offline: bool = False,
    announce: Callable[[Announcement], None] | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Embedder:
    """Build the model of that name, ready to embed.

    >>> model = load("logmel+mfcc")
    >>> model.dim, model.parts
    (248, {'logmel': slice(0, 128, None), 'mfcc': slice(128, 248, None)})

    Besides the models of the table a part can be one saved by `soundloom.save_pretrained`: a path, such as
    ``logmel+./runs/mine`` (a folder beside you may do without the ``./``, unless a model of the table has its name),
    or ``hf:owner/name`` on the Hugging Face hub; with layers, ``./runs/mine#2#4``, their fusion.

    Args:
        name: the model's name, such as ``cnn14#3#6+logmel``.
        weights: "published" fetches them once and keeps them; "random" draws them from the seed; else a
            file of weights; or, for a model of several parts, part word -> any of these.
        seed: what random weights are drawn from.
        offline: never touch the network.
        announce: told the address, size and hash of what is about to be fetched.
        progress: told how far a download is.

    Raises:
        UnknownModelError: no such model, or no such layer.
        ModelError: the weights cannot be had, or are of another model; a saved model is missing or damaged.
    """
    source = WeightSource(weights=weights, seed=seed, offline=offline, announce=announce, progress=progress)
    parts = _parts(name)
    words = [part.word for part in parts if isinstance(part, PartName) and _row(part).checkpoint]
    # Before anything is fetched: a weights file given to the wrong model should not cost a download.
    source.check_used(words, name)
    embedders = [
        MODELS[part.word].build(part, source) if isinstance(part, PartName) else _saved(part, offline, announce)
        for part in parts
    ]
    model = embedders[0] if len(embedders) == 1 else Woven(embedders)
    return model.eval()


def absolute(name: str) -> str:
    """A name that means the same in every folder: relative paths of saved models made absolute."""
    parts = [
        part
        if isinstance(part, PartName) or is_address(part.place)
        else replace(part, place=os.path.abspath(os.path.expanduser(part.place)))
        for part in _parts(name)
    ]
    return "+".join(map(str, parts))


def _parts(name: str) -> list[PartName | SavedName]:
    """The parts of a name in order: of the table, or where a saved model is."""

    def saved(text: str) -> bool:
        place = SavedName.of(text).place
        return place not in MODELS and is_saved(place)

    # A path may itself hold a '+', or end like a layer.
    if os.path.isdir(os.path.expanduser(name)) and is_saved(name) and SavedName.of(name).place not in MODELS:
        return [SavedName(name)]
    texts = [text.strip() for text in name.split("+")]
    if all(map(saved, texts)):
        return [SavedName.of(text) for text in texts]
    named = iter(parse("+".join(text for text in texts if not saved(text))))
    return [SavedName.of(text) if saved(text) else next(named) for text in texts]


def _saved(part: SavedName, offline: bool, announce: Callable[[Announcement], None] | None) -> Embedder:
    """The saved model, or layers of it.

    Raises:
        ModelError: layers are asked of a weaving, or of an encoder that does not have them; or as `from_pretrained`.
    """
    model = from_pretrained(part.place, offline=offline, announce=announce)
    if not part.layers:
        return model
    if not isinstance(model, Stream):
        raise ModelError(f"{part}: {model.name!r} is woven of {', '.join(model.parts)}: layers are of a single stream")
    return model.with_layers(part.layers)


def _row(part: PartName) -> Model:
    """The table's row for a part, which must ask for layers that it has."""
    if part.word not in MODELS:
        near = difflib.get_close_matches(part.word, MODELS, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise UnknownModelError(f"no model {part.word!r}: {hint}There are {', '.join(MODELS)} (see: soundloom models)")
    row = MODELS[part.word]
    if part.layers and not row.layers:
        raise UnknownModelError(f"{part.word!r} has no numbered layers: leave out {str(part)[len(part.word) :]!r}")
    if not set(part.layers) <= set(row.layers):
        raise UnknownModelError(f"{str(part)!r}: the layers of {part.word!r} are {', '.join(map(str, row.layers))}")
    return row
