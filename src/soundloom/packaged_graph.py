"""Recording of the default model as the graph that runs without PyTorch (`soundloom.packaged`).

    python -m soundloom.packaged_graph

The graph takes what `soundloom.packaged.spectra` makes of one sound of any length, and gives its embedding. Its weights
are not in the file: it refers to their bytes in ``model.safetensors`` beside it, so that the model is in the package
once. What the recorder made of a weight (transposed, or scaled by a batch normalisation) is made again when the graph
is opened.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from soundloom import fusion, onnx_graph
from soundloom.embedder import Embedder, Stream
from soundloom.embedding_model import EmbeddingModel
from soundloom.encoders import PitchEncoder, ResNet
from soundloom.errors import ModelError
from soundloom.frontends import MFCC, ConstantQ, Frontend, LogMel, NormalisedFrontend, Texture
from soundloom.frontends.constantq import filter_groups, fold_in_products
from soundloom.minimal_convolution import FewerProducts
from soundloom.models import load
from soundloom.packaged import FOLDER, GRAPH, NAME, PackagedModel, PackagedPart
from soundloom.packaged.spectra import GraphLayout, inputs_of, mel_inputs_of

__all__ = ["GeneralGraph", "PieceGraph", "StoredWeights", "record"]

F = TypeVar("F", bound=Frontend)

TOLERANCE = 1e-4
"""How far the graph may be from the model, as a share of an embedding's largest number."""

_KEPT = 42
"""Constant-Q frames of a piece: with 6 on either side a number that Fourier transforms like; filters grow with it."""

_SHARED = 1024
"""Bytes of a weight from which on the file refers to it."""

_KINDS = {"F32": "<f4", "F16": "<f2"}


