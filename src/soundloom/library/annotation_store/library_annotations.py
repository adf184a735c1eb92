"""Annotations of a library: imported from tables, kept by content, filtered by label, site and hour."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from soundloom.annotations import UNMARKED, Annotation, read_annotations, within_ends
from soundloom.counted import counted
from soundloom.errors import QueryError
from soundloom.file_names import os_path
from soundloom.letter_case import folded
from soundloom.library.annotation_store.annotation_log import AnnotationLog, KeptAnnotation
from soundloom.library.library_files import DEPLOYMENTS_FILE
from soundloom.library.search.fields.deployments import Deployments
from soundloom.library.search.fields.recording_filter import RecordingFilter
from soundloom.library.storage.facts_table import read_facts_table
from soundloom.library.storage.library_lock import AddLock
from soundloom.library.storage.store import Store
from soundloom.library.storage.table_schema import FileState, content_hash
from soundloom.local_path import local_path
from soundloom.system_errors import one_line_errors

__all__ = ["AnnotationFilter", "ImportReport", "LibraryAnnotations", "hour_counts", "site_and_moment"]


_NAMED = 3
"""Files with regions beyond their ends that an import names."""


@dataclass(frozen=True, kw_only=True)
class AnnotationFilter(RecordingFilter):
    """Which annotations are meant: by what is said, by whom, and by where and when a region was recorded.

    Attributes:
        label: what is said, in any case.
        annotator: who says so.
    """

    label: str | None = None
    annotator: str | None = None

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
        said: how the table was understood, in which files regions lie beyond the end, and how many wait for a mark.
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
    copies. When a file is edited in place, its annotations stay with its path.

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
            QueryError: a file is not in the library.
            LibraryError: another process is adding to the library, or they cannot be written.
        """
        wanted, files = list(annotations), self._store.files()
        missing = sorted({one.path for one in wanted} - files.keys())
        if missing:
            raise QueryError(f"{missing[0]!r} is not in the library: index it, or leave out its annotations")
        with AddLock(self._folder).held():
            return self._log.add(KeptAnnotation(files[one.path].hash, one) for one in wanted)

    def import_table(
        self,
        table: str | os.PathLike[str],
        *,
        format: str | None = None,
        sound: str | os.PathLike[str] | None = None,
        content: bytes | None = None,
    ) -> ImportReport:
        """Keep the annotations of a table; those of files that are not in the library are left out and named.

        A path that leads to a file outside the library is of that file, and so of its copies in the library alone.

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
        annotations = found.annotations if content is not None else _by_content(found.annotations, files)
        held = [one for one in annotations if one.path in files]
        marked = [one for one in held if one.label != UNMARKED]
        here, beyond = within_ends(marked, self._store.durations())
        said = [found.said, *(f"{path}: {what}" for path, what in list(beyond.items())[:_NAMED])]
        if waiting := len(held) - len(marked):
            said.append(f"{counted(waiting, 'region')} left out that nobody has marked yet ({UNMARKED})")
        added = self.add(here)
        copies = len({_said(one, one.path) for one in here}) - len({_said(one, files[one.path].hash) for one in here})
        elsewhere = sorted({one.path for one in annotations} - files.keys())
        known = len(here) - added - copies
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
            path: of this file only.

        Raises:
            LibraryError: they are damaged.
        """
        found = self._of_files(path)
        if not where:
            return found
        recorded, deployments = self.recorded(), self.deployments()
        return [pair for pair in found if where.holds(pair[1], *site_and_moment(pair[1], deployments, recorded))]

    def lost(self) -> set[str]:
        """The ids of the annotations whose content is gone; raises as `all`."""
        held = {state.hash for state in self._store.files().values()}
        return {number for number, kept in self._log.read().items() if kept.hash not in held}

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
            for holder in sorted(holders.get(kept.hash, ())) or [kept.annotation.path]
            if path is None or holder == path
        ]
        return sorted(found, key=lambda pair: (pair[1].path, pair[1].start, pair[1].end, pair[1].label))


def _by_content(annotations: Sequence[Annotation], files: Mapping[str, FileState]) -> list[Annotation]:
    """The annotations, those of files outside the library with the path of a copy that it knows.

    Args:
        annotations: of any files.
        files: the library's, by path; they need not be there now.
    """
    sizes = {state.size for state in files.values()}
    copies: dict[str, str] = {}
    holders = {state.hash: path for path, state in files.items()}
    for path in {one.path for one in annotations} - files.keys():
        with suppress(OSError, ValueError):
            if os.path.isfile(os_path(path)) and os.path.getsize(os_path(path)) in sizes:
                copies[path] = holders.get(content_hash(path), path)
    return [replace(one, path=copies.get(one.path, one.path)) for one in annotations]


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
