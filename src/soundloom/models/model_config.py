"""What a saved model is made of, as plain data: from a model to ``config.json`` and back.

Front-ends and encoders are named by their classes, the names that `Embedder.settings` counts into a fingerprint,
and built from their own frozen settings. ``FRONTENDS`` is the one table of the former; the encoders are those of
`soundloom.encoders.ENCODERS`. Weights are no part of this.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from importlib.metadata import version
from types import MappingProxyType
from typing import Any, cast

import torch
from torch import nn

from soundloom.components import from_plain
from soundloom.embedder import Embedder, Reduction, Stream, Window, Woven
from soundloom.encoders import (
    AST,
    CNN14,
    ENCODERS,
    ASTSettings,
    CNN14Settings,
    Encoder,
    Neuralogram,
    NeuralogramSettings,
    Notes,
    NotesSettings,
    ResNet,
    ResNetSettings,
    Transformer,
    TransformerSettings,
    WaveformSettings,
    WaveformTransformer,
)
from soundloom.errors import ModelError
from soundloom.frontends import (
    MFCC,
    BySecond,
    Chunks,
    ConstantQ,
    ConstantQSettings,
    Fbank,
    FbankSettings,
    Frontend,
    LogMel,
    LogMelSettings,
    MFCCSettings,
    PatchSettings,
    PeakMap,
    Scaled,
    Texture,
    TextureSettings,
    WaveformPatches,
)

__all__ = ["FORMAT", "FRONTENDS", "ModelConfig", "ModuleConfig", "StreamConfig", "streams"]

_Kinds = Mapping[str, type[nn.Module]]

FORMAT = 1
"""Version of the layout of a saved model; another version is refused."""

FRONTENDS: Mapping[str, type[Frontend]] = MappingProxyType(
    {
        kind.__name__: kind
        for kind in (  # every one there is
            LogMel,
            Fbank,
            MFCC,
            ConstantQ,
            WaveformPatches,
            Chunks,
            PeakMap,
            Texture,
            Scaled,
            BySecond,
            Neuralogram,
        )
    }
)
"""The front-ends that a saved model can have, by name."""


def _class(build: Callable[[], Encoder]) -> type[Encoder]:
    """The class of a row of the encoders' table, which is the class itself or one with its settings."""
    return cast(type[Encoder], build.func if isinstance(build, partial) else build)


_ENCODERS: Mapping[str, type[Encoder]] = {kind.__name__: kind for kind in map(_class, ENCODERS.values())}

_INNER: Mapping[type[nn.Module], str] = {PeakMap: "constant_q", Scaled: "inner", BySecond: "inner"}
"""Front-ends around another front-end, and the attribute that holds it."""

_SETTINGS: Mapping[type[nn.Module], type] = {
    LogMel: LogMelSettings,
    Fbank: FbankSettings,
    MFCC: MFCCSettings,
    ConstantQ: ConstantQSettings,
    WaveformPatches: PatchSettings,
    Chunks: PatchSettings,
    Texture: TextureSettings,
    AST: ASTSettings,
    CNN14: CNN14Settings,
    ResNet: ResNetSettings,
    Transformer: TransformerSettings,
    WaveformTransformer: WaveformSettings,
    Neuralogram: NeuralogramSettings,
    Notes: NotesSettings,
}
"""What the others are built from; those that are not here either are built from nothing."""


@dataclass(frozen=True, kw_only=True)
class ModuleConfig:
    """A front-end or an encoder.

    Attributes:
        type: its class.
        settings: what it is built from.
        inner: the front-end that it wraps, if it does.
    """

    type: str
    settings: dict[str, Any] = field(default_factory=dict)
    inner: ModuleConfig | None = None

    @classmethod
    def of(cls, module: nn.Module, known: _Kinds) -> ModuleConfig:
        """Describe a module.

        Raises:
            ModelError: it is none of those known.
        """
        kind = type(module)
        if kind not in known.values():
            raise ModelError(f"cannot save a {kind.__name__}: a saved model is made of {', '.join(known)}")
        if kind in _INNER:
            return cls(type=kind.__name__, inner=cls.of(getattr(module, _INNER[kind]), known))
        settings: Any = module.settings if kind in _SETTINGS else None
        return cls(type=kind.__name__, settings={} if settings is None else asdict(settings))

    def build(self, known: _Kinds, where: str) -> nn.Module:
        """Make the module anew, without its weights.

        Raises:
            ModelError: there is no such type, or these are not its settings.
        """
        kind = known.get(self.type)
        if kind is None:
            raise ModelError(f"{where}.type: no {self.type!r}: there are {', '.join(known)}")
        if (kind in _INNER) != (self.inner is not None):
            raise ModelError(f"{where}: {self.type} {'needs' if kind in _INNER else 'has no'} inner front-end")
        if self.settings and kind not in _SETTINGS:
            raise ModelError(f"{where}.settings: {self.type} has none, got {', '.join(self.settings)}")
        arguments: list[Any] = []
        if self.inner is not None:
            arguments.append(self.inner.build(known, f"{where}.inner"))
        if kind in _SETTINGS:
            arguments.append(from_plain(_SETTINGS[kind], self.settings, f"{where}.settings", error=ModelError))
        try:
            return kind(*arguments)
        except ValueError as error:
            raise ModelError(f"{where}: {error}") from None


