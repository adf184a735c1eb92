"""Untrained streams by name: what ``--stream`` of every recipe chooses from.

Streams of log-mel windows have 64 bands by 96 frames, 0.96 s (Jansen 2017, section 4.1). A longer sound is cut into
windows, whose embeddings are averaged; the rest at its end is filled with the log-mel of silence.

Streams of Verma 2023 (section 3) take 1 s at a time, each one property of it, with a transformer: `pitch`, `timbre`,
`waveform`, `neuralogram`. The maxima of `waveform`'s filters are compressed by a logarithm, those of `waveform-maxima`
are taken as they are. A rest is filled with silence and weighs as much as it is long. Not in the paper: cepstral
coefficients and the Neuralogram's columns, whose ranges are a hundred times those of the positions that are added to
them, are normalised to mean 0 and deviation 1 over the training sounds (`recipes.normalisation`).

`coala` is the audio encoder of Favory 2020. `notes` embeds which note sounds, every 50 ms, at any length
(`soundloom.encoders.PitchEncoder`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import cast

from soundloom.components import Registry
from soundloom.embedder import Stream, Window
from soundloom.encoders import (
    CNN14,
    RESNET18,
    RESNET50,
    CNN14Settings,
    COALAAudioEncoder,
    Encoder,
    MobileNetV1,
    Neuralogram,
    PitchEncoder,
    ResNet,
    ResNetSettings,
    Transformer,
    TransformerSettings,
    WaveformSettings,
    WaveformTransformer,
    initialise,
)
from soundloom.errors import ComponentError, UnknownModelError
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
from soundloom.objectives.pitch import LOWEST_NOTE

__all__ = ["FRAMES", "STREAMS", "Architecture", "build_stream"]

FRAMES = 96
"""Frames of a log-mel window."""


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """An untrained stream.

    Attributes:
        build: makes it, its weights drawn from a seed.
        pitch_sensitive: whether the stream must distinguish a sound from its transposition, so that no positive of a
            triplet is transposed.
        trainings: how many trainings it takes: 2 where a network inside its front-end is trained first.
    """

    build: Callable[[int], Stream]
    pitch_sensitive: bool = False
    trainings: int = 1


STREAMS: Registry[Architecture] = Registry("stream", ("soundloom.recipes.architectures",), error=UnknownModelError)
"""Every stream that can be trained, by name; ``package.module:function`` names one of your own, ``function(seed)``."""


def _log_mel(name: str, frontend: Callable[[], LogMel], encoder: Callable[[], Encoder], seed: int) -> Stream:
    """A stream of log-mel windows; a rest is filled with the log-mel of silence."""
    network = encoder()
    initialise(network, seed)
    representation = frontend()
    window = Window(frames=FRAMES, fixed=True, fill=math.log(representation.settings.floor))
    return Stream(name, representation, network, layers=None, pooling="mean", window=window)


def _faint_mel() -> LogMel:
    """YAMNet's bands with a lower floor, so that a quiet sound is distinguished from silence."""
    return LogMel(replace(LogMel.yamnet().settings, floor=1e-5))


def _coala(seed: int) -> Stream:
    """COALA's audio encoder over its front-end, whose bands are yet to be scaled."""
    encoder = COALAAudioEncoder()
    initialise(encoder, seed)
    window = Window(frames=FRAMES, fixed=True)
    return Stream("coala", NormalisedFrontend(LogMel.coala()), encoder, layers=None, pooling="mean", window=window)


def _second(name: str, frontend: Callable[[], Frontend], encoder: Callable[[], Encoder], seed: int) -> Stream:
    """A stream that takes a second at a time."""
    representation, network = frontend(), encoder()
    initialise(network, seed)
    inner = representation.base.pretrained_network
    if inner is not None:
        initialise(cast(Encoder, inner), seed)
    window = Window(frames=representation.frames(representation.sample_rate), fixed=True)
    return Stream(name, representation, network, layers=None, pooling="mean", window=window)