class PieceGraph(nn.Module):
    """A model of the default model's four parts, from Fourier transforms to the embedding of one sound.

    Args:
        model: woven of pitch, timbre, texture and a general part, as `soundloom.recipes.loom` makes it.

    Attributes:
        layout: how sounds are cut for it.
    """

    def __init__(self, model: Embedder) -> None:
        super().__init__()
        self.pitch, self.timbre, self.texture, self.general = model.streams
        self.constant_q = _within(self.pitch, ConstantQ)
        self.mfcc = _within(self.timbre, MFCC)
        self.normalisation = _within(self.timbre, NormalisedFrontend)
        self.statistics = _within(self.texture, Texture)
        self.mel = _within(self.general, LogMel)
        settings, halo = self.constant_q.settings, self.constant_q.halo
        self.groups = filter_groups(settings, _KEPT + 2 * halo, torch.device("cpu"))
        notes = self.pitch.encoder
        if not isinstance(notes, PitchEncoder) or notes.settings.roots:
            raise ModelError(
                f"the part {self.pitch.name!r} gives no shares of notes: only a model like {NAME!r} is recorded"
            )
        self.notes = notes.local
        window, stride = self.general.window, self.general.encoder.stride
        if window is None or stride is None:
            raise ModelError(f"the part {self.general.name!r} has no windows: only a model like {NAME!r} is recorded")
        encoder = self.general.encoder
        self.stages = FewerProducts(encoder, (self.mel.bins, window.frames)) if isinstance(encoder, ResNet) else encoder
        self.layout = GraphLayout(
            sample_rate=model.sample_rate,
            window=window.frames,
            per_window=window.frames // stride,
            stride=stride,
            texture_window=self.statistics.settings.window,
            texture_hop=self.statistics.settings.hop,
            hop=settings.hop_length,
            halo=halo,
            kept=_KEPT,
            rows=max(group.first + group.spectra.shape[2] for group in self.groups),
        )

    def forward(
        self,
        magnitudes: Float[Tensor, "windows window 257"],
        general_weights: Float[Tensor, " vectors"],
        texture_starts: Int[Tensor, " textures"],
        seconds: Float[Tensor, "seconds 41 1025"],
        second_weights: Float[Tensor, " seconds"],
        constant_q: Float[Tensor, "period rows pieces 2"],
        note_weights: Float[Tensor, " frames"],
    ) -> Float[Tensor, "1 dim"]:
        """The embedding; the arguments are what `soundloom.packaged.spectra.inputs_of` gives."""
        energies = self.mel.bank(magnitudes)
        parts = [
            self._pitch(constant_q, note_weights),
            self._timbre(seconds, second_weights),
            self._texture(energies, texture_starts),
            self.embed_general(energies, general_weights),
        ]
        return torch.cat(parts, dim=1)

    def _pitch(self, constant_q: Tensor, weights: Tensor) -> Tensor:
        halo = self.layout.halo
        power = fold_in_products(constant_q, self.groups)[..., halo : halo + self.layout.kept]
        silenced = power.transpose(0, 1).flatten(1)[None] * weights
        notes = silenced.clamp_min(torch.finfo(torch.float32).tiny).sqrt().unsqueeze(1)
        (layer,) = self.notes.layers(notes, [1])
        frames = layer[0, 0].T
        # As the encoder's own `finish`, but that frames beyond the end of the sound do not count.
        loudness = (weights[None] @ frames.sum(dim=1, keepdim=True)) / weights.sum()
        return _pooled(self.pitch, frames / loudness.clamp_min(torch.finfo(torch.float32).tiny), weights)

    def _timbre(self, seconds: Tensor, weights: Tensor) -> Tensor:
        per_second = self.mfcc.frames(self.mfcc.sample_rate)
        coefficients = self.mfcc.cepstrum(self.mfcc.mel.bank(seconds), per_second)
        normalised = self.normalisation.normalise(coefficients.unsqueeze(1))
        return _pooled(self.timbre, self.timbre.encoder.baseline(normalised)[..., 0], weights)

    def _texture(self, energies: Tensor, starts: Tensor) -> Tensor:
        numbers = starts[:, None] + torch.arange(self.layout.texture_window)
        frames = self.statistics.mel.compress(energies).mT.flatten(0, 1)
        statistics = self.statistics.statistics(frames[numbers].mT[None])[0]
        return _pooled(self.texture, statistics, torch.ones_like(starts, dtype=torch.float32))

    def embed_general(self, energies: Tensor, weights: Tensor) -> Tensor:
        """The general part, from mel energies [windows, 64, frames]."""
        assert self.general.wanted is not None
        layers = self.stages.layers(self.mel.compress(energies).unsqueeze(1), self.general.wanted)
        return _pooled(self.general, fusion.fuse(layers, self.layout.per_window).mT.flatten(0, 1), weights)


class GeneralGraph(nn.Module):
    """The general part alone.

    Args:
        whole: what it is a part of.
    """

    def __init__(self, whole: PieceGraph) -> None:
        super().__init__()
        self.whole = whole

    def forward(
        self, magnitudes: Float[Tensor, "windows window 257"], general_weights: Float[Tensor, " vectors"]
    ) -> Float[Tensor, "1 dim"]:
        """Its embedding; the arguments are what `soundloom.packaged.spectra.mel_inputs_of` gives."""
        return self.whole.embed_general(self.whole.mel.bank(magnitudes), general_weights)


def record(model: Embedder, folder: Path) -> float:
    """Write the graph of a saved model into its folder.

    Args:
        model: the model in the folder.
        folder: with its weights, ``model.safetensors``.

    Returns:
        The largest difference from the model, as a share of the largest number.

    Raises:
        MissingExtraError: onnx, onnxscript or onnxruntime is not installed.
        ModelError: the graph differs from the model.
    """
    onnx_graph.require("recording a model")
    module = PieceGraph(model).eval()
    sound = _noise(9 * model.sample_rate)
    (part,) = (part for part in model.embedders if part.name == module.general.name)
    _record_one(module, model, inputs_of(sound, module.layout), folder / GRAPH, module.layout)
    alone = GeneralGraph(module)
    _record_one(alone, part, mel_inputs_of(sound, module.layout), folder / f"{part.name}.onnx", module.layout)
    difference = max(_difference(model, PackagedModel(folder)), _difference(part, PackagedPart(part.name, folder)))
    if not difference <= TOLERANCE:
        raise ModelError(f"the graph is {difference:.1g} off, and {TOLERANCE:g} is allowed")
    return difference


