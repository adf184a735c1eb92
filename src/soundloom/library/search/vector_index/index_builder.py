"""Building the search index from the store, and bringing it up to date after a change of tags alone.

An index is built beside its place, in ``index.building``, and renamed when it is whole. A failure or an interrupt
removes what was begun.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from soundloom.library.search.vector_index.cells import build_cells
from soundloom.library.search.vector_index.codes import build_codes
from soundloom.library.search.vector_index.index_extension import extended, link_or_copy, replacing, sorted_rows
from soundloom.library.search.vector_index.index_files import (
    MANIFEST,
    create_vectors,
    read_manifest,
    write_manifest,
    write_table,
)
from soundloom.library.search.vector_index.list_builder import build_lists
from soundloom.library.search.vector_index.recall import RecallSample
from soundloom.library.search.vector_index.standardisation import (
    column_scaling,
    embedding_matrix,
    sampled_scaling,
    standardised_with_norms,
)
from soundloom.library.storage.table_schema import failure_table, whole_column

if TYPE_CHECKING:
    import pyarrow as pa

    from soundloom.library.storage.store import Store

__all__ = ["EXACT_BYTES", "LARGE_BYTES", "build_index", "refresh_tags"]

EXACT_BYTES = 48 * 2**20
"""Up to this size of the compared matrix a search looks at every row, which takes a few milliseconds."""

LARGE_BYTES = 2**30
"""Beyond this size vectors are kept in half precision, in lists, and new rows are added to those that there are."""

_SAMPLE_ROWS = 512
_IDENTITY = ["path", "start", "end"]


def build_index(
    folder: Path,
    store: Store,
    parts: Mapping[str, slice],
    *,
    exact_bytes: int | None = None,
    large_bytes: int | None = None,
    anew: bool = False,
) -> None:
    """Build the index of a store, replacing the one in the folder if there is one.

    The index of a large library is brought up to date where that takes less; see `index_extension`.

    Args:
        folder: where to put it.
        store: the library's rows.
        parts: part name -> its columns of an embedding.
        exact_bytes: the size up to which every row is compared; `EXACT_BYTES` if not given.
        large_bytes: the size beyond which vectors are in half precision; `LARGE_BYTES` if not given.
        anew: use nothing of the index in the folder, which is damaged.

    Raises:
        LibraryDamagedError: the store is damaged.
        OSError: the folder cannot be written.
    """
    if not anew and extended(folder, store, parts):
        return
    store.check_files()
    identity, version, failures = store.identity, store.version, store.failures_identity
    dim = max(columns.stop for columns in parts.values())
    with replacing(folder) as temporary:
        rows = sorted_rows(store)
        write_table(temporary / "rows.arrow", rows)
        write_table(temporary / "failures.arrow", failure_table(store.failures()))
        size = 4 * dim * rows.num_rows
        large = size > (LARGE_BYTES if large_bytes is None else large_bytes)
        row_ids = rows["_rowid"].to_numpy()
        mean, scale = sampled_scaling(store, row_ids, dim) if large else column_scaling(store, dim, len(row_ids))
        np.savez(temporary / "scaling.npz", mean=mean, scale=scale)
        vectors = _write_vectors(temporary, store, rows, mean, scale, parts, large=large)
        cells = codes = lists = None
        if large:
            lists = build_lists(vectors, parts, _file_numbers(rows), temporary)
        elif size > (EXACT_BYTES if exact_bytes is None else exact_bytes):
            recall = RecallSample.draw(vectors, parts)
            cells = build_cells(vectors, recall, temporary / "cells.faiss")
            codes = build_codes(vectors, recall, temporary / "codes.faiss")
        write_manifest(
            temporary,
            {
                "version": version,
                "store": identity,
                "failures": failures,
                "parts": {name: [columns.start, columns.stop] for name, columns in parts.items()},
                "cells": None if cells is None else list(cells),
                "codes": codes,
                "lists": lists,
            },
        )


def refresh_tags(folder: Path, store: Store, rows: pa.Table) -> bool:
    """Write the tags that the store has now into the index of a folder; vectors and cells stay as they are.

    Without this, every edit of a tag would rebuild the index of a large library at the next search.

    Args:
        folder: the index's; replaced.
        store: the library's rows. The caller knows that only tags were written since the index was built.
        rows: the rows of that index.

    Returns:
        False if more than tags has changed; the folder is then left alone.

    Raises:
        CacheDamagedError: the index in the folder is damaged.
        OSError: the folder cannot be written.
    """
    manifest = read_manifest(folder)
    if manifest is not None and manifest.get("lists") is not None:
        return extended(folder, store, {name: slice(*columns) for name, columns in manifest["parts"].items()})
    identity, version = store.identity, store.version
    refreshed = sorted_rows(store)
    if manifest is None or not refreshed.select(_IDENTITY).equals(rows.select(_IDENTITY)):
        return False
    with replacing(folder) as temporary:
        for file in folder.iterdir():
            if file.name not in ("rows.arrow", MANIFEST):
                link_or_copy(file, temporary / file.name)
        write_table(temporary / "rows.arrow", refreshed)
        known = {name: checksum for name, checksum in manifest["files"].items() if name != "rows.arrow"}
        facts = {key: value for key, value in manifest.items() if key not in ("format", "files")}
        write_manifest(temporary, facts | {"version": version, "store": identity}, known)
    return True


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
    mean: np.ndarray,
    scale: np.ndarray,
    parts: Mapping[str, slice],
    *,
    large: bool,
) -> np.ndarray:
    """Write the vectors, which are returned, with the norms of their parts, and the sample."""
    row_ids = rows["_rowid"].to_numpy()
    order = np.argsort(row_ids)
    vectors = create_vectors(folder, rows.num_rows, len(mean), np.float16 if large else np.float32)
    norms = np.zeros((rows.num_rows, len(parts)), np.float32)
    step = max(1, rows.num_rows // _SAMPLE_ROWS)
    sample = np.zeros((len(range(0, rows.num_rows, step)), len(mean)), np.float32)
    for batch in store.scan(["embedding"], row_ids=True):
        positions = order[np.searchsorted(row_ids, batch["_rowid"].to_numpy(), sorter=order)]
        raw = embedding_matrix(batch, len(mean))
        vectors[positions], norms[positions] = standardised_with_norms(raw, mean, scale, parts)
        chosen = positions % step == 0
        sample[positions[chosen] // step] = raw[chosen]
    if not large:
        np.save(folder / "norms.npy", norms)
    np.save(folder / "sample.npy", sample)
    if isinstance(vectors, np.memmap):
        vectors.flush()
    return vectors
