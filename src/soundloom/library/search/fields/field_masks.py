"""Masks of the rows of a search index by SQL conditions and filters, evaluated in memory, and remembered.

A column that only the store has, such as the size of files, is read once. The store evaluates what is in other SQL than
`soundloom.library.search.fields.conditions` reads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool

from soundloom.library.row_log.merged_rows import MergedRows
from soundloom.library.search.fields.conditions import condition_mask
from soundloom.library.search.fields.file_fields import FileFields
from soundloom.library.search.row_filter import RowFilter
from soundloom.library.storage.facts_table import FactsReader
from soundloom.library.storage.store import Store

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["FieldMasks"]

_MOST, _MOST_BYTES = 32, 2**27
"""Conditions that are remembered, and of their masks, a byte for each row."""


class FieldMasks:
    """Conditions on the rows of one index. Safe to share between threads.

    Args:
        rows: path, duration, tags and row id of every row, ordered by path.
        store: that they are of.
        facts: reads the facts of the files; if not given, none are known.
    """

    def __init__(
        self,
        rows: MergedRows,
        store: Store,
        facts: FactsReader | None = None,
    ) -> None:
        self._rows = rows
        self._store = store
        self._facts = facts
        self._stored: dict[str, pa.Array] = {}
        self._known: tuple[FileFields, dict[str | RowFilter, Bool[np.ndarray, " rows"]]] | None = None

    @property
    def fields(self) -> FileFields:
        """Fields of the files: of these rows, with the facts as they are now."""
        return self._current()[0]

    def mask(self, where: str | RowFilter) -> Bool[np.ndarray, " rows"]:
        """The rows for which a condition or a filter holds; see `Library.search`. Not to be changed.

        Raises:
            QueryError: the condition cannot be evaluated, or the filter names what is not there.
        """
        fields, masks = self._current()
        mask = masks.get(where)
        if mask is None:
            mask = where.mask(fields) if isinstance(where, RowFilter) else self._of_condition(fields, where)
            # A new dictionary for every change: other threads may be reading the old one.
            others = max(1, min(_MOST - 1, _MOST_BYTES // max(1, len(mask)) - 1))
            self._known = fields, dict([*list(masks.items())[-others:], (where, mask)])
        return mask

    def _of_condition(self, fields: FileFields, where: str) -> Bool[np.ndarray, " rows"]:
        mask = condition_mask(fields, where, lambda name: self._stored_column(fields, name))
        if mask is None:
            mask = np.zeros(len(self._rows), np.bool_)
            for batch in self._store.scan(["start"], where, row_ids=True):
                rows = self._rows.rows_of_ids(batch["_rowid"].to_numpy())
                mask[rows[rows >= 0]] = True
        return mask

    def _current(self) -> tuple[FileFields, dict[str | RowFilter, Bool[np.ndarray, " rows"]]]:
        facts = None if self._facts is None else self._facts.current()
        known = self._known
        if known is None or known[0].facts is not facts:
            self._known = known = FileFields(self._rows.table, facts), {}
        return known

    def _stored_column(self, fields: FileFields, name: str) -> pa.Array:
        """A column of the store that is the same for all segments of a file, a value for each file."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if name not in self._stored:
            firsts = np.flatnonzero(np.diff(fields.file_of_row, prepend=-1))
            batches = list(self._store.scan([name], row_ids=True))
            if not batches:
                return pa.nulls(len(firsts))
            stored = pa.Table.from_batches(batches).combine_chunks()
            row_ids = self._rows.at(firsts, ["_rowid"])["_rowid"].to_numpy()
            places = pc.index_in(pa.array(row_ids, pa.uint64()), value_set=stored["_rowid"].chunk(0))
            self._stored[name] = stored[name].chunk(0).take(places)
        return self._stored[name]
