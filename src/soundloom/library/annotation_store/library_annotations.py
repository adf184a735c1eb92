"""Annotations of a library: imported from tables, kept by content, filtered by label, site and hour."""

from __future__ import annotations

import math
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from soundloom.annotations import TOLERANCE, UNMARKED, Annotation, named_region, read_annotations, within_ends
from soundloom.counted import counted
from soundloom.errors import QueryError
from soundloom.letter_case import folded
from soundloom.library.annotation_store.annotation_log import AnnotationLog, KeptAnnotation
from soundloom.library.annotation_store.content_match import CONTENT_COLUMN, StatedContents, by_content
from soundloom.library.library_files import DEPLOYMENTS_FILE
from soundloom.library.search.fields.deployments import Deployments
from soundloom.library.search.fields.recording_filter import RecordingFilter
from soundloom.library.storage.facts_table import read_facts_table
from soundloom.library.storage.library_lock import AddLock
from soundloom.library.storage.store import Store
from soundloom.local_path import local_path
from soundloom.system_errors import one_line_errors

__all__ = ["AnnotationFilter", "ImportReport", "LibraryAnnotations", "hour_counts", "site_and_moment"]


_NAMED = 3
"""Files that an import or an error names of those with regions beyond their ends, or of another content."""


@dataclass(frozen=True, kw_only=True)
class AnnotationFilter(RecordingFilter):
    """Which annotations are meant: by what is said, by whom, and by where and when a region was recorded.

    Attributes:
        label: what is said, in any case.
        annotator: who says so.
        gone: whether no file of the library has the content that it is about.
    """

    label: str | None = None
    annotator: str | None = None
    gone: bool | None = None

    def holds(self, annotation: Annotation, site: str, moment: datetime | None) -> bool:
        """Whether an annotation is meant.

        Args:
            annotation: it.
            site: where its file was recorded.
            moment: when its region began, if that is known.
        """
        if self.label is not None and folded(self.label) != folded(annotation.label):
            return False
        return self.annotator in (None, annotation.annotator) and self.admits(site, moment)


@dataclass(frozen=True)
class ImportReport:
    """What an import did.

    Attributes:
        said: how the table was understood, which regions lie beyond the ends of files or are of another content than
            the file at their path has, and how many wait for a mark.
        added: annotations that are new.
        known: those that were there already.
        copies: those that the table gives again for a copy of a file, which have them in common.
        elsewhere: names in the table that are of no file of the library, or of several.
    """

    said: str
    added: int
    known: int
    copies: int
    elsewhere: tuple[str, ...]


