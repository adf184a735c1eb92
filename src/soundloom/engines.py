"""Inference engines: faster encoders for the same embedder (folded batch norm, ONNX Runtime, half precision).

    torch         batch normalisation folded into the convolutions, channels last in memory; needs nothing else
    onnxruntime   encoders recorded once, kept in the cache and run by ONNX Runtime; needs soundloom[onnx]

Only encoders are exchanged: front-ends, windows, fusion and pooling are what they were, so that name, parts and
fingerprint stay, and embeddings agree to 1e-4 of their largest number, which is checked whenever an engine is made;
of a recorded encoder once for each version of ONNX Runtime.
To the last bit the engines differ, so a store of embeddings records the engine with them (`EmbeddingModel.engine`) and
takes the same for later ones (``resumed``).

ONNX Runtime is given to convolutional encoders, where it is faster. Transformers stay with torch under either engine:
there it is slower (0.8 times as fast for AST). Each call runs on one thread, so that an embedding does not depend on
how many there are; batches are divided among as many threads as torch may use.

torch.compile is not offered. It was never faster than ONNX Runtime here, takes up to a minute for every new model in
every new process, and needs a C++ compiler.

Not for training: no gradients flow through an accelerated embedder.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from copy import deepcopy
from pathlib import Path
from typing import Any, Self

import torch
from jaxtyping import Float
from torch import Tensor, nn

from soundloom import onnx_graph
from soundloom.atomic_file import replacing, write_atomically
from soundloom.cache_folder import cache_home
from soundloom.embedder import Embedder, Frames, Stream
from soundloom.embedding_model import PLAIN
from soundloom.encoders.base import Encoder
from soundloom.errors import MissingExtraError, ModelError
from soundloom.fold_batchnorm import folded

__all__ = [
    "TOLERANCE",
    "Accelerated",
    "EngineWarning",
    "accelerate",
    "accelerated_on",
    "resumed",
]

_ENGINES = ("auto", "torch", "onnxruntime")

TOLERANCE = 1e-4
"""How far an engine may be from the encoder it stands for, as a share of the largest number."""


_ON, _HALF = " on ", " in half precision"


class EngineWarning(UserWarning):
    """The engine that made a library's embeddings is not to be had here, and another takes its place."""


def accelerate(model: Embedder, engine: str = "auto", *, half: bool = False) -> Embedder:
    """The same embedder for inference only, by the fastest faithful means.

    Args:
        model: left as it is, and shares no weights with the result but the front-end's. On a GPU, its encoder
            runs there.
        engine: "torch", "onnxruntime", or "auto": ONNX Runtime where it is installed, else torch, and always torch
            on a GPU.
        half: let a GPU compute encoders in half precision where it is safe to, which costs agreement: about three
            digits are left.

    Returns:
        An embedder of the same name, parts and fingerprint, with the attribute ``engine``.

    Raises:
        ModelError: there is no such engine, it does not run where the model is, or what it computes is not what
            the model computes.
        MissingExtraError: the engine is not installed.
    """
    if engine not in _ENGINES:
        raise ModelError(f"no engine {engine!r}: choose from {', '.join(_ENGINES)}")
    device = _device_of(model)
    if engine == "auto":
        engine = "onnxruntime" if device.type == "cpu" and onnx_graph.available() else "torch"
    if engine == "onnxruntime":
        onnx_graph.require("the engine onnxruntime")
        if device.type != "cpu":
            raise ModelError(f"the engine onnxruntime runs on the processor, and the model is on {device}: use torch")
    if half and device.type == "cpu":
        raise ModelError(
            "half precision is for GPUs, and the model is on the processor, which would be ten times slower with it: "
            "leave it out, or move the model to a GPU first"
        )
    if model.engine != PLAIN:
        raise ModelError(f"{model.name!r} runs on the engine {model.engine} already: accelerate the model it came from")
    training = model.training
    model.eval()
    try:
        return _accelerated(model, engine, half=half)
    finally:
        model.train(training)


def resumed(model: Embedder, engine: str) -> Embedder:
    """A model on an engine of `EmbeddingModel.engine`, if it is available here; else, with a warning, on torch."""
    if engine == model.engine:
        return model
    name, _, device = engine.removesuffix(_HALF).partition(_ON)
    try:
        return accelerated_on(model, name, device=device or "cpu", half=engine.endswith(_HALF))
    except (MissingExtraError, ModelError) as error:
        warnings.warn(
            f"these embeddings were made by the engine {engine!r}, which cannot be used here ({error}): going on with "
            f"torch, whose numbers agree to {TOLERANCE:g} but not to the bit",
            EngineWarning,
            stacklevel=2,
        )
        return accelerate(model.to("cpu"), "torch")


