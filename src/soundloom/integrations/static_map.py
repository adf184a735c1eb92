"""Map of a library with its sounds as one folder: a page that a browser opens from a disk, without a server.

    FOLDER/index.html    the page: points to hover, click and search; a list for the keyboard and for screen readers
    FOLDER/map.js        points, names and tags, as a script, because a page from a disk may load no data
    FOLDER/sounds/       the beginning of each segment as MP3, mono

The page names files without their folders, holds nothing else of the library, and asks no other host.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path, PurePath

import numpy as np
import soundfile

from soundloom import audio
from soundloom.atomic_file import replacing
from soundloom.errors import InvalidArgumentError, LibraryError, QueryError
from soundloom.file_names import os_path
from soundloom.file_pool import Failed, process
from soundloom.library import Library, Map
from soundloom.library.segments import Segment
from soundloom.local_path import local_path
from soundloom.system_errors import one_line_errors

__all__ = ["export_map"]

_RATE = 32_000
"""Hertz of the sounds: a rate that MP3 has and every browser plays."""


def export_map(
    library: Library,
    made: Map,
    folder: str | os.PathLike[str],
    *,
    seconds: float = 5.0,
    most: int = 2000,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, str]:
    """Write a map with its sounds.

    Args:
        library: whose map it is.
        made: the map, of the library as it is now.
        folder: a new or empty folder, or an earlier export, which is replaced.
        seconds: of each sound, at most.
        most: points on the page; of more segments as many are taken, evenly.
        workers: how many sounds at a time; as many as there are processors if not given.
        progress: called with sounds done and all sounds.

    Returns:
        The files of which there is no sound, and why; their points are there.

    Raises:
        InvalidArgumentError: seconds or most are not above 0.
        LibraryError: the folder holds something else.
        QueryError: the map is of another state of the library.
    """
    if not seconds > 0 or most < 1:
        raise InvalidArgumentError(f"seconds and most must be above 0, got {seconds} and {most}")
    index = library.index()
    if len(made) != len(index):
        raise QueryError("the map is of another state of the library: get it again with library.maps.get()")
    target = local_path(folder)
    if target.exists() and any(target.iterdir()) and not (target / "map.js").exists():
        raise LibraryError(f"{str(target)!r} holds other files: name a new folder")
    rows = np.unique(np.linspace(0, len(made) - 1, min(most, len(made))).round().astype(np.int64))
    segments = index.segments.at(rows)
    written, failed = _write_sounds(library, segments, target, seconds, workers or os.cpu_count() or 1, progress)
    data = {
        "title": library.folder.stem,
        "clusters": list(made.names),
        "points": [
            {
                "x": round(float(x), 4), "y": round(float(y), 4), "cluster": int(cluster), "id": one.id,
                "name": PurePath(one.path).name, "start": round(one.start, 2), "end": round(one.end, 2),
                "tags": list(one.tags), "sound": one.id in written,
            }
            for one, (x, y), cluster in zip(segments, made.coordinates[rows], made.clusters[rows], strict=True)
        ],
    }  # fmt: skip
    script = json.dumps(data, ensure_ascii=True, separators=(",", ":")).replace("<", "\\u003c")
    page = files("soundloom.integrations").joinpath("static_map.html").read_text("utf-8")
    with one_line_errors(target):
        for name, text in (("map.js", f"const MAP = {script};\n"), ("index.html", page)):
            with replacing(target / name) as temporary:
                temporary.write_text(text, encoding="utf-8")
    return failed


def _write_sounds(
    library: Library,
    segments: Sequence[Segment],
    target: Path,
    seconds: float,
    workers: int,
    progress: Callable[[int, int], None] | None,
) -> tuple[set[str], dict[str, str]]:
    """Write the sounds of segments. Returns the ids of those written, and the files of the others with the reason."""
    with one_line_errors(target):
        (target / "sounds").mkdir(parents=True, exist_ok=True)
        for old in (target / "sounds").glob("*.mp3"):
            old.unlink()

    def write(segment: Segment, av: audio.AvProcess) -> str:
        return _write_sound(segment, target / "sounds", seconds, library.settings.decoding, av)

    written: set[str] = set()
    failed: dict[str, str] = {}
    results = process(segments, write, workers=workers)
    for done, (segment, result) in enumerate(zip(segments, results, strict=True), start=1):
        if isinstance(result, Failed):
            failed[segment.path] = result.reason
        else:
            written.add(segment.id)
        if progress is not None:
            progress(done, len(segments))
    return written, failed


def _write_sound(
    segment: Segment, folder: Path, seconds: float, decoding: audio.DecodeOptions, av: audio.AvProcess
) -> str:
    end = min(segment.end, segment.start + seconds * decoding.speed)
    samples = audio.read(os_path(segment.path), _RATE, start=segment.start, end=end, options=decoding, av=av)
    name = f"{segment.id}.mp3"
    soundfile.write(folder / name, np.clip(samples, -1, 1), _RATE, format="MP3", subtype="MPEG_LAYER_III")
    return name
