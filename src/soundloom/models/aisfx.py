"""aiSFX (Ma and Lerch, ISMIR 2022): patches of 2.3 s every 1.2 s, trained on the categories of sound effect libraries.

Without layers, the published embedding of every patch, 512 numbers, as their mean. As in the published package a last
patch that is not whole is left out, and a sound shorter than a patch is filled with zeros.

Weights come in the authors' Python package, whose wheel is read and never run or installed; a file of one's own is that
wheel, or the ``checkpoint.pth`` inside.
"""

from __future__ import annotations

import tempfile
import zipfile
from pathlib import Path

from torch import Tensor

from soundloom.embedder import Stream, Window
from soundloom.encoders import AiSFX
from soundloom.encoders.init import state_shapes
from soundloom.errors import ModelError
from soundloom.frontends import PeakLogMel
from soundloom.models.model_registry import published_stream, register_model
from soundloom.models.names import PartName
from soundloom.models.weights.download import PublishedFile
from soundloom.models.weights.published_checkpoints import Checkpoint, State
from soundloom.models.weights.unpickle import load_torch
from soundloom.models.weights.weight_source import WeightSource

__all__ = ["aisfx", "read_weights"]

_MEMBER = "aisfx/models/checkpoint.pth"
_PREFIX = "embedding_net."


def read_weights(path: Path) -> State:
    """The encoder's state from the package's wheel, or from the checkpoint inside it; the classifiers are left out.

    Raises:
        ModelError: it is neither, or damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive, tempfile.TemporaryDirectory() as folder:
            if _MEMBER in archive.namelist():
                return _state(load_torch(Path(archive.extract(_MEMBER, folder))), path)
    except (OSError, zipfile.BadZipFile, RuntimeError) as error:
        raise ModelError(f"{path} is neither the wheel of aisfx nor its checkpoint.pth: {error}") from error
    return _state(load_torch(path), path)


def _state(loaded: object, path: Path) -> State:
    """The encoder's share of what the file holds: a state dict, and the data sets that it was trained on."""
    state = loaded[0] if isinstance(loaded, tuple) and loaded else loaded
    found = {
        str(key).removeprefix(_PREFIX): value
        for key, value in (state.items() if isinstance(state, dict) else ())
        if str(key).startswith(_PREFIX) and isinstance(value, Tensor)
    }
    if not found:
        raise ModelError(f"{path} holds no weights of aisfx: their keys begin with {_PREFIX!r}")
    return found


_CHECKPOINT = Checkpoint(
    name="aisfx",
    title="aiSFX at 44.1 kHz, trained on sound effect libraries",
    source=PublishedFile(
        address="https://files.pythonhosted.org/packages/fd/db/"
        "25d653f8beeae1277c77da6fbfbc8965ad599afd4218e901406d69cf5551/aisfx-0.1.2-py2.py3-none-any.whl",
        filename="aisfx-0.1.2-py2.py3-none-any.whl",
        bytes=23_140_952,
        sha256="bfe219950715af179e9a1653e7117cc1852baef267cd6596c42cad74afe1d194",
    ),
    format="other",
    licence="CC-BY-4.0",
    citation="A. Ma and A. Lerch, Representation learning for the automatic indexing of sound effects libraries, 2022",
    shapes=state_shapes(AiSFX),
    read=read_weights,
)


@register_model(
    "aisfx",
    title="aiSFX, 512 numbers for sound effects; layers as aisfx#2#4",
    source="Ma and Lerch 2022, trained on sound effect libraries",
    layers=AiSFX.available,
    checkpoint=_CHECKPOINT,
)
def aisfx(part: PartName, source: WeightSource) -> Stream:
    """aiSFX; fused layers join the patches along time before equation 3 of Niizumi 2022."""
    encoder = AiSFX()
    source.fill(part.word, encoder, "aisfx")
    window = Window(frames=100, hop=50, fixed=True, fill=0.0, drop=True)
    return published_stream(part, PeakLogMel(), encoder, window)
