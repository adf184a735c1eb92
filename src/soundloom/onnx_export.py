"""A whole model as one ONNX file: waveforms in, embeddings out, the front-end included.

    waveforms [batch, samples] float32, mono, at the model's sample rate  ->  embeddings [batch, dim]

The batch is free. So is the length, between the bounds in the file's metadata, where no part of the model has a
fixed window: below the lower bound the library pads with silence, above the upper one it cuts. Else the length is that
of the longest window (VGGish 15,600 samples, COALA 48,640, AST 164,080): of a longer sound embed each window, the last
one filled with silence, and average by duration; for fused layers, whose maximum is over the whole sound, rather
export the length that is needed (``seconds``). A file of a given length does all that the library does with a sound of
that length.

The rest of what the library does is outside the file: decoding, resampling to ``sample_rate``, and cutting.

The file's metadata (``metadata_props``) holds model, fingerprint, sample_rate, dim, parts (name -> first and one past
the last column, JSON), window (settings of each part, JSON), min_samples, max_samples (empty for any) and opset.

Needs ``soundloom[onnx]``. Not for training, nor for components that state an ``export_obstacle``, such as peak maps.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from copy import copy
from dataclasses import dataclass
from math import ceil, floor
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from soundloom import onnx_graph
from soundloom.embedder import Embedder, Stream
from soundloom.errors import ModelError
from soundloom.frontends import Frontend
from soundloom.models.component_types import component_types
from soundloom.system_errors import is_out_of_memory, reason_of

__all__ = ["TOLERANCE", "Exported", "check_destination", "check_exportable", "export"]

TOLERANCE = 1e-4
"""How far a file's embedding may be from the model's, as a share of the largest number."""

_FREE = {0: "batch", 1: "samples"}


@dataclass(frozen=True, kw_only=True)
class Exported:
    """A file that was written and found to agree with its model.

    Attributes:
        path: the file.
        min_samples: the shortest waveform that it takes.
        max_samples: the longest; None for any.
        opset: the version of ONNX's operators.
        difference: the largest between its embeddings and the model's, as a share of the largest number.
    """

    path: Path
    min_samples: int
    max_samples: int | None
    opset: int
    difference: float


@torch.no_grad()
def export(model: Embedder, path: str | os.PathLike[str], *, seconds: float | None = None) -> Exported:
    """Write a model as an ONNX file, and see in ONNX Runtime that it computes what the model computes.

    Args:
        model: as `soundloom.load` gives it, on the processor.
        path: the file, which ends in ``.onnx``; replaced only when the new one agrees.
        seconds: the length of sound that it is to take; if not given, any length where the model allows that,
            else the longest window.

    Raises:
        MissingExtraError: onnx, onnxscript or onnxruntime is not installed.
        ModelError: a part states that it cannot be exported, or has operations that ONNX lacks; the length is too
            short for it, too long for the memory, or needed and not given; the file is not named as ONNX files are,
            cannot be written, or disagrees with the model (and is not kept).
    """
    onnx_graph.require("exporting a model")
    path = Path(path)
    check_destination(path)
    streams = _streams(model)
    training = model.training
    model.eval()
    try:
        lengths = _lengths(model, streams) if seconds is None else _fixed(model, round(seconds * model.sample_rate))
        return _export(model, path, lengths)
    except (MemoryError, RuntimeError) as error:
        if seconds is None or not is_out_of_memory(error):
            raise
        raise ModelError(
            f"a sound of {seconds:g} s does not fit into memory in one piece: give fewer seconds"
        ) from None
    finally:
        model.train(training)


def check_exportable(name: str, *, offline: bool = False) -> None:
    """Refuse a model, before its weights are fetched or read, with a component that states why it cannot be exported.

    Raises:
        MissingExtraError: as for `export`.
        ModelError: it has one; or a saved model cannot be had.
        UnknownModelError: no such model, or no such layer.
    """
    onnx_graph.require("exporting a model")
    for part, kind in component_types(name, offline=offline):
        _check_component(kind, name, part)


def check_destination(path: Path) -> None:
    """Refuse a path that no ONNX file can be written to, or that promises another format.

    Raises:
        ModelError: it does not end in ``.onnx``, or its folder does not exist.
    """
    if path.suffix.lower() != ".onnx":
        raise ModelError(f"models are exported as ONNX files, whose names end in .onnx: got {path.name!r}")
    if not path.parent.is_dir():
        raise ModelError(f"cannot write {str(path)!r}: there is no folder {str(path.parent)!r}")


@dataclass(frozen=True, kw_only=True)
class _Range:
    """The lengths that a file takes, in samples; no end if ``most`` is None."""

    least: int
    most: int | None

    @property
    def is_fixed(self) -> bool:
        return self.least == self.most


def _export(model: Embedder, path: Path, lengths: _Range) -> Exported:
    # In one piece, a sound meets no window; else its length, and so its windows, are recorded with all the rest.
    recorded = model if lengths.is_fixed else model.with_streams(_unwindowed)
    example = _noise(2, lengths.least if lengths.is_fixed else min(2 * model.sample_rate, lengths.most or 1 << 62))
    _embed(recorded, example)  # fills what front-ends remember with numbers, before symbols could get there
    free = {0: "batch"} if lengths.is_fixed else _FREE
    try:
        graph = onnx_graph.record(_Embedding(recorded), example, free=free, takes="waveforms", gives=["embeddings"])
    except torch.onnx.OnnxExporterError as error:
        raise ModelError(
            f"{model.name!r} has a part with an operation that ONNX lacks ({_reason(error)}): leave that part out"
        ) from error
    lengths = _Range(least=max(lengths.least, graph.least.get("samples", 0)), most=lengths.most)
    facts = {
        "model": model.name,
        "fingerprint": model.fingerprint(),
        "sample_rate": str(model.sample_rate),
        "dim": str(model.dim),
        "parts": json.dumps({name: [columns.start, columns.stop] for name, columns in model.parts.items()}),
        "window": json.dumps({stream.name: repr(stream.window) for stream in _streams(model)}),
        "min_samples": str(lengths.least),
        "max_samples": "" if lengths.most is None else str(lengths.most),
        "opset": str(onnx_graph.OPSET),
    }
    writing = path.with_name(f"{path.name}.writing")
    try:
        graph.write(writing, facts)
        difference = _difference(model, onnx_graph.Session(writing), lengths)
        if not difference <= TOLERANCE:
            raise ModelError(
                f"{model.name!r} in ONNX is {difference:.1g} off, and {TOLERANCE:g} is allowed: "
                f"{str(path)!r} was not written"
            )
        writing.replace(path)
    except OSError as error:
        raise ModelError(f"cannot write {str(path)!r}: {reason_of(error)}") from error
    finally:
        writing.unlink(missing_ok=True)
    return Exported(
        path=path,
        min_samples=lengths.least,
        max_samples=lengths.most,
        opset=onnx_graph.OPSET,
        difference=difference,
    )


class _Embedding(nn.Module):
    """A model as a plain function of waveforms that are long enough."""

    def __init__(self, model: Embedder) -> None:
        super().__init__()
        self.model = model

    def forward(self, waveforms: Tensor) -> Tensor:
        return _embed(self.model, waveforms)


def _embed(model: Embedder, waveforms: Tensor) -> Tensor:
    return model.embed_equal(waveforms)


def _difference(model: Embedder, session: onnx_graph.Session, lengths: _Range) -> float:
    """The largest difference on noise and on silence, alone and in a batch, at the shortest and a longer length."""
    worst = 0.0
    longer = min(3 * model.sample_rate + 1, lengths.most or 1 << 62)
    for samples in {lengths.least, max(longer, lengths.least), lengths.most or lengths.least}:
        for waveforms in (_noise(1, samples), torch.zeros(1, samples), _noise(3, samples)):
            expected = _embed(model, waveforms)
            (got,) = session(waveforms)
            if got.shape != expected.shape or not bool(torch.isfinite(got).all()):
                return float("inf")
            worst = max(worst, float((got - expected).abs().max() / expected.abs().max().clamp_min(1e-6)))
    return worst


def _noise(batch: int, samples: int) -> Float[Tensor, "{batch} {samples}"]:
    return torch.randn(batch, samples, generator=torch.Generator().manual_seed(0)) / 10


def _fixed(model: Embedder, samples: int) -> _Range:
    if samples < model.min_samples:
        raise ModelError(
            f"{model.name!r} takes sounds from {model.min_samples / model.sample_rate:.3f} s on, "
            f"got {samples / model.sample_rate:.3f} s: give more seconds"
        )
    return _Range(least=samples, most=samples)


def _streams(model: Embedder) -> tuple[Stream, ...]:
    """The model's streams, or itself if it is one."""
    for part in model.embedders:
        if not part.streams:
            raise ModelError(
                f"{part.name!r} is a {type(part).__name__}, and only streams and woven models can be exported"
            )
    for stream in model.streams:
        _check_exportable(model, stream)
    return model.streams


