"""Nearest-neighbour search over a library's standardised embeddings: exact up to a size, by inverted file beyond it.

The store keeps embeddings as the model gave them; the index keeps a copy standardised by column and of unit length by
part (`vector_index.standardisation`). The similarity of two sounds is the weighted mean of their parts' cosines,

    s(q, x) = sum_p w_p cos(q_p, x_p) / sum_p |w_p|,

which is one inner product with the query's parts scaled by w: weights steer a search without a change to the index.

Small libraries are compared row by row. For large ones FAISS looks only at the cells nearest the query
(`vector_index.cells`); where there are no clusters, and for weights below zero, codes of all rows show which to compare
(`vector_index.codes`). Beyond a gigabyte vectors are kept in half precision, and lists of codes in cells of each part
show which to compare (`vector_index.part_lists`). Of a filter that leaves few rows every one is compared
(`vector_index.row_search`).

Conditions are evaluated in memory (`soundloom.library.search.fields`). The index is a cache (`index_cache`).
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float, Float32, Int, UInt64

from soundloom.errors import CacheDamagedError, QueryError
from soundloom.file_names import os_path, text_path
from soundloom.library.hits import Hits
from soundloom.library.search.explanation import Explanation, explain
from soundloom.library.search.fields.field_masks import FieldMasks
from soundloom.library.search.fields.file_fields import FileFields
from soundloom.library.search.matches import Match, NearestRows
from soundloom.library.search.row_filter import RowFilter
from soundloom.library.search.vector_index.index_base import IndexBase
from soundloom.library.search.vector_index.index_builder import build_index
from soundloom.library.search.vector_index.index_files import IndexFiles, open_index
from soundloom.library.search.vector_index.row_search import RowQuery, RowSearch
from soundloom.library.search.vector_index.row_vectors import RowVectors
from soundloom.library.search.vector_index.standardisation import Standardisation
from soundloom.library.segments import Hit, Segment, Segments
from soundloom.library.storage.facts_table import FactsReader
from soundloom.library.storage.root_registry import Presence
from soundloom.library.storage.store import Store
from soundloom.library.storage.table_schema import embedding_matrix
from soundloom.part_weights import weight_shares

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["SearchIndex"]


class SearchIndex:
    """A library's rows, ready to be compared. Made by `build` or `open`.

    Attributes:
        version: of the store that it was built from.
        parts: part name -> its columns.
        sample: raw embeddings of every n-th row.
        segments: the rows as segments.
        base: what changes of the library leave as it is.
    """

    def __init__(
        self,
        base: IndexBase,
        files: IndexFiles,
        store: Store,
        presence: Presence | None = None,
        facts: FactsReader | None = None,
    ) -> None:
        self.base = base
        self._store = store
        self.version = files.state.version
        self.parts, self.sample = base.parts, base.sample
        self._rows = base.follow(files)
        self.segments = Segments(self._rows, self.version, presence)
        self._masks = FieldMasks(self._rows, store, facts)
        self._vectors = RowVectors(base.vectors, base.norms, self._rows)
        self._search = RowSearch(base, self._vectors)

    @classmethod
    def open(
        cls,
        folder: Path,
        store: Store,
        presence: Presence | None = None,
        facts: FactsReader | None = None,
        *,
        earlier: SearchIndex | None = None,
    ) -> SearchIndex | None:
        """The index in a folder, or None if there is none or it was built from another state of the store.

        Args:
            folder: the index's.
            store: the library's rows.
            presence: finds which files are not there; if not given, none is looked for.
            facts: reads the facts of the files, if there are any.
            earlier: an index that is open already; what has not changed since is not read again.

        Raises:
            CacheDamagedError: it cannot be opened, or is not as it was written.
        """
        base = None if earlier is None else earlier.base
        files = open_index(folder, None if base is None else base.files)
        if files is None or (files.state.version, files.state.store) != (store.version, store.identity):
            return None
        try:
            return cls(IndexBase.of(files, base), files, store, presence, facts)
        except MemoryError:
            raise
        except Exception as error:
            raise CacheDamagedError(f"the search index {str(folder)!r} cannot be opened: {error}") from error

    @classmethod
    def build(
        cls,
        folder: Path,
        store: Store,
        parts: Mapping[str, slice],
        presence: Presence | None = None,
        facts: FactsReader | None = None,
        *,
        centred: Collection[str] = (),
        exact_bytes: int | None = None,
        large_bytes: int | None = None,
        anew: bool = False,
        earlier: SearchIndex | None = None,
    ) -> SearchIndex:
        """Build the index of a store in a folder and open it; see `build_index` and `open`."""
        base = None if earlier is None or anew else earlier.base
        build_index(
            folder, store, parts, centred=centred, exact_bytes=exact_bytes, large_bytes=large_bytes, anew=anew,
            base=base,
        )  # fmt: skip
        if (files := open_index(folder, None if base is None else base.files)) is None:
            raise CacheDamagedError(f"the search index {str(folder)!r} was replaced while it was built")
        return cls(IndexBase.of(files, base), files, store, presence, facts)

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def rows(self) -> pa.Table:
        """Path, start, end, duration, tags and row id of every row, ordered by path and start."""
        return self._rows.table

    @property
    def vectors(self) -> Float[np.ndarray, "rows dim"]:
        """Every row's standardised embedding: columns centred and scaled, parts of unit length.

        Raises:
            CacheDamagedError: they are not as they were written.
        """
        return self._vectors.all()

    @property
    def has_cells(self) -> bool:
        """Whether searches use an inverted file."""
        return self.base.cells is not None

    @property
    def has_lists(self) -> bool:
        """Whether vectors are in half precision, and searches use lists of product codes in cells of the parts."""
        return self.base.lists is not None

    @property
    def has_codes(self) -> bool:
        """Whether searches use product codes where an inverted file does not serve."""
        return self.base.codes is not None

    def check(self) -> None:
        """Compare every block of every file with its checksum.

        Raises:
            CacheDamagedError: one differs.
        """
        self.base.check()

    @property
    def standardisation(self) -> Standardisation:
        """How the embeddings are standardised, and queries with them."""
        return self.base.standardisation

    def sample_similarities(self, query: Float[np.ndarray, " dim"]) -> dict[str, Float[np.ndarray, " sampled"]]:
        """The cosines of the sampled rows to a raw embedding, by part."""
        standard = self.standardisation.apply(query[None])[0]
        sampled = self.standardisation.apply(self.sample)
        return {name: sampled[:, columns] @ standard[columns] for name, columns in self.parts.items()}

    def cosines(
        self, queries: Float[np.ndarray, "queries dim"], rows: Int[np.ndarray, " n"]
    ) -> dict[str, Float[np.ndarray, "queries n"]]:
        """The cosines of some rows to raw embeddings, by part."""
        standard = self.standardisation.apply(queries.astype(np.float32))
        vectors = self._vectors.at(rows)
        return {name: standard[:, columns] @ vectors[:, columns].T for name, columns in self.parts.items()}

    def positions(self, row_ids: UInt64[np.ndarray, " n"]) -> Int[np.ndarray, " _found"]:
        """The positions in the index of rows of the store, by row id; unknown row ids are left out."""
        rows = self._rows.rows_of_ids(row_ids)
        return np.asarray(rows[rows >= 0])

    def rows_of_file(self, path: str) -> Int[np.ndarray, " n"]:
        """The positions of a file's rows, which follow each other because rows are ordered by path."""
        return self._rows.rows_of_file(path)

    def stored_ids(self, column: str, values: Iterable[str]) -> UInt64[np.ndarray, " n"]:
        """The row ids in the store of rows with some paths or hashes, and perhaps of a few others.

        Args:
            column: "path" or "hash".
            values: of that column.
        """
        find = self._rows.rows_of_file if column == "path" else self._rows.rows_of_content
        found = np.unique(np.concatenate([np.zeros(0, np.int64), *map(find, values)]))
        return np.asarray(self._rows.at(found, ["_rowid"])["_rowid"].to_numpy())

    @property
    def fields(self) -> FileFields:
        """Fields of the files: of these rows, with the facts as they are now."""
        return self._masks.fields

    def mask(self, where: str | RowFilter) -> Bool[np.ndarray, " rows"]:
        """The rows for which a condition holds, not to be changed; as for `Library.search`, whose errors it has."""
        return self._masks.mask(where)

    def browse(
        self, where: str | RowFilter | None = None, shown: slice = slice(None), sort: Sequence[str] = ()
    ) -> tuple[list[Segment], int]:
        """The segments that satisfy a condition, in the order of their paths: some of them, and how many there are.

        Args:
            where: as for `Library.search`; every segment if not given.
            shown: which of them.
            sort: fields of their files to order by instead; with a minus before it from large to small.

        Raises:
            QueryError: the condition cannot be evaluated, or there is no such field.
        """
        rows = np.arange(len(self)) if where is None else np.flatnonzero(self.mask(where))
        rows = rows[self.fields.arrange(self.fields.file_of_row[rows], sort)] if sort else rows
        return self.segments.at(rows[shown]), len(rows)

    def embedding(self, id: str) -> Float32[np.ndarray, " dim"]:
        """The raw embedding of the segment with an id, from the store.

        Raises:
            QueryError: no segment has it.
        """
        segment = self.segments.find(id)
        embedding = self.embeddings([segment]).get((segment.path, segment.start))
        if embedding is None:
            raise QueryError(f"the segment {id!r} is no longer in this library: its file has gone, moved or changed")
        return embedding

    def embeddings(self, segments: Sequence[Segment]) -> dict[tuple[str, float], Float32[np.ndarray, " dim"]]:
        """The raw embeddings of all segments of these segments' files, by path and start, from the store."""
        return self._store.embeddings(segment.path for segment in segments)

    def restored_embeddings(self, segments: Sequence[Segment]) -> dict[tuple[str, float], Float32[np.ndarray, " dim"]]:
        """As `embeddings`, to the precision of the index, without the store, which takes a second to open.

        Raises:
            CacheDamagedError: the index is not as it was written.
        """
        files = sorted({segment.path for segment in segments})
        rows = np.concatenate([np.zeros(0, np.int64), *(self.rows_of_file(path) for path in files)])
        if (norms := self._vectors.norms_at(rows)) is None:
            return self.embeddings(segments)
        raw = self.standardisation.restore(self._vectors.at(rows), norms)
        keys = self._rows.at(rows, ["path", "start"]).to_pydict().values()
        return dict(zip(zip(*keys, strict=True), raw, strict=True))

    def stored_embeddings(self) -> Iterator[tuple[Int[np.ndarray, " n"], Float32[np.ndarray, "n dim"]]]:
        """The raw embeddings of all rows from the store, batch by batch, with their positions in the index."""
        for batch in self._store.scan(["embedding"], row_ids=True):
            embeddings = embedding_matrix(batch, self.standardisation.dim)
            rows = self._rows.rows_of_ids(batch["_rowid"].to_numpy())
            yield rows[rows >= 0], embeddings[rows >= 0]

    def explain(self, query: Float[np.ndarray, " dim"], hits: Sequence[Hit | Match]) -> list[Explanation]:
        """Explain by which parts each hit of a raw embedding is unusually similar to it; see `explain`."""
        return explain(self.sample_similarities(query.astype(np.float32)), hits)

    def hits(
        self,
        query: Float[np.ndarray, " dim"],
        k: int,
        weights: Mapping[str, float],
        *,
        where: str | RowFilter | None = None,
        exclude: tuple[str, float, float] | None = None,
    ) -> Hits:
        """The segments most similar to an embedding.

        Args:
            query: a raw embedding.
            k: how many, at most.
            weights: part name -> weight, for every part; one must not be zero.
            where: as for `Library.search`.
            exclude: a file and the seconds in it that must not be found.

        Raises:
            CacheDamagedError: the index is not as it was written.
            QueryError: the condition cannot be evaluated.
        """
        # The excluded rows are few (one file's): ask for as many more, and drop them.
        hidden = self.rows_in_region(*exclude) if exclude else np.zeros(0, np.int64)
        mask = None if where is None else self.mask(where)
        found = self.search(query.astype(np.float32), k + len(hidden), weights, mask)
        return self.to_hits(found, np.flatnonzero(~np.isin(found.rows, hidden))[:k])

    def to_hits(self, found: NearestRows, ranks: Int[np.ndarray, " shown"]) -> Hits:
        """Some of the rows that a search found, as hits."""
        return Hits(
            Hit(
                segment.path, segment.start, segment.end, segment.duration, segment.tags,
                similarity=float(found.similarity[rank]),
                parts={name: float(cosines[rank]) for name, cosines in found.parts.items()},
                absent=segment.absent,
            )
            for rank, segment in zip(ranks, self.segments.at(found.rows[ranks]), strict=True)
        )  # fmt: skip

    def search(
        self,
        query: Float[np.ndarray, " dim"],
        k: int,
        weights: Mapping[str, float],
        mask: Bool[np.ndarray, " rows"] | None = None,
    ) -> NearestRows:
        """The rows most similar to an embedding.

        Args:
            query: a raw embedding.
            k: how many rows, at most.
            weights: part name -> weight; every part must be named and one weight must not be zero.
            mask: which rows may be found; all if not given.

        Raises:
            CacheDamagedError: the index is not as it was written.
        """
        standard = self.standardisation.apply(query[None].astype(np.float32))[0]
        weighted = np.zeros_like(standard)
        for name, share in weight_shares(weights).items():
            weighted[self.parts[name]] = standard[self.parts[name]] * np.float32(share)
        rows = self._search.best(RowQuery(standard, weights, weighted, k), mask)
        near = self._vectors.at(rows)
        parts = {name: near[:, columns] @ standard[columns] for name, columns in self.parts.items()}
        similarity = near @ weighted
        order = np.lexsort((rows, -similarity))
        return NearestRows(rows[order], similarity[order], {name: cosines[order] for name, cosines in parts.items()})

    def rows_in_region(self, path: str, start: float, end: float) -> Int[np.ndarray, " n"]:
        """The rows of a file that overlap a region of it, in seconds."""
        rows = self.rows_of_file(path)
        if not len(rows):
            # The library may hold the file under a path through symbolic links, or without them.
            rows = self.rows_of_file(text_path(os.path.realpath(os_path(path))))
        starts, ends = (column.to_numpy() for column in self._rows.at(rows, ["start", "end"]).columns)
        return np.asarray(rows[(starts < end) & (ends > start)])
