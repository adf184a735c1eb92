"""Counts with their nouns: singular for one, plural for all other numbers."""

from __future__ import annotations

__all__ = ["counted"]


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """A number and its noun.

    Args:
        number: how many.
        noun: in the singular.
        plural: the noun with an s if not given.

    >>> counted(1, "file"), counted(0, "file"), counted(2, "match", "matches")
    ('1 file', '0 files', '2 matches')
    """
    return f"{number} {noun if number == 1 else plural or noun + 's'}"
