"""Export of tags to other tools: a CSV, or label tracks that Audacity imports.

    .csv       path, start, end, tag: a line for every tag of every segment, seconds in full
    a folder   a text file for every sound that has tags, in the sounds' own folders and named after it: the first and
               last second and the tag, separated by tabs. Neighbouring segments with the same tag are one label.

The sounds themselves are never written to.
"""

from __future__ import annotations

import csv
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple, TextIO

from soundloom.atomic_file import replacing
from soundloom.errors import LibraryError
from soundloom.local_path import local_path
from soundloom.safe_text import csv_cell, printable
from soundloom.system_errors import reason_of

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Label", "audacity_tracks", "export_tags", "labels_of", "tag_counts", "write_csv"]


class Label(NamedTuple):
    """A tag on a stretch of a file, in seconds."""

    path: str
    start: float
    end: float
    tag: str


def tag_counts(rows: pa.Table) -> dict[str, int]:
    """Every tag and how many segments have it, the most frequent first, equals by the alphabet.

    Args:
        rows: the segments, with their tags.
    """
    import pyarrow.compute as pc

    counted = pc.value_counts(pc.list_flatten(rows["tags"]))
    pairs = zip(counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True)
    return dict(sorted(pairs, key=lambda pair: (-pair[1], pair[0])))


def labels_of(rows: pa.Table) -> Iterator[Label]:
    """Every tag of every segment, by path, start and tag.

    Args:
        rows: path, start, end and tags, ordered by path and start.
    """
    for batch in rows.select(["path", "start", "end", "tags"]).to_batches():
        for path, start, end, tags in zip(*batch.to_pydict().values(), strict=True):
            for tag in sorted(tags or ()):
                yield Label(path, start, end, tag)


def write_csv(labels: Iterable[Label], stream: TextIO) -> int:
    """Write labels as a CSV. Returns how many."""
    writer = csv.writer(stream)
    writer.writerow(Label._fields)
    written = list(labels)
    writer.writerows((csv_cell(path), start, end, csv_cell(tag)) for path, start, end, tag in written)
    return len(written)


def audacity_tracks(labels: Iterable[Label]) -> Iterator[tuple[str, str]]:
    """A label track for every file: where it belongs, relative to what the files have in common, and its text.

    >>> one, two = Label("/a/x.wav", 0.0, 2.0, "rain"), Label("/a/x.wav", 2.0, 3.5, "rain")
    >>> list(audacity_tracks([one, two]))
    [('x.wav.txt', '0.000000\\t3.500000\\train\\n')]
    """
    by_path: dict[str, list[Label]] = defaultdict(list)
    for label in labels:
        by_path[label.path].append(label)
    common = os.path.commonpath([os.path.dirname(path) for path in by_path]) if by_path else "/"
    for path, some in sorted(by_path.items()):
        lines = (
            f"{label.start:.6f}\t{label.end:.6f}\t{printable(' '.join(label.tag.split()))}\n" for label in _joined(some)
        )
        yield os.path.relpath(path, common) + ".txt", "".join(lines)


def _joined(labels: Iterable[Label]) -> list[Label]:
    """A file's labels, those of one tag that touch or overlap made into one; by start, end and tag."""
    joined: list[Label] = []
    for label in sorted(labels, key=lambda label: (label.tag, label.start)):
        last = joined[-1] if joined else None
        if last is not None and last.tag == label.tag and label.start <= last.end:
            joined[-1] = last._replace(end=max(last.end, label.end))
        else:
            joined.append(label)
    return sorted(joined, key=lambda label: (label.start, label.end, label.tag))


def export_tags(rows: pa.Table, out: str | os.PathLike[str]) -> int:
    """Write the tags of segments to a CSV, or to a folder of label tracks; see the module.

    Args:
        rows: path, start, end and tags, ordered by path and start.
        out: where to write: a name that ends in .csv, or a folder.

    Returns:
        How many tags of segments were written; neighbours that became one label count apart.

    Raises:
        LibraryError: an ending that is not known, or a place that cannot be written.
    """
    out = local_path(out)
    if out.suffix not in ("", ".csv"):
        raise LibraryError(f"cannot write tags to {str(out)!r}: end it in .csv, or name a folder for Audacity's labels")
    labels = list(labels_of(rows))
    try:
        if out.suffix == ".csv":
            out.parent.mkdir(parents=True, exist_ok=True)
            with replacing(out) as temporary, open(temporary, "w", newline="", encoding="utf-8") as stream:
                write_csv(labels, stream)
        else:
            for place, text in audacity_tracks(labels):
                track = out / place
                track.parent.mkdir(parents=True, exist_ok=True)
                with replacing(track) as temporary:
                    temporary.write_text(text, encoding="utf-8")
    except OSError as error:
        raise LibraryError(f"cannot write {str(out)!r}: {reason_of(error)}") from None
    return len(labels)
