"""The streams of Verma 2023: how fast they embed and train, and what their learned filters cost.

    python -m benchmarks.streams [--seconds 20] [--batch 64] [--repeat 7] [--quick] [--json out.json]

Three tables. *Embedding*: seconds of sound a second, through front-end, encoder and pooling, of each stream alone and
of all four woven, with the time of all over the sum of the parts' (the weaving's own cost: sound is decoded and
resampled once for all). *The waveform's filters*: forward, and forward with backward, beside the convolution that the
paper describes and its maximum. *A training step* of the whole stream, beside the same with that convolution and
torch's own dropout.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from unittest.mock import patch

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.nn import functional

from benchmarks.timing import interleaved, machine, write_json
from soundloom.embedder import Stream, Woven
from soundloom.encoders.waveform_transformer import strongest
from soundloom.recipes.architectures import build_stream
from soundloom.recipes.diverse import DIVERSE

RATE = 16000
PATCHES, FILTERS, LENGTH, PATCH = 640, 128, 200, 400


@dataclass(frozen=True, kw_only=True)
class Row:
    """One thing measured.

    Attributes:
        task: the table.
        what: a stream or a method.
        milliseconds: median.
        real_time: seconds of sound a second.
        ratio: of its time to that of what it is compared with: the parts' sum, or the plain method.
        error: largest difference from the plain method, as a share of the largest number.
    """

    task: str
    what: str
    milliseconds: float
    real_time: float
    ratio: float | None = None
    error: float | None = None


def naive(patches: Tensor, filters: Tensor) -> Tensor:
    """The convolution as section 3.3 describes it, and its maximum."""
    length = filters.shape[1]
    padded = functional.pad(patches, ((length - 1) // 2, length // 2))
    return functional.conv1d(padded[:, None], filters[:, None]).amax(dim=2)


def embedding(seconds: int, repeat: int) -> Iterator[Row]:
    """Every stream alone, and all of them woven."""
    streams = {name: build_stream(name, 0, name).eval() for name in DIVERSE}
    woven = Woven(list(streams.values())).eval()
    sound = 0.1 * torch.randn(1, seconds * RATE, generator=torch.Generator().manual_seed(0))

    def embed(model: torch.nn.Module) -> Callable[[], object]:
        def run() -> object:
            with torch.inference_mode():
                return model(sound)

        return run

    taken = interleaved({**{name: embed(model) for name, model in streams.items()}, "all": embed(woven)}, repeat=repeat)
    together = sum(taken[name] for name in DIVERSE)
    for name, time in taken.items():
        ratio = time / together if name == "all" else None
        yield Row(task="embedding", what=name, milliseconds=1e3 * time, real_time=seconds / time, ratio=ratio)


def filtering(repeat: int) -> Iterator[Row]:
    """The learned filters, forward and backward."""
    generator = torch.Generator().manual_seed(0)
    patches = torch.randn(PATCHES, PATCH, generator=generator)
    filters = torch.randn(FILTERS, LENGTH, generator=generator).requires_grad_()
    seconds = PATCHES * PATCH / RATE

    def forward(method: Callable[[Tensor, Tensor], Tensor]) -> Callable[[], Tensor]:
        def run() -> Tensor:
            with torch.inference_mode():
                return method(patches, filters)

        return run

    def both(method: Callable[[Tensor, Tensor], Tensor]) -> Callable[[], Tensor]:
        return lambda: torch.autograd.grad(method(patches, filters).sum(), filters)[0]

    for task, kind in (("filters, forward", forward), ("filters, forward and backward", both)):
        methods = {"convolution": kind(naive), "soundloom": kind(strongest)}
        expected, got = (method() for method in methods.values())
        error = float((got - expected).abs().max() / expected.abs().max())
        taken = interleaved(methods, repeat=repeat)
        for name, time in taken.items():
            mine = name == "soundloom"
            yield Row(
                task=task,
                what=name,
                milliseconds=1e3 * time,
                real_time=seconds / time,
                ratio=time / taken["convolution"] if mine else None,
                error=error if mine else None,
            )


@contextmanager
def plainly() -> Iterator[None]:
    """With the convolution and torch's dropout."""
    with (
        patch("soundloom.encoders.waveform_transformer.strongest", naive),
        patch("soundloom.encoders.transformer.dropout", functional.dropout),
        patch("soundloom.encoders.dropout.dropout", functional.dropout),
    ):
        yield


def training(batch: int, repeat: int) -> Iterator[Row]:
    """A step of each stream that is trained, beside the plain one."""
    for name in DIVERSE:
        stream = build_stream(name, 0, name).train()
        shape = stream.frontend(torch.zeros(1, RATE)).shape[1:]
        windows = torch.randn(batch, *shape, generator=torch.Generator().manual_seed(0))
        taken = interleaved({"plain": _plain_step(stream, windows), "soundloom": _step(stream, windows)}, repeat=repeat)
        for method, time in taken.items():
            yield Row(
                task=f"training step of {batch} s",
                what=f"{name}, {method}",
                milliseconds=1e3 * time,
                real_time=batch / time,
                ratio=time / taken["plain"] if method == "soundloom" else None,
            )


def _step(stream: Stream, windows: Tensor) -> Callable[[], None]:
    def run() -> None:
        stream.zero_grad()
        torch.autograd.backward(stream.embed_window(windows).square().sum())

    return run


def _plain_step(stream: Stream, windows: Tensor) -> Callable[[], None]:
    def run() -> None:
        with plainly():
            _step(stream, windows)()

    return run


def show(rows: Sequence[Row]) -> None:
    """Print the rows as one table."""
    facts = machine()
    table = Table(title=f"{facts['processor']}, {facts['threads']} threads", box=None, title_justify="left")
    for heading in ("task", "what", "ms", "x real time", "ratio", "error"):
        table.add_column(heading, justify="left" if heading in ("task", "what") else "right", no_wrap=True)
    for row in rows:
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
        error = "" if row.error is None else f"{row.error:.0e}"
        table.add_row(row.task, row.what, f"{row.milliseconds:.1f}", f"{row.real_time:,.0f}", ratio, error)
    Console(width=120).print(table)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=20, help="of the sound that is embedded")
    parser.add_argument("--batch", type=int, default=64, help="windows in a training step")
    parser.add_argument("--repeat", type=int, default=7, help="times that each is measured")
    parser.add_argument("--quick", action="store_true", help="once, and little: to see that it runs")
    parser.add_argument("--json", type=Path, help="write the rows here")
    options = parser.parse_args(arguments)
    seconds, batch, repeat = (2, 4, 1) if options.quick else (options.seconds, options.batch, options.repeat)
    rows = [*embedding(seconds, repeat), *filtering(repeat), *training(batch, repeat)]
    show(rows)
    if options.json is not None:
        write_json(options.json, [asdict(row) for row in rows])


if __name__ == "__main__":
    main()
