"""Annotations to and from files: formats by the ending of a name when writing, by the columns when reading.

    .csv                    path, start, end, label, score, and further columns
    .birdnet.csv, .kaleidoscope.csv, .hoplite.csv      tables of these programs
    .json, .parquet         the same as .csv
    .m3u8                   a playlist, with the regions for VLC; written only, and read as a list of files
    .txt                    labels for Audacity: start, end and label between tabs; of several files a folder of them
    .selections.txt         a selection table for Raven, of any number of files
    .html                   a table with a player for every region; written only
    a folder                labels for Audacity, a file for each sound

What is read and written again in the same format loses nothing that the format holds: times to the nanosecond, limits
in frequency, labels, scores, annotators, further columns.
"""

from __future__ import annotations

import difflib
import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from soundloom.annotations.annotation import Annotation
from soundloom.annotations.annotation_format import FORMATS, AnnotationFormat
from soundloom.annotations.delimited_text import TextTable, read_table
from soundloom.annotations.programs.plain_csv import write_header
from soundloom.atomic_file import replacing
from soundloom.audio import AUDIO_SUFFIXES
from soundloom.counted import counted
from soundloom.errors import FileTableError, InvalidArgumentError, ResourceError
from soundloom.file_names import text_path
from soundloom.file_tables import FileMatcher
from soundloom.local_path import check_output_folder, local_path
from soundloom.remote.locations import common_folder, relative_name
from soundloom.system_errors import reason_of

__all__ = [
    "AnnotationTable",
    "check_annotation_file",
    "is_annotation_table",
    "label_tracks",
    "read_annotations",
    "sound_beside",
    "takes_any_columns",
    "write_annotations",
]

_LABEL_TRACK = "audacity"
_GUESSED = "csv"
_NAMED = 5
"""Files taken by their names alone, and rows that are left out, that are named."""
_ALIKE = 0.75
"""How alike an ending must be to one that is known to be taken for it."""


@dataclass(frozen=True)
class AnnotationTable:
    """What a file of annotations holds.

    Attributes:
        annotations: in the file's order.
        format: the name of its format (`FORMATS`).
        said: how the file was understood, in a line; which columns were taken for what, where that was guessed.
    """

    annotations: tuple[Annotation, ...]
    format: str
    said: str


def check_annotation_file(out: str | os.PathLike[str]) -> Path:
    """Refuse a name whose ending says no format, before anything is computed.

    Raises:
        InvalidArgumentError: an ending that is not known, or a folder that holds more than label tracks.
        QueryError: an address instead of a path.
    """
    path = local_path(out)
    if not path.suffix or path.is_dir():
        _check_folder(path)
    if path.suffix and _written_format(path) is None:
        writable = (one.ending for one in FORMATS.values() if one.write is not None)
        endings = sorted(writable, key=lambda ending: (ending.count("."), ending))
        near = difflib.get_close_matches(path.suffix.lower(), endings, n=1, cutoff=_ALIKE)
        meant = f"; did you mean {str(path.with_suffix(near[0]))!r}?" if near else ""
        raise InvalidArgumentError(
            f"cannot write to {os.fspath(out)!r}: end it in {', '.join(endings)}, or name a folder for Audacity's "
            f"labels{meant}"
        )
    return path


def takes_any_columns(out: str | os.PathLike[str]) -> bool:
    """Whether a file of this name holds further columns under their names; raises as `check_annotation_file`."""
    format_ = _written_format(check_annotation_file(out))
    return format_ is not None and format_.any_columns


def write_annotations(
    annotations: Sequence[Annotation],
    out: str | os.PathLike[str],
    *,
    join_labels: bool = False,
    columns: Sequence[str] = (),
) -> Path:
    """Write annotations to a file, whole or not at all, or to a folder of label tracks. Returns where they are.

    Args:
        annotations: what is written.
        out: where; the ending says in which form. A label track belongs to one file: of several files there is one
            each in a folder of that name, without the ending.
        join_labels: in label tracks, annotations with one label that touch or overlap are one.
        columns: further columns that a plain CSV without annotations names.

    Raises:
        InvalidArgumentError: an ending that is not known, or a folder that holds more than label tracks.
        ResourceError: the file or folder cannot be written.
    """
    path = check_annotation_file(out)
    format_ = _written_format(path)
    if join_labels and (format_ is None or format_ is FORMATS[_LABEL_TRACK]):
        annotations = _joined(annotations)
    if format_ is FORMATS[_LABEL_TRACK] and len({one.path for one in annotations}) > 1:
        path, format_ = path.with_suffix(""), None
        _check_folder(path)
    try:
        if format_ is None or format_.write is None:
            _write_tracks(annotations, path)
            return path
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            if format_ is FORMATS[_GUESSED] and not annotations:
                write_header(temporary, columns)
            else:
                format_.write(annotations, temporary)
    except OSError as error:
        raise ResourceError(f"cannot write {str(path)!r}: {reason_of(error)}") from None
    return path


