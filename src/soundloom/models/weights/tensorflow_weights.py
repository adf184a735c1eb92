"""Weights that TensorFlow wrote, as numpy arrays: Keras HDF5 files by h5py, TFLite graphs by the ``tflite`` package.

Nothing in either file is executed. Arrays keep TensorFlow's axes; 8-bit weights of a TFLite graph are multiplied by
their scales (Jacob et al. 2018, "Quantization and training of neural networks", equation 1).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from soundloom.errors import MissingExtraError, ModelError

__all__ = ["TFLiteLayer", "is_hdf5", "is_tflite", "read_keras", "read_tflite"]

_HDF5 = b"\x89HDF\r\n\x1a\n"


@dataclass(frozen=True, eq=False)
class TFLiteLayer:
    """A convolution or fully connected layer of a TFLite graph.

    Attributes:
        kind: TFLite's name of the operation, such as ``CONV_2D``.
        kernel: output channels first: [out, height, width, in], depthwise [1, height, width, channels], or [out, in].
        bias: [out], zeros where there is none.
    """

    kind: str
    kernel: NDArray[np.float32]
    bias: NDArray[np.float32]


def is_hdf5(path: Path) -> bool:
    """Whether a file begins as HDF5 files do."""
    with path.open("rb") as file:
        return file.read(len(_HDF5)) == _HDF5


def is_tflite(path: Path) -> bool:
    """Whether a file carries TFLite's identifier."""
    with path.open("rb") as file:
        return file.read(8)[4:] == b"TFL3"


def read_keras(path: Path) -> dict[str, NDArray[np.float32]]:
    """Every array of a Keras HDF5 file, by its path in the file, such as ``layer1/conv/layer1/conv/kernel:0``.

    Raises:
        ModelError: it is not a whole HDF5 file.
        MissingExtraError: h5py is not installed.
    """
    try:
        import h5py
    except ModuleNotFoundError:
        raise MissingExtraError("h5py", "tensorflow", "weights written by Keras") from None
    arrays: dict[str, NDArray[np.float32]] = {}

    def keep(name: str, item: Any) -> None:
        # Fixed-size numbers alone: object arrays and external links have no place among weights.
        if isinstance(item, h5py.Dataset) and item.dtype.kind == "f":
            arrays[name] = np.asarray(item, np.float32)

    try:
        with h5py.File(path, "r") as file:
            file.visititems(keep)
    except (OSError, RuntimeError, ValueError) as error:
        raise ModelError(f"{path} is not a whole HDF5 file ({error}): fetch it again") from error
    return arrays


def read_tflite(path: Path) -> list[TFLiteLayer]:
    """The layers with weights of a TFLite graph's first subgraph, in computing order.

    Raises:
        ModelError: it is not a whole TFLite file.
        MissingExtraError: the ``tflite`` package is not installed.
    """
    try:
        import tflite
    except ModuleNotFoundError:
        raise MissingExtraError("tflite", "tensorflow", "weights in a TFLite file") from None
    try:
        model = tflite.Model.GetRootAsModel(path.read_bytes(), 0)
        return list(_layers(model, tflite))
    except (AttributeError, IndexError, KeyError, TypeError, ValueError, OverflowError, MemoryError) as error:
        # A flatbuffer is a web of offsets: damaged ones point anywhere.
        raise ModelError(f"{path} is not a whole TFLite file ({error}): fetch it again") from error
    except Exception as error:
        # numpy and struct errors of the reader, which has no error class of its own.
        raise ModelError(f"{path} cannot be read as a TFLite file ({error}): fetch it again") from error


def _layers(model: Any, tflite: Any) -> Iterator[TFLiteLayer]:
    graph = model.Subgraphs(0)
    kinds = {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"}
    for number in range(graph.OperatorsLength()):
        operator = graph.Operators(number)
        code = model.OperatorCodes(operator.OpcodeIndex())
        kind = tflite.opcode2name(max(code.BuiltinCode(), code.DeprecatedBuiltinCode()))
        if kind not in kinds:
            continue
        inputs = operator.InputsAsNumpy()
        kernel = _array(model, graph.Tensors(int(inputs[1])))
        has_bias = len(inputs) > 2 and inputs[2] >= 0
        bias = _array(model, graph.Tensors(int(inputs[2]))) if has_bias else np.zeros(kernel.shape[0], np.float32)
        yield TFLiteLayer(kind, kernel, bias)


def _array(model: Any, tensor: Any) -> NDArray[np.float32]:
    """A constant tensor as float32: scale (q - zero point) along its quantised axis."""
    types = {0: np.float32, 1: np.float16, 2: np.int32, 3: np.uint8, 9: np.int8}
    raw = np.frombuffer(model.Buffers(tensor.Buffer()).DataAsNumpy().tobytes(), types[tensor.Type()])
    values = raw.reshape(tensor.ShapeAsNumpy())
    quantised = tensor.Quantization()
    if values.dtype.kind == "f" or quantised is None or quantised.ScaleLength() == 0:
        return values.astype(np.float32)
    along = [1] * values.ndim
    along[quantised.QuantizedDimension()] = -1
    scale = quantised.ScaleAsNumpy().reshape(along)
    zero = quantised.ZeroPointAsNumpy().reshape(along)
    dequantised: NDArray[np.float32] = (scale * (values.astype(np.int64) - zero)).astype(np.float32)
    return dequantised
