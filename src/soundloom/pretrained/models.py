"""The models there are: one table from a name's word to what builds it."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass

from soundloom.embedder import Embedder, Stream, Woven
from soundloom.encoders.identity import Identity
from soundloom.errors import UnknownModelError
from soundloom.frontends.mel import LogMel
from soundloom.frontends.mfcc import MFCC
from soundloom.frontends.peaks import PeakMap
from soundloom.pretrained.names import PartName, parse

__all__ = ["DEFAULT", "MODELS", "Model", "load"]

DEFAULT = "logmel+mfcc"
"""What `soundloom index`, `search` and `embed` use unless told otherwise."""


@dataclass(frozen=True, kw_only=True)
class Model:
    """A row of the table.

    Attributes:
        title: what it is, in a line.
        source: where it comes from: a paper, a checkpoint.
        build: makes the part.
        layers: the layer numbers that can be named after '#'; none if there is nothing to choose.
    """

    title: str
    source: str
    build: Callable[[PartName], Embedder]
    layers: tuple[int, ...] = ()


def _logmel(part: PartName) -> Embedder:
    return Stream(str(part), LogMel.jansen(), Identity(), layers=(1,), pooling="mean,deviation")


def _mfcc(part: PartName) -> Embedder:
    return Stream(str(part), MFCC.coala(), Identity(), layers=(1,), pooling="mean,deviation")


def _peaks(part: PartName) -> Embedder:
    return Stream(str(part), PeakMap.verma(), Identity(), layers=(1,), pooling="mean")


MODELS: dict[str, Model] = {
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
}


def load(name: str = DEFAULT) -> Embedder:
    """Build the model of that name, ready to embed.

    >>> model = load("logmel+mfcc")
    >>> model.dim, model.parts
    (248, {'logmel': slice(0, 128, None), 'mfcc': slice(128, 248, None)})

    Raises:
        UnknownModelError: no such model, or no such layer.
    """
    embedders = [_build(part) for part in parse(name)]
    model = embedders[0] if len(embedders) == 1 else Woven(embedders)
    return model.eval()


def _build(part: PartName) -> Embedder:
    if part.word not in MODELS:
        near = difflib.get_close_matches(part.word, MODELS, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise UnknownModelError(f"no model {part.word!r}: {hint}There are {', '.join(MODELS)} (see: soundloom models)")
    row = MODELS[part.word]
    if part.layers and not row.layers:
        raise UnknownModelError(f"{part.word!r} has no numbered layers: leave out {str(part)[len(part.word) :]!r}")
    return row.build(part)