def _record_one(
    module: nn.Module, model: Embedder, inputs: Mapping[str, np.ndarray], file: Path, layout: GraphLayout
) -> None:
    """Record a module, and write its graph with the facts of the model that it stands for."""
    example = {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in inputs.items()}
    with torch.no_grad():
        module(*example.values())  # fills what front-ends remember with numbers, before symbols could get there
    program = onnx_graph.record_all(module, example, gives="embedding", free={"constant_q": 2})
    facts: dict[str, Any] = {
        "layout": asdict(layout),
        "fingerprints": model.fingerprints(),
        "settings": model.settings(),
        "parts": {name: [columns.start, columns.stop] for name, columns in model.parts.items()},
        "balance": dict(model.balance),
        "centred": list(model.centred),
    }
    plain = {"model": model.name, "dim": str(model.dim), "min_samples": str(model.min_samples)}
    _write(program, file, plain | {name: json.dumps(value) for name, value in facts.items()})


def _within(stream: Stream, kind: type[F]) -> F:
    """The front-end of that class among those that wrap one another.

    Raises:
        ModelError: there is none.
    """
    frontend: Any = stream.frontend
    while frontend is not None and not isinstance(frontend, kind):
        frontend = getattr(frontend, "inner", None)
    if frontend is None:
        raise ModelError(f"the part {stream.name!r} has no {kind.__name__}: only a model like {NAME!r} is recorded")
    return frontend


def _pooled(stream: Stream, frames: Float[Tensor, "time dim"], weights: Float[Tensor, " time"]) -> Tensor:
    """As `soundloom.fusion.pool` and the stream's reduction, with time first, which ONNX Runtime multiplies faster."""
    shares = (weights / weights.sum())[None]
    mean = shares @ frames
    pooled = [mean]
    if stream.pooling == "mean,max":
        pooled.append(torch.where(weights[:, None] > 0, frames, -torch.inf).amax(dim=0, keepdim=True))
    elif stream.pooling == "mean,deviation":
        pooled.append((shares @ (frames - mean).square()).clamp_min(1e-12).sqrt())
    elif stream.pooling != "mean":
        raise ModelError(f"the part {stream.name!r} is pooled by {stream.pooling!r}, which is not recorded")
    assert stream.reduction is not None
    return functional.linear(torch.cat(pooled, dim=1) - stream.reduction.centre, stream.reduction.matrix)


def _noise(samples: int) -> Float[np.ndarray, " samples"]:
    return (np.random.default_rng(0).standard_normal(samples) / 10).astype(np.float32)


def _difference(model: Embedder, packaged: EmbeddingModel) -> float:
    """The largest difference on noise that swells and on silence, from a tenth of a second to a minute."""
    worst = 0.0
    for samples in (1_700, 16_100, 33_333, 160_000, 960_000):
        for sound in (_noise(samples) * np.linspace(0, 1, samples, dtype=np.float32), np.zeros(samples, np.float32)):
            expected, got = model.embed_samples(sound), packaged.embed_samples(sound)
            worst = max(worst, float(np.abs(expected - got).max() / np.abs(expected).max()))
    return worst


