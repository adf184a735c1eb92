"""YAMNet against the interpreter of its published 8-bit graph, layer by layer and from waveform to scores.

    python -m benchmarks.yamnet_parity GRAPH [SOUNDS] [--clips 100] [--quick] [--json OUT]

GRAPH is ``yamnet.tflite``; needs the packages ``tflite`` (extra ``tensorflow``) and ``ai-edge-litert``, which runs it.
The graph keeps 8-bit weights and 32-bit activations, but its interpreter rounds the input of every layer whose weights
have 8 bits to 8 bits as well, with a scale and a zero point of its own for each patch (Jacob et al. 2018, equation 1).
The mel filters are such a layer, too, whose rows are spectra: bands far below a frame's loudest partial become zero.
So each comparison is made twice: of the float network, and of the same network with its inputs rounded likewise.

    front-end     largest and mean difference of the log-mel values
    layers        on the interpreter's own input; largest difference, relative to the largest output
    embedding     correlation of the 1024 numbers, from the waveform
    scores        correlation of the 521 numbers, and how often the top class is the same

The first 0.975 s of every clip, one patch, are compared.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.retrieval import labelled_sounds, labels_of
from benchmarks.timing import write_json
from soundloom import audio, load
from soundloom.embedder import Stream
from soundloom.encoders import YAMNet
from soundloom.encoders.mobilenet import pad_same
from soundloom.models.weights.tensorflow_weights import read_tflite

SAMPLES = 15600
INT8 = 9
CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D")


class Operation(NamedTuple):
    """A layer with weights in the graph: its kind, whether its weights have 8 bits, its input and output tensors."""

    kind: str
    eight_bits: bool
    source: int
    target: int


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.yamnet_parity", description="YAMNet's parity")
    parser.add_argument("graph", nargs="?", type=Path, help="yamnet.tflite")
    parser.add_argument("sounds", nargs="?", type=Path, help="a folder of sounds (ESC-50, where it is)")
    parser.add_argument("--clips", type=int, default=100, help="how many (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="5 clips: to see that it runs")
    parser.add_argument("--json", type=Path, help="write the results there")
    options = parser.parse_args(arguments)
    if options.graph is None:
        print("nothing is compared: name the file yamnet.tflite")
        return
    model = load("yamnet", weights=options.graph)
    assert isinstance(model, Stream)
    sounds = clips(options.sounds, 5 if options.quick else options.clips)
    found = compare(model, Graph(options.graph), sounds)
    print_tables(found, len(sounds))
    if options.json is not None:
        write_json(options.json, [{"figure": name, **figures} for name, figures in found.items()])


def clips(folder: Path | None, count: int) -> list[np.ndarray]:
    """The first 0.975 s of some sounds at 16 kHz, the same every time; shorter ones filled with silence."""
    paths = sorted(labels_of(folder or labelled_sounds(Path.cwd())))
    chosen = random.Random(1).sample(paths, min(count, len(paths)))
    waveforms = [audio.read(path, 16000)[:SAMPLES].clip(-1, 1) for path in chosen]
    return [np.pad(waveform, (0, SAMPLES - len(waveform))) for waveform in waveforms]


class Graph:
    """The published graph in its interpreter, without delegates, which would fuse layers."""

    def __init__(self, path: Path) -> None:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        self.interpreter = Interpreter(
            str(path),
            num_threads=1,
            experimental_preserve_all_tensors=True,
            experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        )
        self.interpreter.allocate_tensors()
        # The mel filters are a fully connected layer, the first with weights.
        _, *self.layers = operations(path)
        self.filters = torch.from_numpy(read_tflite(path)[0].kernel)
        (self.scores,) = (row["index"] for row in self.interpreter.get_output_details())

    def run(self, waveform: np.ndarray) -> None:
        """Compute every tensor of a patch."""
        self.interpreter.set_tensor(self.interpreter.get_input_details()[0]["index"], waveform)
        self.interpreter.invoke()

    def tensor(self, number: int) -> np.ndarray:
        """A tensor of the patch that was computed last."""
        return np.array(self.interpreter.get_tensor(number))


def operations(path: Path) -> list[Operation]:
    """The layers with weights in computing order."""
    import tflite

    model = tflite.Model.GetRootAsModel(path.read_bytes(), 0)
    graph = model.Subgraphs(0)
    found = []
    for number in range(graph.OperatorsLength()):
        operator = graph.Operators(number)
        code = model.OperatorCodes(operator.OpcodeIndex())
        kind = tflite.opcode2name(max(code.BuiltinCode(), code.DeprecatedBuiltinCode()))
        if kind in (*CONVOLUTIONS, "FULLY_CONNECTED"):
            source, weights = (int(index) for index in operator.InputsAsNumpy()[:2])
            found.append(
                Operation(kind, graph.Tensors(weights).Type() == INT8, source, int(operator.OutputsAsNumpy()[0]))
            )
    return found


def layer_names() -> list[str]:
    return ["layer1.conv"] + [f"layer{n}.{half}_conv" for n in range(2, 15) for half in ("depthwise", "pointwise")]


def rounded(x: Tensor) -> Tensor:
    """Values as 8-bit numbers express them, with a scale and a zero point for each row of the batch."""
    rows = x.flatten(1).double()
    low, high = rows.amin(1).clamp(max=0), rows.amax(1).clamp(min=0)
    scale = (high - low) / 255
    scale = torch.where(scale == 0, torch.ones_like(scale), scale).float().double()
    zero = torch.round(-128 - low / scale).clamp(-128, 127)
    shape = [-1] + [1] * (x.ndim - 1)
    scale, zero = scale.view(shape), zero.view(shape)
    levels = x / scale + zero
    levels = (levels.sign() * (levels.abs() + 0.5).floor()).clamp(-128, 127)
    return ((levels - zero) * scale).float()


def stage(net: YAMNet, name: str, x: Tensor, prepare: Callable[[Tensor], Tensor]) -> Tensor:
    """One convolution with its normalisation and ReLU."""
    layer, _, convolution = name.partition(".")
    module: Any = net.get_submodule(layer)
    strided = layer == "layer1" or (convolution == "depthwise_conv" and module.strided)
    normalise = getattr(module, "conv_bn" if convolution == "conv" else convolution.replace("conv", "bn"))
    x = pad_same(prepare(x)) if strided else prepare(x)
    return functional.relu(normalise(getattr(module, convolution)(x)))


@contextmanager
def rounding(model: Stream, graph: Graph) -> Iterator[None]:
    """Within it, every layer of 8-bit weights rounds its input, the mel filters included, which are the graph's."""

    def prepare(_: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
        return (rounded(inputs[0]),)

    def bands(_: nn.Module, inputs: tuple[Tensor], __: Tensor) -> Tensor:
        spectra = inputs[0]
        return (rounded(spectra.flatten(0, 1)).view_as(spectra) @ graph.filters.T).transpose(1, 2)

    modules = [model.encoder.get_submodule(name) for name in [*layer_names(), "logits"]]
    pairs = zip(modules, graph.layers, strict=True)
    hooks = [module.register_forward_pre_hook(prepare) for module, layer in pairs if layer.eight_bits]
    hooks.append(model.frontend.get_submodule("bank").register_forward_hook(bands))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


@torch.inference_mode()
def compare(model: Stream, graph: Graph, sounds: Sequence[np.ndarray]) -> dict[str, dict[str, float]]:
    """Every figure: of the float network, and with rounded inputs."""
    net = model.encoder
    assert isinstance(net, YAMNet)
    theirs = []
    layers = []
    for waveform in sounds:
        graph.run(waveform)
        spectrum, embedding = graph.tensor(graph.layers[0].source), graph.tensor(graph.layers[-1].source)
        theirs.append((spectrum[0, :, :, 0].T, embedding[0], graph.tensor(graph.scores)[0]))
        layers.append([layer_differences(net, graph, *pair) for pair in zip(layer_names(), graph.layers, strict=False)])
    found: dict[str, dict[str, float]] = {}
    for name, pair in zip(layer_names(), np.max(layers, axis=0), strict=True):
        found[name] = {"float": float(pair[0]), "rounded": float(pair[1])}
    batch = torch.from_numpy(np.stack(sounds))
    for column in ("float", "rounded"):
        with rounding(model, graph) if column == "rounded" else nullcontext():
            spectra = model.frontend(batch)
            embeddings = net.baseline(spectra)[:, :, 0]
            mine = zip(spectra[:, 0].numpy(), embeddings.numpy(), net.scores(embeddings).numpy(), strict=True)
        for name, value in whole(theirs, list(mine)).items():
            found.setdefault(name, {})[column] = value
    return found


def layer_differences(net: YAMNet, graph: Graph, name: str, layer: Operation) -> tuple[float, float]:
    """Largest differences of a layer on the interpreter's input, relative to its largest output: float, rounded."""
    # [batch, time, frequency, channel] -> [batch, channel, frequency, time]
    given, expected = (torch.from_numpy(graph.tensor(number)).permute(0, 3, 2, 1) for number in layer[2:])
    largest = float(expected.abs().max()) or 1.0
    plain = stage(net, name, given, lambda x: x)
    coarse = stage(net, name, given, rounded) if layer.eight_bits else plain
    return float((plain - expected).abs().max()) / largest, float((coarse - expected).abs().max()) / largest


Computed = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Log-mel spectrum, embedding and scores of a patch."""


def whole(theirs: Sequence[Computed], mine: Sequence[Computed]) -> dict[str, float]:
    """Differences of spectra, correlations from the waveform on, and how often the top class is the same."""
    pairs = list(zip(theirs, mine, strict=True))
    apart = [np.abs(a[0] - b[0]) for a, b in pairs]
    embedded = [np.corrcoef(a[1], b[1])[0, 1] for a, b in pairs if a[1].any()]
    scored = [np.corrcoef(a[2], b[2])[0, 1] for a, b in pairs]
    return {
        "front-end, largest difference": float(np.max(apart)),
        "front-end, mean difference": float(np.mean(apart)),
        "embedding, mean correlation": float(np.mean(embedded)),
        "embedding, lowest correlation": float(np.min(embedded)),
        "scores, mean correlation": float(np.mean(scored)),
        "scores, lowest correlation": float(np.min(scored)),
        "top class the same": float(np.mean([a[2].argmax() == b[2].argmax() for a, b in pairs])),
    }


def print_tables(found: dict[str, dict[str, float]], count: int) -> None:
    table = Table("figure", "float", "inputs rounded", title=f"YAMNet against its 8-bit graph, {count} patches")
    for name, figures in found.items():
        table.add_row(name, f"{figures['float']:.5f}", f"{figures['rounded']:.5f}")
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