def read_annotations(
    table: str | os.PathLike[str],
    *,
    format: str | None = None,
    sound: str | os.PathLike[str] | None = None,
    sounds: Iterable[str | os.PathLike[str]] = (),
    content: bytes | None = None,
    leave_out: bool = False,
) -> AnnotationTable:
    """Read a file of annotations.

    Args:
        table: the file.
        format: the name of its format (`FORMATS`); None: recognised by its columns.
        sound: the file that the annotations are of, where the table does not say; None: the sound beside the table
            whose name the table's begins with, such as ``owl.wav`` for ``owl.wav.txt`` or ``owl.selections.txt``.
        sounds: files that the names of the table may stand for (`soundloom.file_tables.FileMatcher`); names that fit
            none, or several, stay as they are, and relative ones are looked for beside the table. Which were taken by
            their names alone is said.
        content: what the file holds, where that is known and it need not be there; nothing is looked for beside it.
        leave_out: leave out the rows that cannot be read, and say which; unless no row can be read.

    Raises:
        FileTableError: the file cannot be read or is of no known format, or a row cannot be read; says in which line.
        ComponentError: no such format.
        QueryError: there is no such file.
    """
    file = Path(table) if content is not None else local_path(table, must_exist=True)
    try:
        data = file.read_bytes() if content is None else content
        left_out: list[str] | None = [] if leave_out else None
        recognised, text = _decoded(data) or (None, read_table(data, left_out))
        text = replace(text, left_out=left_out)
        name = format or recognised or _recognised(text)
        read = FORMATS[name].read if format is None else FORMATS.find(format).read
        if read is None:
            raise FileTableError(f"cannot be read as {name}: {FORMATS[name].title} is only written")
        given = "" if sound is None else text_path(sound)
        of = given or sound_beside(file, look=content is None)
        if sound is None and content is None and (sounds := list(sounds)):
            of = text_path(Path(of).absolute())  # its folders distinguish files of one name, and need not fit
        found = [one if one.path else replace(one, path=of) for one in read(text, given)]
        if left_out and not found:
            raise FileTableError(left_out[0])
    except OSError as error:
        raise FileTableError(f"{str(file)!r} cannot be read: {reason_of(error)}") from None
    except InvalidArgumentError as error:
        raise FileTableError(f"{str(file)!r} {error}") from None
    said = f"{file.name}: {FORMATS[name].title}"
    if guessed := (guess := FORMATS[name].guess) and guess(text):
        said += ", taking " + ", ".join(f"{column!r} for the {attribute}" for attribute, column in guessed.items())
    if found and not any(one.label for one in found):
        said += f"; nothing in it has a label, its columns are {list(text.header)}"
    if left_out:
        said += f"; {counted(len(left_out), 'row')} left out, the table {_named(left_out)}"
    found, by_name = _located(found, None if content is not None else file.parent, [text_path(one) for one in sounds])
    if by_name:
        named = [f"{name!r} for {taken!r}" for name, taken in sorted(by_name.items())]
        said += f"; {counted(len(named), 'file')} taken by name alone: {_named(named)}"
    return AnnotationTable(tuple(found), name, said)


def is_annotation_table(data: bytes) -> bool:
    """Whether the content of a file is of a format that `read_annotations` recognises.

    Raises:
        FileTableError: it is JSON or parquet, and damaged or of another form.
    """
    if _decoded(data) is not None:
        return True
    try:
        return bool(_recognised(read_table(data)))
    except FileTableError:
        return False


def label_tracks(folder: Path) -> list[tuple[Path, str]]:
    """The label tracks of a folder that `write_annotations` wrote, and the names of the files they are of."""
    tracks = sorted(path for path in folder.rglob("*.txt") if path.is_file())
    return [(track, text_path(track.relative_to(folder).with_suffix(""))) for track in tracks]


def _named(some: Sequence[str]) -> str:
    """The first of some texts, and how many more there are."""
    return ", ".join([*some[:_NAMED], *([f"and {len(some) - _NAMED} more"] if len(some) > _NAMED else [])])


