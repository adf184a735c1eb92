"""Filters of rows by given tags, folders, lengths and facts of the files, evaluated with Arrow.

Unlike the conditions of `soundloom.library.search.filters`, they say what is there where nothing fits.
"""

from __future__ import annotations

import difflib
import os
import shlex
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from soundloom.counted import counted
from soundloom.errors import QueryError

if TYPE_CHECKING:
    from soundloom.library.search.fields.file_fields import FileFields

__all__ = ["RowFilter"]


@dataclass(frozen=True, kw_only=True)
class RowFilter:
    """Which segments may be found; every condition that is given must hold.

    Attributes:
        tags: the segment has all of these tags, in any case.
        folder: the file lies in this folder, at any depth: a path, or the names of some folders of it, in any case.
        longer: the whole file lasts at least so many seconds.
        shorter: it lasts at most so many.
        sample_rate: of the file, in hertz.
        after: the file was recorded then or later (`soundloom.library.indexing.file_facts`).
        before: it was recorded before that; a day means its beginning.
    """

    tags: tuple[str, ...] = ()
    folder: str | None = None
    longer: float | None = None
    shorter: float | None = None
    sample_rate: int | None = None
    after: date | None = None
    before: date | None = None

    def __bool__(self) -> bool:
        return self != RowFilter()

    def mask(self, fields: FileFields) -> NDArray[np.bool_]:
        """Which segments of a library satisfy the filter.

        Args:
            fields: of its files.

        Raises:
            QueryError: no segment has one of the tags, or no file lies in the folder; the nearest are named. Or facts
                are asked for, and there are none.
        """
        files = np.ones(len(fields.paths), np.bool_)
        if self.folder is not None:
            files &= _in_folder(fields, self.folder)
        if self.longer is not None:
            files &= fields.column("duration").to_numpy() >= self.longer
        if self.shorter is not None:
            files &= fields.column("duration").to_numpy() <= self.shorter
        if self.sample_rate is not None or self.after is not None or self.before is not None:
            files &= self._by_facts(fields)
        mask = fields.of_rows(files)
        for tag in self.tags:
            mask &= _has_tag(fields, tag)
        return mask

    def _by_facts(self, fields: FileFields) -> NDArray[np.bool_]:
        """Which files satisfy the conditions on their facts; what is not known satisfies none."""
        import pyarrow.compute as pc

        if fields.facts is None:
            raise QueryError("nothing is known yet of the files' rates and recording times: run soundloom index once")
        fits = []
        if self.sample_rate is not None:
            fits.append(pc.equal(fields.column("sample_rate"), self.sample_rate))
        # Times are text that sorts as they do.
        if self.after is not None:
            fits.append(pc.greater_equal(fields.column("recorded"), _moment(self.after)))
        if self.before is not None:
            fits.append(pc.less(fields.column("recorded"), _moment(self.before)))
        masks = [pc.fill_null(fit, False).to_numpy(zero_copy_only=False) for fit in fits]
        return np.asarray(np.logical_and.reduce(masks))


def _has_tag(fields: FileFields, tag: str) -> NDArray[np.bool_]:
    given, codes, segments = fields.tags_of_rows
    meant = [number for number, name in enumerate(given) if _folded(name) == _folded(tag)]
    if not meant:
        near = _nearest(tag, given)
        known = (
            f"did you mean {near}?"
            if near
            else f"it has {counted(len(given), 'other tag')}"
            if given
            else "none is given"
        )
        raise QueryError(
            f"nobody has given the tag {tag!r} in this library ({known}). To search by what the model takes for it: "
            f"--word {shlex.quote(tag)}; to give it: soundloom tags add {shlex.quote(tag)} SOUNDS"
        )
    mask = np.zeros(fields.rows.num_rows, np.bool_)
    mask[segments[np.isin(codes, meant)]] = True
    return mask


def _in_folder(fields: FileFields, folder: str) -> NDArray[np.bool_]:
    folders = [os.path.dirname(path) for path in fields.paths.to_pylist()]
    inside = os.path.join(os.path.abspath(os.path.expanduser(folder)), "")
    below = [os.path.join(name, "").startswith(inside) for name in folders]
    if not any(below):
        part = f"{os.sep}{_folded(folder).strip(os.sep)}{os.sep}"
        below = [part in _folded(os.path.join(name, "")) for name in folders]
    if folders and not any(below):
        names = {part for name in dict.fromkeys(folders) for part in name.split(os.sep) if part}
        near = _nearest(os.path.basename(folder.rstrip(os.sep)), names)
        raise QueryError(
            f"no sound of this library lies in a folder {folder!r}" + (f": did you mean {near}?" if near else "")
        )
    return np.array(below, np.bool_)


def _moment(day: date) -> str:
    moment = day if isinstance(day, datetime) else datetime.combine(day, time())
    return moment.replace(tzinfo=None).isoformat(timespec="seconds")


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def _nearest(text: str, known: Iterable[str]) -> str:
    """The names that are written most like a text, for a question."""
    folded = {_folded(name): name for name in sorted(known)}
    near = difflib.get_close_matches(_folded(text), folded, n=3, cutoff=0.6)
    return " or ".join(repr(folded[name]) for name in near)
