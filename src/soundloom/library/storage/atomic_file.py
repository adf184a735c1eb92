"""Atomic replacement of small text files: write beside, flush to the disk, rename."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["write_atomically"]


def write_atomically(file: Path, text: str) -> None:
    """Write a text file in UTF-8, whole or not at all, also when the machine loses power.

    Raises:
        OSError: it cannot be written; the old file is unchanged, and nothing is left beside it.
    """
    temporary = file.with_name(file.name + ".writing")
    try:
        with open(temporary, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(file)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
