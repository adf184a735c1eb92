"""Adapters for a folder of labelled folders and for a CSV of clips.

In a folder, the first folder below the root is the label, and whatever lies deeper is just filed there; where the
first folders are called after splits (train, valid, test), the second is the label. A folder that holds
audio and no folders of audio is a collection without labels, fit for learning from sound alone.

In a CSV the columns say what they are by name: path; label (one) or labels (several, parted by ``|``); tags (parted
likewise); split; fold; group; start and end in seconds. Only path is needed; other columns come along as text.
"""

from __future__ import annotations

import os
from dataclasses import replace

from soundloom.corpora.adapter import CorpusAdapter, register_corpus
from soundloom.corpora.dataset_reader import Copy
from soundloom.corpora.splits import canonical_split
from soundloom.corpora.table import Corpus
from soundloom.errors import FileTableError
from soundloom.file_tables import NAME_COLUMNS, FileMatcher, decode_text, read_csv

__all__ = ["CSV", "FOLDER"]

_SEVERAL = "|"
_KNOWN = ("path", "label", "labels", "tags", "split", "fold", "group", "start", "end")


def _read_folder(copy: Copy, *, loose: bool = False) -> Corpus:
    """Read a folder.

    Args:
        copy: the folder.
        loose: take files beside the folders, as clips without a label.
    """
    files = copy.audio()
    if not files:
        raise copy.error("audio files", "none in it or below it")
    parts = [file.split("/") for file in files]
    if all(len(part) == 1 for part in parts):
        return copy.corpus(files, [[] for _ in files], task="multi-label")
    parted = all(len(part) > 2 and canonical_split(part[0]) for part in parts)
    depth = 1 if parted else 0
    unlabelled = [file for file, part in zip(files, parts, strict=True) if len(part) < depth + 2]
    if unlabelled and not loose:
        raise copy.error(
            "every file in a folder that is its label",
            f"{len(unlabelled)} beside the folders, such as {unlabelled[:3]}",
            "Move them into a folder; what needs no labels (train triplet) takes them as they are",
        )
    return copy.corpus(
        files,
        [[part[depth]] if len(part) > depth + 1 else [] for part in parts]
        if loose
        else [part[depth] for part in parts],
        task="multi-label" if loose else "single-label",
        splits=[canonical_split(part[0]) for part in parts] if parted else None,
        origin="listed" if parted else None,
    )


def _read_csv(copy: Copy, *, table: str | os.PathLike[str]) -> Corpus:
    """Read a CSV.

    Args:
        copy: the folder that the paths in the CSV are relative to.
        table: the CSV.
    """
    # Errors name the file: several may lie in one folder.
    copy = replace(copy, source=replace(copy.source, title=f"{os.fspath(table)}, a CSV of clips"))
    columns = _columns(copy, table)
    if "label" in columns and "labels" in columns:
        raise copy.error("either a column label or a column labels", "both")
    rows = len(columns["path"])
    blank = [""] * rows
    split = copy.splits(columns.get("split", blank))
    fold = copy.optional(columns.get("fold", blank), int, "fold")
    several = [_several(value) for value in columns.get("labels", blank)]
    parted = any(value is not None for value in [*split, *fold])
    return copy.corpus(
        columns["path"],
        columns.get("label", several),
        task="single-label" if "label" in columns else "multi-label",
        tags=[_several(value) for value in columns.get("tags", blank)],
        starts=copy.optional(columns.get("start", blank), float, "start"),
        ends=copy.optional(columns.get("end", blank), float, "end"),
        splits=split,
        folds=fold,
        groups=[value or None for value in columns.get("group", blank)],
        extra={name: values for name, values in columns.items() if name not in _KNOWN},
        origin="listed" if parted else None,
    )


def _columns(copy: Copy, table: str | os.PathLike[str]) -> dict[str, list[str]]:
    """The columns of a CSV in any common dialect, by name, with the paths as the files on disk are spelled."""
    try:
        csv = read_csv(decode_text(copy.file(table).read_bytes()), [NAME_COLUMNS])
    except FileTableError as error:
        raise copy.error(f"columns ['path'] in {os.fspath(table)}", f"a table that {error}") from None
    if not csv.columns:
        raise copy.error("a first line with the names of the columns, such as path,label", f"{csv.rows[0][:3]}")
    for row, line in zip(csv.rows, csv.lines, strict=True):
        if len(row) != len(csv.columns):
            raise copy.error(
                f"{len(csv.columns)} cells a line in {os.fspath(table)}",
                f"{len(row)} in line {line}, the line {','.join(row)[:80]!r}",
            )
    names = [column if column in _KNOWN else written for column, written in zip(csv.columns, csv.header, strict=True)]
    names[csv.column(NAME_COLUMNS) or 0] = "path"
    columns = {name: [row[number] for row in csv.rows] for number, name in enumerate(names)}
    if any(not os.path.exists(copy.root / path) for path in columns["path"]):
        matcher = FileMatcher(copy.audio(), columns["path"])
        found = [matcher.match(path) for path in columns["path"]]
        columns["path"] = [
            some[0] if len(some) == 1 else path for some, path in zip(found, columns["path"], strict=True)
        ]
    return columns


def _several(cell: str) -> list[str]:
    return [part.strip() for part in cell.split(_SEVERAL) if part.strip()]


FOLDER = register_corpus(
    CorpusAdapter(
        name="folder",
        title="A folder of folders",
        task="single-label",
        layout="{label}/**/*.wav, or {split}/{label}/**/*.wav, in any audio format",
        address="your own collection",
        own=True,
        licence="yours to know",
        read=_read_folder,
    )
)

CSV = register_corpus(
    CorpusAdapter(
        name="csv",
        title="A CSV of clips",
        task="multi-label",
        layout="the files that the CSV names",
        address="your own collection",
        own=True,
        licence="yours to know",
        read=_read_csv,
    )
)
