"""A playlist of annotated regions for VLC: written as annotations, and read as files, of which some are whole."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from soundloom.annotations.annotation import Annotation
from soundloom.annotations.annotation_format import AnnotationFormat, register_format
from soundloom.annotations.programs.listening_page import address
from soundloom.file_names import os_path

__all__ = ["PLAYLIST", "playlist_entries"]

_OPTION = re.compile(r"#EXTVLCOPT:(start|stop)-time=([0-9.e+-]+)\s*")


def playlist_entries(lines: Iterable[str]) -> list[tuple[str, tuple[float, float] | None]]:
    """The files of a playlist as they are written there, each with its region for VLC; None for a whole file.

    >>> playlist_entries(["#EXTM3U", "#EXTVLCOPT:start-time=2", "#EXTVLCOPT:stop-time=4.5", "owl.wav", "crow.wav"])
    [('owl.wav', (2.0, 4.5)), ('crow.wav', None)]
    """
    entries: list[tuple[str, tuple[float, float] | None]] = []
    times: dict[str, float] = {}
    for line in lines:
        if option := _OPTION.fullmatch(line):
            times[option[1]] = float(option[2])
        elif not line.startswith("#"):
            entries.append((line, (times.get("start", 0.0), times.get("stop", float("inf"))) if times else None))
            times = {}
    return entries


def _write(annotations: Sequence[Annotation], file: Path) -> None:
    lines = ["#EXTM3U"]
    # A region with several labels is played once.
    for one in {(one.path, one.start, one.end): one for one in annotations}.values():
        name = " ".join(os.path.basename(one.path).split())
        lines.append(f"#EXTINF:{round(one.end - one.start)},{name}")
        whole = one.start == 0 and (one.duration is None or one.end >= one.duration)
        if not whole:
            lines += [f"#EXTVLCOPT:start-time={one.start:g}", f"#EXTVLCOPT:stop-time={one.end:g}"]
        # A name with a line break would be two entries, and bytes that are no UTF-8 are none of a text.
        plain = one.path.splitlines() == [one.path] == [os_path(one.path)]
        lines.append(one.path if plain else address(one.path))
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


PLAYLIST = register_format("playlist", AnnotationFormat(title="a playlist for VLC", ending=".m3u8", write=_write))