def _write(program: torch.onnx.ONNXProgram, file: Path, facts: Mapping[str, str]) -> None:
    """Write a recorded graph, its weights as references to those of ``model.safetensors``."""
    import onnx

    weights = StoredWeights(file.with_name("model.safetensors"))
    model = program.model_proto
    made: list[onnx.NodeProto] = []
    kept: dict[str, onnx.TensorProto] = {}
    for tensor in model.graph.initializer:
        values = onnx.numpy_helper.to_array(tensor)
        name = weights.source_of(values) if values.nbytes >= _SHARED else None
        if name is None:
            kept[tensor.name] = tensor
            continue
        source, stored = name, weights.values[name]
        if weights.is_half(name):
            source = f"{name} in single precision"
            if name not in kept:
                made.append(onnx.helper.make_node("Cast", [name], [source], to=onnx.TensorProto.FLOAT))
        kept[name] = weights.reference(name)
        if values.shape != stored.shape:
            made.append(onnx.helper.make_node("Transpose", [source], [tensor.name], perm=[1, 0]))
        elif np.array_equal(values, stored):
            made.append(onnx.helper.make_node("Identity", [source], [tensor.name]))
        else:
            scale = f"{name} scale"
            kept[scale] = onnx.numpy_helper.from_array(_channel_scale(values, stored), scale)
            made.append(onnx.helper.make_node("Mul", [source, scale], [tensor.name]))
    nodes = list(model.graph.node)
    del model.graph.initializer[:], model.graph.node[:]
    model.graph.initializer.extend(kept.values())
    model.graph.node.extend(made + nodes)
    for key, value in facts.items():
        model.metadata_props.add(key=key, value=value)
    file.write_bytes(model.SerializeToString(deterministic=True))


class StoredWeights:
    """The weights of a safetensors file, and ONNX's references to their bytes.

    Attributes:
        values: name -> array in single precision, of those stored in single or half precision.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        with open(file, "rb") as stream:
            size = int.from_bytes(stream.read(8), "little")
            header = json.loads(stream.read(size))
        self._begin = 8 + size
        self._places: dict[str, tuple[int, int]] = {}
        self.values: dict[str, Float[np.ndarray, ...]] = {}
        content = np.memmap(file, np.uint8, "r", offset=self._begin)
        for name, entry in header.items():
            if name != "__metadata__" and entry["dtype"] in _KINDS:
                first, last = self._places[name] = tuple(entry["data_offsets"])
                stored = content[first:last].view(_KINDS[entry["dtype"]]).reshape(entry["shape"])
                self.values[name] = stored.astype(np.float32, copy=False)

    def is_half(self, name: str) -> bool:
        """Whether a weight is stored in half precision."""
        first, last = self._places[name]
        return last - first < self.values[name].nbytes

    def source_of(self, values: np.ndarray) -> str | None:
        """The weight that recorded values are, or are made of by transposing or by scaling each channel."""
        for stored, weight in self.values.items():
            if weight.shape == values.shape and np.array_equal(weight, values):
                return stored
            if weight.shape == values.shape[::-1] and np.array_equal(weight.T, values):
                return stored
            filters = weight.shape == values.shape and values.ndim == 4
            if filters and np.allclose(weight * _channel_scale(values, weight), values, rtol=1e-5, atol=1e-9):
                return stored
        return None

    def reference(self, name: str) -> Any:
        """A tensor whose values are that weight's bytes."""
        import onnx

        first, last = self._places[name]
        kind = onnx.TensorProto.FLOAT16 if self.is_half(name) else onnx.TensorProto.FLOAT
        tensor = onnx.TensorProto(name=name, data_type=kind, dims=self.values[name].shape)
        tensor.data_location = onnx.TensorProto.EXTERNAL
        place = {"location": self._file.name, "offset": self._begin + first, "length": last - first}
        for key, value in place.items():
            tensor.external_data.add(key=key, value=str(value))
        return tensor


def _channel_scale(values: np.ndarray, weight: np.ndarray) -> Float[np.ndarray, "channels 1 1 1"]:
    """What each output channel of a convolution was multiplied by."""
    axes = tuple(range(1, values.ndim))
    wide = weight.astype(np.float64)
    energy = np.square(wide).sum(axis=axes, keepdims=True)
    products = (values * wide).sum(axis=axes, keepdims=True)
    scale = np.divide(products, energy, out=np.zeros_like(energy), where=energy > 0)
    return np.asarray(scale, np.float32)


if __name__ == "__main__":
    print(f"{FOLDER / GRAPH}: {record(load(NAME), FOLDER):.1g} from the model")
