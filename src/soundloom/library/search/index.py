"""The search index of a library: a copy of its embeddings made for comparing, which can always be rebuilt.

The store keeps embeddings as the model gave them. Comparing them raw works poorly: a log-mel mean is
mostly the same large negative number for every sound, and its cosine says little. So the index centres
and scales every column by the library's own mean and deviation and brings every part to unit length.
The similarity of two sounds is then the weighted mean of their parts' cosines,

    s(q, x) = sum_p w_p cos(q_p, x_p) / sum_p |w_p|,

which is one inner product with the query's parts scaled by w: weights steer a search without a change
to the index.

Below `EXACT_BYTES` every row is compared. Above, FAISS looks only at the cells (IVF) nearest the query,
and how many cells that takes is measured when the index is built, for plain and for weighted queries,
rather than guessed. A filter that leaves few rows, and weights below zero, fall back to comparing every
admitted row.

The folder says for which version of the store it was built; for any other it is stale and is rebuilt.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray

from soundloom.library.search.similarity_cache import Cosines

if TYPE_CHECKING:
    import pyarrow as pa

    from soundloom.library.storage.store import Store

__all__ = ["EXACT_BYTES", "Found", "SearchIndex"]

EXACT_BYTES = 48 * 2**20
"""Up to this size of the compared matrix a search looks at every row: a few milliseconds."""

_FORMAT = 2
_FEWEST_TO_STANDARDISE = 20
_RECALL = 0.995
_BATCH = 8192
_SAMPLED = 512


@dataclass(frozen=True)
class Found:
    """The best rows of a search, best first.

    Attributes:
        rows: positions in the index.
        similarity: weighted mean of the parts' cosines, in [-1, 1].
        parts: part name -> that part's cosine.
    """

    rows: Int[np.ndarray, " k"]
    similarity: Float[np.ndarray, " k"]
    parts: dict[str, Float[np.ndarray, " k"]]


class SearchIndex:
    """A library's rows, ready to be compared. Made by `build` or `open`.

    Attributes:
        version: of the store that it was built from.
        parts: part name -> its columns.
        rows: path, start, end, duration, tags and row id of every row, ordered by path and start.
        vectors: every row's embedding, comparable: columns centred and scaled, parts of unit length.
        sample: embeddings of every so manieth row, as the model gave them.
    """

    def __init__(self, folder: Path) -> None:
        import pyarrow as pa

        facts = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        self.version: int = facts["version"]
        self.parts = {name: slice(*columns) for name, columns in facts["parts"].items()}
        self._probes: int | None = facts["probes"]
        with pa.memory_map(str(folder / "rows.arrow")) as source:
            self.rows: pa.Table = pa.ipc.open_file(source).read_all()
        self._row_ids = self.rows["_rowid"].to_numpy()
        self._by_row_id = np.argsort(self._row_ids)
        scaling = np.load(folder / "scaling.npz")
        self._mean, self._scale = scaling["mean"], scaling["scale"]
        self.sample: Float[np.ndarray, "sampled dim"] = np.load(folder / "sample.npy")
        self.vectors: Float[np.ndarray, "rows dim"] = np.load(folder / "vectors.npy", mmap_mode="r")
        self._cosines = Cosines(self.vectors, self.parts)
        self._cells: Any = None
        if self._probes is not None:
            import faiss

            self._cells = faiss.read_index(str(folder / "cells.faiss"), faiss.IO_FLAG_MMAP)

    @classmethod
    def open(cls, folder: Path, version: int) -> SearchIndex | None:
        """The index in a folder, or None if there is none for this version of the store."""
        try:
            facts = json.loads((folder / "index.json").read_text(encoding="utf-8"))
            if (facts["format"], facts["version"]) != (_FORMAT, version):
                return None
            return cls(folder)
        except (OSError, ValueError, KeyError):
            return None

    @classmethod
    def build(
        cls, folder: Path, store: Store, parts: Mapping[str, slice], *, exact_bytes: int = EXACT_BYTES
    ) -> SearchIndex:
        """Make the index of a store, replacing the one in the folder if there is one.

        Args:
            folder: where to put it.
            store: the library's rows.
            parts: part name -> its columns of an embedding.
            exact_bytes: the size up to which every row is compared.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        temporary = folder.with_name(folder.name + ".building")
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        version, dim = store.version, max(columns.stop for columns in parts.values())

        batches = list(store.scan(["path", "start", "end", "duration", "tags"], row_ids=True))
        rows = pa.Table.from_batches(batches) if batches else _no_rows()
        # Ties are broken by place in the index, so the place must not depend on the order of writing.
        rows = rows.take(pc.sort_indices(rows, sort_keys=[("path", "ascending"), ("start", "ascending")]))
        with pa.OSFile(str(temporary / "rows.arrow"), "wb") as sink, pa.ipc.new_file(sink, rows.schema) as writer:
            writer.write_table(rows)
        row_ids = rows["_rowid"].to_numpy()
        by_row_id = np.argsort(row_ids)

        mean, scale = _scaling(store, dim, rows.num_rows)
        np.savez(temporary / "scaling.npz", mean=mean, scale=scale)
        vectors = np.lib.format.open_memmap(
            temporary / "vectors.npy", mode="w+", dtype=np.float32, shape=(rows.num_rows, dim)
        )
        sampled = range(0, rows.num_rows, max(1, rows.num_rows // _SAMPLED))
        sample = np.zeros((len(sampled), dim), np.float32)
        for batch in store.scan(["embedding"], row_ids=True):
            places = by_row_id[np.searchsorted(row_ids, batch["_rowid"].to_numpy(), sorter=by_row_id)]
            raw = _matrix(batch, dim)
            vectors[places] = _comparable(raw, mean, scale, parts)
            chosen = places % sampled.step == 0
            sample[places[chosen] // sampled.step] = raw[chosen]
        np.save(temporary / "sample.npy", sample)
        vectors.flush()

        probes = None
        if vectors.nbytes > exact_bytes:
            probes = _build_cells(vectors, parts, temporary / "cells.faiss")
        facts = {
            "format": _FORMAT,
            "version": version,
            "parts": {name: [columns.start, columns.stop] for name, columns in parts.items()},
            "probes": probes,
        }
        (temporary / "index.json").write_text(json.dumps(facts), encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        temporary.rename(folder)
        return cls(folder)

    def __len__(self) -> int:
        return int(self.rows.num_rows)

    @property
    def scaling(self) -> tuple[Float[np.ndarray, " dim"], Float[np.ndarray, " dim"]]:
        """Mean and inverse deviation of every column, by which embeddings become comparable; 0 for a constant one."""
        return self._mean, self._scale

    def cosines_of_sample(self, query: Float[np.ndarray, " dim"]) -> dict[str, Float[np.ndarray, " sampled"]]:
        """How alike the sampled rows are to an embedding, by each part."""
        asked = _comparable(query[None], self._mean, self._scale, self.parts)[0]
        sampled = _comparable(self.sample, self._mean, self._scale, self.parts)
        return {name: sampled[:, columns] @ asked[columns] for name, columns in self.parts.items()}

    def places(self, row_ids: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
        """Where rows of the store, by row id, stand in the index; those that it does not have are left out."""
        if not len(self):
            return np.zeros(0, np.int64)
        near = np.searchsorted(self._row_ids, row_ids, sorter=self._by_row_id)
        places = self._by_row_id[np.minimum(near, len(self) - 1)]
        return np.asarray(places[self._row_ids[places] == row_ids])

    def rows_of(self, path: str) -> Int[np.ndarray, " n"]:
        """Where the rows of a file stand; they are neighbours, because rows are ordered by path."""
        import pyarrow.compute as pc

        return np.flatnonzero(pc.equal(self.rows["path"], path).to_numpy())

    def search(
        self,
        query: Float[np.ndarray, " dim"],
        k: int,
        weights: Mapping[str, float],
        admitted: Bool[np.ndarray, " rows"] | None = None,
    ) -> Found:
        """The rows most similar to an embedding.

        Args:
            query: an embedding as the model gave it.
            k: how many rows, at most.
            weights: part name -> weight; every part must be named and one weight must not be zero.
            admitted: which rows may be found; all if not given.
        """
        comparable = _comparable(query[None].astype(np.float32), self._mean, self._scale, self.parts)[0]
        total = sum(abs(weight) for weight in weights.values())
        steered = np.zeros_like(comparable)
        for name, columns in self.parts.items():
            steered[columns] = comparable[columns] * np.float32(weights[name] / total)
        rows = self._best(comparable, weights, steered, k, admitted)
        near = np.asarray(self.vectors[rows])
        parts = {name: near[:, columns] @ comparable[columns] for name, columns in self.parts.items()}
        similarity = near @ steered
        order = np.lexsort((rows, -similarity))
        return Found(rows[order], similarity[order], {name: cosines[order] for name, cosines in parts.items()})

    def _best(
        self,
        comparable: NDArray[np.float32],
        weights: Mapping[str, float],
        steered: NDArray[np.float32],
        k: int,
        admitted: NDArray[np.bool_] | None,
    ) -> NDArray[np.int64]:
        count = len(self) if admitted is None else int(admitted.sum())
        k = min(k, count)
        if k == 0:
            return np.zeros(0, np.int64)
        # Cells are where alike rows are; a search for the unlike must look everywhere.
        everywhere = min(weights.values()) < 0 or count <= len(self) // 10
        if self._cells is not None and self._probes is not None and not everywhere:
            found = _search_cells(self._cells, steered, k, self._probes, admitted)
            if len(found) == k:
                return found
        if admitted is None:
            return _top(self._cosines.weighed(comparable, weights), k)
        candidates = np.flatnonzero(admitted)
        if count > len(self) // 4:  # gathering a row costs as much as reading several in order
            return candidates[_top(self._cosines.weighed(comparable, weights)[candidates], k)]
        return candidates[_top(self.vectors[candidates] @ steered, k)]


def _no_rows() -> pa.Table:
    import pyarrow as pa

    names = {"path": pa.string(), "start": pa.float64(), "end": pa.float64(), "duration": pa.float64()}
    return pa.schema({**names, "tags": pa.list_(pa.string()), "_rowid": pa.uint64()}).empty_table()


def _matrix(batch: pa.RecordBatch, dim: int) -> NDArray[np.float32]:
    """The embedding column as ``[rows, dim]``, without a copy."""
    return batch["embedding"].flatten().to_numpy(zero_copy_only=True).reshape(-1, dim)  # type: ignore[no-any-return]


def _scaling(store: Store, dim: int, count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and inverse deviation of every column; 0 and 1 when there are too few rows to tell."""
    if count < _FEWEST_TO_STANDARDISE:
        return np.zeros(dim), np.ones(dim)
    mean, deviations = np.zeros(dim), np.zeros(dim)
    for batch in store.scan(["embedding"]):
        mean += _matrix(batch, dim).sum(axis=0, dtype=np.float64) / count
    for batch in store.scan(["embedding"]):
        deviations += np.square(_matrix(batch, dim) - mean).sum(axis=0) / count
    deviations = np.sqrt(deviations)
    # A column that is the same for every sound tells nothing, and must not be blown up by its rounding.
    telling = deviations > 1e-5 * np.maximum(1e-3, np.abs(mean))
    scale = np.divide(1.0, deviations, out=np.zeros(dim), where=telling)
    return mean, scale


def _comparable(
    embeddings: NDArray[np.float32],
    mean: NDArray[np.float64],
    scale: NDArray[np.float64],
    parts: Mapping[str, slice],
) -> NDArray[np.float32]:
    """Embeddings standardised, with every part at unit length (a part of zeros stays zeros)."""
    # In double precision: a column may vary little about a large mean.
    standard = (embeddings - mean) * scale
    for columns in parts.values():
        part = standard[:, columns]
        norm = np.linalg.norm(part, axis=1, keepdims=True)
        np.divide(part, norm, out=part, where=norm > 0)
    return standard.astype(np.float32)


def _top(similarity: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    """Positions of the k largest, largest first; the earlier of two equals wins."""
    if k < len(similarity):
        kth = np.partition(similarity, len(similarity) - k)[len(similarity) - k]
        above = np.flatnonzero(similarity > kth)
        equal = np.flatnonzero(similarity == kth)[: k - len(above)]
        chosen = np.concatenate([above, equal])
    else:
        chosen = np.arange(len(similarity))
    return chosen[np.lexsort((chosen, -similarity[chosen]))]


def _build_cells(vectors: NDArray[np.float32], parts: Mapping[str, slice], file: Path) -> int | None:
    """Cluster the rows into cells; returns how many a search must visit, or None if that would be most of them."""
    import faiss

    count, dim = vectors.shape
    cells = round(4 * sqrt(count))
    index = faiss.IndexIVFFlat(faiss.IndexFlatIP(dim), dim, cells, faiss.METRIC_INNER_PRODUCT)
    index.cp.seed = 0
    sample = np.random.default_rng(0).choice(count, min(count, 40 * cells), replace=False)
    index.train(np.ascontiguousarray(vectors[np.sort(sample)]))
    for first in range(0, count, _BATCH):
        index.add(np.ascontiguousarray(vectors[first : first + _BATCH]))
    probes = _measure_probes(index, vectors, parts, cells)
    if probes is not None:
        faiss.write_index(index, str(file))
    return probes


def _measure_probes(
    index: Any, vectors: NDArray[np.float32], parts: Mapping[str, slice], cells: int, k: int = 10
) -> int | None:
    """The fewest cells with which queries find their true neighbours, also when only one part counts."""
    rows = np.sort(np.random.default_rng(1).choice(len(vectors), min(48, len(vectors)), replace=False))
    queries = [vectors[rows]]
    if len(parts) > 1:
        for columns in parts.values():
            one = np.zeros_like(queries[0])
            one[:, columns] = queries[0][:, columns]
            queries.append(one)
    asked = np.concatenate(queries)
    itself = np.tile(rows, len(queries)).tolist()  # which every row finds, and which proves nothing
    truth = [set(_top(vectors @ query, k + 1).tolist()) - {row} for query, row in zip(asked, itself, strict=True)]
    probes = 4
    while probes <= cells // 2:
        hits = sum(
            len(neighbours & set(_search_cells(index, query, k + 1, probes, None).tolist()))
            for neighbours, query in zip(truth, asked, strict=True)
        )
        if hits >= _RECALL * sum(map(len, truth)):
            return probes
        probes *= 2
    return None


def _search_cells(
    index: Any, steered: NDArray[np.float32], k: int, probes: int, admitted: NDArray[np.bool_] | None
) -> NDArray[np.int64]:
    import faiss

    settings: dict[str, Any] = {"nprobe": probes}
    if admitted is not None:
        bits = np.packbits(admitted, bitorder="little")
        settings["sel"] = faiss.IDSelectorBitmap(len(bits), faiss.swig_ptr(bits))
    _, rows = index.search(steered[None], k, params=faiss.SearchParametersIVF(**settings))
    return rows[0][rows[0] >= 0]  # type: ignore[no-any-return]
