"""ONNX files as models, ``onnx:FILE``: waveform in, every output a numbered layer, facts from the graph or beside it.

    model.onnx         the graph, with its weights inside
    model.onnx.json    optional, what is known of it, all keys optional:
                       {"sample_rate": 32000, "window": 5.0, "embedding": "embedding", "licence": "Apache-2.0",
                        "layouts": {"spatial_embedding": "btfd"}}

The sample rate is that of the sidecar; else of the graph's metadata (``sample_rate``, as `soundloom.onnx_export` writes
it); else it follows from a length of input and a size of output that are known: Perch v2 (5 s at 32 kHz, 1536 numbers)
and BirdNET 2.4 (3 s at 48 kHz, 1024). A window is the input's fixed length; of an input of any length the sidecar's, or
10 s. A layout names the axes of an output: b batch, t time, f frequency, d numbers; ``bd``, ``btd`` and ``btfd`` unless
it is given. The embedding without layers is the output that the sidecar names, one called so, else the first ``bd``.

When not: graphs of spectrograms, and graphs that keep weights in a file of their own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from soundloom.components import from_plain
from soundloom.embedder import Stream, Window
from soundloom.encoders.onnx_encoder import OnnxFile, OnnxFileSettings, open_session
from soundloom.encoders.shortest_input import noise, shortest_input
from soundloom.errors import InvalidArgumentError, ModelError
from soundloom.frontends.framed_waveform import PatchSettings, WaveformPatches
from soundloom.models.names import word_of
from soundloom.system_errors import reason_of

__all__ = ["Sidecar", "is_onnx", "load_onnx", "path_of", "read_sidecar"]

_PREFIX = "onnx:"
_WINDOW = 10.0
_LARGEST = 2**31

_KNOWN_RATES = {(160_000, 1536): 32_000, (144_000, 1024): 48_000}
"""(samples of the window, size of an output) -> sample rate: Perch v2, BirdNET 2.4."""

_LAYOUTS = {2: "bd", 3: "btd", 4: "btfd"}


@dataclass(frozen=True, kw_only=True)
class Sidecar:
    """What a file beside a graph says of it; None and empty where it says nothing.

    Attributes:
        sample_rate: hertz.
        window: seconds it takes at once, of an input of any length.
        embedding: the output that is the customary embedding.
        layouts: output -> its axes.
        licence: by SPDX name.
    """

    sample_rate: int | None = None
    window: float | None = None
    embedding: str | None = None
    layouts: dict[str, str] = field(default_factory=dict)
    licence: str | None = None


def is_onnx(text: object) -> bool:
    """Whether a text names an ONNX file as a model."""
    return isinstance(text, str) and text.startswith(_PREFIX)


def path_of(address: str) -> Path:
    """Where the file of ``onnx:FILE`` lies."""
    return Path(address.removeprefix(_PREFIX)).expanduser()


def read_sidecar(path: Path) -> Sidecar:
    """What is known of a graph besides itself.

    Raises:
        ModelError: the file beside it is not of that form.
    """
    beside = path.with_name(f"{path.name}.json")
    if not beside.is_file():
        return Sidecar()
    try:
        data = json.loads(beside.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{beside} cannot be read as JSON: {error}") from None
    sidecar = from_plain(Sidecar, data, str(beside), error=ModelError)
    if not all(isinstance(layout, str) for layout in sidecar.layouts.values()):
        raise ModelError(f'{beside}: layouts are texts, such as {{"spatial": "btfd"}}, got {sidecar.layouts}')
    return sidecar


def load_onnx(path: Path) -> Stream:
    """The model in an ONNX file, its customary embedding averaged over windows.

    Raises:
        ModelError: there is no such file, it is no graph from a waveform to numbers, or its sample rate is not known.
        MissingExtraError: onnxruntime is not installed.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(f"cannot read the ONNX file {str(path)!r}: {reason_of(error)}") from None
    if len(data) >= _LARGEST:
        raise ModelError(f"{str(path)!r} has {len(data):,} bytes: graphs of 2 GiB and more are not taken")
    sidecar = read_sidecar(path)
    settings = _settings(path, data, sidecar)
    graph = torch.from_numpy(np.frombuffer(data, np.uint8).copy())
    encoder = OnnxFile(settings, graph)
    settings = replace(settings, stride=_stride(encoder))
    encoder = OnnxFile(settings, graph).eval()
    any_length = settings.samples == 0
    window = settings.samples or round((sidecar.window or _WINDOW) * settings.sample_rate)
    return Stream(
        word_of(path.stem),
        WaveformPatches(PatchSettings(sample_rate=settings.sample_rate, length=1)),
        encoder,
        layers=None,
        pooling="mean",
        window=Window(frames=window, fixed=not any_length),
        min_samples=shortest_input(partial(_takes, encoder), settings.sample_rate) if any_length else None,
    )


