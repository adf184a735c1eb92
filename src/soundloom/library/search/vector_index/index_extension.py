"""Bringing the index of a large library up to date by what has changed: rows that came, went, or have other tags.

A row of the store that was neither written anew nor moved keeps its row id, and with it its vector. Vectors of the
others are read and added to those that there are, standardised as they were; means and deviations of a million rows
change little. Searches compare added rows one by one; when these are more than one in two hundred, the index is built
anew, which over all rows costs each of them a constant time.

Rows that were moved, or whose tags were edited, are known by path and start and have the same vector.

Ids alone could be those of another store, such as a copy that was put back: some rows of each fragment are compared.
"""

from __future__ import annotations

import os
import shutil
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float, Int, Integer

from soundloom.errors import CacheDamagedError
from soundloom.library.search.vector_index.index_files import (
    IndexFiles,
    read_manifest,
    write_manifest,
    write_table,
)
from soundloom.library.search.vector_index.row_vectors import RowVectors
from soundloom.library.search.vector_index.standardisation import embedding_matrix, standardised
from soundloom.library.storage.table_schema import failure_table, whole_column

if TYPE_CHECKING:
    import pyarrow as pa

    from soundloom.library.storage.store import Store

Standard = Callable[["pa.Table"], np.ndarray]
"""Standardises the embeddings of some rows."""

__all__ = ["extended", "link_or_copy", "replacing", "sorted_rows"]

_COLUMNS = ["path", "start", "end", "duration", "tags"]
_WRITTEN = ("rows.arrow", "failures.arrow", "added.npy", "slots.npy")
_FEWEST_ADDED, _SHARE_ADDED = 2**14, 200
_FEWEST_READ = 2**21
"""Rows with other ids that are read, whatever the size of the library: joining fragments moves a million."""
_BATCH = 2**15
_COMPARED_OF_FRAGMENT, _COMPARED = 4, 512
_ROUNDING = 2e-3


