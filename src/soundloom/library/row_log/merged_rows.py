"""Rows of a search index: a table that never changes, with a log of changes merged into it as rows are asked for.

Single rows are found in both without joining them; the whole table is made when a filter or a list of all rows needs
it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from soundloom.library.row_log.change_log import ChangeLog
from soundloom.library.row_log.merged_order import MergedOrder
from soundloom.library.row_log.table_fragments import PLACES
from soundloom.library.storage.table_schema import content_checksum, whole_column

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["FixedRows", "MergedRows", "SortedColumn"]

_NONE = np.zeros(0, np.int64)


class SortedColumn:
    """A column in the order of its values, in which these are found by halves; sorted when first used.

    Args:
        values: of the column.

    Attributes:
        values: as given.
    """

    def __init__(self, values: NDArray[Any]) -> None:
        self.values = values

    @cached_property
    def _order(self) -> NDArray[np.int64]:
        return np.argsort(self.values, kind="stable")

    def find(self, wanted: NDArray[Any]) -> NDArray[np.int64]:
        """The first place of each value; -1 for one that is not there."""
        if not len(self.values):
            return np.full(len(wanted), -1, np.int64)
        near = np.searchsorted(self.values, wanted, sorter=self._order)
        places = self._order[np.minimum(near, len(self.values) - 1)]
        return np.where(self.values[places] == wanted, places, -1)

    def between(self, first: Any, stop: Any) -> NDArray[np.int64]:
        """The places of the values from ``first`` up to ``stop``, which is not among them."""
        begin, end = np.searchsorted(self.values, np.array([first, stop], self.values.dtype), sorter=self._order)
        return self._order[begin:end]


class FixedRows:
    """The table, which is mapped into memory.

    Args:
        table: ordered by path and start.
    """

    def __init__(self, table: pa.Table) -> None:
        self.table = table
        self.paths = whole_column(table, "path")

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @cached_property
    def row_ids(self) -> SortedColumn:
        """The row ids in the store."""
        return SortedColumn(self.table["_rowid"].to_numpy())

    @cached_property
    def contents(self) -> SortedColumn:
        """Checksums of the files' hashes."""
        return SortedColumn(self.table["_content"].to_numpy())

    def place(self, path: str, start: float) -> int:
        """Before which row a segment that is not there belongs."""
        starts = self.table["start"]

        def key(row: int) -> tuple[str, float]:
            return self.paths[row].as_py(), starts[row].as_py()

        return bisect_right(range(len(self)), (path, start), key=key)


