"""A playlist of annotated regions for VLC; written only."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from soundloom.annotations.annotation import Annotation
from soundloom.annotations.annotation_format import AnnotationFormat, register_format
from soundloom.annotations.programs.listening_page import address

__all__ = ["PLAYLIST"]


def _write(annotations: Sequence[Annotation], file: Path) -> None:
    lines = ["#EXTM3U"]
    # A region with several labels is played once.
    for one in {(one.path, one.start, one.end): one for one in annotations}.values():
        name = " ".join(os.path.basename(one.path).split())
        lines.append(f"#EXTINF:{round(one.end - one.start)},{name}")
        whole = one.start == 0 and (one.duration is None or one.end >= one.duration)
        if not whole:
            lines += [f"#EXTVLCOPT:start-time={one.start:g}", f"#EXTVLCOPT:stop-time={one.end:g}"]
        # A name with a line break would be two entries: as an address it is one.
        lines.append(one.path if one.path.splitlines() == [one.path] else address(one.path))
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


PLAYLIST = register_format("playlist", AnnotationFormat(title="a playlist for VLC", ending=".m3u8", write=_write))
