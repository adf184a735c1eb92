"""Encoders on the engines of soundloom, beside what one would run instead.

    python -m benchmarks.engines [--encoder cnn14 ...] [--repeat 7] [--quick] [--json out.json]

Batches of representations on seeded random weights; the methods take turns. "plain" is, for CNN14 and VGGish, the
network written from its paper as PyTorch code is usually written, with the same weights; for AST the model of the
transformers library; for the others soundloom's own encoder as it comes, which is such code already.

The share of the peak is the multiplications and additions that the products and convolutions of an encoder ask for,

    convolution  2 x outputs x input channels / groups x kernel area      matrix product  2 x M x N x K

a second, over what the same threads reach in a product of two 2048 x 2048 matrices of float32 in the same run. It can
exceed 1: Winograd's convolution needs fewer multiplications. Agreement is with "plain" where the weights are the same,
the largest difference as a share of the largest number.

The last table asks CNN14 for layer 3 alone and for layers 3 and 6: what is not wanted should not be computed.

Recorded graphs are kept where SOUNDLOOM_HOME says, else in a temporary folder.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.timing import interleaved, machine, write_json
from soundloom.components import presets
from soundloom.embedder import Stream, Window
from soundloom.encoders import ENCODERS, Encoder, initialise
from soundloom.engines import Accelerated, accelerate
from soundloom.frontends import Fbank, Frontend, LogMel

# Encoder -> front-end, frames of an example, examples in a batch.
WORKLOADS: dict[str, tuple[Callable[[], Frontend], int, int]] = {
    "cnn14": (lambda: LogMel.panns(16000), 1001, 2),
    "vggish": (LogMel.vggish, 96, 16),
    "resnet50": (LogMel.jansen, 96, 32),
    "mobilenet": (LogMel.jansen, 96, 64),
    "ast": (Fbank, 1024, 1),
}
SIDE = 2048

Method = Callable[[], Tensor]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One method on one encoder.

    Attributes:
        encoder: what is computed.
        method: how.
        batch: examples at once.
        gigaflop: asked for by an example.
        rate: examples a second.
        ratio: how many times faster than "plain".
        peak: share of the machine's matrix product.
        difference: from "plain"; None where the weights are others.
    """

    encoder: str
    method: str
    batch: int
    gigaflop: float
    rate: float
    ratio: float
    peak: float
    difference: float | None


class PlainCNN14(nn.Module):
    """CNN14's embedding (Kong et al. 2020, table I and section IV)."""

    def __init__(self) -> None:
        super().__init__()
        self.bn0 = nn.BatchNorm2d(64)
        widths = [1, 64, 128, 256, 512, 1024, 2048]
        for number in range(1, 7):
            setattr(self, f"conv_block{number}", PlainBlock(widths[number - 1], widths[number]))
        self.fc1 = nn.Linear(2048, 2048)

    def forward(self, x: Tensor) -> Tensor:
        """From [B, 1, 64, T] to [B, 2048]."""
        x = x.transpose(2, 3)
        x = x.transpose(1, 3)
        x = self.bn0(x)
        x = x.transpose(1, 3)
        for number in range(1, 7):
            x = getattr(self, f"conv_block{number}")(x)
            if number < 6:
                x = functional.avg_pool2d(x, kernel_size=(2, 2))
        x = torch.mean(x, dim=3)
        x = torch.max(x, dim=2)[0] + torch.mean(x, dim=2)
        return functional.relu(self.fc1(x))


class PlainBlock(nn.Module):
    """Twice convolution, normalisation and ReLU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, kernel_size=3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(outputs, outputs, kernel_size=3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.bn2 = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Size stays, channels change."""
        x = functional.relu(self.bn1(self.conv1(x)))
        return functional.relu(self.bn2(self.conv2(x)))


