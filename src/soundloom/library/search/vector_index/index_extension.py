"""Bringing an index up to date by what has changed in the store: rows that came, went, or have other tags.

The fragments of the store show which rows these are (`soundloom.library.row_log.table_fragments`), and the log of
changes takes them in; the index itself stays as it is. Rows that were moved, or whose tags were edited, are known by
path, start and end and have the same vector, so the indexes of all libraries follow such changes.

Indexes whose searches do not compare every row also follow rows that come and go. Vectors of new rows are standardised
as the others were, so means and deviations stay those of the rows that the index was built from. Searches compare added
rows one by one. When too many rows came or went the index is built anew, which over all rows costs each of them a
constant time. Where many rows are replaced, the table of rows is written anew.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Float32, Int, Integer

from soundloom.errors import CacheDamagedError
from soundloom.library.row_log.change_log import ChangeLog, StoreState
from soundloom.library.row_log.merged_rows import MergedRows
from soundloom.library.row_log.stored_rows import different_rows, store_state, with_contents
from soundloom.library.search.vector_index.index_base import IndexBase
from soundloom.library.search.vector_index.index_files import (
    ROWS_FILE,
    IndexFiles,
    new_index,
    open_index,
    write_manifest,
    write_table,
)
from soundloom.library.search.vector_index.row_vectors import RowVectors
from soundloom.library.storage.table_schema import embedding_matrix, failure_table, whole_column

if TYPE_CHECKING:
    import pyarrow as pa

    from soundloom.library.storage.store import Store

__all__ = ["extended"]

_FEWEST_LOGGED, _SHARE_LOGGED = 2**14, 200
"""Changed rows that the log holds: so many at least, or one in so many where that is more."""
_SHARE_FOLLOWED = 20
"""One row in so many comes or goes before an index without lists is built anew: with a twentieth more rows of the same
kinds, 99.5 % of ten neighbours by the earlier means and deviations are those by the new ones."""
_FEWEST_READ = 2**21
"""Rows with other ids that are read, whatever the size of the library: joining fragments moves a million."""
_BATCH = 2**15
_ROUNDING, _HALF_ROUNDING = 1e-6, 2e-3


def extended(
    folder: Path,
    store: Store,
    parts: Mapping[str, slice],
    base: IndexBase | None = None,
    *,
    vectors_stay: bool = False,
) -> bool:
    """Bring the index in a folder up to date, if that takes less than building it.

    Args:
        folder: the index's.
        store: the library's rows.
        parts: part name -> its columns of an embedding.
        base: of the index, if it is open already.
        vectors_stay: whether the caller knows that every segment has the vector that it had.

    Returns:
        False where the index has to be built anew; the folder is then left alone.

    Raises:
        OSError: the folder cannot be written.
    """
    try:
        files = open_index(folder, None if base is None else base.files)
        if files is None or files.manifest["parts"] != {name: [some.start, some.stop] for name, some in parts.items()}:
            return False
        base = IndexBase.of(files, base)
        rows = base.follow(files)
        state = store_state(store)
        different = different_rows(rows, files.state.fragments, state.fragments, store)
        if different is None:
            return False
        gone, new = different
        surplus = len(rows) - len(gone) + len(new) - len(base.rows)
        if _is_outgrown(base, max(0, surplus), max(0, -surplus)):
            return False
        if not vectors_stay and len(new) > max(0 if base.is_exact else _FEWEST_READ, len(rows) // 2):
            return False
        changes = _Changes.read(base, rows, gone, store, new, vectors_stay=vectors_stay)
    except CacheDamagedError:
        return False
    log = _following(rows, files.manifest["checksum"], state, gone, changes, failure_table(store.failures()))
    if _is_outgrown(base, len(log.inserted), len(log.removed)):
        return False
    if len(log.places) > _most_logged(base):
        _write_table_anew(folder, files, MergedRows(base.rows, log), log)
    else:
        log.write(folder)
    return True


def _most_logged(base: IndexBase) -> int:
    return max(_FEWEST_LOGGED, len(base.rows) // _SHARE_LOGGED)


def _is_outgrown(base: IndexBase, inserted: int, removed: int) -> bool:
    """Whether so many rows came or went that the index has to be built anew."""
    if base.is_exact:
        return inserted + removed > 0
    if base.lists is None and (inserted + removed) * _SHARE_FOLLOWED > len(base.rows):
        return True
    return inserted > _most_logged(base) or 2 * removed > len(base.rows)


@dataclass(frozen=True)
class _Changes:
    """Rows of the store that have other row ids than before.

    Attributes:
        kept: which of the rows that are no longer there are the same segment with the same vector under another row id:
            joined fragments, edited tags.
        moved: what these are now.
        added: the others.
        vectors: of those, standardised, in the precision of the index.
        norms: lengths of the parts of these before they had unit length; without columns where the index has none.
    """

    kept: Int[np.ndarray, " moved"]
    moved: pa.Table
    added: pa.Table
    vectors: Float[np.ndarray, "added dim"]
    norms: Float32[np.ndarray, "added parts"]

    @classmethod
    def read(
        cls,
        base: IndexBase,
        rows: MergedRows,
        gone: Int[np.ndarray, " gone"],
        store: Store,
        new: Integer[np.ndarray, " new"],
        *,
        vectors_stay: bool,
    ) -> _Changes:
        """Read the rows of some ids in batches, and look for each among the earlier rows that are no longer there."""
        import pyarrow as pa
        import pyarrow.compute as pc

        vectors, schema = RowVectors(base.vectors, base.norms, rows), base.rows.table.schema
        parts = 0 if base.norms is None else len(base.parts)
        names = [name for name in schema.names if not name.startswith("_")]
        earlier = _keys(rows.at(gone)) if len(gone) else pa.array([], pa.string())
        moved, kept, added = [], [np.zeros(0, np.int64)], []
        found = [np.zeros((0, base.standardisation.dim), base.vectors.mapped.dtype)]
        lengths = [np.zeros((0, parts), np.float32)]
        for first in range(0, len(new), _BATCH):
            columns = [*names, "hash", *([] if vectors_stay else ["embedding"])]
            read = store.rows_by_id(new[first : first + _BATCH], columns)
            standard = _standard_vectors(base, read)
            read = with_contents(read).select(schema.names).cast(schema)
            place = pc.fill_null(pc.index_in(_keys(read), value_set=earlier), -1).to_numpy()
            same = np.flatnonzero(place >= 0)
            if standard is not None:
                differences = np.abs(standard[0][same] - vectors.at(gone[place[same]])).max(axis=1, initial=0)
                same = same[differences < (_ROUNDING if base.lists is None else _HALF_ROUNDING)]
            others = np.setdiff1d(np.arange(len(place)), same)
            if standard is None and len(others):
                raise CacheDamagedError("segments differ although only tags were edited")
            moved.append(read.take(same))
            kept.append(place[same])
            added.append(read.take(others))
            if standard is not None:
                found.append(standard[0][others].astype(found[0].dtype))
                lengths.append(standard[1][others, :parts])
        none = base.rows.table.slice(0, 0)
        return cls(
            np.concatenate(kept),
            pa.concat_tables([none, *moved]),
            pa.concat_tables([none, *added]),
            np.concatenate(found),
            np.concatenate(lengths),
        )


def _standard_vectors(base: IndexBase, rows: pa.Table) -> tuple[np.ndarray, np.ndarray] | None:
    """The embeddings of rows as the index has them, and the norms of their parts; None where they were not read."""
    if "embedding" not in rows.column_names:
        return None
    raw = [embedding_matrix(batch, base.standardisation.dim) for batch in rows.to_batches()]
    return base.standardisation.apply_with_norms(np.concatenate(raw))


def _keys(rows: pa.Table) -> pa.Array:
    """Path, start and end of each row as one text."""
    import pyarrow as pa
    import pyarrow.compute as pc

    times = [pc.cast(whole_column(rows, name), pa.string()) for name in ("start", "end")]
    return pc.binary_join_element_wise(whole_column(rows, "path"), *times, "\0")


def _following(
    rows: MergedRows, base: str, state: StoreState, gone: Int[np.ndarray, " gone"], changes: _Changes, failed: pa.Table
) -> ChangeLog:
    """The log of an index after further changes."""
    import pyarrow as pa

    count, table, log = len(rows.base), rows.base.table, rows.log
    none, nothing = table.slice(0, 0), np.zeros(0, np.int64)
    slots = rows.order.slots(gone)
    moved_slots = slots[changes.kept]
    # Of the table: what is replaced stays so, unless it went or is replaced again.
    places = nothing if log is None else log.places
    stay = np.flatnonzero(~np.isin(places, slots))
    of_table = np.flatnonzero(moved_slots < count)
    replaced = [none if log is None else log.replaced.take(stay), changes.moved.take(of_table)]
    places = np.concatenate([places[stay], moved_slots[of_table]])
    order = np.argsort(places)
    left = np.setdiff1d(slots[slots < count], moved_slots)
    removed = np.union1d(nothing if log is None else log.removed, left)
    # Of the inserted rows: those that stay, those with other tags or row ids, new ones.
    earlier = nothing if log is None else log.before
    number = np.arange(len(earlier))
    stay = np.flatnonzero(~np.isin(number, slots - count))
    other = np.flatnonzero(moved_slots >= count)
    vectors = changes.vectors[:0] if log is None else log.vectors
    norms = changes.norms[:0] if log is None else log.norms.reshape(len(earlier), changes.norms.shape[1])
    inserted = pa.concat_tables(
        [none if log is None else log.inserted.take(stay), changes.moved.take(other), changes.added]
    )
    own = np.concatenate([stay, moved_slots[other] - count])
    new = zip(changes.added["path"].to_pylist(), changes.added["start"].to_pylist(), strict=True)
    before = np.concatenate([earlier[own], np.array([rows.base.place(*one) for one in new], np.int64)])
    keys = list(zip(inserted["path"].to_pylist(), inserted["start"].to_pylist(), strict=True))
    ordered = np.array(sorted(range(len(keys)), key=keys.__getitem__), np.int64)
    return ChangeLog(
        base=base,
        state=state,
        removed=removed.astype(np.int64),
        places=places[order].astype(np.int64),
        replaced=pa.concat_tables(replaced).take(order),
        before=before[ordered],
        inserted=inserted.take(ordered),
        vectors=np.concatenate([vectors[own], changes.vectors])[ordered],
        norms=np.concatenate([norms[own], changes.norms])[ordered],
        failed=failed,
    )


def _write_table_anew(folder: Path, files: IndexFiles, rows: MergedRows, log: ChangeLog) -> None:
    """Write the table with what is replaced in its places; what went stays in it, as the vectors of that do."""
    nothing = np.zeros(0, np.int64)
    none = {"inserted": log.inserted.slice(0, 0), "vectors": log.vectors[:0], "norms": log.norms[:0]}
    only = replace(log, removed=nothing, before=nothing, **none)
    with new_index(folder) as temporary:
        for name in files.manifest["files"]:
            if name != ROWS_FILE:
                _link_or_copy(folder / name, temporary / name)
        write_table(temporary / ROWS_FILE, MergedRows(rows.base, only).table)
        known = {name: checksums for name, checksums in files.manifest["files"].items() if name != ROWS_FILE}
        facts: dict[str, Any] = {
            key: value for key, value in files.manifest.items() if key not in ("format", "files", "checksum")
        }
        base = write_manifest(temporary, facts | log.state.to_json() | {"logged": True}, known)
        replace(log, base=base, places=nothing, replaced=log.replaced.slice(0, 0)).write(temporary)


def _link_or_copy(file: Path, target: Path) -> None:
    """The same file under another path, without its bytes twice where the file system can do that."""
    try:
        os.link(file, target)
    except OSError:
        shutil.copy2(file, target)
