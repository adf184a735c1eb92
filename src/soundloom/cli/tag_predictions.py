"""Tagging with a trained model: what ``soundloom tag --model RUN`` does.

A tag is of a clip, or with ``frames`` of a second. It is written as a region (`soundloom.annotations`), with its score
and, explained, the columns average and from_PART for every part. Neighbouring seconds with one tag are one label in a
label track.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from soundloom.annotations import Annotation, write_annotations
from soundloom.cli.match_table import region_seconds
from soundloom.safe_text import printable
from soundloom.tags.linear_tags import GUESS

if TYPE_CHECKING:
    from soundloom.audio import AvProcess, DecodeOptions, Notice
    from soundloom.library import Failure, FileNotice
    from soundloom.library.indexing.add_report import FileProgress
    from soundloom.library.indexing.diff import FileOnDisk
    from soundloom.library.indexing.scan import FilesLeftOut
    from soundloom.sound_tagger import Explained, SoundTagger, Tagged

__all__ = ["TagReport", "TagRow", "tag_files", "tag_lines", "write_tags"]

_LONG = 30.0
"""Seconds of a sound from which tags of the whole say little."""
_NAMED = 3
"""Files that a remark names."""


class TagRow(NamedTuple):
    """A tag on a stretch of a file.

    Attributes:
        path: the file.
        start: in seconds.
        end: in seconds.
        tag: the tag.
        score: how clearly, from 0 to 1.
        shares: if explained, what it is the sum of: "average", its score for the average sound, and "from_PART", how
            much each part of the model moved it from there.
    """

    path: str
    start: float
    end: float
    tag: str
    score: float
    shares: dict[str, float] | None = None

    def columns(self) -> dict[str, str | float]:
        """All of it by the name of a column."""
        plain: dict[str, str | float] = {
            "path": self.path,
            "start": self.start,
            "end": self.end,
            "tag": self.tag,
            "score": self.score,
        }
        return {**plain, **(self.shares or {})}


@dataclass(frozen=True, kw_only=True)
class TagReport:
    """What was tagged.

    Attributes:
        rows: the tags, file by file, the highest score of each stretch first.
        lengths: file that was decoded -> seconds of sound in it.
        failed: those that could not, and why.
        left_out: files in folders whose names are none of sounds, or begin with a dot.
        notices: what was noticed of the files, such as digital silence.
        remarks: what is to be said of the tags: which are guesses, which files have none.
    """

    rows: list[TagRow]
    lengths: dict[str, float]
    failed: list[Failure]
    left_out: FilesLeftOut
    notices: list[FileNotice]
    remarks: list[str]

    @property
    def files(self) -> int:
        """How many were decoded."""
        return len(self.lengths)

    @property
    def seconds(self) -> float:
        """Of sound in all of them."""
        return sum(self.lengths.values())


def _tagging(
    tagger: SoundTagger, explain: bool, decoding: DecodeOptions | None
) -> Callable[[FileOnDisk, AvProcess], tuple[Tagged, list[Notice]]]:
    """The work on one file: its tags, and what was noticed of it."""
    from soundloom.audio import DEFAULT_OPTIONS

    if explain:  # fails here, once, where the tagger cannot explain
        tagger.average()

    def tag(file: FileOnDisk, av: AvProcess) -> tuple[Tagged, list[Notice]]:
        seen: list[Notice] = []
        options = decoding or DEFAULT_OPTIONS
        return tagger.tag(file.path, explain=explain, options=options, notices=seen, av=av), seen

    return tag


def tag_files(
    sounds: Sequence[str | os.PathLike[str]],
    run: str | os.PathLike[str],
    *,
    frames: bool = False,
    explain: bool = False,
    top: int = 5,
    least: float = 0.1,
    workers: int | None = None,
    decoding: DecodeOptions | None = None,
    progress: Callable[[FileProgress], None] | None = None,
    weights: str | Mapping[str, str] = "published",
    offline: bool = False,
    sentences: Sequence[str] = (),
) -> TagReport:
    """Tag files with the tagger of a model.

    Args:
        sounds: folders, with their subfolders, and files.
        run: the run's folder, or the model's name.
        frames: tags of every second instead of every clip.
        explain: also report how much each part of the model moved a score.
        top: most tags of a segment.
        least: lowest score that is reported.
        workers: files at a time; the number of processors if not given.
        decoding: how files become waveforms.
        progress: called after every file.
        weights: as for `soundloom.load`.
        offline: as for `soundloom.load`.
        sentences: classes of a model that takes sentences.

    Raises:
        ModelError: the model has no tagger and knows no words, or it cannot explain.
    """
    from soundloom.file_pool import Failed, process
    from soundloom.library import Failure, FileNotice, FileProgress
    from soundloom.library.indexing.scan import FilesLeftOut, find_files
    from soundloom.tagger_choice import load_tagger

    tagger = load_tagger(run, weights=weights, offline=offline, sentences=sentences)
    report = TagReport(rows=[], lengths={}, failed=[], left_out=FilesLeftOut(), notices=[], remarks=[])
    failed: dict[str, str] = {}
    files = sorted(find_files(sounds, failed, report.left_out), key=lambda file: file.path)
    results = process(files, _tagging(tagger, explain, decoding), workers=workers or os.cpu_count() or 1)
    for done, (file, result) in enumerate(zip(files, results, strict=True), start=1):
        if isinstance(result, Failed):
            failed[file.path] = result.reason
        else:
            tagged, seen = result
            report.rows.extend(_rows(tagger, file.path, tagged, frames=frames, top=top, least=least))
            report.notices.extend(FileNotice(file.path, notice.code, notice.text) for notice in seen)
            report.lengths[file.path] = float(tagged.ends[-1])
        if progress is not None:
            progress(FileProgress(done, len(files), report.seconds, file.path))
    report.failed.extend(Failure(path, failed[path]) for path in sorted(failed))
    report.remarks.extend(_remarks(report, least, suggests=tagger.skip_silence, whole=not frames))
    return report


def _remarks(report: TagReport, least: float, *, suggests: bool, whole: bool) -> Iterator[str]:
    """What is to be said of the tags of some files.

    Args:
        report: the tags.
        least: the lowest score that is reported.
        suggests: whether scores say how probable a tag is.
        whole: whether tags are of whole files.
    """
    best: dict[str, float] = {}
    for row in report.rows:
        best[row.path] = max(best.get(row.path, 0.0), row.score)
    if guesses := [path for path in report.lengths if suggests and best.get(path, GUESS) < GUESS]:
        yield f"guesses, as none of these tags has a score of {GUESS:g}: {_first_of(guesses)}"
    if bare := [path for path in report.lengths if path not in best]:
        beside = ", Silence and noise aside" if whole and suggests else ""
        yield f"no tag has a score of {least:g} (--least){beside}: {_first_of(bare)}"
    if long := [path for path, seconds in report.lengths.items() if whole and seconds >= _LONG]:
        yield f"tags of a long recording as a whole say little; --frames tags every second: {_first_of(long)}"


def _first_of(paths: Sequence[str]) -> str:
    """The names of the first files, and how many more there are."""
    names = ", ".join(printable(os.path.basename(path)) for path in paths[:_NAMED])
    return names + (f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else "")


def tag_lines(rows: Sequence[TagRow]) -> Iterator[str]:
    """The tags as lines for people; explained, below a heading, with what each score is the sum of."""
    names = list(rows[0].shares or {}) if rows else []
    headings = [name.removeprefix("from_") for name in names]
    if names:
        yield "  ".join(["score", *headings, "tag"])
    for row in rows:
        # The average is a score, the rest are movements from it.
        numbers = [
            f"{(row.shares or {})[name]:{'' if name == 'average' else '+'}.2f}".rjust(len(heading))
            for name, heading in zip(names, headings, strict=True)
        ]
        yield "  ".join(
            [f"{row.score:5.2f}", *numbers, printable(row.tag), region_seconds(row.start, row.end), printable(row.path)]
        )


def write_tags(rows: Sequence[TagRow], out: str | os.PathLike[str]) -> Path:
    """Write tags to a file or a folder. Returns where they are; see `soundloom.annotations.write_annotations`."""
    regions = [Annotation(row.path, row.start, row.end, row.tag, row.score, columns=row.shares or {}) for row in rows]
    return write_annotations(regions, out, join_labels=True)


def _rows(tagger: SoundTagger, path: str, tagged: Tagged, *, frames: bool, top: int, least: float) -> Iterator[TagRow]:
    for second in range(len(tagged.starts)) if frames else (None,):
        start, end = tagged.span if second is None else (tagged.starts[second], tagged.ends[second])
        scores = tagged.clip if second is None else tagged.seconds[second]
        described = tagger.describing if second is None else tagger.highest
        for tag, score in described(scores, top, least):
            shares = _shares(tagged.explained, second, tagger.classes.index(tag))
            yield TagRow(path, float(start), float(end), tag, score, shares)


def _shares(explained: Explained | None, second: int | None, tag: int) -> dict[str, float] | None:
    """What a score is the sum of: of a second, or of the whole."""
    if explained is None:
        return None
    moved = explained.clip if second is None else {part: shares[second] for part, shares in explained.seconds.items()}
    return {
        "average": float(explained.average[tag]),
        **{f"from_{part}": float(shares[tag]) for part, shares in moved.items()},
    }
