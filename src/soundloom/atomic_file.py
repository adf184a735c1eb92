"""Atomic writing of files: beside their place, renamed when complete, removed when something fails."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["replacing"]


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
