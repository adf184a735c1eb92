"""Reader of a data set on disk: audio files and lists, compared with the published counts.

An adapter is given a ``Copy``, through which it reads the set's lists and compares the set's files with them.
Every way in which a copy can be wrong (another folder, a list or column missing, files missing or empty, too few
clips) ends in a ``CorpusError`` that names what was expected, what was found and where the set can be had.

Files are compared by listing each folder once, not by asking for each file: a hundred thousand clips take a
second where a hundred thousand questions to a network disk take minutes. Nothing is decoded: a file that has
bytes but is no audio is for the decoder to report.
"""

from __future__ import annotations

import csv
import io
import json
import logging
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from soundloom.corpora.adapter import CorpusAdapter
from soundloom.corpora.clips import clip_table
from soundloom.corpora.files import CHECKS, absent_files, audio_files, names_in
from soundloom.corpora.splits import canonical_split
from soundloom.corpora.table import Corpus, CorpusError, SplitOrigin, Task

__all__ = ["Copy", "in_order", "read_copy"]

_log = logging.getLogger(__name__)


def read_copy(
    source: CorpusAdapter,
    root: str | os.PathLike[str],
    *,
    check: str = "sample",
    partial: bool = False,
    counts: Mapping[str, int] | None = None,
    **options: Any,
) -> Corpus:
    """Read the copy of a data set in a folder.

    Args:
        source: the set.
        root: the folder, as ``source.layout`` describes it.
        check: "sample" compares all file names with the folders' listings and looks at a few files; "full"
            looks at every file; "none" trusts the lists. A file that is there but empty counts as missing.
        partial: take a copy that is not the whole set: missing files are left out, counts are not compared.
        counts: what to expect instead of the published counts (for an excerpt, or a newer edition).
        options: the set's own, named in ``source.options``.

    Raises:
        CorpusError: the copy is not what it should be, or there is no such option.
    """
    if check not in CHECKS:
        raise CorpusError(f"check is one of {list(CHECKS)}, got {check!r}")
    unknown = sorted(set(options) - set(source.options))
    if unknown:
        raise CorpusError(f"{source.name} has no option {unknown}; its own are {list(source.options)}")
    folder = Path(root).expanduser().absolute()
    expected = counts if counts is not None else {} if partial else source.counts
    copy = Copy(source=source, root=folder, check=check, partial=partial, counts=expected)
    if not folder.is_dir():
        raise copy.error(f"a folder with {source.layout}", "a file" if folder.exists() else "no such folder")
    return source.read(copy, **options)


