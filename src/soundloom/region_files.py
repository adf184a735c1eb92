"""Regions of sounds as files for other programs; the ending says which.

    .csv, .json, .parquet   path, start, end, label, score, and further columns
    .m3u8                   a playlist, with the regions for VLC
    .txt                    labels for Audacity, of the regions of one file: start, end and label between tabs
    .selections.txt         a selection table for Raven, of any number of files
    .html                   a table with a player for every region
    a folder                labels for Audacity, a file for each sound

Raven takes the files of a table as one sound: its times go on where the file before ends, and ``File Offset (s)`` is
the time in the file (Raven Pro 1.6 user's manual, "Selection tables").
"""

from __future__ import annotations

import csv
import html
import json
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from soundloom.atomic_file import replacing
from soundloom.errors import InvalidArgumentError, ResourceError
from soundloom.file_names import os_path
from soundloom.local_path import local_path
from soundloom.safe_text import csv_cell, printable
from soundloom.system_errors import reason_of

__all__ = ["ENDINGS", "Region", "check_region_file", "write_regions"]


@dataclass(frozen=True)
class Region:
    """A region of a sound, and what is said of it.

    Attributes:
        path: the file, as text (`soundloom.file_names`).
        start: where the region begins, in seconds.
        end: where it ends.
        label: what is said of it, in a few words.
        score: how sure or how near it is; None where nothing was measured.
        duration: length of the file in seconds, which Raven's tables of several files need; the end if not given.
        columns: further facts, by name; the same names for every region.
    """

    path: str
    start: float
    end: float
    label: str = ""
    score: float | None = None
    duration: float | None = None
    columns: Mapping[str, Any] = field(default_factory=dict)

    def record(self) -> dict[str, Any]:
        """The region as named values."""
        plain = {"path": self.path, "start": self.start, "end": self.end, "label": self.label, "score": self.score}
        return {**plain, **self.columns}


def check_region_file(out: str | os.PathLike[str]) -> Path:
    """Refuse a name whose ending says no format, before anything is computed.

    Raises:
        InvalidArgumentError: an ending that is not known.
        QueryError: an address instead of a path.
    """
    path = local_path(out)
    if path.suffix and _writer(path) is None:
        raise InvalidArgumentError(
            f"cannot write to {os.fspath(out)!r}: end it in {', '.join(ENDINGS)}, or name a "
            "folder for Audacity's labels"
        )
    return path


def write_regions(regions: Sequence[Region], out: str | os.PathLike[str], *, join_labels: bool = False) -> None:
    """Write regions to a file, whole or not at all, or to a folder of labels.

    Args:
        regions: what is written.
        out: where; the ending says in which form.
        join_labels: in label tracks, regions of one label that touch or overlap are one.

    Raises:
        InvalidArgumentError: an ending that is not known; or labels of several files in one ``.txt``.
        ResourceError: the place cannot be written.
    """
    path = check_region_file(out)
    write = _writer(path)
    if join_labels and write in (None, _write_labels):
        regions = _joined(regions)
    try:
        if write is None:
            _write_labels_of_each(regions, path)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            write(regions, temporary)
    except OSError as error:
        raise ResourceError(f"cannot write {str(path)!r}: {reason_of(error)}") from None


def _joined(regions: Iterable[Region]) -> list[Region]:
    joined: list[Region] = []
    for region in sorted(regions, key=lambda region: (region.path, region.label, region.start)):
        last = joined[-1] if joined else None
        if last is not None and (last.path, last.label) == (region.path, region.label) and region.start <= last.end:
            joined[-1] = replace(last, end=max(last.end, region.end))
        else:
            joined.append(region)
    return joined


Writer = Callable[[Sequence[Region], Path], None]


def _writer(path: Path) -> Writer | None:
    return next((write for ending, write in ENDINGS.items() if path.name.lower().endswith(ending)), None)


