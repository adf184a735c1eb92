"""Digest of a Python value by all its state, equal in every process.

Plain values, containers, arrays, tensors and dataclasses are hashed by what they hold, classes and functions by where
they can be imported from, other objects by the state that pickling would keep. What pickling cannot keep (a lock, an
open file, a function made within another) has no identity that a later process could compare, and is refused.
"""

from __future__ import annotations

import copyreg
import enum
import functools
import hashlib
import sys
import types
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import PurePath
from typing import Any, cast

from soundloom.errors import ComponentError

__all__ = ["digest_of"]

_PLAIN = (type(None), bool, int, float, complex, str, bytes, type(Ellipsis), range, slice)
_SCALARS = (type(None), bool, int, float, str)


def digest_of(value: object, where: str) -> str:
    """A hexadecimal digest of a value.

    Args:
        value: anything.
        where: what to call it in the message, such as ``the front-end Mine, attribute table``.

    Raises:
        ComponentError: it holds something that has no identity across processes; says where.
    """
    kind = type(value)
    # Most attributes of networks are the same few numbers and pairs of numbers.
    if kind in _SCALARS or (kind is tuple and all(type(item) in _SCALARS for item in cast("tuple[object]", value))):
        return _scalar_digest(repr(value), value)
    return _digest(value, where, {})


@lru_cache(maxsize=1024)
def _scalar_digest(text: str, value: object) -> str:
    # Keyed by text as well: 1, 1.0 and True are equal.
    return _digest(value, text, {})


def _digest(value: Any, where: str, seen: dict[int, int]) -> str:
    content = hashlib.sha256()
    for piece in _pieces(value, where, seen):
        # Lengths keep pieces apart: ("ab", "c") is not ("a", "bc").
        content.update(len(piece).to_bytes(8, "little"))
        content.update(piece)
    return content.hexdigest()


def _pieces(value: Any, where: str, seen: dict[int, int]) -> Iterable[bytes]:
    """What decides the digest of a value, as bytes; values within it by their own digests."""
    kind = type(value)
    if kind in _PLAIN or isinstance(value, PurePath):
        return [kind.__name__.encode(), repr(value).encode()]
    if isinstance(value, type | types.FunctionType | types.BuiltinFunctionType):
        return [b"named", _named(value, where).encode()]
    # A value within itself is known by where it was met first.
    if id(value) in seen:
        return [b"again", str(seen[id(value)]).encode()]
    seen[id(value)] = len(seen)
    name = _named(kind, where).encode()

    def inner(part: object, step: str) -> bytes:
        return _digest(part, f"{where}{step}", seen).encode()

    if isinstance(value, enum.Enum):
        return [b"enum", name, value.name.encode()]
    if kind in (list, tuple) or (isinstance(value, tuple) and hasattr(value, "_fields")):
        return [b"sequence", name, *(inner(part, f"[{index}]") for index, part in enumerate(value))]
    if kind in (set, frozenset):
        return [b"set", name, *sorted(inner(part, "{}") for part in value)]
    if kind in (dict, types.MappingProxyType):
        return [b"mapping", *sorted(inner(key, " key") + inner(part, f"[{key!r}]") for key, part in value.items())]
    if isinstance(value, functools.partial):
        return [b"partial", inner(value.func, ".func"), inner(value.args, ".args"), inner(value.keywords, ".keywords")]
    if isinstance(value, types.MethodType):
        return [b"method", inner(value.__func__, ".__func__"), inner(value.__self__, ".__self__")]
    array = _array(value)
    if array is not None:
        return [b"array", name, *array]
    return [b"object", name, *_reduced(value, where, inner)]


def _array(value: Any) -> tuple[bytes, bytes] | None:
    """Type and shape, and contents, of a NumPy array or a tensor; None for anything else."""
    torch, numpy = sys.modules.get("torch"), sys.modules.get("numpy")
    if torch is not None and isinstance(value, torch.Tensor):
        about = f"{value.dtype} {list(value.shape)}".encode()
        if value.device.type == "meta":
            return about, b"meta"
        flat = value.detach().cpu().contiguous().reshape(-1)
        return about, flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b""
    if numpy is not None and isinstance(value, numpy.ndarray | numpy.generic) and not value.dtype.hasobject:
        return f"{value.dtype} {list(value.shape)}".encode(), value.tobytes()
    return None


def _reduced(value: Any, where: str, inner: Any) -> Iterable[bytes]:
    """An object by the state that pickling keeps."""
    try:
        reduced = value.__reduce_ex__(4)
    except Exception as error:
        raise ComponentError(
            f"{where} is a {type(value).__name__}, whose state cannot be read ({error}): embeddings that depend on it "
            "could not be recognised. Keep it out of the component, or name the attribute in its `transient` if no "
            "output depends on it"
        ) from None
    if isinstance(reduced, str):
        return [b"global", reduced.encode()]
    function, arguments, *rest = reduced
    if function is copyreg.__newobj__:  # type: ignore[attr-defined]
        arguments = arguments[1:]
    pieces = [inner(function, ""), inner(arguments, "")]
    state = rest[0] if rest else None
    pieces.append(inner(dict(state) if isinstance(state, Mapping) else state, ""))
    pieces.extend(inner(list(items) if items is not None else None, "") for items in rest[1:3])
    return pieces


def _named(target: Any, where: str) -> str:
    """Where a class or a function can be imported from."""
    module, path = getattr(target, "__module__", None), getattr(target, "__qualname__", "")
    if isinstance(target, types.FunctionType) and "<" in path:
        raise ComponentError(
            f"{where} is the function {path}, made within another, which has no name that another process could "
            "compare: define it at the top level of a module"
        )
    return f"{module}:{path}"
