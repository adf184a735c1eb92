"""Rows of a store as the table of a search index holds them, and which of them differ from an earlier state.

The fragments of the store show which rows came or went (`table_fragments`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from soundloom.library.row_log.change_log import StoreState
from soundloom.library.row_log.merged_rows import MergedRows
from soundloom.library.row_log.table_fragments import PLACES, Fragment, deleted_row_ids, read_fragments
from soundloom.library.storage.table_schema import content_checksum, whole_column

if TYPE_CHECKING:
    import pyarrow as pa

    from soundloom.library.storage.store import Store

__all__ = ["different_rows", "sorted_rows", "store_state", "with_contents"]

_COLUMNS = ["path", "start", "end", "duration", "tags", "hash"]
_TABLE = "segments.lance"


def sorted_rows(store: Store) -> pa.Table:
    """The rows without their embeddings, ordered by path and start, so that ties do not depend on the writing order."""
    import pyarrow as pa
    import pyarrow.compute as pc

    batches = list(store.scan(_COLUMNS + [name for name in ("notices",) if name in store.columns], row_ids=True))
    if not batches:
        names = {"path": pa.string(), "start": pa.float64(), "end": pa.float64(), "duration": pa.float64()}
        return pa.schema(
            {
                **names,
                "tags": pa.list_(pa.string()),
                "notices": pa.string(),
                "_rowid": pa.uint64(),
                "_content": pa.uint32(),
            }
        ).empty_table()
    rows = with_contents(pa.Table.from_batches(batches))
    return rows.take(pc.sort_indices(rows, sort_keys=[("path", "ascending"), ("start", "ascending")]))


def with_contents(rows: pa.Table) -> pa.Table:
    """Rows with a checksum instead of the hash of each one's file."""
    import pyarrow as pa

    digests = whole_column(rows, "hash").dictionary_encode()
    known = pa.array([content_checksum(digest) for digest in digests.dictionary.to_pylist()], pa.uint32())
    return rows.drop_columns(["hash"]).append_column("_content", known.take(digests.indices))


def store_state(store: Store) -> StoreState:
    """The state of a store as it is now."""
    version = store.version
    fragments = read_fragments(store.folder / _TABLE, version)
    return StoreState(version, store.identity, store.failures_identity, fragments)


def different_rows(
    rows: MergedRows, known: Mapping[int, Fragment] | None, now: Mapping[int, Fragment] | None, store: Store
) -> tuple[NDArray[np.int64], NDArray[np.uint64]] | None:
    """The rows of an index that the store has no longer under their row ids, and the row ids that the index has not.

    None where fragments do not show them.
    """
    if known is None or now is None:
        return None
    gone, new = [np.zeros(0, np.int64)], [np.zeros(0, np.uint64)]
    for number in sorted(known.keys() | now.keys()):
        before, after = known.get(number), now.get(number)
        if before == after:
            continue
        # Columns that are added later are in further files.
        if before is None or after is None or not after.files.startswith(before.files):
            if before is not None:
                gone.append(rows.rows_of_fragment(number))
            if after is not None:
                new.append(_row_ids(store, number, after))
        elif after.deleted < before.deleted:
            return None
        else:
            deleted = deleted_row_ids(store.folder / _TABLE, number, after)
            if deleted is not None:
                found = rows.rows_of_ids(deleted)
                gone.append(found[found >= 0])
            else:
                there = rows.rows_of_ids(_row_ids(store, number, after))
                gone.append(np.setdiff1d(rows.rows_of_fragment(number), there))
    return np.sort(np.concatenate(gone)), np.concatenate(new)


def _row_ids(store: Store, number: int, fragment: Fragment) -> NDArray[np.uint64]:
    """The row ids of the rows of a fragment that are not deleted."""
    deleted = deleted_row_ids(store.folder / _TABLE, number, fragment)
    if deleted is None:
        return np.sort(store.row_ids(number * PLACES, (number + 1) * PLACES))
    return np.setdiff1d(number * PLACES + np.arange(fragment.rows, dtype=np.uint64), deleted)
