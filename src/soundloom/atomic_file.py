"""Atomic writing of files: under a temporary name beside them, renamed when complete, removed when something fails."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["replacing", "write_atomically"]


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary file beside a path, which takes its place when the block ends without an error.

    Args:
        path: the file to write or replace.

    Raises:
        OSError: the file cannot be renamed.
    """
    target = Path(path)
    temporary = target.with_name(f"{target.name}.writing")
    try:
        yield temporary
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_atomically(path: str | os.PathLike[str], text: str) -> None:
    """Write a text file in UTF-8, whole or not at all, also when the machine loses power.

    Raises:
        OSError: it cannot be written; the old file is unchanged, and nothing is left beside it.
    """
    with replacing(path) as temporary, open(temporary, "w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