def _write_csv(regions: Sequence[Region], file: Path) -> None:
    with open(file, "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        records = [region.record() for region in regions]
        writer.writerow(records[0] if records else Region("", 0, 0).record())
        writer.writerows([_cell(value) for value in record.values()] for record in records)


def _cell(value: Any) -> Any:
    if isinstance(value, list | tuple):
        value = "; ".join(map(str, value))
    return csv_cell(value) if isinstance(value, str) else value


def _write_json(regions: Sequence[Region], file: Path) -> None:
    text = json.dumps([region.record() for region in regions], indent=2, ensure_ascii=False)
    file.write_text(text + "\n", encoding="utf-8")


def _write_parquet(regions: Sequence[Region], file: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    kinds = {"path": pa.string(), "start": pa.float64(), "end": pa.float64(), "label": pa.string()}
    columns = {name: pa.array([getattr(region, name) for region in regions], kind) for name, kind in kinds.items()}
    columns["score"] = pa.array([region.score for region in regions], pa.float64())
    for name in regions[0].columns if regions else ():
        columns[name] = pa.array([region.columns[name] for region in regions])
    parquet.write_table(pa.table(columns), file)


def _write_playlist(regions: Sequence[Region], file: Path) -> None:
    lines = ["#EXTM3U"]
    for region in regions:
        name = " ".join(os.path.basename(region.path).split())
        lines.append(f"#EXTINF:{round(region.end - region.start)},{name}")
        whole = region.start == 0 and (region.duration is None or region.end >= region.duration)
        if not whole:
            lines += [f"#EXTVLCOPT:start-time={region.start:g}", f"#EXTVLCOPT:stop-time={region.end:g}"]
        # A name with a line break would be two entries: as an address it is one.
        lines.append(region.path if region.path.splitlines() == [region.path] else _address(region.path))
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _write_labels(regions: Sequence[Region], file: Path) -> None:
    paths = {region.path for region in regions}
    if len(paths) > 1:
        raise InvalidArgumentError(
            f"the regions lie in {len(paths)} files, and a label track belongs to one: name a folder (without an "
            "ending) for a track of each, or a .selections.txt for Raven"
        )
    ordered = sorted(regions, key=lambda region: (region.start, region.end, region.label))
    file.write_text("".join(map(_label_line, ordered)), encoding="utf-8")


def _write_labels_of_each(regions: Iterable[Region], folder: Path) -> None:
    """A label track for every file, in the files' own folders below what they have in common."""
    by_path: dict[str, list[Region]] = defaultdict(list)
    for region in regions:
        by_path[region.path].append(region)
    common = os.path.commonpath([os.path.dirname(path) for path in by_path]) if by_path else "/"
    folder.mkdir(parents=True, exist_ok=True)
    for path, some in sorted(by_path.items()):
        track = folder / f"{os.path.relpath(path, common)}.txt"
        track.parent.mkdir(parents=True, exist_ok=True)
        with replacing(track) as temporary:
            _write_labels(some, temporary)


def _label_line(region: Region) -> str:
    return f"{region.start:.6f}\t{region.end:.6f}\t{printable(' '.join(region.label.split()))}\n"


def _write_selections(regions: Sequence[Region], file: Path) -> None:
    lengths: dict[str, float] = {}
    for region in regions:
        length = region.end if region.duration is None else region.duration
        lengths[region.path] = max(length, lengths.get(region.path, 0.0))
    begins, total = {}, 0.0
    for path, length in lengths.items():
        begins[path] = total
        total += length
    names = ("Selection", "View", "Channel", "Begin Time (s)", "End Time (s)", "Begin Path", "File Offset (s)",
             "Label", "Score")  # fmt: skip
    lines = ["\t".join(names)]
    for number, region in enumerate(regions, start=1):
        first = begins[region.path]
        times = (f"{first + region.start:.6f}", f"{first + region.end:.6f}")
        score = "" if region.score is None else f"{region.score:.6f}"
        texts = (" ".join(region.path.split("\t")), f"{region.start:.6f}", " ".join(region.label.split()), score)
        lines.append("\t".join((str(number), "Spectrogram 1", "1", *times, *texts)))
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _write_page(regions: Sequence[Region], file: Path) -> None:
    rows = []
    for number, region in enumerate(regions, start=1):
        source = html.escape(f"{_address(region.path)}#t={region.start:g},{region.end:g}", quote=True)
        score = "" if region.score is None else f"{region.score:.3f}"
        cells = (
            str(number),
            f'<audio controls preload="none" src="{source}"></audio>',
            html.escape(printable(os.path.basename(region.path))),
            f"{region.start:.1f}-{region.end:.1f} s",
            html.escape(printable(region.label)),
            score,
            html.escape(printable(os.path.dirname(region.path))),
        )
        rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    head = "".join(f"<th>{name}</th>" for name in ("#", "", "file", "seconds", "label", "score", "folder"))
    file.write_text(
        '<!doctype html><meta charset="utf-8"><title>Sounds</title>'
        "<style>body{font:15px system-ui;margin:2em}td,th{padding:.3em .8em;text-align:left}audio{height:2em}</style>"
        f"<table><thead><tr>{head}</tr></thead><tbody>\n" + "\n".join(rows) + "\n</tbody></table>\n",
        encoding="utf-8",
    )


def _address(path: str) -> str:
    """A file as an address, with every byte that an address cannot hold escaped."""
    return "file://" + quote(os.fsencode(os_path(path)))


ENDINGS: dict[str, Writer] = {
    ".csv": _write_csv,
    ".json": _write_json,
    ".parquet": _write_parquet,
    ".m3u8": _write_playlist,
    ".selections.txt": _write_selections,
    ".txt": _write_labels,
    ".html": _write_page,
}
"""The ending of a file -> what writes it; the first that fits counts."""
