"""Reader of published pickles that runs none of their code.

A pickle is a program: it may call whatever it can name. What the published files need to name is short, and here each
name means either torch's own tensor rebuilding, by way of ``torch.load(weights_only=True)``, or an inert stand-in
that keeps what it is handed and does nothing. Any other name is refused, and said.

    PANNs      a dict with the training sampler in it: numpy arrays, which ``weights_only`` refuses (in every release
               since torch 2.6 that is the default). They become stand-ins and are thrown away.
    VGGish     principal components saved as numpy arrays: stand-ins too, from which the floats are read.
    COALA      a MinMaxScaler of scikit-learn 0.22, which newer releases of scikit-learn fail to rebuild. Its float
               arrays are read out of the stand-ins; scikit-learn is not needed.

Not for files of one's own making: save those as safetensors.
"""

from __future__ import annotations

import io
import math
import pickle
import threading
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
import torch
from torch import Tensor

from soundloom.errors import InvalidArgumentError, ModelError

__all__ = ["GET_AGAIN", "load_scaler", "load_torch"]

GET_AGAIN = "Get the file again; of a copy in the cache, delete it to have it fetched"
"""The remedy for a damaged file, which may be one of the user's own: deleting it is not the remedy."""


class _Inert:
    """Stands in for a class or function of another package: takes any arguments, does nothing with them."""

    arguments: tuple[Any, ...] = ()
    state: Any = None

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments

    # Defined, so that no pickle can set attributes on the class itself (pickle's BUILD without it writes to __dict__).
    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Array(_Inert):
    """Stands in for numpy.core.multiarray._reconstruct and so for the array it makes."""


class _DType(_Inert):
    """Stands in for numpy.dtype."""


class _Scaler(_Inert):
    """Stands in for sklearn.preprocessing's MinMaxScaler."""


def _latin1(text: str, encoding: str) -> bytes:
    """Stands in for _codecs.encode, by which protocol 2 spells bytes."""
    return text.encode(encoding)


# numpy 2 moved its core; both spellings occur, by the numpy that wrote the file.
_NUMPY: dict[str, type[_Inert]] = {
    "numpy.core.multiarray._reconstruct": _Array,
    "numpy._core.multiarray._reconstruct": _Array,
    "numpy.core.multiarray.scalar": _Inert,
    "numpy._core.multiarray.scalar": _Inert,
    "numpy.ndarray": _Inert,
    "numpy.dtype": _DType,
}
_SCALER: dict[str, Any] = {
    **_NUMPY,
    "sklearn.preprocessing.data.MinMaxScaler": _Scaler,
    "sklearn.preprocessing._data.MinMaxScaler": _Scaler,
    "_codecs.encode": _latin1,
}

# torch keeps one allow-list for the whole process.
_ALLOW_LIST = threading.Lock()


class _ForbiddenError(pickle.UnpicklingError):
    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(name)


class _Restricted(pickle.Unpickler):
    """Finds stand-ins only."""

    def __init__(self, file: io.BufferedIOBase, stand_ins: dict[str, Any]) -> None:
        super().__init__(file)
        self._stand_ins = stand_ins

    def find_class(self, module: str, name: str) -> Any:
        # Up to protocol 2, names are those of Python 2.
        full = f"{'builtins' if module == '__builtin__' else module}.{name}"
        if full not in self._stand_ins:
            raise _ForbiddenError(full)
        return self._stand_ins[full]


def load_torch(path: Path) -> object:
    """What ``torch.save`` put in a file, legacy or zip format, on the CPU.

    Of numpy arrays in it, float ones that are values of the outermost dict become float32 tensors.

    Raises:
        ModelError: the file cannot be read, is damaged, or names something that no checkpoint needs; nothing
            in it was run.
    """
    try:
        try:
            loaded = _torch_load(path)
        except pickle.UnpicklingError:
            with _ALLOW_LIST, torch.serialization.safe_globals([(stand_in, name) for name, stand_in in _NUMPY.items()]):
                loaded = _torch_load(path)
        if not isinstance(loaded, dict):
            return loaded
        return {key: _floats(value) if _is_float(value) else value for key, value in loaded.items()}
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error}") from error
    except Exception as error:
        # Damaged pickles fail in every way there is.
        if name := _first_forbidden(path):
            raise _refusal(path, name) from error
        raise ModelError(
            f"{path} is not a whole torch checkpoint ({_reason(error)}): it may be cut short or be something else. "
            f"{GET_AGAIN}"
        ) from error


