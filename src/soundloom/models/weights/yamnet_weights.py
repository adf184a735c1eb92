"""Published YAMNet weights as the state of `soundloom.encoders.YAMNet`: from the Keras file and from the 8-bit graph.

Kernels are transposed from TensorFlow's time x frequency images to frequency x time. Batch normalisation has no scale
in the Keras file (weights 1); in the graph it is part of the convolutions, so that it adds the bias and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from soundloom.encoders.init import state_shapes
from soundloom.encoders.yamnet import YAMNet
from soundloom.errors import ModelError
from soundloom.models.weights.tensorflow_weights import TFLiteLayer

__all__ = ["from_keras", "from_tflite", "shapes"]

_Array = NDArray[np.float32]
_KEY = re.compile(
    r"(?:^|/)(?:(layer\d+)/(conv|depthwise_conv|pointwise_conv)(/bn)?|(logits))/"
    r"(kernel|depthwise_kernel|bias|beta|gamma|moving_mean|moving_variance)(?::0)?$"
)
_NORM = {"beta": "bias", "gamma": "weight", "moving_mean": "running_mean", "moving_variance": "running_var"}


def shapes() -> dict[str, tuple[int, ...]]:
    """Every key of the encoder's state and its tensor's shape."""
    return state_shapes(YAMNet)


def from_keras(arrays: Mapping[str, _Array]) -> dict[str, Tensor]:
    """The state from the arrays of ``yamnet.h5``, by their paths in the file; arrays of other names are left out."""
    state: dict[str, Tensor] = {}
    for path, array in arrays.items():
        found = _KEY.search(path)
        if found is None:
            continue
        layer, convolution, norm, _, name = found.groups()
        if layer is None:
            state["logits.weight" if name == "kernel" else "logits.bias"] = _tensor(array.T)
        elif norm:
            state[f"{layer}.{_norm_of(convolution)}.{_NORM[name]}"] = _tensor(array)
        else:
            state[f"{layer}.{convolution}.weight"] = _tensor(_from_hwio(array, depthwise=name == "depthwise_kernel"))
    return _completed(state)


def from_tflite(layers: Sequence[TFLiteLayer]) -> dict[str, Tensor]:
    """The state from the layers of ``yamnet.tflite``, whose batch normalisation is folded into the convolutions.

    Raises:
        ModelError: the graph is another network's.
    """
    # The mel filters are a fully connected layer of the graph's front-end: ours are computed.
    mine = [layer for layer in layers if layer.kernel.shape != (64, 257)]
    places = list(_places())
    if len(mine) != len(places):
        raise ModelError(f"a YAMNet graph has {len(places)} layers with weights, this one {len(mine)}")
    state: dict[str, Tensor] = {}
    for (layer, convolution), found in zip(places, mine, strict=True):
        if layer == "logits":
            state["logits.weight"], state["logits.bias"] = _tensor(found.kernel), _tensor(found.bias)
            continue
        depthwise = found.kind == "DEPTHWISE_CONV_2D"
        hwio = np.transpose(found.kernel, (1, 2, 3, 0))
        state[f"{layer}.{convolution}.weight"] = _tensor(_from_hwio(hwio, depthwise=depthwise))
        state[f"{layer}.{_norm_of(convolution)}.bias"] = _tensor(found.bias)
    return _completed(state)


def _places() -> Iterator[tuple[str, str]]:
    yield "layer1", "conv"
    for number in YAMNet.available[1:]:
        yield f"layer{number}", "depthwise_conv"
        yield f"layer{number}", "pointwise_conv"
    yield "logits", ""


def _norm_of(convolution: str) -> str:
    return convolution.replace("conv", "bn") if convolution != "conv" else "conv_bn"


def _from_hwio(kernel: _Array, *, depthwise: bool) -> _Array:
    """[time, frequency, in, out] -> [out, in, frequency, time]; depthwise [time, frequency, channels, 1] likewise."""
    return np.transpose(kernel, (2, 3, 1, 0) if depthwise else (3, 2, 1, 0))


def _tensor(array: _Array) -> Tensor:
    return torch.from_numpy(np.array(array, np.float32, copy=True, order="C"))


def _completed(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """What the files leave out: scales of 1, and statistics of normalisations that were folded."""
    for key, shape in shapes().items():
        if key in state:
            continue
        layer, _, name = key.rpartition(".")
        if name == "num_batches_tracked":
            state[key] = torch.zeros((), dtype=torch.int64)
        elif layer.endswith("bn") and name == "weight":
            state[key] = torch.ones(shape)
        elif layer.endswith("bn") and name == "running_mean" and f"{layer}.bias" in state:
            state[key] = torch.zeros(shape)
        elif layer.endswith("bn") and name == "running_var" and f"{layer}.bias" in state:
            # 1 after the epsilon of the square root.
            state[key] = torch.full(shape, 1 - 1e-4)
    return state
