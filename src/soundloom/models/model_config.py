"""A saved model as plain data: from an embedder to ``config.json`` and back; weights are no part of it.

Front-ends and encoders are named as their registries name them (`soundloom.components.ModuleConfig`), and built from
their own frozen settings.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from typing import Any, cast

from torch import nn

from soundloom.components import ModuleConfig, from_plain
from soundloom.embedder import Embedder, Reduction, Stream, Window
from soundloom.embedder.undeclared_state import build_encoder, check_declared
from soundloom.encoders import ENCODERS, Encoder
from soundloom.errors import ComponentError, ModelError
from soundloom.frontends import FRONTENDS, Frontend
from soundloom.fusion import POOLINGS, pooled_size

__all__ = ["FORMAT", "ModelConfig", "ModuleConfig", "StreamConfig"]

FORMAT = 1
"""Version of the layout of a saved model; another version is refused."""


@contextmanager
def _unbuildable(where: str) -> Iterator[None]:
    """Turn whatever settings from a file make a component raise into a `ModelError` that says where they are."""
    try:
        yield
    except ComponentError as error:
        raise ModelError(str(error)) from None
    except ValueError as error:
        raise ModelError(f"{where}: {error}") from None
    except (TypeError, RuntimeError, ArithmeticError, LookupError, MemoryError) as error:
        raise ModelError(f"{where} cannot be built from these settings ({type(error).__name__}: {error})") from error


@dataclass(frozen=True, kw_only=True)
class StreamConfig:
    """A stream; attributes are those of `soundloom.embedder.Stream`, a reduction being from how many to how many.

    A model of an earlier version says nothing of ``fused_dim``.
    """

    name: str
    frontend: ModuleConfig
    encoder: ModuleConfig
    layers: tuple[int, ...] | None
    pooling: str
    window: Window | None
    min_samples: int
    reduction: tuple[int, ...] | None = None
    fused_dim: int | None = None

    @classmethod
    def of(cls, stream: Embedder) -> StreamConfig:
        """Describe a stream.

        Raises:
            ModelError: it has parts that cannot be saved; names them.
        """
        if type(stream) is not Stream:
            raise ModelError(
                f"cannot save {stream.name!r}, a {type(stream).__name__}: only streams and weavings of them"
            )
        try:
            frontend = ModuleConfig.of(stream.frontend, FRONTENDS)
            encoder = ModuleConfig.of(stream.encoder, ENCODERS)
            check_declared(stream.frontend)
            check_declared(stream.encoder)
        except ComponentError as error:
            raise ModelError(f"cannot save {stream.name!r}: {error}") from None
        return cls(
            name=stream.name,
            frontend=frontend,
            encoder=encoder,
            layers=stream.wanted,
            pooling=stream.pooling,
            window=stream.window,
            min_samples=stream.min_samples,
            reduction=None if stream.reduction is None else stream.reduction.size,
            fused_dim=stream.fused_dim,
        )

    def modules(self, where: str, *, trust: bool = False) -> nn.ModuleDict:
        """Front-end, reduction if there is one, and encoder, without their weights.

        Raises:
            ModelError: as for `ModuleConfig.build`.
        """
        with _unbuildable(where):
            frontend = self.frontend.build(FRONTENDS, f"{where}.frontend", trust=trust)
            encoder = build_encoder(self.encoder, f"{where}.encoder", trust=trust)
        modules = nn.ModuleDict({"frontend": frontend, "encoder": encoder})
        if self.reduction is not None:
            if len(self.reduction) != 2 or min(self.reduction) < 1:
                raise ModelError(f"{where}.reduction is from how many numbers to how many, got {self.reduction}")
            with _unbuildable(where):
                modules["reduction"] = Reduction(*self.reduction)
        return modules

    def stream(self, modules: nn.ModuleDict, where: str) -> Stream:
        """The stream of those modules, weights and all.

        Raises:
            ModelError: they do not fit together.
        """
        with _unbuildable(where):
            return Stream(
                self.name,
                cast(Frontend, modules["frontend"]),
                cast(Encoder, modules["encoder"]),
                layers=self.layers,
                pooling=self.pooling,
                window=self.window,
                min_samples=self.min_samples,
                reduction=cast(Reduction, modules["reduction"]) if self.reduction is not None else None,
                fused_dim=self._fused_dim(),
            )

    def _fused_dim(self) -> int | None:
        """The numbers of a fused frame; None if neither the settings nor the size of a reduction show them."""
        if self.fused_dim is None and self.reduction is not None and self.pooling in POOLINGS:
            return self.reduction[0] // pooled_size(self.pooling, 1)
        return self.fused_dim


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
        centred: likewise.
    """

    format: int = FORMAT
    soundloom: str
    name: str
    sample_rate: int
    dim: int
    weights_sha256: str
    parts: tuple[StreamConfig, ...]
    balance: dict[str, float] = field(default_factory=dict)
    centred: tuple[str, ...] = ()

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
            parts=tuple(StreamConfig.of(stream) for stream in model.embedders),
            balance=dict(model.balance),
            centred=tuple(model.centred),
        )

    def to_plain(self) -> dict[str, Any]:
        """As JSON data; what `read` takes."""
        parts = [
            {**asdict(part), "frontend": part.frontend.to_plain(), "encoder": part.encoder.to_plain()}
            for part in self.parts
        ]
        return {**asdict(self), "parts": parts}

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