class LibraryAnnotations:
    """The annotations of one library: `Library.annotations`.

    They belong to the content of a file, as tags do: they follow it when it is renamed or moved, and hold for its
    copies. When a file is edited in place, its annotations are kept with its path, but not given to its new content.

    Args:
        folder: the library's.
        store: its rows.
    """

    def __init__(self, folder: Path, store: Store) -> None:
        self._folder = folder
        self._store = store
        self._log = AnnotationLog(folder)

    def add(self, annotations: Iterable[Annotation]) -> int:
        """Keep annotations of files of the library; returns how many are new.

        Raises:
            QueryError: a file is not in the library, or a region reaches beyond its end.
            LibraryError: another process is adding to the library, or they cannot be written.
        """
        wanted, files = list(annotations), self._store.files()
        missing = sorted({one.path for one in wanted} - files.keys())
        if missing:
            raise QueryError(f"{missing[0]!r} is not in the library: index it, or leave out its annotations")
        lengths = self._store.durations() if any(one.duration is None for one in wanted) else {}
        for one in wanted:
            length = lengths.get(one.path, math.inf) if one.duration is None else one.duration
            if one.end > length + TOLERANCE:
                raise QueryError(
                    f"{one.path!r} lasts {length:g} s, and the region {named_region(one)} reaches beyond its end: give "
                    "seconds of this file"
                )
        with AddLock(self._folder).held():
            return self._log.add(KeptAnnotation(files[one.path].hash, one) for one in wanted)

    def take_over(self, other: LibraryAnnotations) -> int:
        """Keep the annotations of another library, of the contents that they are about, whatever their paths hold here.

        Returns:
            How many of them are of contents that no file of this library has.

        Raises:
            LibraryError: as for `add`; or those of the other one are damaged.
        """
        theirs, files = list(other._log.read().values()), self._store.files()
        with AddLock(self._folder).held():
            self._log.add(theirs)
            self._log.note_places(files)
        held = {state.hash for state in files.values()}
        return sum(one.hash not in held for one in theirs)

    def import_table(
        self,
        table: str | os.PathLike[str],
        *,
        format: str | None = None,
        sound: str | os.PathLike[str] | None = None,
        content: bytes | None = None,
    ) -> ImportReport:
        """Keep the annotations of a table; those of files that are not in the library are left out and named.

        A path that leads to a file outside the library is of that file, and so of its copies in the library alone. A
        row that says of which content it is (`CONTENT_COLUMN`) is of the files with that content, wherever they are.

        Rows that cannot be read are left out, and named by their line.

        Regions that reach beyond the end of their file are cut, and those that begin there are left out.

        Args:
            table: as for `soundloom.annotations.read_annotations`.
            format: the name of its format, if it is not recognised.
            sound: the file that the annotations are of, where the table does not say.
            content: what the table holds, where it is no file here.

        Raises:
            FileTableError: the table cannot be read, or no row of it.
            LibraryError: as for `add`.
        """
        files = self._store.files()
        found = read_annotations(table, format=format, sound=sound, sounds=files, content=content, leave_out=True)
        annotations = found.annotations if content is not None else by_content(found.annotations, files)
        stated = StatedContents.of(annotations, files, {one.id for one in self._log.read().values()})
        held = [one for one in stated.annotations if one.path in files]
        marked = [one for one in held if one.label != UNMARKED]
        here, beyond = within_ends(marked, self._store.durations())
        said = [found.said, *_said_of(beyond), *_said_of(stated.left_out)]
        if waiting := len(held) - len(marked):
            said.append(f"{counted(waiting, 'region')} left out that nobody has marked yet ({UNMARKED})")
        added = self.add(here)
        copies = len({_said(one, one.path) for one in here}) - len({_said(one, files[one.path].hash) for one in here})
        elsewhere = sorted({one.path for one in stated.annotations} - files.keys())
        known = stated.known + len(here) - added - copies
        return ImportReport("; ".join(said), added, known, copies, tuple(elsewhere))

    def all(self, where: AnnotationFilter | None = None) -> list[Annotation]:
        """The annotations, by path and start, with the paths that the files have now.

        Args:
            where: which; None: all, also of files that are gone, whose last path that is known they keep.

        Raises:
            LibraryError: they are damaged.
        """
        return [one for _, one in self.with_ids(where)]

    def with_ids(self, where: AnnotationFilter | None = None, path: str | None = None) -> list[tuple[str, Annotation]]:
        """The annotations with their ids, in the order of `all`; copies of a file have the ids in common.

        Args:
            where: which; None: all.
            path: of the content that this file has.

        Raises:
            LibraryError: they are damaged.
        """
        found = self._of_files(path)
        if where is not None and where.gone is not None:
            lost = self.lost()
            found = [pair for pair in found if (pair[0] in lost) == where.gone]
        if not where:
            return found
        recorded, deployments = self.recorded(), self.deployments()
        return [pair for pair in found if where.holds(pair[1], *site_and_moment(pair[1], deployments, recorded))]

    def lost(self) -> set[str]:
        """The ids of the annotations whose content is gone; raises as `all`."""
        held = {state.hash for state in self._store.files().values()}
        return {number for number, kept in self._log.read().items() if kept.hash not in held}

    def to_write(self, where: AnnotationFilter | None = None, *, any_columns: bool) -> tuple[list[Annotation], int]:
        """Annotations for a table, and how many of those that are meant are of content that is gone.

        Args:
            where: which; None: all.
            any_columns: whether the table has room for the content of each (`CONTENT_COLUMN`). Where it has not, those
                whose content is gone are left out: their paths stand for another content now, or for none.
        """
        found, lost, kept = self.with_ids(where), self.lost(), self._log.read()
        here = [
            replace(one, columns={**one.columns, CONTENT_COLUMN: kept[number].hash}) if any_columns else one
            for number, one in found
            if any_columns or number not in lost
        ]
        return here, sum(number in lost for number, _ in found)

    def remove(self, where: AnnotationFilter) -> int:
        """Let annotations no longer count; returns how many these were. Raises as `add`."""
        return self.remove_ids([number for number, _ in self.with_ids(where)])

    def remove_ids(self, ids: Iterable[str]) -> int:
        """Let the annotations with these ids no longer count; returns how many there were. Raises as `add`."""
        with AddLock(self._folder).held():
            known = self._log.read()
            there = [number for number in dict.fromkeys(ids) if number in known]
            self._log.remove(there)
        return len(there)

    def labels(self) -> dict[str, int]:
        """Every label and how many annotations have it, the most frequent first; in whatever case, as most have it."""
        spelled = Counter(kept.annotation.label for kept in self._log.read().values())
        counts: Counter[str] = Counter()
        names: dict[str, str] = {}
        for label, count in spelled.most_common():
            counts[names.setdefault(folded(label), label)] += count
        return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))

    def deployments(self) -> Deployments:
        """Where the files were recorded: by the table that `deploy` kept, or by their names."""
        file = self._folder / DEPLOYMENTS_FILE
        return Deployments.read(file) if file.is_file() else Deployments()

    def deploy(self, table: str | os.PathLike[str]) -> Deployments:
        """Keep a table of deployments in the library, in place of the one that it has.

        Raises:
            FileTableError: it cannot be read.
        """
        found = Deployments.read(local_path(table, must_exist=True))
        with AddLock(self._folder).held(), one_line_errors(self._folder / DEPLOYMENTS_FILE):
            found.write(self._folder / DEPLOYMENTS_FILE)
        return found

    def recorded(self) -> Mapping[str, datetime]:
        """When files were recorded, by their names and headers; a file's time of change is not taken for that."""
        facts = read_facts_table(self._folder)
        if facts is None:
            return {}
        columns = (facts[name].to_pylist() for name in ("path", "recorded", "recorded_by"))
        stated = zip(*columns, strict=True)
        return {path: datetime.fromisoformat(text) for path, text, by in stated if text and by != "file"}

    def _of_files(self, path: str | None) -> list[tuple[str, Annotation]]:
        files = self._store.files()
        holders: dict[str, list[str]] = defaultdict(list)
        for name, state in files.items():
            holders[state.hash].append(name)
        found = [
            (number, replace(kept.annotation, path=holder))
            for number, kept in self._log.read().items()
            for holder in sorted(holders.get(kept.hash, ())) or ([kept.annotation.path] if path is None else ())
            if path is None or holder == path
        ]
        return sorted(found, key=lambda pair: (pair[1].path, pair[1].start, pair[1].end, pair[1].label))


