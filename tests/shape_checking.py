"""The type checker behind ``--jaxtyping-packages``: it checks shapes and dtypes of arrays, nothing else.

Every annotated argument and result that is a jaxtyping array is checked at every call of a test run.
Other annotations are mypy's business; many of them cannot be resolved at run time at all, because they
name types that are imported for type checking only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from beartype import beartype

_F = TypeVar("_F", bound=Callable[..., Any])
_ARRAYS = ("Float[", "Float32[", "Float64[", "Int[", "Int64[", "Bool[", "Complex[", "Shaped[", "UInt8[", "Real[")


def check_arrays(function: _F) -> _F:
    """Decorate a function so that its array arguments and results are checked."""
    annotations = getattr(function, "__annotations__", None)
    if not isinstance(annotations, dict):
        return function
    function.__annotations__ = {
        name: annotation
        for name, annotation in annotations.items()
        if any(array in str(annotation) for array in _ARRAYS) and not _nested(str(annotation))
    }
    return beartype(function) if function.__annotations__ else function


def _nested(annotation: str) -> bool:
    """Whether arrays stand inside a container that may not be resolvable, such as Iterator[...]."""
    return not annotation.lstrip("'\"").startswith((*_ARRAYS, "tuple[", "list[", "Sequence[", "dict["))