def _check_exportable(model: Embedder, stream: Stream) -> None:
    """Refuse a stream with a component, however deep inside, that states why it cannot be exported."""
    for module in stream.modules():
        _check_component(type(module), model.name, stream.name)


def _check_component(kind: type, model: str, part: str) -> None:
    reason = getattr(kind, "export_obstacle", "")
    if reason:
        article = "an" if kind.__name__[0] in "AEIOU" else "a"
        where = "it" if part == model else f"its part {part!r}"
        raise ModelError(
            f"{model!r} cannot be exported: {where} contains {article} {kind.__name__}, {reason}"
            + ("" if part == model else ". Weave a model without that part, and export it")
        )


def _lengths(model: Embedder, streams: Iterable[Stream]) -> _Range:
    """Every length that no stream cuts; or, where a stream takes one only, the longest of those."""
    needed: list[int] = []
    most: list[int] = []
    for stream in streams:
        # Fused layers are pooled to equal time by a kernel as long as the sound demands, and ONNX's are fixed; so is
        # the length of what a resampler gives.
        single = stream.wanted is not None and (stream.encoder.stride or 1) > 1
        single = single or stream.sample_rate != model.sample_rate or not _takes_any_length(stream.frontend)
        if stream.window is not None:
            samples = _filling(stream) if stream.window.fixed else _longest_piece(stream)
            # Rounded up where a window must be filled, down where it must not be exceeded.
            scaled = samples * model.sample_rate / stream.sample_rate
            (needed if stream.window.fixed or single else most).append(
                ceil(scaled) if stream.window.fixed else floor(scaled)
            )
        elif single:
            part = "" if stream.name == model.name else f", as its part {stream.name!r} can"
            raise ModelError(
                f"{model.name!r} can be exported for one length of sound only{part}: say which, in seconds "
                "(--seconds 10)"
            )
    if needed:
        return _fixed(model, max(needed))
    return _Range(least=model.min_samples, most=min(most, default=None))


def _takes_any_length(frontend: Frontend) -> bool:
    return all(module.exports_any_length for module in frontend.modules() if isinstance(module, Frontend))


def _filling(stream: Stream) -> int:
    """The fewest samples that fill a fixed window."""
    assert stream.window is not None
    samples = stream.min_samples
    while (missing := stream.window.frames - stream.frontend.frames(samples)) > 0:
        samples += max(1, floor((missing - 1) * stream.frontend.hop * stream.sample_rate))
    return samples


def _longest_piece(stream: Stream) -> int:
    """A window's samples, or the few less that are not cut."""
    assert stream.window is not None
    samples = round(stream.window.frames * stream.frontend.hop * stream.sample_rate)
    while len(list(stream.windows(torch.zeros(1, samples), stream.frontend.frames(samples)))) > 1:
        samples -= 1
    return samples


def _unwindowed(stream: Stream) -> Stream:
    """The stream as it is for sounds that no window cuts."""
    twin = copy(stream)
    twin.window = None
    return twin


def _reason(error: BaseException) -> str:
    """The first line of the innermost cause."""
    while error.__cause__ is not None:
        error = error.__cause__
    return next(iter(str(error).splitlines()), type(error).__name__)
