"""The default model without PyTorch: NumPy's Fourier transforms before one graph in ONNX Runtime."""

from soundloom.packaged.packaged_model import (
    ENGINE,
    FOLDER,
    GRAPH,
    NAME,
    PackagedModel,
    PackagedPart,
    is_installed,
    is_packaged,
)

__all__ = [
    "ENGINE",
    "FOLDER",
    "GRAPH",
    "NAME",
    "PackagedModel",
    "PackagedPart",
    "is_installed",
    "is_packaged",
]
