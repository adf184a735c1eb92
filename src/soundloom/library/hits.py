"""Hits of a search: a list, and in notebooks an HTML table with a player for every file that is small.

All text is escaped. Nothing is fetched; only the files that are put into the table are read.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Sequence
from html import escape
from pathlib import Path

from soundloom.file_names import os_path
from soundloom.html_table import html_table
from soundloom.library.segments import Hit
from soundloom.remote import is_address

__all__ = ["Hits"]

_PLAYED = {".wav": "audio/wav", ".mp3": "audio/mpeg", ".flac": "audio/flac", ".ogg": "audio/ogg", ".opus": "audio/ogg"}
"""Media types of the files that browsers play, by ending."""
_PLAYER_BYTES = 2**18
"""Size of the largest file that is put into a table, in bytes."""
_TABLE_BYTES = 2**22
"""Size of all files in one table together, at most."""


class Hits(list[Hit]):
    """The hits of a search, best first: a list that notebooks show as a table."""

    def _repr_html_(self) -> str:
        return _hits_table(self)


def _hits_table(hits: Sequence[Hit]) -> str:
    """Hits as an HTML table: similarity, by part too, file, region, tags, and a player for small files."""
    parts = list(hits[0].parts) if hits else []
    budget = _TABLE_BYTES
    rows = []
    for rank, hit in enumerate(hits, start=1):
        player, size = ("", 0) if hit.absent else _player(hit, budget)
        budget -= size
        rows.append(
            [
                str(rank),
                f"{hit.similarity:.2f}",
                *(f"{hit.parts.get(part, float('nan')):.2f}" for part in parts),
                f'<span title="{escape(hit.path)}">{escape(os.path.basename(hit.path))}</span>',
                f"{hit.start:.2f} to {hit.end:.2f} s",
                escape(", ".join(hit.tags)),
                "absent" if hit.absent else player,
            ]
        )
    return html_table(["", "similarity", *map(escape, parts), "file", "region", "tags", ""], rows)


def _player(hit: Hit, budget: int) -> tuple[str, int]:
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
