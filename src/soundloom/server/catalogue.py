"""A version of the library as people see it: segments by id, and folders relative to what all sounds share."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from soundloom.audio import NOTICE_KINDS
from soundloom.library import Explanation, Hit, Library, Match, Segment, SuggestedSegment
from soundloom.option_hints import hints_for_page
from soundloom.remote.locations import common_folder, inside, relative_name
from soundloom.server import schemas
from soundloom.server.http.error_responses import ApiError

__all__ = ["Catalogue"]

_MOST = 2**16 - 1

_FOLDERS = 2000
"""Folders that are listed; of more, the smallest are left out."""


class Catalogue:
    """The rows of one version of a library.

    Args:
        library: the library.

    Attributes:
        segments: its rows.
        version: their version.
        files: how many files there are.
        seconds: how long they are together.
        folders: every folder with the number of files at any depth in it, by name.
        left_out: how many small folders are not among them.
        notices: what was noticed of the files when they were decoded.
        silent: the paths of files that are digital silence.
    """

    def __init__(self, library: Library) -> None:
        index = library.index()
        self.segments = index.segments
        # Sorted by id now, in the thread that makes the catalogue: a million ids take two seconds.
        self.segments.rows_of_ids([])
        self.version = self.segments.version
        self._rows = index.rows
        files = self._rows.group_by("path").aggregate([("duration", "max")])
        self.files = files.num_rows
        self.seconds = float(pc.sum(files["duration_max"]).as_py() or 0.0)
        paths = files["path"].to_pylist()
        parents = Counter(os.path.dirname(path) for path in paths)
        self._root = common_folder(map(inside, parents))
        below: Counter[str] = Counter()
        for parent, count in parents.items():
            name = self.folder_name(parent)
            for folder in _levels(name):
                below[folder] += count
        largest = below.most_common(_FOLDERS)
        self.folders = [schemas.Folder(name=name, files=count) for name, count in sorted(largest)]
        self.left_out = len(below) - len(largest)
        self.notices = [notice for notice in library.notices() if notice.code in NOTICE_KINDS]
        self.silent = {notice.path for notice in self.notices if notice.code == "silent"}
        self._notices: dict[str, list[str]] = defaultdict(list)
        for notice in self.notices:
            self._notices[notice.path].append(hints_for_page(notice.text))

    @cached_property
    def _names(self) -> tuple[pa.Array, pa.Array, pa.Array]:
        """The names of files without their endings in alphabetical order, without case, and how many files have each.

        In Arrow, which compares a million names in the time of a key stroke and leaves other threads at work.
        """
        names = pc.replace_substring_regex(self._rows["path"].unique(), r"(?s)^.*/|([^/])\.[^./]*$", r"\1")
        counts = pc.value_counts(names)
        counts = counts.take(pc.sort_indices(counts.field("values")))
        names = counts.field("values")
        if pc.all(pc.string_is_ascii(names), min_count=0).as_py():
            return names, pc.ascii_lower(names), counts.field("counts")
        return names, pa.array([name.casefold() for name in names.to_pylist()]), counts.field("counts")

    def names_holding(self, text: str, most: int) -> dict[str, int]:
        """Some names of files that hold a text in any case, without their endings, and how many files have each.

        Those that begin with it come first; otherwise in alphabetical order.
        """
        names, folded, counts = self._names
        places = pc.find_substring(folded, text.casefold()).to_numpy()
        kept = np.concatenate([np.flatnonzero(places == 0)[:most], np.flatnonzero(places > 0)[:most]])[:most]
        return dict(zip(names.take(kept).to_pylist(), counts.take(kept).to_pylist(), strict=True))

    @cached_property
    def folder_places(self) -> tuple[list[str], NDArray[np.uint16]]:
        """The folders that files lie in directly, by name, and for every row the number of its own.

        Of more than 65,535 folders the rarest share the last number.
        """
        paths = self._rows["path"].combine_chunks().dictionary_encode()
        parents = [self.folder_name(os.path.dirname(path)) for path in paths.dictionary.to_pylist()]
        names = [name for name, _ in Counter(parents).most_common()]
        if len(names) > _MOST:
            names = [*names[: _MOST - 1], "(others)"]
        numbers = {name: number for number, name in enumerate(names)}
        of_path = np.array([numbers.get(name, _MOST - 1) for name in parents], np.uint16)
        return names, of_path[paths.indices.to_numpy()]

    def folder_name(self, folder: str) -> str:
        """A folder relative to the one that all sounds share."""
        return relative_name(folder, self._root) if self._root else folder

    def folder(self, name: str) -> str:
        """A folder's absolute path, by its name."""
        return name if not self._root else self._root if name == os.curdir else inside(self._root) + name

    def notices_of(self, path: str) -> list[str]:
        """What was noticed of a file when it was decoded, as the page shows it."""
        return self._notices.get(path, [])

    def __contains__(self, identity: str) -> bool:
        """Whether there is a segment with an id."""
        return int(self.segments.rows_of_ids([identity])[0]) >= 0

    def segment(self, identity: str) -> Segment:
        """The segment with an id.

        Raises:
            ApiError: there is none.
        """
        return self.segments.at([self.row(identity)])[0]

    def row(self, identity: str) -> int:
        """The row of the segment with an id.

        Raises:
            ApiError: there is none.
        """
        row = int(self.segments.rows_of_ids([identity])[0])
        if row < 0:
            raise ApiError(
                404, "not_found", f"no segment {identity!r} in this library: it may have changed, search again"
            )
        return row

    def show(
        self,
        segments: Sequence[Segment],
        explained: Sequence[Explanation] = (),
        columns: Sequence[dict[str, Any] | None] = (),
    ) -> list[schemas.SegmentEntry]:
        """Segments, and what a search says of them if it found them.

        Args:
            segments: the segments.
            explained: the explanation of each hit, if it was asked for.
            columns: fields of the file of each, if they were asked for.
        """
        nothing = [None] * len(segments)
        every = zip(segments, explained or nothing, columns or nothing, strict=True)
        return [self._shown(segment, why, fields) for segment, why, fields in every]

    def region_fields(self, region: Segment | Match, identity: str) -> dict[str, Any]:
        """What `schemas.RegionEntry` says of a region, with the id of its first segment."""
        return {
            "id": identity,
            "path": region.path,
            "name": os.path.basename(region.path),
            "folder": self.folder_name(os.path.dirname(region.path)),
            "start": region.start,
            "end": region.end,
            "duration": region.duration,
            "tags": list(region.tags),
            "absent": region.absent,
            "notices": self.notices_of(region.path),
        }

    def _shown(self, segment: Segment, why: Explanation | None, fields: dict[str, Any] | None) -> schemas.SegmentEntry:
        found = segment if isinstance(segment, Hit) else None
        return schemas.SegmentEntry(
            **self.region_fields(segment, segment.id),
            fields=fields,
            similarity=found.similarity if found else None,
            parts=found.parts if found else None,
            percentiles=why.percentiles if why else None,
            probability=segment.probability if isinstance(segment, SuggestedSegment) else None,
        )


def _levels(folder: str) -> Iterator[str]:
    """A folder, those that it lies in, and the one that all sounds share."""
    yield os.curdir
    while folder not in ("", os.curdir, os.sep) and not folder.endswith(":"):
        yield folder
        folder = os.path.dirname(folder)
