"""The order of a table's rows when some of them are removed and others inserted: places in it, and back.

With r removed and i inserted rows a place is found in O(log r + log i), and nothing of the size of the table is made.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["MergedOrder"]


class MergedOrder:
    """The order.

    A *slot* is the number of a row in the table, and after those of the table the number of an inserted row; a *row* is
    the place of either in the order.

    Args:
        count: rows of the table.
        removed: slots of rows that are not in the order, ascending.
        before: for every inserted row, in their order, the slot in the table that it precedes.

    Attributes:
        count: as given.
        removed: as given.
        inserted: the rows that were inserted, ascending.
    """

    def __init__(self, count: int, removed: NDArray[np.int64], before: NDArray[np.int64]) -> None:
        self.count = count
        self.removed = removed
        # How many rows that stay precede each of the removed and of the inserted ones.
        self._before_removed = removed - np.arange(len(removed))
        self._before_inserted = before - np.searchsorted(removed, before)
        self.inserted: NDArray[np.int64] = self._before_inserted + np.arange(len(before))

    def __len__(self) -> int:
        return self.count - len(self.removed) + len(self.inserted)

    @property
    def is_plain(self) -> bool:
        """Whether rows are in the order of their slots."""
        return not len(self.removed) and not len(self.inserted)

    def slots(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """The slots of some rows."""
        if self.is_plain:
            return rows
        number = np.searchsorted(self.inserted, rows)
        slots = rows - number + np.searchsorted(self._before_removed, rows - number, "right")
        if len(self.inserted):
            own = self.inserted[np.minimum(number, len(self.inserted) - 1)] == rows
            slots = np.where(own, self.count + number, slots)
        return np.asarray(slots, np.int64)

    def rows(self, slots: NDArray[np.int64]) -> NDArray[np.int64]:
        """The rows in some slots; -1 for those of removed rows."""
        if self.is_plain:
            return slots
        number = np.searchsorted(self.removed, slots)
        rows = slots - number + np.searchsorted(self._before_inserted, slots - number, "right")
        if len(self.removed):
            rows[self.removed[np.minimum(number, len(self.removed) - 1)] == slots] = -1
        own = slots >= self.count
        rows[own] = self.inserted[slots[own] - self.count]
        return np.asarray(rows, np.int64)

    def merged(self, of_table: NDArray[Any], of_inserted: NDArray[Any]) -> NDArray[Any]:
        """Values of the table's rows, and of the inserted ones, in the order."""
        if self.is_plain:
            return of_table
        return np.insert(np.delete(of_table, self.removed), self._before_inserted, of_inserted)