@dataclass(frozen=True, kw_only=True)
class StreamConfig:
    """A stream; attributes are those of `soundloom.embedder.Stream`, a reduction being from how many to how many."""

    name: str
    frontend: ModuleConfig
    encoder: ModuleConfig
    layers: tuple[int, ...] | None
    pooling: str
    window: Window | None
    min_samples: int
    reduction: tuple[int, ...] | None = None

    @classmethod
    def of(cls, stream: Embedder) -> StreamConfig:
        """Describe a stream.

        Raises:
            ModelError: it is not made of parts that can be saved.
        """
        if type(stream) is not Stream:
            raise ModelError(
                f"cannot save {stream.name!r}, a {type(stream).__name__}: only streams and weavings of them"
            )
        return cls(
            name=stream.name,
            frontend=ModuleConfig.of(stream.frontend, FRONTENDS),
            encoder=ModuleConfig.of(stream.encoder, _ENCODERS),
            layers=stream.wanted,
            pooling=stream.pooling,
            window=stream.window,
            min_samples=stream.min_samples,
            reduction=None if stream.reduction is None else stream.reduction.size,
        )

    def modules(self, where: str) -> nn.ModuleDict:
        """Front-end, reduction if there is one, and the encoder with nothing in its parameters, not even numbers.

        A full-sized encoder takes seconds to draw weights that a file is about to replace.

        Raises:
            ModelError: as for `ModuleConfig.build`.
        """
        frontend = self.frontend.build(FRONTENDS, f"{where}.frontend")
        with torch.device("meta"):
            encoder = self.encoder.build(_ENCODERS, f"{where}.encoder")
        modules = nn.ModuleDict({"frontend": frontend, "encoder": encoder})
        if self.reduction is not None:
            if len(self.reduction) != 2 or min(self.reduction) < 1:
                raise ModelError(f"{where}.reduction is from how many numbers to how many, got {self.reduction}")
            modules["reduction"] = Reduction(*self.reduction)
        return modules

    def stream(self, modules: nn.ModuleDict, where: str) -> Stream:
        """The stream of those modules, weights and all.

        Raises:
            ModelError: they do not fit together.
        """
        try:
            return Stream(
                self.name,
                cast(Frontend, modules["frontend"]),
                cast(Encoder, modules["encoder"]),
                layers=self.layers,
                pooling=self.pooling,
                window=self.window,
                min_samples=self.min_samples,
                reduction=cast(Reduction, modules["reduction"]) if self.reduction is not None else None,
            )
        except ValueError as error:
            raise ModelError(f"{where}: {error}") from None


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """``config.json``.

    Attributes:
        format: version of the layout.
        soundloom: version of soundloom that wrote it.
        name: the model's name.
        sample_rate: of the waveforms it takes, in hertz.
        dim: size of its embeddings.
        weights_sha256: hash of the file of weights beside it.
        parts: its streams; one, unless woven.
        balance: as for `soundloom.embedder.Embedder`.
    """

    format: int = FORMAT
    soundloom: str
    name: str
    sample_rate: int
    dim: int
    weights_sha256: str
    parts: tuple[StreamConfig, ...]
    balance: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, model: Embedder, weights_sha256: str) -> ModelConfig:
        """Describe a model.

        Raises:
            ModelError: it is not made of parts that can be saved.
        """
        return cls(
            soundloom=version("soundloom"),
            name=model.name,
            sample_rate=model.sample_rate,
            dim=model.dim,
            weights_sha256=weights_sha256,
            parts=tuple(StreamConfig.of(stream) for stream in streams(model)),
            balance=dict(model.balance),
        )

    @classmethod
    def read(cls, data: object, where: str) -> ModelConfig:
        """Make sense of what a ``config.json`` holds.

        Raises:
            ModelError: it is not of a soundloom model, of another version, or damaged.
        """
        if not isinstance(data, Mapping) or "format" not in data:
            raise ModelError(f"{where} is not of a soundloom model: it should be an object with the key 'format'")
        if data["format"] != FORMAT:
            raise ModelError(
                f"{where} has format {data['format']!r}, soundloom {version('soundloom')} reads {FORMAT}: "
                "use the version of soundloom that saved the model, or save it again"
            )
        config = from_plain(cls, data, where, error=ModelError)
        if not config.parts:
            raise ModelError(f"{where}.parts is empty: a model has one part or more")
        return config


def streams(model: Embedder) -> list[Embedder]:
    """The parts of a model, or the model itself."""
    return model.embedders if isinstance(model, Woven) else [model]
