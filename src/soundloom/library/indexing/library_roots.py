"""Roots of a library as its users see them: where each is, what it holds, whether it is there."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Root"]


@dataclass(frozen=True)
class Root:
    """A folder or file that a library was filled from.

    Attributes:
        path: where it is, or was when it was last seen.
        files: how many of its files are indexed.
        seconds: how long they are together.
        absent: whether it is not there now, or is a folder without any file; its rows are kept.
        missing: how many of its files were gone when it was last indexed, and were kept.
        indexed: when it was last indexed, in UTC (ISO 8601); None if that is not known.
    """

    path: str
    files: int
    seconds: float
    absent: bool
    missing: int = 0
    indexed: str | None = None

    def __fspath__(self) -> str:
        return self.path