def accelerated_on(model: Embedder, engine: str = "auto", *, device: str = "cpu", half: bool = False) -> Embedder:
    """A model moved to a device, and accelerated there; the arguments are those of `accelerate`.

    Raises:
        ModelError: there is no such device; or as for `accelerate`.
    """
    try:
        model = model.to(device)
    except (RuntimeError, AssertionError) as error:
        raise ModelError(f"{model.name!r} cannot be moved to the device {device!r}: {error}") from error
    return accelerate(model, engine, half=half)


class Accelerated(Embedder):
    """An embedder that computes what another does, its encoders exchanged.

    Args:
        origin: whose name, parts, settings and fingerprint it keeps.
        inner: what computes.
        engine: what its encoders run on, as `EmbeddingModel.engine` says it: "torch", "onnxruntime", "torch on cuda",
            "torch on cuda in half precision".
    """

    def __init__(self, origin: Embedder, inner: Embedder, engine: str) -> None:
        super().__init__()
        self.name = origin.name
        self.sample_rate = origin.sample_rate
        self.dim = origin.dim
        self.parts = origin.parts
        self.frame_dim = origin.frame_dim
        self.min_samples = origin.min_samples
        self.balance = origin.balance
        self.centred = origin.centred
        self.engine = engine
        self._settings = origin.settings()
        self._fingerprints = origin.fingerprints()
        self.inner = inner
        self.eval()

    @torch.no_grad()
    def frames(self, waveforms: Float[Tensor, "batch samples"]) -> Frames:
        """Vectors over time of equally long waveforms, without gradients."""
        return self.inner.frames(waveforms)

    def settings(self) -> dict[str, Any]:
        """Those of the model it stands for."""
        return self._settings

    def fingerprints(self) -> tuple[str, ...]:
        """Those of the model it stands for."""
        return self._fingerprints

    def train(self, mode: bool = True) -> Self:  # noqa: ARG002 (torch's signature)
        """Stay in evaluation: inside a model that is trained, this part is given."""
        return super().train(False)

    @torch.no_grad()
    def embed_equal(self, waveforms: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch dim"]:
        """Those of the model within."""
        return self.inner.embed_equal(waveforms)


def _accelerated(model: Embedder, engine: str, *, half: bool) -> Accelerated:
    for part in model.embedders:
        if not part.streams:
            raise ModelError(
                f"{part.name!r} is a {type(part).__name__}, and engines are for streams and woven embedders"
            )
    used: list[str] = []

    def exchanged(stream: Stream) -> Stream:
        encoder, name = _exchanged(stream, engine, half=half)
        used.append(name)
        return stream.with_encoder(encoder)

    inner = model.with_streams(exchanged)
    return Accelerated(model, inner, "onnxruntime" if "onnxruntime" in used else used[0])


def _exchanged(stream: Stream, engine: str, *, half: bool) -> tuple[Encoder, str]:
    """A stream's encoder on an engine, and the engine that it runs on, as `EmbeddingModel.engine` says it."""
    encoder: Encoder
    if not _is_convolutional(stream.encoder):
        engine, encoder = "torch", deepcopy(stream.encoder)
    elif engine == "onnxruntime":
        encoder = _recorded(stream)
    else:
        example = _example(stream)
        encoder = folded(stream.encoder, example, max(stream.wanted or stream.encoder.available))
        encoder = encoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch forgot it
        _check(stream, encoder, example)
    if (device := _device_of(stream)).type != "cpu":
        engine += f"{_ON}{device.type}"
    return (_Half(encoder), engine + _HALF) if half else (encoder, engine)


class _Outputs(nn.Module):
    """What a stream asks of its encoder: the wanted layers, or the customary embedding."""

    def __init__(self, encoder: Encoder, wanted: Sequence[int] | None) -> None:
        super().__init__()
        self.encoder = encoder
        self.wanted = wanted

    def forward(self, representation: Tensor) -> tuple[Tensor, ...]:
        if self.wanted is None:
            return (self.encoder.baseline(representation),)
        return tuple(self.encoder.layers(representation, self.wanted))


class _Recorded(Encoder):
    """An encoder's outputs as its recorded graph gives them; only those that were recorded can be asked for."""

    def __init__(self, origin: Encoder, session: onnx_graph.Session, wanted: Sequence[int] | None) -> None:
        super().__init__()
        self.available = tuple(wanted or ())
        self.stride = origin.stride
        self._session = session

    def layers(
        self, representation: Float[Tensor, "batch channel frequency time"], wanted: Sequence[int]
    ) -> list[Float[Tensor, "batch _channel _frequency _time"]]:
        """The recorded layers."""
        self.check_wanted(wanted)
        found = dict(zip(self.available, self._outputs(representation), strict=True))
        return [found[layer] for layer in wanted]

    def baseline(
        self, representation: Float[Tensor, "batch channel frequency time"]
    ) -> Float[Tensor, "batch _dim _frames"]:
        """The recorded embedding."""
        (embedding,) = self._outputs(representation)
        return embedding

    def _outputs(self, representation: Tensor) -> list[Tensor]:
        threads = min(torch.get_num_threads(), len(representation))
        if threads == 1:
            return self._session(representation)
        with ThreadPoolExecutor(threads) as executor:
            parts = list(executor.map(self._session, representation.chunk(threads)))
        return [torch.cat(outputs) for outputs in zip(*parts, strict=True)]


class _Half(Encoder):
    """An encoder under automatic mixed precision; what comes out is float32 again."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.available = encoder.available
        self.stride = encoder.stride
        self.encoder = encoder

    def layers(
        self, representation: Float[Tensor, "batch channel frequency time"], wanted: Sequence[int]
    ) -> list[Float[Tensor, "batch _channel _frequency _time"]]:
        """The encoder's layers, rounded on their way."""
        with torch.autocast(representation.device.type, torch.float16):
            return [layer.float() for layer in self.encoder.layers(representation, wanted)]

    def baseline(
        self, representation: Float[Tensor, "batch channel frequency time"]
    ) -> Float[Tensor, "batch _dim _frames"]:
        """The encoder's embedding, rounded on its way."""
        with torch.autocast(representation.device.type, torch.float16):
            return self.encoder.baseline(representation).float()


def _is_convolutional(encoder: Encoder) -> bool:
    """Whether convolutions are most of it: a transformer has one at most, which cuts its patches."""
    return sum(isinstance(module, nn.Conv2d) for module in encoder.modules()) > 1


def _device_of(model: Embedder) -> torch.device:
    return next((tensor.device for tensor in (*model.parameters(), *model.buffers())), torch.device("cpu"))


@torch.no_grad()
def _example(stream: Stream) -> Tensor:
    """The shortest representation that the encoder is given, of two sounds; noise, for in silence all engines agree."""
    noise = torch.randn(2, stream.min_samples, generator=torch.Generator().manual_seed(0)) / 10
    _, windows = next(stream.windows(noise.to(_device_of(stream)), stream.frontend.frames(stream.min_samples)))
    return windows.flatten(0, 1)


@torch.no_grad()
def _check(stream: Stream, encoder: Encoder, example: Tensor) -> None:
    expected = _Outputs(stream.encoder, stream.wanted)(example)
    for right, got in zip(expected, _Outputs(encoder, stream.wanted)(example), strict=True):
        difference = float((right - got).abs().max() / right.abs().max().clamp_min(1e-6))
        if not difference <= TOLERANCE:
            raise ModelError(
                f"{stream.name}: accelerated, its encoder is {difference:.1g} off, and {TOLERANCE:g} is allowed: "
                "use it as it is, or another engine"
            )


def _recorded(stream: Stream) -> Encoder:
    """The stream's encoder in ONNX Runtime, from the cache if it was recorded before."""
    path = cache_home() / "engines" / f"{_key(stream)}.onnx"
    if not path.exists():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _record(stream, _example(stream), path)
        except OSError as error:
            raise ModelError(
                f"cannot keep the recorded encoder in {path.parent}: {error}. "
                "Name another folder in SOUNDLOOM_HOME, or use the engine torch"
            ) from error
    session = onnx_graph.Session(path)
    encoder = _Recorded(stream.encoder, session, stream.wanted)
    # A file beside the graph says which bytes were checked, and by which runtime: the check takes half a second.
    checked, state = path.with_suffix(".checked"), session.identity
    if not checked.is_file() or checked.read_text(encoding="utf-8") != state:
        _check(stream, encoder, _example(stream))
        with suppress(OSError):  # checked again next time
            write_atomically(checked, state)
    return encoder


def _record(stream: Stream, example: Tensor, path: Path) -> None:
    free = {0: "batch"}
    if stream.window is None or not stream.window.fixed:
        free[3] = "time"
        # Two of the smallest, so that no size stands for all.
        example = torch.cat([example, example], dim=3)
    outputs = _Outputs(stream.encoder, stream.wanted)
    names = ["embedding"] if stream.wanted is None else [f"layer {number}" for number in stream.wanted]
    graph = onnx_graph.record(outputs, example, free=free, takes="representation", gives=names)
    # Two processes may record the same encoder at once.
    with replacing(path, shared=True) as writing:
        graph.write(writing)


def _key(stream: Stream) -> str:
    """A hash of everything that decides the recorded graph."""
    settings: Mapping[str, Any] = stream.settings()
    digest = hashlib.sha256(f"{torch.__version__} {onnx_graph.OPSET} {settings['encoder']} {stream.wanted}".encode())
    digest.update(f"{stream.window}".encode())
    for name, tensor in sorted(stream.encoder.state_dict().items()):
        digest.update(f"{name} {list(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:32]
