"""Errors of the feature cache, with the folder and the remedy."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from soundloom.errors import FeatureCacheError

__all__ = ["FeatureCacheError", "as_cache_error"]


@contextmanager
def as_cache_error(folder: Path) -> Iterator[None]:
    """Errors of the system and of SQLite as a `FeatureCacheError`."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise FeatureCacheError(
            f"clips cannot be kept in {str(folder)!r} ({getattr(error, 'strerror', None) or error}): make room or give "
            "permission there, or choose another place with folder=... or, for everything that is cached, with the "
            "environment variable SOUNDLOOM_HOME; what was finished before is not lost"
        ) from error
