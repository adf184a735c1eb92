"""Hits of a search: a list, and in notebooks an HTML table with a player for every file that is small.

All text is escaped. Nothing is fetched; only the files that are put into the table are read.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any, Self, SupportsIndex, TypeVar, overload

from soundloom.file_names import os_path
from soundloom.html_table import html_table
from soundloom.library.segments import Hit, Segment
from soundloom.remote import is_address

__all__ = ["FoundList", "Hits"]

_PLAYED = {".wav": "audio/wav", ".mp3": "audio/mpeg", ".flac": "audio/flac", ".ogg": "audio/ogg", ".opus": "audio/ogg"}
"""Media types of the files that browsers play, by ending."""
_PLAYER_BYTES = 2**18
"""Size of the largest file that is put into a table, in bytes."""
_TABLE_BYTES = 2**22
"""Size of all files in one table together, at most."""


_Found = TypeVar("_Found", bound=Segment)


class FoundList(list[_Found]):
    """A list of what was found, the best first, which notebooks show as a table; and so are its slices."""

    @overload
    def __getitem__(self, place: SupportsIndex, /) -> _Found: ...
    @overload
    def __getitem__(self, place: slice, /) -> Self: ...
    def __getitem__(self, place: SupportsIndex | slice, /) -> _Found | Self:
        """One of them, or several as such a list."""
        return type(self)(super().__getitem__(place)) if isinstance(place, slice) else super().__getitem__(place)

    def _repr_html_(self) -> str:
        return _table(self, self._reasons())

    def _reasons(self) -> list[str]:
        """What found each, in words; empty where there is nothing to say."""
        return []


class Hits(FoundList[Hit]):
    """The hits of a search."""


def _table(found: Sequence[Any], reasons: Sequence[str]) -> str:
    """What was found as an HTML table: by what, similarity, by part too, file, region, tags, player of small files."""
    parts = list(dict.fromkeys(part for one in found for part in one.parts))
    headings = ["", "similarity", *map(escape, parts), "file", "region", "tags", ""]
    budget = _TABLE_BYTES
    rows = []
    for rank, one in enumerate(found, start=1):
        player, size = ("", 0) if one.absent else _player(one, budget)
        budget -= size
        rows.append(
            [
                str(rank),
                _cosine(one.similarity),
                *(_cosine(one.parts.get(part)) for part in parts),
                f'<span title="{escape(one.path)}">{escape(os.path.basename(one.path))}</span>',
                f"{one.start:.2f} to {one.end:.2f} s",
                escape(", ".join(one.tags)),
                "absent" if one.absent else player,
            ]
        )
    if any(reasons):
        headings.insert(1, "found by")
        rows = [[rank, escape(reason), *row] for reason, (rank, *row) in zip(reasons, rows, strict=True)]
    return html_table(headings, rows)


def _cosine(number: float | None) -> str:
    return "" if number is None else f"{number:.2f}"


def _player(hit: Segment, budget: int) -> tuple[str, int]:
    """An audio element that holds a hit's file, and the bytes of that file; nothing for a file that is too large."""
    kind = _PLAYED.get(os.path.splitext(hit.path)[1].lower())
    if is_address(hit.path):
        return "", 0  # a table that is shown fetches nothing
    file = Path(os_path(hit.path))
    try:
        size = file.stat().st_size
        if kind is None or size > min(_PLAYER_BYTES, budget):
            return "", 0
        content = base64.b64encode(file.read_bytes()).decode("ascii")
    except OSError:
        return "", 0
    region = f"#t={hit.start:.3f},{hit.end:.3f}"
    return f'<audio controls preload="none" src="data:{kind};base64,{content}{region}"></audio>', size