def load_scaler(path: Path) -> dict[str, Tensor]:
    """The float arrays of a pickled scikit-learn MinMaxScaler, as float32 tensors by attribute name (``scale_``, ...).

    Raises:
        ModelError: the file cannot be read, is damaged, names something that a scaler does not need, or holds
            no float array; nothing in it was run.
    """
    try:
        with path.open("rb") as file:
            scaler = _Restricted(file, _SCALER).load()
        if not isinstance(scaler, _Scaler) or not isinstance(scaler.state, dict):
            raise InvalidArgumentError(f"holds a {type(scaler).__name__.strip('_')} where a MinMaxScaler is expected")
        arrays = {str(key): _floats(value) for key, value in scaler.state.items() if _is_float(value)}
        if not arrays:
            raise InvalidArgumentError("the MinMaxScaler in it was never fitted")
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error}") from error
    except _ForbiddenError as error:
        raise _refusal(path, error.name) from error
    except Exception as error:
        raise ModelError(f"{path} is not a pickled scaler ({_reason(error)}). {GET_AGAIN}") from error
    return arrays


def _torch_load(path: Path) -> object:
    return torch.load(path, map_location="cpu", weights_only=True)


# numpy pickles an array as _reconstruct(...), then __setstate__((version, shape, dtype, fortran order, bytes)), and
# a dtype as dtype("f4", ...), then __setstate__((version, byte order, ...)).


def _is_float(value: object) -> TypeGuard[_Array]:
    return isinstance(value, _Array) and value.state[2].arguments[0] in ("f4", "f8")


def _floats(array: _Array) -> Tensor:
    _, shape, dtype, fortran, data = array.state
    kind, order = dtype.arguments[0], dtype.state[1]
    if order not in ("<", ">"):
        raise InvalidArgumentError(f"an array of byte order {order!r}")
    if len(data) != math.prod(shape) * int(kind[1]):
        raise InvalidArgumentError(f"{len(data)} bytes for an array of shape {shape}")
    values = np.frombuffer(data, dtype=order + kind).reshape(shape, order="F" if fortran else "C")
    return torch.from_numpy(np.array(values, dtype=np.float32, order="C"))


class _Walk(_Restricted):
    """Walks a torch pickle with stand-ins alone, so that the walk is as harmless as a read."""

    def __init__(self, file: io.BufferedIOBase) -> None:
        super().__init__(file, {**_NUMPY, "_codecs.encode": _latin1, "collections.OrderedDict": OrderedDict})

    def find_class(self, module: str, name: str) -> Any:
        return _Inert if module.split(".")[0] == "torch" else super().find_class(module, name)

    def persistent_load(self, pid: Any) -> _Inert:
        return _Inert(pid)


def _first_forbidden(path: Path) -> str | None:
    """The first name in a checkpoint that is neither torch's nor covered by a stand-in, for the error message."""
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                pickled = next(name for name in archive.namelist() if name.endswith("/data.pkl"))
                file: io.BufferedIOBase = io.BytesIO(archive.read(pickled))
        else:
            file = path.open("rb")
        with file:
            # The legacy format is a row of pickles (magic number, version, system, object, ...); zip holds one.
            while True:
                _Walk(file).load()
    except _ForbiddenError as forbidden:
        return forbidden.name
    except Exception:
        return None


def _refusal(path: Path, name: str) -> ModelError:
    return ModelError(
        f"{path} is refused: it asks for {name!r}, which no published checkpoint needs and which may run code. "
        "Nothing in it was run. If the file is your own, save its state dict alone; if not, do not trust it"
    )


def _reason(error: BaseException) -> str:
    """The first line of what went wrong; torch hides it behind advice to switch the protection off."""
    text = str(error).rpartition("WeightsUnpickler error: ")[2].strip()
    return text.splitlines()[0] if text else type(error).__name__
