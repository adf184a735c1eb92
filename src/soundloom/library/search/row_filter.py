"""Filters of rows by given tags, folders, lengths, facts of the files, sites and times, evaluated with Arrow.

Unlike SQL conditions (`soundloom.library.search.fields.conditions`), they say what is there where nothing fits.
"""

from __future__ import annotations

import difflib
import os
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from soundloom.counted import counted
from soundloom.errors import NothingFoundError, QueryError
from soundloom.letter_case import folded
from soundloom.library.search.fields.recording_filter import RecordingFilter, moment_of
from soundloom.library.search.terms.query_words import fold
from soundloom.library.storage.table_schema import as_mask
from soundloom.remote import absolute_location
from soundloom.remote.locations import inside

if TYPE_CHECKING:
    from soundloom.library.search.fields.file_fields import FileFields

__all__ = ["RowFilter"]


@dataclass(frozen=True, kw_only=True)
class RowFilter(RecordingFilter):
    """Which segments may be found; every condition that is given must hold.

    Attributes:
        tags: the segment has all of these tags, in any case.
        folder: the file lies in this folder, at any depth: a path, or the names of some folders of it, in any
            case and with or without accents.
        longer: the whole file lasts at least so many seconds.
        shorter: it lasts at most so many.
        sample_rate: of the file, in hertz.
        site: where the file was recorded, in any case (`soundloom.library.Deployments`).
        hours: the segment begins in these hours of the day: 4 and 8 are from 04:00 to 08:00, 22 and 4 are the night.
            Only where the file's name or header says when its recording began.
        after: the segment begins then or later; a day means its beginning. When a recording began, the file's name or
            header says (`soundloom.library.indexing.file_facts`), or else, for days, when the file was changed.
        before: the segment begins before that.

    Raises:
        InvalidArgumentError: hours that the day does not have.
    """

    tags: tuple[str, ...] = ()
    folder: str | None = None
    longer: float | None = None
    shorter: float | None = None
    sample_rate: int | None = None

    def mask(self, fields: FileFields) -> NDArray[np.bool_]:
        """Which segments of a library satisfy the filter.

        Args:
            fields: of its files.

        Raises:
            QueryError: no segment has one of the tags, no file lies in the folder or has the rate; those that there
                are, or the nearest, are named. Or facts are asked for, and there are none.
        """
        files = np.ones(len(fields.paths), np.bool_)
        if self.folder is not None:
            files &= _in_folder(fields, self.folder)
        if self.longer is not None:
            files &= fields.column("duration").to_numpy() >= self.longer
        if self.shorter is not None:
            files &= fields.column("duration").to_numpy() <= self.shorter
        if self.site is not None:
            files &= _at_site(fields, self.site)
        if self.sample_rate is not None:
            files &= _at_rate(fields, self.sample_rate)
        mask = fields.of_rows(files)
        if self.is_timed:
            mask &= self._by_time(fields)
        for tag in self.tags:
            mask &= _has_tag(fields, tag)
        return mask

    def _by_time(self, fields: FileFields) -> NDArray[np.bool_]:
        """Which segments begin when they are to; what is not known never does."""
        _check_facts(fields)
        begun, stated = fields.begun
        seconds = np.where(fields.of_rows(stated), fields.rows["start"].to_numpy(), 0.0)
        moments = begun[fields.file_of_row] + (seconds * 1000).astype("timedelta64[ms]")
        mask = fields.of_rows(stated if self.hours is not None else ~np.isnat(begun))
        if self.after is not None:
            mask &= moments >= np.datetime64(moment_of(self.after), "ms")
        if self.before is not None:
            mask &= moments < np.datetime64(moment_of(self.before), "ms")
        if self.hours is not None:
            first, last = self.hours
            hour = (moments - moments.astype("datetime64[D]")) / np.timedelta64(1, "h")
            mask &= (first <= hour) & (hour < last) if first < last else (hour >= first) | (hour < last)
        return mask


def _check_facts(fields: FileFields) -> None:
    """Refuse conditions on facts of files where there are none.

    Raises:
        QueryError: there are none.
    """
    if fields.facts is None:
        raise QueryError("nothing is known yet of the files' rates and recording times: run soundloom index once")


def _at_rate(fields: FileFields, rate: int) -> NDArray[np.bool_]:
    import pyarrow.compute as pc

    _check_facts(fields)
    rates = fields.column("sample_rate")
    mask = as_mask(pc.equal(rates, rate))
    if len(mask) and not mask.any():
        known = sorted(int(other) for other in rates.unique().to_pylist() if other)
        raise QueryError(
            f"no sound of this library has the sample rate {rate} Hz: there are {', '.join(map(str, known)) or 'none'}"
        )
    return mask


def _at_site(fields: FileFields, site: str) -> NDArray[np.bool_]:
    import pyarrow as pa

    sites = fields.column("site").dictionary_encode()
    known = [str(name) for name in sites.dictionary.to_pylist()]
    meant = [folded(name) == folded(site) for name in known]
    if len(fields.paths) and not any(meant):
        near = _nearest(site, known)
        names = f"did you mean {near}?" if near else f"there are {', '.join(map(repr, sorted(known)[:10]))}"
        raise QueryError(f"no sound of this library was recorded at a site {site!r}: {names}")
    return as_mask(pa.array(meant, pa.bool_()).take(sites.indices))


def _has_tag(fields: FileFields, tag: str) -> NDArray[np.bool_]:
    given, codes, segments = fields.tags_of_rows
    meant = [number for number, name in enumerate(given) if folded(name) == folded(tag)]
    if not meant:
        near = _nearest(tag, given)
        known = (
            f"did you mean {near}?"
            if near
            else f"it has {counted(len(given), 'other tag')}"
            if given
            else "none is given"
        )
        raise NothingFoundError(
            f"nobody has given the tag {tag!r} in this library ({known})",
            f". To search by what the model takes for it: LibraryQuery(words=({tag!r},))"
            + ("" if set(",;|") & set(tag) else f"; to give it: soundloom tags add {shlex.quote(tag)} SOUNDS"),
        )
    mask = np.zeros(fields.rows.num_rows, np.bool_)
    mask[segments[np.isin(codes, meant)]] = True
    return mask


def _in_folder(fields: FileFields, folder: str) -> NDArray[np.bool_]:
    folders = [os.path.dirname(path) for path in fields.paths.to_pylist()]
    begin = inside(absolute_location(folder))
    below = [inside(name).startswith(begin) for name in folders]
    if not any(below):
        part = f"{os.sep}{fold(folder).strip(os.sep)}{os.sep}"
        below = [part in fold(os.path.join(name, "")) for name in folders]
    if folders and not any(below):
        names = {part for name in dict.fromkeys(folders) for part in name.split(os.sep) if part}
        near = _nearest(os.path.basename(folder.rstrip(os.sep)), names)
        raise QueryError(
            f"no sound of this library lies in a folder {folder!r}" + (f": did you mean {near}?" if near else "")
        )
    return np.array(below, np.bool_)


def _nearest(text: str, known: Iterable[str]) -> str:
    """The names that are written most like a text, for a question."""
    names = {folded(name): name for name in sorted(known)}
    near = difflib.get_close_matches(folded(text), names, n=3, cutoff=0.6)
    return " or ".join(repr(names[name]) for name in near)
