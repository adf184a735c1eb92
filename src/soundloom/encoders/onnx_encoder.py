"""An ONNX graph as an encoder: samples in, each output a numbered layer, computed by onnxruntime.

The graph's bytes are part of the encoder's state, so that a saved model holds them and its fingerprint counts them. It
runs on the processor, on one thread and on one sound at a time: a row does not depend on its batch, and the same sound
gives the same bits in every run.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from soundloom.encoders.base import Encoder, register_encoder
from soundloom.errors import InvalidArgumentError, MissingExtraError, ModelError

__all__ = ["OnnxFile", "OnnxFileSettings", "open_session"]

_SMALLEST = base64.b64decode(
    "CAg6qgEKIAoHc2FtcGxlcwoHc2FtcGxlcxIHc3F1YXJlcyIDTXVsCjoKB3NxdWFyZXMSBXBvd2VyIgpSZWR1Y2VNZWFuKgsKBGF4"
    "ZXNAAaABByoPCghrZWVwZGltcxgBoAECEgVwb3dlclolCgdzYW1wbGVzEhoKGAgBEhQKBxIFYmF0Y2gKCRIHc2FtcGxlc2IcCgVw"
    "b3dlchITChEIARINCgcSBWJhdGNoCgIIAUIECgAQDQ=="
)
"""The mean of the squared samples: samples [batch, samples] -> power [batch, 1]."""


@dataclass(frozen=True, kw_only=True)
class OnnxFileSettings:
    """What is known of a graph besides its bytes.

    Attributes:
        sha256: of the file.
        bytes: its size.
        takes: name of its input.
        axes: of the input: 1 for [samples], 2 for [batch, samples], 3 for [batch, 1, samples].
        gives: names of the outputs that are layers 1, 2, ...
        layouts: the axes of each: b batch, t time, f frequency, d numbers; each at most once, d always.
        customary: place of the customary embedding among the outputs.
        sample_rate: hertz.
        samples: the length it takes; 0 for any.
        stride: samples to a step of the output with the most; 0 where every output is a single vector.
    """

    sha256: str = "d83239c8f792cd06a8ad30b26e6284e1accc4101b391d854114a40a6d70e5866"
    bytes: int = 181
    takes: str = "samples"
    axes: int = 2
    gives: tuple[str, ...] = ("power",)
    layouts: tuple[str, ...] = ("bd",)
    customary: int = 0
    sample_rate: int = 16000
    samples: int = 0
    stride: int = 0

    def __post_init__(self) -> None:
        wrong = [one for one in self.layouts if "d" not in one or len(set(one)) < len(one) or set(one) - set("btfd")]
        if wrong or len(self.layouts) != len(self.gives) or not 0 <= self.customary < len(self.gives):
            raise InvalidArgumentError(
                f"layouts are the letters b, t, f and d, each once, with d in it, one for each of {self.gives}; "
                f"got {self.layouts}"
            )
        if self.axes not in (1, 2, 3) or self.sample_rate < 1 or min(self.samples, self.stride, self.bytes) < 0:
            raise InvalidArgumentError(f"these settings are of no graph: {self}")


@register_encoder("OnnxFile", settings=OnnxFileSettings)
class OnnxFile(Encoder):
    """A graph over raw samples ``[batch, 1, 1, samples]``; no gradients.

    Args:
        settings: what is known of the graph; a very small one if not given.
        graph: the file's bytes.

    Attributes:
        settings: as given.
        graph: the file's bytes.

    Raises:
        InvalidArgumentError: as many bytes as the settings say are not given.
    """

    transient = ("_session",)
    export_obstacle = "which is an ONNX file already"

    graph: Tensor

    def __init__(self, settings: OnnxFileSettings | None = None, graph: UInt8[Tensor, " bytes"] | None = None) -> None:
        super().__init__()
        self.settings = settings = settings or OnnxFileSettings()
        if graph is None:
            default = settings.bytes == len(_SMALLEST)
            graph = torch.tensor(list(_SMALLEST) if default else [0], dtype=torch.uint8).expand(settings.bytes).clone()
        if graph.shape != (settings.bytes,):
            raise InvalidArgumentError(f"a graph of {settings.bytes} bytes is wanted, got {len(graph)}")
        self.register_buffer("graph", graph)
        self.available = tuple(range(1, len(settings.gives) + 1))
        self.stride = settings.stride or None
        self._session: Any = None

    def layers(
        self, representation: Float[Tensor, "batch channel frequency time"], wanted: Sequence[int]
    ) -> list[Float[Tensor, "batch _channel _frequency _time"]]:
        """The wanted outputs [B, D, F, T], F and T being 1 where an output has none.

        Raises:
            InvalidArgumentError: a wanted layer is not in ``available``, or the representation is not of samples.
            ModelError: the graph fails on samples of this length.
        """
        self.check_wanted(wanted)
        if representation.shape[1:3] != (1, 1):
            raise InvalidArgumentError(
                f"{type(self).__name__} takes samples [batch, 1, 1, time], got {list(representation.shape)}"
            )
        rows = [self._run(row, wanted) for row in representation.detach().cpu().flatten(1).numpy()]
        return [torch.cat(layer).to(representation.device) for layer in zip(*rows, strict=True)]

    def baseline(
        self, representation: Float[Tensor, "batch channel frequency time"]
    ) -> Float[Tensor, "batch _dim _frames"]:
        """The customary embedding over time, averaged over frequency: [B, D, T]."""
        return self.layers(representation, [self.settings.customary + 1])[0].mean(dim=2)

    def extra_repr(self) -> str:
        """The settings in full: what, besides the graph, decides the layers."""
        return repr(self.settings)

    def __getstate__(self) -> dict[str, Any]:
        # Sessions cannot be copied; a copy opens one of its own.
        return {**self.__dict__, "_session": None}

    def _run(self, samples: Float[np.ndarray, " samples"], wanted: Sequence[int]) -> list[Tensor]:
        """The wanted outputs of one sound, [1, D, F, T] each."""
        if self._session is None:
            self._session = open_session(self.graph.cpu().numpy().tobytes(), "the graph")
        shape = (1,) * (self.settings.axes - 1) + (len(samples),)
        names = [self.settings.gives[layer - 1] for layer in wanted]
        try:
            found = self._session.run(names, {self.settings.takes: np.ascontiguousarray(samples).reshape(shape)})
        except Exception as error:  # onnxruntime has no public base class of its errors
            raise ModelError(
                f"the graph fails on {len(samples)} samples: {' '.join(str(error).split())[:200]}"
            ) from None
        layouts = [self.settings.layouts[layer - 1] for layer in wanted]
        return [_spread(torch.from_numpy(array), layout) for array, layout in zip(found, layouts, strict=True)]


def open_session(graph: bytes, name: str) -> Any:
    """A session of onnxruntime on the processor, on one thread.

    Raises:
        ModelError: the bytes are no graph that it can run.
        MissingExtraError: onnxruntime is not installed.
    """
    try:
        import onnxruntime
    except ModuleNotFoundError:
        raise MissingExtraError("onnxruntime", "onnx", "a model in an ONNX file") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 4  # failures become exceptions
    try:
        return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has no public base class of its errors
        reason = " ".join(str(error).split())[:200]
        hint = "; weights in a file of their own must be merged into it" if "external" in reason.lower() else ""
        raise ModelError(f"onnxruntime cannot open {name}: {reason}{hint}") from None


def _spread(array: Tensor, layout: str) -> Tensor:
    """An output as [1, D, F, T]."""
    if array.ndim != len(layout):
        raise ModelError(f"an output of the graph has shape {list(array.shape)}, its layout is {layout!r}")
    missing = [axis for axis in "bdft" if axis not in layout]
    for _ in missing:
        array = array.unsqueeze(-1)
    order = layout + "".join(missing)
    spread = array.permute(*(order.index(axis) for axis in "bdft"))
    if len(spread) != 1:
        raise ModelError(f"an output of the graph has {len(spread)} rows for one sound: {list(array.shape)}")
    return spread.contiguous()
