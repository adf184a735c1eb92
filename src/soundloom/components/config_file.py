"""Strict reading of a saved model's files that come from others: JSON within limits, and the header of safetensors.

JSON is refused where parsers disagree or can be made to waste time: keys given twice, NaN and infinity, integers beyond
2^53, nesting too deep for Python, text that is not UTF-8, files of more than `MAX_BYTES`.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from soundloom.errors import ModelError
from soundloom.system_errors import reason_of

__all__ = ["MAX_BYTES", "check_safetensors", "one_line", "read_json"]

MAX_BYTES = 4 * 2**20
"""Size of a configuration file, at most; the largest of ours has a few kilobytes."""

_MAX_INTEGER = 2**53
_SHOWN = 400


def read_json(file: Path) -> Any:
    """The data in a JSON file.

    Raises:
        ModelError: it cannot be read, or is not JSON within the limits.
    """
    try:
        size = file.stat().st_size
        if size > MAX_BYTES:
            raise ModelError(f"{file} is damaged: it has {size:,} bytes, and a configuration at most {MAX_BYTES:,}")
        text = file.read_bytes().decode("utf-8")
        return json.loads(
            text, object_pairs_hook=_unique_keys, parse_constant=_refuse_constant, parse_int=_limited_integer
        )
    except OSError as error:
        raise ModelError(f"{file}: {reason_of(error)}") from None
    except RecursionError:
        raise ModelError(f"{file} is damaged: it is nested too deeply") from None
    except (ValueError, ModelError) as error:
        reason = one_line(error)
        raise ModelError(reason if reason.startswith(str(file)) else f"{file} is damaged: {reason}") from None


def check_safetensors(file: Path) -> None:
    """Refuse a file that cannot be safetensors by its first bytes, before it is read whole.

    Raises:
        ModelError: the length of the header is impossible, or no JSON object follows.
    """
    try:
        size = os.stat(file).st_size
        with open(file, "rb") as stream:
            start = stream.read(9)
    except OSError as error:
        raise ModelError(f"{file}: {reason_of(error)}") from None
    length = int.from_bytes(start[:8], "little")
    if len(start) < 9 or not 2 <= length <= size - 8 or start[8:] != b"{":
        raise ModelError(
            f"{file} is not the file that config.json was saved with: it is not a safetensors file. Save the model "
            "again, or copy the whole folder anew"
        )


def one_line(error: BaseException) -> str:
    """An error's text without line breaks and at most some hundred characters long."""
    text = " ".join(str(error).split())
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ModelError(f"the key {next(key for key in keys if keys.count(key) > 1)!r} is given twice")
    return data


def _refuse_constant(name: str) -> Any:
    raise ModelError(f"{name} is not a number that a configuration can have")


def _limited_integer(digits: str) -> int:
    if len(digits) > 17 or abs(int(digits)) > _MAX_INTEGER:
        raise ModelError(f"the integer {digits[:20]}{'...' if len(digits) > 20 else ''} is too large")
    return int(digits)