def _notes(seed: int) -> Stream:
    """A stream of notes."""
    frequency = 440 * 2 ** ((LOWEST_NOTE - 69) / 12)
    frontend = ConstantQ(ConstantQSettings(bins=84, fmin=frequency, hop_length=800))
    encoder = PitchEncoder()
    initialise(encoder, seed)
    return Stream("notes", frontend, encoder, layers=(1,), pooling="mean")


def _transformer(bins: int) -> Callable[[], Encoder]:
    return partial(Transformer, TransformerSettings(bins=bins))


# Hershey 2017, whose network Jansen 2017 takes: the first convolution has no stride, four times the work of resnet50.
_HERSHEY = ResNetSettings(depths=RESNET50.depths, widths=RESNET50.widths, bottleneck=RESNET50.bottleneck, stem_stride=1)
_SMALL = ResNetSettings(depths=(1, 1, 1, 1), widths=(32, 64, 128, 256), bottleneck=False)
_STUDENT = ResNetSettings(depths=(1, 1, 1, 1), widths=(32, 64, 192, 384), bottleneck=False, dim=512)
_NARROW = CNN14Settings(widths=(16, 32, 64, 128, 256, 512), dim=512)

for _name, _encoder in (
    ("resnet50-hershey", partial(ResNet, _HERSHEY)),
    ("resnet50", partial(ResNet, RESNET50)),
    ("resnet18", partial(ResNet, RESNET18)),
    ("resnet-small", partial(ResNet, _SMALL)),
    ("mobilenet", MobileNetV1),
    ("cnn14", CNN14),
    ("cnn14-small", partial(CNN14, _NARROW)),
    ("transformer", _transformer(64)),
):
    STREAMS.register(_name, Architecture(build=partial(_log_mel, _name, LogMel.jansen, _encoder)))

_student = partial(_log_mel, "resnet-student", _faint_mel, partial(ResNet, _STUDENT))
STREAMS.register("resnet-student", Architecture(build=_student))


def _register_second(
    name: str,
    frontend: Callable[[], Frontend],
    encoder: Callable[[], Encoder],
    *,
    pitch_sensitive: bool = False,
    trainings: int = 1,
) -> None:
    build = partial(_second, name, frontend, encoder)
    STREAMS.register(name, Architecture(build=build, pitch_sensitive=pitch_sensitive, trainings=trainings))


_register_second("pitch", lambda: PerSecond(PeakMap.verma()), _transformer(80), pitch_sensitive=True)
_register_second("timbre", lambda: NormalisedFrontend(PerSecond(MFCC.verma())), _transformer(12))
_register_second("waveform", WaveformPatches, WaveformTransformer)
_MAXIMA = WaveformSettings(compress=False)
_register_second("waveform-maxima", WaveformPatches, partial(WaveformTransformer, _MAXIMA))
_register_second("neuralogram", lambda: NormalisedFrontend(Neuralogram()), _transformer(Neuralogram.bins), trainings=2)
STREAMS.register("coala", Architecture(build=_coala))
STREAMS.register("notes", Architecture(build=_notes, pitch_sensitive=True))


def build_stream(kind: str, seed: int, name: str) -> Stream:
    """A stream of that kind, under a name of its own.

    A model is called after its run and not after its kind, so that several of a kind can be compared and woven.

    Raises:
        UnknownModelError: no such kind.
        ComponentError: a ``package.module:function`` that cannot be imported, or gives no stream.
    """
    stream = STREAMS.find(kind, adapt=_adapted).build(seed)
    return stream.renamed(name)


def _adapted(target: object, name: str) -> Architecture:
    """The architecture of an imported object, a function from a seed to a stream."""
    if isinstance(target, Architecture):
        return target
    if not callable(target):
        raise ComponentError(f"{name!r} is a {type(target).__name__}, not a function from a seed to a Stream")
    return Architecture(build=target)