def _said_of(files: Mapping[str, str]) -> list[str]:
    """What is said of the first of some files, and how many more there are."""
    more = [f"and {counted(len(files) - _NAMED, 'file')} more"] if len(files) > _NAMED else []
    return [*(f"{path}: {what}" for path, what in list(files.items())[:_NAMED]), *more]


def _said(one: Annotation, sound: str) -> tuple[object, ...]:
    """What an annotation says of a sound, comparable."""
    return sound, one.start, one.end, one.label, one.low, one.high, one.annotator


def site_and_moment(
    annotation: Annotation, deployments: Deployments, recorded: Mapping[str, datetime]
) -> tuple[str, datetime | None]:
    """Where, and when, a region was recorded.

    Args:
        annotation: the region.
        deployments: of the recordings.
        recorded: file -> when its recording began.
    """
    begun = recorded.get(annotation.path)
    deployment = deployments.of(annotation.path, begun)
    return deployment.site, None if begun is None else begun + timedelta(seconds=annotation.start)


def hour_counts(
    annotations: Sequence[Annotation], deployments: Deployments, recorded: Mapping[str, datetime]
) -> tuple[dict[str, list[int]], int]:
    """How many annotations begin in each hour of the day, by site, and how many are of files whose time is not known.

    Sites that differ in case alone are one, spelled as they are first.

    Args:
        annotations: regions.
        deployments: of the recordings.
        recorded: file -> when its recording began.
    """
    counts: dict[str, list[int]] = defaultdict(lambda: [0] * 24)
    spelled: dict[str, str] = {}
    timeless = 0
    for one in annotations:
        site, moment = site_and_moment(one, deployments, recorded)
        if moment is None:
            timeless += 1
        else:
            counts[spelled.setdefault(folded(site), site)][moment.hour] += 1
    return dict(sorted(counts.items())), timeless