def _settings(path: Path, data: bytes, sidecar: Sidecar) -> OnnxFileSettings:
    session = open_session(data, str(path))
    inputs, outputs = session.get_inputs(), [out for out in session.get_outputs() if out.type == "tensor(float)"]
    if len(inputs) != 1 or inputs[0].type != "tensor(float)" or len(inputs[0].shape) not in (1, 2, 3):
        shapes = ", ".join(f"{each.name} {each.type} {each.shape}" for each in inputs)
        raise ModelError(f"{str(path)!r} takes {shapes}: a model takes one waveform, [samples] or [batch, samples]")
    samples = inputs[0].shape[-1] if isinstance(inputs[0].shape[-1], int) else 0
    layouts = {out.name: sidecar.layouts.get(out.name) or _LAYOUTS.get(len(out.shape), "") for out in outputs}
    kept = [out for out in outputs if layouts[out.name]]
    unknown = sorted({*sidecar.layouts, *([sidecar.embedding] if sidecar.embedding else [])} - set(layouts))
    if not kept or unknown:
        has = ", ".join(f"{each.name} {each.shape}" for each in session.get_outputs())
        wrong = f"no output {unknown[0]!r}" if unknown else "no output of 2 to 4 axes of 32-bit numbers"
        raise ModelError(f"{str(path)!r} has {wrong}: its outputs are {has}")
    facts = session.get_modelmeta().custom_metadata_map
    stated = facts.get("sample_rate", "")
    rate = sidecar.sample_rate or (int(stated) if stated.isdecimal() else _known_rate(samples, kept))
    if not rate:
        raise ModelError(
            f"{str(path)!r} does not say its sample rate: write it beside the file, into {path.name}.json, "
            'as {"sample_rate": 32000}'
        )
    names = [out.name for out in kept]
    try:
        return OnnxFileSettings(
            sha256=hashlib.sha256(data).hexdigest(),
            bytes=len(data),
            takes=inputs[0].name,
            axes=len(inputs[0].shape),
            gives=tuple(names),
            layouts=tuple(layouts[name] for name in names),
            customary=names.index(sidecar.embedding) if sidecar.embedding in names else _customary(kept, layouts),
            sample_rate=rate,
            samples=samples,
        )
    except InvalidArgumentError as error:
        raise ModelError(f"{str(path)!r}: {error}") from None


def _known_rate(samples: int, outputs: list[Any]) -> int:
    sizes = [out.shape[-1] for out in outputs if len(out.shape) == 2]
    return next((rate for (length, size), rate in _KNOWN_RATES.items() if length == samples and size in sizes), 0)


def _customary(outputs: list[Any], layouts: Mapping[str, str]) -> int:
    """The output called an embedding, else the first that is one vector, else the first."""
    plain = [number for number, out in enumerate(outputs) if layouts[out.name] == "bd"]
    called = [number for number in plain if "embedding" in outputs[number].name.lower()]
    return (called or plain or [0])[0]


def _stride(encoder: OnnxFile) -> int:
    """Samples to one step of the output with the most steps; 0 if all outputs are single vectors."""
    if not any("t" in layout for layout in encoder.settings.layouts):
        return 0
    if encoder.settings.samples:
        steps = max(layer.shape[-1] for layer in _layers(encoder, encoder.settings.samples))
        return max(1, encoder.settings.samples // steps) if steps > 1 else 0
    apart = 2 * encoder.settings.sample_rate
    short, long = (max(layer.shape[-1] for layer in _layers(encoder, samples)) for samples in (apart, 2 * apart))
    return max(1, round(apart / (long - short))) if long > short else 0


def _takes(encoder: OnnxFile, samples: int) -> bool:
    """Whether the graph runs on so many samples, and gives numbers."""
    try:
        return all(layer.numel() and bool(layer.isfinite().all()) for layer in _layers(encoder, samples))
    except ModelError:
        return False


def _layers(encoder: OnnxFile, samples: int) -> list[torch.Tensor]:
    return encoder.layers(noise(samples), encoder.available)