class PlainVGGish(nn.Module):
    """VGGish (Hershey et al. 2017, after configuration A of Simonyan and Zisserman 2015)."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = 1
        for width in (64, "pool", 128, "pool", 256, 256, "pool", 512, 512, "pool"):
            if isinstance(width, int):
                layers += [nn.Conv2d(inputs, width, kernel_size=3, padding=1), nn.ReLU()]
                inputs = width
            else:
                layers.append(nn.MaxPool2d(kernel_size=2, stride=2))
        self.features = nn.Sequential(*layers)
        sizes = (512 * 4 * 6, 4096, 4096, 128)
        self.embeddings = nn.Sequential(*(layer for pair in pairwise(sizes) for layer in (nn.Linear(*pair), nn.ReLU())))

    def forward(self, x: Tensor) -> Tensor:
        """From [B, 1, 64, 96] to [B, 128]."""
        x = self.features(x.transpose(2, 3))
        x = x.permute(0, 2, 3, 1).contiguous()
        return self.embeddings(x.view(x.size(0), -1))


def plain(name: str, encoder: Encoder) -> tuple[Callable[[Tensor], Tensor], bool]:
    """What one would run instead, and whether it has the encoder's weights."""
    if name == "ast":
        from transformers import ASTConfig, ASTModel

        theirs = ASTModel(ASTConfig()).eval()
        return lambda x: theirs(x[:, 0].transpose(1, 2)).pooler_output, False
    if name not in ("cnn14", "vggish"):
        return lambda x: encoder.baseline(x).flatten(1), True
    network = PlainCNN14() if name == "cnn14" else PlainVGGish()
    wanted = network.state_dict().keys()
    network.load_state_dict({key: value for key, value in encoder.state_dict().items() if key in wanted})
    network.eval()
    return network, True


def stream(name: str, encoder: Encoder, layers: Sequence[int] | None = None) -> Stream:
    """The encoder behind the front-end that feeds it, as engines want it."""
    frontend, frames, _ = WORKLOADS[name]
    window = Window(frames=frames, fixed=name != "cnn14")
    shortest = 31 * 160 if name == "cnn14" else None
    return Stream(name, frontend(), encoder, layers=layers, pooling="mean", window=window, min_samples=shortest).eval()


def accelerated(model: Stream, engine: str) -> Encoder:
    """What computes in the stream on that engine."""
    fast = accelerate(model, engine)  # type: ignore[arg-type]
    assert isinstance(fast, Accelerated)
    assert isinstance(fast.inner, Stream)
    return fast.inner.encoder


def drawn(name: str) -> Encoder:
    encoder = presets(ENCODERS)[name]().eval().requires_grad_(False)
    initialise(encoder, 0)
    return encoder


def batch_of(name: str) -> Tensor:
    frontend, frames, batch = WORKLOADS[name]
    return torch.randn(batch, 1, frontend().bins, frames, generator=torch.Generator().manual_seed(1))


def flop(work: Callable[[], object]) -> float:
    """The floating point operations of products and convolutions in a piece of work."""
    # Attention in one piece is counted as nothing: have it done in pieces.
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        work()
    return float(counter.get_total_flops())


def peak_of() -> tuple[Callable[[], Tensor], float]:
    """A large matrix product, and its floating point operations."""
    left, right = torch.randn(2, SIDE, SIDE, generator=torch.Generator().manual_seed(2))
    return lambda: left @ right, 2.0 * SIDE**3