def _check_folder(folder: Path) -> None:
    def is_track(path: Path) -> bool:
        return path.suffix == ".txt" and path.with_suffix("").suffix.lower() in AUDIO_SUFFIXES

    check_output_folder(folder, is_track, "label tracks", "labels.csv")


def _decoded(data: bytes) -> tuple[str, TextTable] | None:
    """The name of the format, and the table, of a file that is no delimited text."""
    for name, one in FORMATS.items():
        if one.decode is not None and (table := one.decode(data)) is not None:
            return name, table
    return None


def _joined(annotations: Iterable[Annotation]) -> list[Annotation]:
    joined: list[Annotation] = []
    for one in sorted(annotations, key=lambda one: (one.path, one.label, one.start)):
        last = joined[-1] if joined else None
        if last is not None and (last.path, last.label) == (one.path, one.label) and one.start <= last.end:
            joined[-1] = replace(last, end=max(last.end, one.end))
        else:
            joined.append(one)
    return joined


def _written_format(path: Path) -> AnnotationFormat | None:
    fitting = [one for one in FORMATS.values() if one.write is not None and path.name.lower().endswith(one.ending)]
    return max(fitting, key=lambda one: len(one.ending), default=None)


def _recognised(table: TextTable) -> str:
    known = {name: one for name, one in FORMATS.items() if one.recognise is not None}
    # A plain table is what no program's format fits.
    for name in sorted(known, key=lambda name: name == _GUESSED):
        recognise = known[name].recognise
        if recognise is not None and recognise(table):
            return name
    guess = FORMATS[_GUESSED].guess
    columns = guess(table) if guess is not None else {}
    missing = [name for name, held in (("start", {"start"}), ("end", {"end", "length"})) if not held & set(columns)]
    if len(missing) == 1:
        taken = ", ".join(f"{column!r} for the {attribute}" for attribute, column in columns.items())
        raise FileTableError(
            f"has no column for the {missing[0]} of a region: its columns are {list(table.header)}, of which are taken "
            f"{taken}; call the one that is meant {missing[0]!r}"
        )
    titles = ", ".join(one.title for one in known.values())
    raise FileTableError(
        f"is of no format that is known ({titles}), its columns are {list(table.header)}: call those that "
        "hold the region 'path', 'start', 'end' and 'label'"
    )


def sound_beside(table: Path, *, look: bool = True) -> str:
    """The sound that a table is of by its name: its own without the ending; the table's name where there is none.

    Args:
        table: the file.
        look: whether a sound beside it may say the ending.
    """
    stem = table.name
    while "." in stem:
        stem = stem.rpartition(".")[0]
        if os.path.splitext(stem)[1].lower() in AUDIO_SUFFIXES:
            return text_path(table.with_name(stem))
        named = table.parent.glob(_literal(stem) + ".*") if look else ()
        beside = [found for found in named if found.suffix.lower() in AUDIO_SUFFIXES]
        if beside:
            return text_path(min(beside))
    return text_path(table.with_name(stem))


def _literal(name: str) -> str:
    import glob

    return glob.escape(name)


def _located(
    found: Sequence[Annotation], folder: Path | None, sounds: list[str]
) -> tuple[list[Annotation], dict[str, str]]:
    """Annotations whose names are paths of files, where there are such, and the files of which a name says no folder.

    Args:
        found: the annotations.
        folder: of their table; None: it is nowhere.
        sounds: files that the names may stand for.
    """
    names = {one.path for one in found}
    matcher = FileMatcher(sounds, names, folder)
    places: dict[str, str] = {}
    by_name: dict[str, str] = {}
    for name in names:
        fitting, here = matcher.match(name), matcher.file_here(name)
        if len(fitting) == 1:
            places[name] = fitting[0]
            if here is None and name != fitting[0] and not matcher.shares_folder(name, fitting[0]):
                by_name[name] = fitting[0]
        elif here is not None:
            places[name] = text_path(here)
    return [replace(one, path=places.get(one.path, one.path)) for one in found], by_name


def _write_tracks(annotations: Iterable[Annotation], folder: Path) -> None:
    """A label track for every file, in the files' own folders below what they have in common."""
    by_path: dict[str, list[Annotation]] = defaultdict(list)
    for one in annotations:
        by_path[one.path].append(one)
    common = common_folder(by_path)
    folder.mkdir(parents=True, exist_ok=True)
    write = FORMATS[_LABEL_TRACK].write
    assert write is not None
    for path, some in sorted(by_path.items()):
        track = folder / f"{relative_name(path, common)}.txt"
        track.parent.mkdir(parents=True, exist_ok=True)
        with replacing(track) as temporary:
            write(some, temporary)
