"""Tagging with a trained model: what ``soundloom tag --model RUN`` does.

    .csv        path, start, end, then a score for every tag, a line a tag: path, start, end, tag, score
    .parquet    the same columns
    .txt        Audacity's label track of a single file: first second, last second, tag
    a folder    a label track for every file, named after it

A line is of a clip, or with ``frames`` of a second. Neighbouring seconds with one tag are one label in a track.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from soundloom.errors import LibraryError

if TYPE_CHECKING:
    from soundloom.library import Failure
    from soundloom.library.adding import Progress
    from soundloom.tagger import Tagged, Tagger

__all__ = ["Row", "TagReport", "tag_files", "write_tags"]


class Row(NamedTuple):
    """A tag on a stretch of a file.

    Attributes:
        path: the file.
        start: in seconds.
        end: in seconds.
        tag: what is heard.
        score: how clearly, from 0 to 1.
    """

    path: str
    start: float
    end: float
    tag: str
    score: float


@dataclass(frozen=True, kw_only=True)
class TagReport:
    """What was tagged.

    Attributes:
        rows: the tags, file by file, the highest score of each stretch first.
        files: how many could be heard.
        seconds: of sound.
        failed: those that could not, and why.
    """

    rows: list[Row]
    files: int
    seconds: float
    failed: list[Failure]


def tag_files(
    sounds: Sequence[str | os.PathLike[str]],
    run: str | os.PathLike[str],
    *,
    frames: bool = False,
    top: int = 5,
    least: float = 0.1,
    workers: int | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> TagReport:
    """Tag files with the tagger of a model.

    Args:
        sounds: folders, searched with their subfolders, and files.
        run: the run's folder, or the model's name.
        frames: tags of every second instead of every clip.
        top: most tags of a stretch.
        least: lowest score that is told.
        workers: how many files at a time; as many as there are processors if not given.
        progress: called after every file.

    Raises:
        ModelError: the model has no tagger and knows no words.
    """
    from soundloom.library import Failure
    from soundloom.library.adding import Progress, find_files
    from soundloom.parallel import Failed, process
    from soundloom.tagger import Tagger

    tagger = Tagger.load(run)
    failed: dict[str, str] = {}
    files = sorted(find_files(sounds, failed), key=lambda file: file.path)
    rows: list[Row] = []
    seconds = 0.0
    results = process(files, lambda file, av: tagger.tag(file.path, av=av), workers=workers or os.cpu_count() or 1)
    for done, (file, result) in enumerate(zip(files, results, strict=True), start=1):
        if isinstance(result, Failed):
            failed[file.path] = result.reason
        else:
            rows.extend(_rows(tagger, file.path, result, frames=frames, top=top, least=least))
            seconds += float(result.ends[-1])
        if progress is not None:
            progress(Progress(done, len(files), seconds, file.path))
    failures = [Failure(path, failed[path]) for path in sorted(failed)]
    heard = len(files) - sum(file.path in failed for file in files)
    return TagReport(rows=rows, files=heard, seconds=seconds, failed=failures)


def write_tags(rows: Sequence[Row], out: str | os.PathLike[str]) -> None:
    """Write tags to a file or a folder; the ending says in which form (see the module).

    Raises:
        LibraryError: an ending that is not known, a label track for several files, or a place that cannot be written.
    """
    out = Path(out)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        if not out.suffix:
            for place, text in _tracks(rows):
                (out / place).parent.mkdir(parents=True, exist_ok=True)
                (out / place).write_text(text, encoding="utf-8")
            return
        temporary = out.with_name(out.name + ".writing")
        _written(rows, out.suffix, temporary, out)
        temporary.replace(out)
    except OSError as error:
        raise LibraryError(f"cannot write {str(out)!r}: {error.strerror or error}") from None


def _written(rows: Sequence[Row], suffix: str, file: Path, out: Path) -> None:
    if suffix == ".csv":
        with open(file, "w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream)
            writer.writerow(Row._fields)
            writer.writerows(rows)
    elif suffix == ".parquet":
        import pyarrow as pa
        from pyarrow import parquet

        kinds = zip(Row._fields, (pa.string(), pa.float64(), pa.float64(), pa.string(), pa.float32()), strict=True)
        parquet.write_table(pa.Table.from_pylist([row._asdict() for row in rows], schema=pa.schema(list(kinds))), file)
    elif suffix == ".txt":
        paths = {row.path for row in rows}
        if len(paths) > 1:
            raise LibraryError(f"a label track is of one file, got {len(paths)}: name a folder for a track each")
        file.write_text("".join(text for _, text in _tracks(rows)), encoding="utf-8")
    else:
        raise LibraryError(f"cannot write tags to {str(out)!r}: end it in .csv, .parquet or .txt, or name a folder")


def _rows(tagger: Tagger, path: str, tagged: Tagged, *, frames: bool, top: int, least: float) -> Iterator[Row]:
    stretches: Iterable[tuple[float, float, object]] = (
        zip(tagged.starts.tolist(), tagged.ends.tolist(), tagged.seconds, strict=True)
        if frames
        else [(float(tagged.starts[0]), float(tagged.ends[-1]), tagged.clip)]
    )
    for start, end, scores in stretches:
        for tag, score in tagger.highest(scores, top, least):  # type: ignore[arg-type]
            yield Row(path, start, end, tag, score)


def _tracks(rows: Iterable[Row]) -> Iterator[tuple[str, str]]:
    from soundloom.library.tag_export import Label, audacity_tracks

    return audacity_tracks(Label(row.path, row.start, row.end, row.tag) for row in rows)