def extended(folder: Path, store: Store, parts: Mapping[str, slice]) -> bool:
    """Bring the index in a folder up to date, if it is of a large library and little has changed.

    Args:
        folder: the index's; replaced.
        store: the library's rows.
        parts: part name -> its columns of an embedding.

    Returns:
        False where the index has to be built anew; the folder is then left alone.

    Raises:
        OSError: the folder cannot be written.
    """
    try:
        manifest = read_manifest(folder)
        if manifest is None or manifest.get("lists") is None:
            return False
        if manifest["parts"] != {name: [columns.start, columns.stop] for name, columns in parts.items()}:
            return False
        files = IndexFiles(folder, manifest)
        before, vectors, scaling = files.table("rows.arrow"), RowVectors(files), files.arrays("scaling.npz")
    except CacheDamagedError:
        return False
    identity, version, failures = store.identity, store.version, store.failures_identity
    old, now = before["_rowid"].to_numpy(), np.sort(store.row_ids())
    kept = np.isin(old, now, assume_unique=True)
    new = np.setdiff1d(now, old, assume_unique=True)
    if len(new) > max(_FEWEST_READ, len(now) // 2):
        return False

    def standard(rows: pa.Table) -> np.ndarray:
        raw = [embedding_matrix(batch, len(scaling["mean"])) for batch in rows.to_batches()]
        return standardised(np.concatenate(raw), scaling["mean"], scaling["scale"], parts)

    if not _is_same_store(before, np.flatnonzero(kept), store, vectors, standard):
        return False
    changes = _Changes.read(before, kept, store, new, vectors, standard)
    if len(vectors.added_rows) + len(changes.added) > max(_FEWEST_ADDED, len(now) // _SHARE_ADDED):
        return False
    if 2 * (np.count_nonzero(kept) + len(changes.places)) < len(old):
        return False
    with replacing(folder) as temporary:
        for name in manifest["files"]:
            if name not in _WRITTEN:
                link_or_copy(folder / name, temporary / name)
        _write_update(temporary, before, kept, changes, vectors)
        write_table(temporary / "failures.arrow", failure_table(store.failures()))
        known = {name: checksums for name, checksums in manifest["files"].items() if name not in _WRITTEN}
        facts = {key: value for key, value in manifest.items() if key not in ("format", "files")}
        write_manifest(temporary, facts | {"version": version, "store": identity, "failures": failures}, known)
    return True


@dataclass(frozen=True)
class _Changes:
    """Rows of the store that have other row ids than before.

    Attributes:
        moved: rows with the vector of an earlier row of the same path and start: joined fragments, edited tags.
        places: the positions of these earlier rows.
        added: the others.
        vectors: of those, standardised.
    """

    moved: pa.Table
    places: Int[np.ndarray, " moved"]
    added: pa.Table
    vectors: Float[np.ndarray, "added dim"]

    @classmethod
    def read(
        cls,
        before: pa.Table,
        kept: Bool[np.ndarray, " rows"],
        store: Store,
        new: Integer[np.ndarray, " new"],
        vectors: RowVectors,
        standard: Standard,
    ) -> _Changes:
        """Read the rows of some ids in batches, and look for each among the earlier rows that are no longer there."""
        import pyarrow as pa
        import pyarrow.compute as pc

        gone = np.flatnonzero(~kept)
        earlier = _keys(before.take(gone)) if len(gone) else pa.array([], pa.string())
        moved, places, added, found = [], [np.zeros(0, np.int64)], [], []
        for first in range(0, len(new), _BATCH):
            rows = store.rows_by_id(
                new[first : first + _BATCH], [*(name for name in before.column_names if name != "_rowid"), "embedding"]
            )
            own, rows = standard(rows), rows.select(before.column_names)
            place = pc.fill_null(pc.index_in(_keys(rows), value_set=earlier), -1).to_numpy()
            same = np.flatnonzero(place >= 0)
            same = same[np.abs(own[same] - vectors.at(gone[place[same]])).max(axis=1) < _ROUNDING]
            others = np.setdiff1d(np.arange(len(own)), same)
            moved.append(rows.take(same))
            places.append(gone[place[same]])
            added.append(rows.take(others))
            found.append(own[others].astype(np.float16))
        none = before.slice(0, 0)
        return cls(
            pa.concat_tables([none, *moved]),
            np.concatenate(places),
            pa.concat_tables([none, *added]),
            np.concatenate(found) if found else np.zeros((0, 0), np.float16),
        )


def _keys(rows: pa.Table) -> pa.Array:
    """Path and start of each row as one text."""
    import pyarrow as pa
    import pyarrow.compute as pc

    starts = pc.cast(whole_column(rows, "start"), pa.string())
    return pc.binary_join_element_wise(whole_column(rows, "path"), starts, "\0")


def _write_update(
    target: Path, before: pa.Table, kept: Bool[np.ndarray, " rows"], changes: _Changes, vectors: RowVectors
) -> None:
    """Write the rows, where their vectors are, and the added vectors."""
    import pyarrow as pa

    rows = before
    if len(changes.places):
        source = np.arange(len(before))
        source[changes.places] = len(before) + np.arange(len(changes.places))
        for name in set(before.column_names) - {"path", "start"}:  # these are the same
            column = pa.chunked_array([*before[name].chunks, *changes.moved[name].chunks], before[name].type)
            rows = rows.set_column(rows.column_names.index(name), before.field(name), column.take(pa.array(source)))
    stay = kept.copy()
    stay[changes.places] = True
    slots = vectors.slot_of(np.flatnonzero(stay))
    if not stay.all():
        rows = rows.filter(pa.array(stay))
    matrix = vectors.added_matrix()
    if len(changes.added):
        rows, order = _merged(rows, changes.added)
        slots = np.concatenate([slots, vectors.slots + np.arange(len(changes.added))])[order]
        matrix = np.concatenate([matrix, changes.vectors])
    # In one piece, which readers use where it is mapped; several they would have to join in memory.
    write_table(target / "rows.arrow", rows.combine_chunks())
    np.save(target / "slots.npy", slots.astype(np.uint32)[:, None])
    np.save(target / "added.npy", matrix)


def _merged(rows: pa.Table, new: pa.Table) -> tuple[pa.Table, Int[np.ndarray, " both"]]:
    """Rows in their order with new ones among them, and the place of each in both tables, one after the other."""
    import pyarrow as pa

    paths, starts = whole_column(rows, "path"), rows["start"].to_numpy()

    class Keys:
        """Path and start of the rows, read where a search by halves looks."""

        def __len__(self) -> int:
            return len(paths)

        def __getitem__(self, row: int) -> tuple[str, float]:
            return paths[row].as_py(), float(starts[row])

    wanted = list(zip(new["path"].to_pylist(), new["start"].to_pylist(), strict=True))
    ordered = sorted(range(len(wanted)), key=wanted.__getitem__)
    places = [bisect_right(Keys(), wanted[row]) for row in ordered]
    order = np.insert(np.arange(len(paths)), places, len(paths) + np.array(ordered, np.int64))
    # Slices of the old rows between the new ones: nothing of the old ones is gathered row by row.
    edges = [0, *places, len(paths)]
    pieces: list[pa.Table] = []
    for number, row in enumerate(ordered):
        pieces += [rows.slice(edges[number], edges[number + 1] - edges[number]), new.slice(row, 1)]
    pieces.append(rows.slice(edges[-2]))
    return pa.concat_tables(pieces), order


def _is_same_store(
    before: pa.Table, kept: Int[np.ndarray, " kept"], store: Store, vectors: RowVectors, standard: Standard
) -> bool:
    """Whether rows of each fragment are what the index says; a fragment's number is in the upper half of a row id."""
    row_ids = before["_rowid"].to_numpy()[kept]
    _, first = np.unique(row_ids >> np.uint64(32), return_index=True)
    drawn = [first, *(np.minimum(first + step, len(kept) - 1) for step in range(1, _COMPARED_OF_FRAGMENT))]
    some = kept[np.unique(np.concatenate(drawn))[:_COMPARED]]
    if not len(some):
        return True
    read = store.rows_by_id(before["_rowid"].to_numpy()[some], ["path", "start", "embedding"])
    same = before.take(some).select(["path", "start"]).equals(read.select(["path", "start"]))
    return same and bool(np.allclose(standard(read), vectors.at(some), atol=_ROUNDING))


def sorted_rows(store: Store) -> pa.Table:
    """The rows without their embeddings, ordered by path and start, so that ties do not depend on the writing order."""
    import pyarrow as pa
    import pyarrow.compute as pc

    batches = list(store.scan(_COLUMNS + [name for name in ("notices",) if name in store.columns], row_ids=True))
    if not batches:
        names = {"path": pa.string(), "start": pa.float64(), "end": pa.float64(), "duration": pa.float64()}
        return pa.schema(
            {**names, "tags": pa.list_(pa.string()), "notices": pa.string(), "_rowid": pa.uint64()}
        ).empty_table()
    rows = pa.Table.from_batches(batches)
    return rows.take(pc.sort_indices(rows, sort_keys=[("path", "ascending"), ("start", "ascending")]))


@contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """A new folder that takes the place of another when the block ends, and goes when it fails."""
    temporary = folder.with_name(folder.name + ".building")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        shutil.rmtree(folder, ignore_errors=True)
        temporary.rename(folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def link_or_copy(file: Path, target: Path) -> None:
    """The same file under another path, without its bytes twice where the file system can do that."""
    try:
        os.link(file, target)
    except OSError:
        shutil.copy2(file, target)
