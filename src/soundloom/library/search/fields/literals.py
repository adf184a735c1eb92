"""Literals of a condition, as the values of the field are written that they are compared with."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

from soundloom.errors import InvalidArgumentError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["comparable"]

_MOMENT = re.compile(r"\d{4}(-\d{2}(-\d{2}([T ]\d{2}(:\d{2}(:\d{2}(\.\d{1,6})?)?)?)?)?)?")
_FIRST = "2000-01-01T00:00:00"
"""What the parts that a moment leaves out are at least."""


def comparable(name: str, column: pa.Array, literal: Any) -> Any:
    """A literal as the values of a field are written.

    Args:
        name: of the field.
        column: its values.
        literal: what they are compared with.

    Raises:
        InvalidArgumentError: they would never be what is meant; the message says how it is written.
    """
    import pyarrow as pa

    if pa.types.is_list(column.type):
        raise InvalidArgumentError(f"it compares a list: write array_has(tags, {literal!r}), or use the filter of tags")
    if pa.types.is_string(column.type) and not isinstance(literal, str):
        raise InvalidArgumentError(f"it compares text with a number: write {str(literal)!r} in quotes")
    if isinstance(literal, str) and not pa.types.is_string(column.type):
        raise InvalidArgumentError(
            f"it compares a number with text: write {literal} without quotes"
            if _is_number(literal)
            else f"it compares a number with text, and {literal!r} is none"
        )
    return _moment(literal) if name == "recorded" else literal


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _moment(text: str) -> str:
    """A year, a month, a day or a time of day, as moments are stored.

    Raises:
        InvalidArgumentError: it is none.
    """
    written = text.replace(" ", "T")
    if _MOMENT.fullmatch(text) is not None:
        try:
            datetime.fromisoformat(written + _FIRST[len(written) :])
        except ValueError:
            pass
        else:
            return written
    raise InvalidArgumentError(
        f"{text!r} is no time as recorded has it: write 2024, 2024-05, 2024-05-31 or 2024-05-31T04:30, in quotes"
    )