class MergedRows:
    """The table with its changes.

    Args:
        base: the table.
        log: what has changed since; None if nothing has.

    Attributes:
        base: as given.
        log: as given.
        order: where the rows are in both.
    """

    def __init__(self, base: FixedRows, log: ChangeLog | None = None) -> None:
        self.base = base
        self.log = log
        if log is None:
            self.order = MergedOrder(len(base), _NONE, _NONE)
        else:
            self.order = MergedOrder(len(base), log.removed, log.before)

    @classmethod
    def of(cls, rows: pa.Table | MergedRows) -> MergedRows:
        """Rows of a table to which nothing has happened, or rows as they are."""
        return rows if isinstance(rows, MergedRows) else cls(FixedRows(rows))

    def __len__(self) -> int:
        return len(self.order)

    @cached_property
    def table(self) -> pa.Table:
        """All rows in their order."""
        import pyarrow as pa

        if self.log is None:
            return self.base.table
        # In one piece, which readers use as it is; several they would have to join themselves.
        return pa.concat_tables(list(self._pieces(self.log))).combine_chunks()

    def at(self, rows: Sequence[int] | NDArray[np.int64], columns: Sequence[str] | None = None) -> pa.Table:
        """Some rows, in the order asked for.

        Args:
            rows: their numbers.
            columns: which columns; all if not given.
        """
        import pyarrow as pa

        names = self.base.table.column_names if columns is None else list(columns)
        slots = self.order.slots(np.asarray(rows, np.int64))
        base = self.base.table.select(names)
        log = self.log
        if log is None:
            return base.take(slots)
        number = np.searchsorted(log.places, slots)
        new = np.zeros(len(slots), np.bool_)
        if len(log.places):
            new = log.places[np.minimum(number, len(log.places) - 1)] == slots
        number[new] += len(self.base)
        inserted = slots >= len(self.base)
        number[inserted] = len(log.places) + slots[inserted]
        changed = new | inserted
        number[~changed] = slots[~changed]
        logged = pa.concat_tables([log.replaced.select(names), log.inserted.select(names)])
        both = pa.concat_tables([base.take(number[~changed]), logged.take(number[changed] - len(self.base))])
        return both.take(np.argsort(np.concatenate([np.flatnonzero(~changed), np.flatnonzero(changed)])))

    def rows_of_file(self, path: str) -> NDArray[np.int64]:
        """The rows of a file, ascending."""
        slots = [_places(self.base.paths, path)]
        if self.log is not None:
            slots.append(len(self.base) + _places(self.log.inserted["path"], path))
        rows = self.order.rows(np.concatenate(slots))
        return np.sort(rows[rows >= 0])

    def rows_of_ids(self, row_ids: NDArray[np.uint64]) -> NDArray[np.int64]:
        """The rows that have some row ids in the store; -1 for unknown ones."""
        slots = self._current(self.base.row_ids.find(row_ids))
        if self.log is not None:
            for column, places in self._logged("_rowid"):
                found = column.find(row_ids)
                slots = np.where(found >= 0, places[found] if len(places) else -1, slots)
        return np.where(slots >= 0, self.order.rows(slots), -1)

    def rows_of_fragment(self, number: int) -> NDArray[np.int64]:
        """The rows that lie in a fragment of the store."""
        return self._between("_rowid", number * PLACES, (number + 1) * PLACES)

    def rows_of_content(self, digest: str) -> NDArray[np.int64]:
        """The rows of files whose hash has the checksum of one: all that have this hash, and seldom others."""
        checksum = content_checksum(digest)
        return self._between("_content", checksum, checksum + 1)

    def same_segments(self, other: MergedRows) -> bool:
        """Whether other rows differ in their tags at most, as far as is known without comparing all of them."""
        return self.base is other.base and all(
            np.array_equal(mine, others)
            for mine, others in (
                (self.order.removed, other.order.removed),
                (self.order.inserted, other.order.inserted),
            )
        )

    def _between(self, name: str, first: int, stop: int) -> NDArray[np.int64]:
        column = self.base.row_ids if name == "_rowid" else self.base.contents
        slots = [self._current(column.between(first, stop))]
        slots += [places[column.between(first, stop)] for column, places in self._logged(name)]
        found = np.concatenate(slots)
        return np.sort(self.order.rows(found[found >= 0]))

    def _current(self, slots: NDArray[np.int64]) -> NDArray[np.int64]:
        """Slots of the table, -1 instead of those whose rows went or were replaced."""
        if self.log is None:
            return slots
        gone = np.isin(slots, self.log.removed) | np.isin(slots, self.log.places)
        return np.where(gone, -1, slots)

    def _logged(self, name: str) -> Iterator[tuple[SortedColumn, NDArray[np.int64]]]:
        """A column of the replaced and of the inserted rows, with their slots."""
        if self.log is not None:
            yield SortedColumn(self.log.replaced[name].to_numpy()), self.log.places
            inserted = self.log.inserted[name].to_numpy()
            yield SortedColumn(inserted), len(self.base) + np.arange(len(inserted))

    def _pieces(self, log: ChangeLog) -> Iterator[pa.Table]:
        """Slices of the table between the changes, and these."""
        table = self.base.table
        before, edges = np.unique(log.before, return_index=True)
        groups = pairwise([*edges.tolist(), len(log.before)])
        events: list[tuple[int, int, pa.Table | None]] = [
            (place, 0, log.inserted.slice(first, stop - first))
            for place, (first, stop) in zip(before.tolist(), groups, strict=True)
        ]
        events += [(place, 1, None) for place in log.removed.tolist()]
        events += [(place, 1, log.replaced.slice(number, 1)) for number, place in enumerate(log.places.tolist())]
        cursor = 0
        for place, consumed, new in sorted(events, key=lambda event: event[:2]):
            yield table.slice(cursor, place - cursor)
            if new is not None:
                yield new
            cursor = place + consumed
        yield table.slice(cursor)


def _places(paths: Any, path: str) -> NDArray[np.int64]:
    """Where a path is among ascending ones."""
    every = range(len(paths))
    first = bisect_left(every, path, key=lambda row: paths[row].as_py())
    return np.arange(first, bisect_right(every, path, first, key=lambda row: paths[row].as_py()))
