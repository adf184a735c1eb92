"""Building the search index from the store, or bringing it up to date where that takes less.

An index is built beside its place, in ``index.building``, and renamed when it is whole. A failure or an interrupt
removes what was begun.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from soundloom.library.row_log.stored_rows import sorted_rows, store_state
from soundloom.library.search.vector_index.cells import build_cells
from soundloom.library.search.vector_index.codes import build_codes
from soundloom.library.search.vector_index.index_base import IndexBase
from soundloom.library.search.vector_index.index_extension import extended
from soundloom.library.search.vector_index.index_files import (
    NORMS_FILE,
    ROWS_FILE,
    create_vectors,
    new_index,
    write_manifest,
    write_table,
)
from soundloom.library.search.vector_index.list_builder import build_lists
from soundloom.library.search.vector_index.recall import RecallSample
from soundloom.library.search.vector_index.standardisation import Standardisation
from soundloom.library.storage.table_schema import embedding_matrix, failure_table, whole_column

if TYPE_CHECKING:
    import pyarrow as pa

    from soundloom.library.storage.store import Store

__all__ = ["EXACT_BYTES", "LARGE_BYTES", "build_index"]

EXACT_BYTES = 48 * 2**20
"""Up to this size of the compared matrix a search looks at every row, which takes a few milliseconds, and the index is
built anew when rows come or go, which takes a second at most."""

LARGE_BYTES = 2**30
"""Beyond this size vectors are kept in half precision, and found by lists."""

_SAMPLE_ROWS = 512


def build_index(
    folder: Path,
    store: Store,
    parts: Mapping[str, slice],
    *,
    centred: Collection[str] = (),
    exact_bytes: int | None = None,
    large_bytes: int | None = None,
    anew: bool = False,
    base: IndexBase | None = None,
) -> None:
    """Build the index of a store, replacing the one in the folder if there is one.

    It is brought up to date instead where that takes less; see `index_extension`.

    Args:
        folder: where to put it.
        store: the library's rows.
        parts: part name -> its columns of an embedding.
        centred: parts whose columns are not scaled one by one.
        exact_bytes: the size up to which every row is compared; `EXACT_BYTES` if not given.
        large_bytes: the size beyond which vectors are in half precision; `LARGE_BYTES` if not given.
        anew: use nothing of the index in the folder, which is damaged.
        base: of that index, if it is open already.

    Raises:
        LibraryDamagedError: the store is damaged.
        OSError: the folder cannot be written.
    """
    if not anew and extended(folder, store, parts, base):
        return
    store.check_files()
    state = store_state(store)
    dim = max(columns.stop for columns in parts.values())
    with new_index(folder) as temporary:
        rows = sorted_rows(store)
        write_table(temporary / ROWS_FILE, rows)
        write_table(temporary / "failures.arrow", failure_table(store.failures()))
        size = 4 * dim * rows.num_rows
        large = size > (LARGE_BYTES if large_bytes is None else large_bytes)
        exact = not large and size <= (EXACT_BYTES if exact_bytes is None else exact_bytes)
        vectors = _write_vectors(temporary, store, rows, parts, centred, large=large)
        cells = codes = lists = None
        if large:
            lists = build_lists(vectors, parts, _file_numbers(rows), temporary)
        elif not exact:
            recall = RecallSample.draw(vectors, parts)
            cells = build_cells(vectors, recall, temporary / "cells.faiss")
            codes = build_codes(vectors, recall, temporary / "codes.faiss")
        write_manifest(
            temporary,
            {
                **state.to_json(),
                "parts": {name: [columns.start, columns.stop] for name, columns in parts.items()},
                "exact": exact,
                "cells": None if cells is None else list(cells),
                "codes": codes,
                "lists": lists,
            },
        )


def _file_numbers(rows: pa.Table) -> np.ndarray:
    """The number of each row's file; the rows are in the order of paths."""
    import pyarrow as pa
    import pyarrow.compute as pc

    paths = whole_column(rows, "path")
    if len(paths) < 2:
        return np.zeros(len(paths), np.int32)
    begins = pc.not_equal(paths[1:], paths[:-1])
    return np.concatenate([[0], np.cumsum(begins.cast(pa.int32()).to_numpy())]).astype(np.int32)


def _write_vectors(
    folder: Path,
    store: Store,
    rows: pa.Table,
    parts: Mapping[str, slice],
    centred: Collection[str],
    *,
    large: bool,
) -> np.ndarray:
    """Write the scaling of the columns, the vectors, which are returned, the norms of their parts, and the sample."""
    row_ids = rows["_rowid"].to_numpy()
    scaling = Standardisation.of_store(store, parts, row_ids, centred, large=large)
    np.savez(folder / "scaling.npz", mean=scaling.mean, scale=scaling.scale)
    order = np.argsort(row_ids)
    vectors = create_vectors(folder, rows.num_rows, scaling.dim, np.float16 if large else np.float32)
    norms = np.zeros((rows.num_rows, len(parts)), np.float32)
    step = max(1, rows.num_rows // _SAMPLE_ROWS)
    sample = np.zeros((len(range(0, rows.num_rows, step)), scaling.dim), np.float32)
    for batch in store.scan(["embedding"], row_ids=True):
        positions = order[np.searchsorted(row_ids, batch["_rowid"].to_numpy(), sorter=order)]
        raw = embedding_matrix(batch, scaling.dim)
        vectors[positions], norms[positions] = scaling.apply_with_norms(raw)
        chosen = positions % step == 0
        sample[positions[chosen] // step] = raw[chosen]
    if not large:
        np.save(folder / NORMS_FILE, norms)
    np.save(folder / "sample.npy", sample)
    if isinstance(vectors, np.memmap):
        vectors.flush()
    return vectors