@dataclass(frozen=True, kw_only=True)
class Copy:
    """A data set as it lies in one folder.

    Attributes:
        source: the set it should be.
        root: the folder, absolute.
        check: how closely to look at the files.
        partial: whether missing files are left out rather than refused.
        counts: how much to expect.
    """

    source: CorpusAdapter
    root: Path
    check: str = "sample"
    partial: bool = False
    counts: Mapping[str, int] = field(default_factory=dict)

    def error(self, expected: str, found: str, remedy: str = "") -> CorpusError:
        """The error for a copy that is not as it should be."""
        about = f"{self.source.title} ({self.source.name!r}) in {str(self.root)!r}"
        source = "" if self.source.own else f"Get it from {self.source.address}"
        parts = [f"{about}: expected {expected}, found {found}", remedy, source]
        return CorpusError(". ".join(part for part in parts if part))

    def file(self, path: str | os.PathLike[str]) -> Path:
        """A file of the set's own lists, by its path below the root (or an absolute one, of the user's).

        Raises:
            CorpusError: it is not there; the message says so if it lies one folder above or below.
        """
        wanted = self.root / path
        if not wanted.is_file():
            raise self.error(os.fspath(path), self._contents(), self._hint(os.fspath(path)))
        return wanted

    def lines(self, path: str | os.PathLike[str]) -> list[str]:
        """The lines of a text file that are not blank."""
        text = self._text(path)
        return [line.strip() for line in text.splitlines() if line.strip()]

    def json(self, path: str | os.PathLike[str]) -> Any:
        """What a JSON file holds."""
        try:
            return json.loads(self._text(path))
        except json.JSONDecodeError as error:
            raise self.error(f"JSON in {os.fspath(path)}", f"something else ({error})") from error

    def columns(
        self, path: str | os.PathLike[str], wanted: Sequence[str], *, header: Sequence[str] | None = None
    ) -> dict[str, list[str]]:
        """The columns of a CSV file, by name.

        Args:
            path: the file.
            wanted: the columns that must be there; others come along.
            header: the names of the columns, where the file has no line that gives them. Lines that begin with
                ``#`` are then comments.

        Raises:
            CorpusError: a column is missing, or a line has more or fewer cells than the header.
        """
        text = io.StringIO(self._text(path), newline="")
        lines = text if header is None else (line for line in text if not line.startswith("#"))
        rows = [row for row in csv.reader(lines, skipinitialspace=True) if row]
        names = list(header) if header is not None else rows.pop(0) if rows else []
        missing = [name for name in wanted if name not in names]
        if missing:
            raise self.error(f"columns {list(wanted)} in {os.fspath(path)}", f"columns {names[:12]}")
        for row in rows:
            if len(row) != len(names):
                raise self.error(f"{len(names)} cells a line in {os.fspath(path)}", f"the line {','.join(row)[:80]!r}")
        cells: list[list[str]] = [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in names]
        return dict(zip(names, cells, strict=True))

    def integers(self, values: Sequence[str], meaning: str) -> list[int]:
        """Cells as whole numbers.

        Raises:
            CorpusError: one is none.
        """
        try:
            return [int(value) for value in values]
        except ValueError as error:
            raise self.error(f"whole numbers for {meaning}", str(error)) from error

    def optional(self, cells: Sequence[str], kind: type[int] | type[float], meaning: str) -> list[Any]:
        """Cells as numbers, or None where they are blank.

        Raises:
            CorpusError: one is neither.
        """
        try:
            return [kind(cell) if cell else None for cell in cells]
        except ValueError as error:
            raise self.error(f"numbers or nothing for {meaning}", str(error)) from error

    def splits(self, cells: Sequence[str]) -> list[str | None]:
        """Cells as splits under their usual names, or None where they are blank.

        Raises:
            CorpusError: one is no split that we know.
        """
        named = {cell: canonical_split(cell) for cell in set(cells)}
        strange = sorted(cell for cell, split in named.items() if cell and split is None)
        if strange:
            raise self.error("train, valid or test as splits", f"{strange[:3]}")
        return [named[cell] for cell in cells]

    def audio(self, folder: str = ".") -> list[str]:
        """All audio files below a folder, as sorted paths below the root; see ``files.audio_files``."""
        try:
            return audio_files(self.root, folder)
        except OSError as error:
            raise self.error("folders that can be listed", str(error), "Check their permissions") from error

    def matching(self, pattern: str, *, folder: str = ".") -> list[tuple[str, dict[str, str]]]:
        """The audio files whose path below a folder has a form, with what the form's named groups say.

        Raises:
            CorpusError: no file has it, which is what another folder than the right one looks like.
        """
        form = re.compile(pattern)
        files = self.audio(folder)
        below = [path if folder == "." else path.removeprefix(f"{folder}/") for path in files]
        found = [
            (path, match.groupdict())
            for path, name in zip(files, below, strict=True)
            if (match := form.fullmatch(name))
        ]
        if not found:
            others = f"{len(files)} audio files of other names, such as {files[:3]}" if files else self._contents()
            raise self.error(self.source.layout, others, self._hint(folder) if folder != "." else "")
        return found

    def corpus(
        self,
        files: Sequence[str],
        labels: Sequence[str | Sequence[str]],
        *,
        classes: Sequence[str] | None = None,
        task: Task | None = None,
        origin: SplitOrigin | None = None,
        **columns: Any,
    ) -> Corpus:
        """Compare the files listed with those on disk, count, and make the corpus.

        Args:
            files: each clip's file, as a path below the root with forward slashes, or an absolute one.
            labels: each clip's label, or labels.
            classes: all classes in the set's order; sorted from the labels when left out.
            task: the source's, when left out.
            origin: where splits and folds come from: "official" if any is given, unless said otherwise.
            columns: further columns, as ``clip_table`` names them.

        Raises:
            CorpusError: files are missing or empty, or the counts differ.
        """
        absent = absent_files(self.root, files, self.check)
        if absent and not self.partial:
            raise self.error(
                f"{len(files)} audio files",
                f"{len(absent)} of them missing or empty, such as {', '.join(files[row] for row in absent[:3])}",
                "Finish the download, or pass partial=True to go on without them",
            )
        if not files or len(absent) == len(files):
            raise self.error(self.source.layout, f"none of {len(files)} audio files listed")
        parted = any(value is not None for name in ("splits", "folds") for value in columns.get(name) or ())
        corpus = Corpus(
            name=self.source.name,
            root=self.root,
            task=task or self.source.task,
            classes=tuple(classes) if classes is not None else in_order(labels),
            table=clip_table([os.path.join(self.root, file) for file in files], labels, **columns),
            address=self.source.address,
            licence=self.source.licence,
            split_origin=origin or ("official" if parted else "none"),
        )
        if absent:
            _log.warning(
                "%s: %d of %d files are missing or empty and left out, such as %s",
                self.source.name, len(absent), len(files), files[absent[0]],
            )  # fmt: skip
            there = np.ones(len(files), dtype=bool)
            there[absent] = False
            corpus = corpus.filter(mask=there)
        self._compare_counts(corpus)
        return corpus

    def _compare_counts(self, corpus: Corpus) -> None:
        if not self.counts:
            return
        summary = corpus.summary()
        found = {"clips": summary.clips, "classes": len(corpus.classes), "groups": summary.groups, **summary.splits}
        found |= {f"fold {fold}": count for fold, count in summary.folds.items()}
        wrong = [what for what, count in self.counts.items() if found.get(what, 0) != count]
        if wrong:
            raise self.error(
                ", ".join(f"{self.counts[what]} {what}" for what in wrong),
                ", ".join(f"{found.get(what, 0)} {what}" for what in wrong),
                "Pass partial=True to take the copy as it is",
            )

    def _text(self, path: str | os.PathLike[str]) -> str:
        try:
            return self.file(path).read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            raise self.error(f"text in {os.fspath(path)}", f"other bytes ({error})") from error

    def _contents(self) -> str:
        names = sorted(names_in(self.root))
        return f"{len(names)} entries, such as {names[:3]}" if names else "an empty folder"

    def _hint(self, path: str) -> str:
        """Where else the root could be: people give the folder above or below it."""
        below = [self.root / name for name in sorted(names_in(self.root))]
        for candidate in [self.root.parent, *below]:
            if (candidate / path).exists():
                return f"It is there in {str(candidate)!r}: give that folder as root"
        return f"The root is the folder with {self.source.layout}"


def in_order(labels: Sequence[str | Sequence[str]]) -> tuple[str, ...]:
    """The distinct labels, sorted; by value when all are whole numbers.

    >>> in_order(["10", "9", "9"]), in_order([["dog", "bark"], []])
    (('9', '10'), ('bark', 'dog'))
    """
    distinct = {one for label in labels for one in ([label] if isinstance(label, str) else label)}
    if all(label.isascii() and label.isdigit() for label in distinct):
        return tuple(sorted(distinct, key=lambda label: (int(label), label)))
    return tuple(sorted(distinct))
