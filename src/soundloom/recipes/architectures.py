"""Streams before any learning, by name: what ``--stream`` of every recipe chooses from.

Those of log-mel windows are 64 bands by 96 frames, 0.96 s (Jansen 2017, section 4.1): a longer sound is cut into
windows, whose embeddings are averaged, and what is left at its end is filled with the log-mel of silence.

Those of Verma 2023 (section 3) hear 1 s at a time, each one property of it, with a transformer: `pitch`, `timbre`,
`waveform`, `neuralogram`. A rest is filled with silence and weighs as much as it is long. What the paper is silent
about: cepstral coefficients and the Neuralogram's columns, whose ranges are a hundred times those of the positions
that are added to them, come scaled to mean 0 and deviation 1 over the training sounds (`recipes.standardising`).

`neuralogram` stacks what a network says that is trained before it, which `recipes.diverse` does.

`notes` hears which note sounds, every 50 ms, at any length (`soundloom.encoders.PitchEncoder`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

from soundloom.embedder import Stream, Window
from soundloom.encoders import (
    CNN14,
    RESNET18,
    RESNET50,
    CNN14Settings,
    Encoder,
    MobileNetV1,
    Neuralogram,
    PitchEncoder,
    ResNet,
    ResNetSettings,
    Transformer,
    TransformerSettings,
    WaveformTransformer,
    initialise,
)
from soundloom.errors import UnknownModelError
from soundloom.feature_cache import Form, MelEnergies, Represented, Samples
from soundloom.frontends import (
    MFCC,
    ConstantQ,
    ConstantQSettings,
    Frontend,
    LogMel,
    NormalisedFrontend,
    PeakMap,
    PerSecond,
    WaveformPatches,
)
from soundloom.objectives.windows import unscaled
from soundloom.training import TrainingError

__all__ = ["CHUNK", "FRAMES", "LOWEST_NOTE", "STREAMS", "alone", "build_stream", "changing_form_of", "form_of"]

FRAMES = 96
"""Frames of a log-mel window."""

LOWEST_NOTE = 24
"""MIDI number of the first of the 84 notes that the stream of notes hears: C1, 32.7 Hz."""

CHUNK = 1.0
"""Seconds of a window of the streams that are not of log-mel frames."""


def _windows(name: str, encoder: Callable[[], Encoder], seed: int) -> Stream:
    """A stream of log-mel windows."""
    frontend, network = LogMel.jansen(), encoder()
    initialise(network, seed)
    window = Window(frames=FRAMES, fixed=True, fill=math.log(frontend.settings.floor))
    return Stream(name, frontend, network, layers=None, pooling="mean", window=window)


_HERSHEY = ResNetSettings(depths=RESNET50.depths, widths=RESNET50.widths, bottleneck=RESNET50.bottleneck, stem_stride=1)
_SMALL = ResNetSettings(depths=(1, 1, 1, 1), widths=(32, 64, 128, 256), bottleneck=False)
_NARROW = CNN14Settings(widths=(16, 32, 64, 128, 256, 512), dim=512)
_BANDS = TransformerSettings(bins=64)

_LOG_MEL: Mapping[str, Callable[[], Encoder]] = {
    "resnet50-hershey": partial(ResNet, _HERSHEY),
    "resnet50": partial(ResNet, RESNET50),
    "resnet18": partial(ResNet, RESNET18),
    "resnet-small": partial(ResNet, _SMALL),
    "mobilenet": MobileNetV1,
    "cnn14": CNN14,
    "cnn14-small": partial(CNN14, _NARROW),
    "transformer": partial(Transformer, _BANDS),
}


def _seconds(name: str, frontend: Callable[[], Frontend], encoder: Callable[[], Encoder], seed: int) -> Stream:
    """A stream that hears a second at a time."""
    hearing, network = frontend(), encoder()
    initialise(network, seed)
    inner = unscaled(hearing)
    if isinstance(inner, Neuralogram):
        initialise(inner.network, seed)
    window = Window(frames=hearing.frames(hearing.sample_rate), fixed=True)
    return Stream(name, hearing, network, layers=None, pooling="mean", window=window)


def _transformer(bins: int) -> Callable[[], Encoder]:
    return partial(Transformer, TransformerSettings(bins=bins))


_VERMA: Mapping[str, tuple[Callable[[], Frontend], Callable[[], Encoder]]] = {
    "pitch": (lambda: PerSecond(PeakMap.verma()), _transformer(80)),
    "timbre": (lambda: NormalisedFrontend(PerSecond(MFCC.verma())), _transformer(12)),
    "waveform": (WaveformPatches, WaveformTransformer),
    "neuralogram": (lambda: NormalisedFrontend(Neuralogram()), _transformer(Neuralogram.bins)),
}


def _notes(seed: int) -> Stream:
    """A stream of notes."""
    frequency = 440 * 2 ** ((LOWEST_NOTE - 69) / 12)
    frontend = ConstantQ(ConstantQSettings(bins=84, fmin=frequency, hop_length=800))
    encoder = PitchEncoder()
    initialise(encoder, seed)
    return Stream("notes", frontend, encoder, layers=(1,), pooling="mean")


STREAMS: Mapping[str, Callable[[int], Stream]] = MappingProxyType(
    {name: partial(_windows, name, encoder) for name, encoder in _LOG_MEL.items()}
    | {name: partial(_seconds, name, *parts) for name, parts in _VERMA.items()}
    | {"notes": _notes}
)
"""Name -> what builds the stream, its weights drawn from a seed.

``resnet50-hershey`` is the network of the paper, whose first convolution has no stride: four times the work of
``resnet50``.
"""


def build_stream(kind: str, seed: int, name: str) -> Stream:
    """A stream of that kind, under a name of its own.

    A model is called after its run and not after its kind, so that several of a kind can be compared and woven.

    Raises:
        UnknownModelError: no such kind.
    """
    if kind not in STREAMS:
        raise UnknownModelError(f"no stream {kind!r}: there are {', '.join(STREAMS)}")
    stream = STREAMS[kind](seed)
    stream.name, stream.parts = name, {name: slice(0, stream.dim)}
    return stream


def form_of(stream: Stream) -> Form:
    """How clips are kept for a stream: frames of mel energies for log-mel windows, else representations of chunks."""
    frontend = unscaled(stream.frontend)
    return MelEnergies(frontend) if isinstance(frontend, LogMel) else Represented(frontend, seconds=CHUNK)


def changing_form_of(stream: Stream) -> Form:
    """As `form_of`, for objectives that change sounds before they are heard: mel energies, else samples."""
    frontend = unscaled(stream.frontend)
    return MelEnergies(frontend) if isinstance(frontend, LogMel) else Samples(frontend.sample_rate)


def alone(stream: Stream, recipe: str) -> Stream:
    """The stream, if it can be trained by itself.

    Args:
        stream: what is to learn.
        recipe: what `soundloom train` calls the objective that it is to learn by.

    Raises:
        TrainingError: a network within its front-end has to be trained before.
    """
    if isinstance(unscaled(stream.frontend), Neuralogram):
        raise TrainingError(
            "the columns of the stream neuralogram come from a network that is trained before it: soundloom train "
            f"diverse CORPUS --streams neuralogram --objective {recipe} trains both"
        )
    return stream