def measure(name: str, repeat: int) -> list[Row]:
    encoder = drawn(name)
    x = batch_of(name)
    product, product_flop = peak_of()
    reference, same = plain(name, encoder)
    work = flop(lambda: encoder.baseline(x))
    methods: dict[str, Method] = {"plain": lambda: reference(x)}
    for engine in ("torch", "onnxruntime"):
        fast = accelerated(stream(name, encoder), engine)
        methods[f"soundloom, {engine}"] = lambda fast=fast: fast.baseline(x).flatten(1)  # type: ignore[misc]
        if name == "ast":
            break  # either engine gives transformers to torch
    expected = reference(x)
    differences = {
        method: float((run() - expected).abs().max() / expected.abs().max()) if same else None
        for method, run in methods.items()
    }
    seconds = interleaved({**methods, "product": product}, repeat=repeat)
    peak = product_flop / seconds.pop("product")
    return [
        Row(
            encoder=name,
            method=method,
            batch=len(x),
            gigaflop=work / len(x) / 1e9,
            rate=len(x) / taken,
            ratio=seconds["plain"] / taken,
            peak=work / taken / peak,
            difference=differences[method],
        )
        for method, taken in seconds.items()
    ]


def measure_layers(repeat: int) -> list[dict[str, object]]:
    """CNN14 asked for layer 3, and for 3 and 6: seconds, and what share of all the operations is asked for."""
    encoder = drawn("cnn14")
    x = batch_of("cnn14")
    wanted = {"cnn14#3": (3,), "cnn14#3#6": (3, 6)}
    work = {name: flop(lambda layers=layers: encoder.layers(x, layers)) for name, layers in wanted.items()}
    rows: list[dict[str, object]] = []
    for engine in ("torch", "onnxruntime"):
        methods = {}
        for name, layers in wanted.items():
            fast = accelerated(stream("cnn14", encoder, layers), engine)
            methods[name] = lambda fast=fast, layers=layers: fast.layers(x, layers)
        seconds = interleaved(methods, repeat=repeat)
        for name in wanted:
            time, share = seconds[name] / seconds["cnn14#3#6"], work[name] / work["cnn14#3#6"]
            rows.append({"model": name, "engine": engine, "rate": len(x) / seconds[name], "time": time, "flop": share})
    return rows


def show(console: Console, title: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    table = Table(title=title, title_justify="left", box=None)
    for heading in headings:
        table.add_column(heading)
    for row in rows:
        table.add_row(*row)
    console.print(table)


@torch.inference_mode()
def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engines", description=__doc__)
    parser.add_argument("--encoder", action="append", choices=[*WORKLOADS, "layers"], help="only these tables")
    parser.add_argument("--repeat", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="a few repetitions")
    parser.add_argument("--json", type=Path, metavar="PATH")
    options = parser.parse_args(arguments)
    repeat = 1 if options.quick else options.repeat
    console = Console(width=140, highlight=False)
    with tempfile.TemporaryDirectory() as folder:
        os.environ.setdefault("SOUNDLOOM_HOME", folder)
        rows = [row for name in options.encoder or WORKLOADS if name != "layers" for row in measure(name, repeat)]
        layers = measure_layers(repeat) if "layers" in (options.encoder or ["layers"]) else []
        if os.environ["SOUNDLOOM_HOME"] == folder:
            del os.environ["SOUNDLOOM_HOME"]
    facts = machine()
    show(
        console,
        f"Encoders, {facts['threads']} threads of {facts['processor']}",
        ("encoder", "method", "batch", "GFLOP", "examples/s", "ratio", "of peak", "difference"),
        [
            (
                row.encoder,
                row.method,
                str(row.batch),
                f"{row.gigaflop:.3g}",
                f"{row.rate:.3g}",
                f"{row.ratio:.2f}",
                f"{row.peak:.2f}",
                "" if row.difference is None else f"{row.difference:.0e}",
            )
            for row in rows
        ],
    )
    show(
        console,
        "Layers not wanted are not computed",
        ("model", "engine", "clips/s", "time, of all", "operations, of all"),
        [
            (str(row["model"]), str(row["engine"]), f"{row['rate']:.3g}", f"{row['time']:.2f}", f"{row['flop']:.2f}")
            for row in layers
        ],
    )
    if options.json is not None:
        write_json(options.json, [*(asdict(row) for row in rows), *layers])


if __name__ == "__main__":
    main()
