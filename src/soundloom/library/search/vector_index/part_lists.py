"""Inverted multi-index with product codes for millions of rows, in bounded memory, with FAISS.

Every part of the embeddings has cells of its own; a cell of the index is a combination of them (inverted multi-index,
Babenko and Lempitsky 2012). The score of a cell is the sum of its parts' centroids' products with the weighted query,
so a steered search visits other cells of the same lists. A list holds codes of 2 bits a number, of which each belongs
to one part (`vector_index.codes`); they are scanned in registers (Quick ADC, André 2017). The best rows by their codes
are then compared exactly.

Lists lie in shards of at most a million rows, each built on its own and mapped into memory; a search scans them in
parallel. How many rows a search scans and compares is measured when the lists are built: for all parts together, for
one alone, and for 10, 100 and 1000 neighbours. A filter that leaves one row in ten needs the rows of 100 neighbours.

When not: below a million rows, where `cells` and `codes` are quicker to build and as quick to search.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from math import log, sqrt
from pathlib import Path
from threading import Lock
from typing import Any, Protocol

import numpy as np
from jaxtyping import Float, Float32, Int, UInt8

from soundloom.library.search.vector_index.part_cells import PartCells
from soundloom.library.search.vector_index.recall import nearest, sample_queries
from soundloom.library.storage.block_checksums import CheckedFile
from soundloom.system_errors import one_line_errors

__all__ = ["PartLists", "build_lists", "open_lists", "packed_codes", "shard_of_cells"]

_TRAINED_ON = 2**16
_CODES_TRAINED_ON = 2**14
_SHARD_ROWS = 2**20
_BLOCK_ROWS = 32
_INTERLEAVED = np.array([0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15])
_BATCH = 2**15
_NEIGHBOURS = (10, 100, 1000)
_FEWEST, _MOST = 128, 4096
"""Candidates of ten neighbours."""
_WANTED, _LOST_BY_CODES = 0.98, 0.005
"""Recall of ten neighbours among the rows that are scanned, and how much less among those that are compared."""
_BINS = 1024
_SPREAD = 2654435761
"""Multiplier of Fibonacci hashing: neighbouring cells lie in different shards, which share the work of a search."""


class _File(Protocol):
    """A file that can be checked: one of an index, or one that was just written."""

    path: Path

    def check_all(self) -> None:
        """See `CheckedFile.check_all`."""


class PartLists:
    """Lists on disk.

    Args:
        cells: the cells.
        sizes: rows of each cell.
        shards: the files that `build_lists` wrote.
        settings: what it returned.
    """

    def __init__(
        self, cells: PartCells, sizes: Int[np.ndarray, " cells"], shards: Sequence[_File], settings: Any
    ) -> None:
        self._cells = cells
        self._sizes = sizes.astype(np.float64)
        self._files = shards
        self._shares: dict[str, list[float]] = settings["shares"]
        self._candidates: int = settings["candidates"]
        self._rows = int(sizes.sum())
        self._shard_of = shard_of_cells(len(sizes), len(shards))
        self._lock = Lock()
        self._opened: list[Any] | None = None

    @cached_property
    def _threads(self) -> ThreadPoolExecutor:
        import faiss

        count = min(len(self._files), os.cpu_count() or 1)
        return ThreadPoolExecutor(count, "soundloom-lists", faiss.omp_set_num_threads, (1,))

    def check(self) -> None:
        """Compare all shards with their checksums.

        Raises:
            CacheDamagedError: one is not as it was written.
        """
        for file in self._files:
            file.check_all()

    def share(self, weights: Mapping[str, float], k: int, admitted: int) -> float:
        """The share of all rows whose codes are scanned.

        Args:
            weights: of the parts.
            k: neighbours that are to be found.
            admitted: rows that may be found.
        """
        equal = len(weights) > 1 and len(set(weights.values())) == 1
        shares = self._shares["all" if equal else "one"]
        # As hard as finding so many among all rows.
        among_all = max(_NEIGHBOURS[0], k * self._rows / max(1, admitted))
        if among_all > _NEIGHBOURS[-1]:
            return min(1.0, shares[-1] * sqrt(among_all / _NEIGHBOURS[-1]))
        return float(np.exp(np.interp(log(among_all), np.log(_NEIGHBOURS), np.log(shares))))

    def candidates(self, k: int) -> int:
        """How many rows are compared exactly for k neighbours."""
        return max(round(self._candidates * max(1.0, k / _NEIGHBOURS[0])), k)

    def search(
        self,
        weighted: Float32[np.ndarray, " dim"],
        count: int,
        share: float,
        admitted: UInt8[np.ndarray, " bytes"] | None = None,
    ) -> Int[np.ndarray, " n"]:
        """The rows of the largest products with a weighted query, largest first, as the codes in the best cells show.

        Args:
            weighted: the query.
            count: how many, at most.
            share: of all rows, to be scanned.
            admitted: a bit for every row that may be found; all if not given.

        Raises:
            CacheDamagedError: the shards on disk are not as they were written.
        """
        shards = self._shards()
        scores = self._cells.scores(weighted)
        chosen = self._best_cells(scores, share)
        of_shard = self._shard_of[chosen]
        work = [(shard, chosen[of_shard == number]) for number, shard in enumerate(shards)]
        found = list(self._threads.map(lambda one: _scan(one[0], one[1], weighted, count, admitted), work))
        products, rows = (np.concatenate(some) for some in zip(*found, strict=True))
        order = np.argsort(-products, kind="stable")[:count]
        return np.asarray(rows[order][rows[order] >= 0])

    def _best_cells(self, scores: Float32[np.ndarray, " cells"], share: float) -> Int[np.ndarray, " n"]:
        """The cells of the highest scores that together hold a share of the rows; found by a histogram of scores."""
        if share >= 1:
            return np.flatnonzero(self._sizes)
        least, most = scores.min(), scores.max()
        bins = ((scores - least) * ((_BINS - 1) / max(1e-12, most - least))).astype(np.int64)
        rows = np.bincount(bins, self._sizes, _BINS)
        limit = _BINS - 1 - int(np.searchsorted(np.cumsum(rows[::-1]), share * self._rows))
        return np.flatnonzero((bins >= limit) & (self._sizes > 0))

    def _shards(self) -> list[Any]:
        with self._lock:
            if self._opened is None:
                import faiss

                self.check()
                self._opened = [faiss.read_index(str(file.path), faiss.IO_FLAG_MMAP_IFC) for file in self._files]
            return self._opened


def build_lists(
    vectors: Float[np.ndarray, "rows dim"], parts: Mapping[str, slice], files: Int[np.ndarray, " rows"], folder: Path
) -> dict[str, Any]:
    """Write the lists of standardised embeddings: ``cells.npz`` and ``lists-N.faiss``.

    Args:
        vectors: the embeddings, in half precision; read several times in their order.
        parts: part name -> its columns.
        files: the number of each row's file, ascending.
        folder: where to write.

    Returns:
        What `PartLists` needs to know.

    Raises:
        ResourceError: a file cannot be written.
    """
    some = np.sort(np.random.default_rng(0).choice(len(vectors), min(len(vectors), _TRAINED_ON), replace=False))
    sample = np.asarray(vectors[some], np.float32)
    cells = PartCells.train(sample, parts)
    numbers = np.empty(len(vectors), np.int32)
    for first in range(0, len(vectors), _BATCH):
        numbers[first : first + _BATCH] = cells.cells_of(np.asarray(vectors[first : first + _BATCH], np.float32))
    sizes = np.bincount(numbers, minlength=cells.count)
    arrays: dict[str, Any] = {f"centroids_{number}": some for number, some in enumerate(cells.centroids)}
    blocks = np.array([[columns.start, columns.stop] for columns in cells.blocks])
    np.savez(folder / "cells.npz", sizes=sizes, blocks=blocks, **arrays)
    count = -(-len(vectors) // _SHARD_ROWS)
    shard_of = shard_of_cells(cells.count, count)
    empty = _trained(sample[:_CODES_TRAINED_ON] if len(sample) > _CODES_TRAINED_ON else sample, cells.count)
    shards = []
    for shard in range(count):
        shards.append(folder / f"lists-{shard}.faiss")
        rows = np.flatnonzero(shard_of[numbers] == shard)
        with one_line_errors(shards[-1]):
            _write_shard(empty, vectors, rows, numbers, shards[-1])
    return _measured(vectors, parts, files, cells, numbers, shards)


def open_lists(arrays: Mapping[str, np.ndarray], shards: Sequence[CheckedFile], settings: Any) -> PartLists:
    """The lists that `build_lists` wrote.

    Args:
        arrays: of ``cells.npz``.
        shards: the other files, in their order.
        settings: what it returned.
    """
    blocks = [slice(int(start), int(stop)) for start, stop in arrays["blocks"]]
    centroids = [arrays[f"centroids_{number}"] for number in range(len(blocks))]
    return PartLists(PartCells(blocks, centroids), arrays["sizes"], shards, settings)


def shard_of_cells(cells: int, shards: int) -> Int[np.ndarray, " cells"]:
    """The shard of every cell."""
    return (np.arange(cells, dtype=np.uint64) * _SPREAD % 2**32 * shards // 2**32).astype(np.int64)


def _trained(sample: Float32[np.ndarray, "rows dim"], cells: int) -> Any:
    """An index without rows whose codes are trained."""
    import faiss

    dim = sample.shape[1] + sample.shape[1] % 2
    index = faiss.IndexIVFPQFastScan(faiss.IndexFlatIP(dim), dim, cells, dim // 2, 4, faiss.METRIC_INNER_PRODUCT)
    index.by_residual = False
    index.pq.cp.seed = 0
    index.pq.train(_even(sample))
    index.is_trained = True
    return index


def _write_shard(
    empty: Any, vectors: Float[np.ndarray, "rows dim"], rows: Int[np.ndarray, " n"], cells: np.ndarray, file: Path
) -> None:
    import faiss

    index: Any = faiss.clone_index(empty)
    codes = np.empty((len(rows), index.code_size), np.uint8)
    for first in range(0, len(rows), _BATCH):
        some = rows[first : first + _BATCH]
        codes[first : first + _BATCH] = index.pq.compute_codes(_even(np.asarray(vectors[some], np.float32)))
    own = cells[rows]
    order = np.argsort(own, kind="stable")
    sizes = np.bincount(own, minlength=index.nlist)
    filled = np.flatnonzero(sizes)
    blocks = -(-sizes[filled] // _BLOCK_ROWS)
    first_block = np.concatenate([[0], np.cumsum(blocks)])
    first_row = np.concatenate([[0], np.cumsum(sizes[filled])])
    # Every list begins a block of its own, whose last rows may be empty.
    padded = np.zeros((first_block[-1] * _BLOCK_ROWS, index.code_size), np.uint8)
    shift = np.repeat(first_block[:-1] * _BLOCK_ROWS - first_row[:-1], sizes[filled])
    padded[np.arange(len(rows)) + shift] = codes[order]
    packed, ids = packed_codes(padded), np.ascontiguousarray(rows[order], np.int64)
    lists: Any = faiss.downcast_InvertedLists(index.invlists)
    for number, cell in enumerate(filled.tolist()):
        lists.resize(cell, int(sizes[cell]))
        content = packed[first_block[number] : first_block[number + 1]]
        faiss.memcpy(lists.get_codes(cell), faiss.swig_ptr(content), content.nbytes)
        own_ids = ids[first_row[number] : first_row[number + 1]]
        faiss.memcpy(lists.get_ids(cell), faiss.swig_ptr(own_ids), own_ids.nbytes)
    index.ntotal = len(rows)
    faiss.write_index(index, str(file))


def packed_codes(codes: UInt8[np.ndarray, "rows bytes"]) -> UInt8[np.ndarray, "blocks bytes 32"]:
    """Codes as the scan of FAISS reads them: 32 rows a block, both numbers of a byte apart, rows interleaved.

    FAISS packs codes only together with an assignment to cells by its own quantiser, which is another than ours.

    Args:
        codes: two codes a byte; a multiple of 32 rows.
    """
    packed = np.empty((len(codes) // _BLOCK_ROWS, codes.shape[1], _BLOCK_ROWS), np.uint8)
    for first in range(0, len(packed), _BATCH // _BLOCK_ROWS):
        some = slice(first, first + _BATCH // _BLOCK_ROWS)
        rows = codes[first * _BLOCK_ROWS : some.stop * _BLOCK_ROWS]
        bytes_first = rows.reshape(-1, _BLOCK_ROWS, codes.shape[1]).transpose(0, 2, 1)
        for half, numbers in enumerate((bytes_first & 15, bytes_first >> 4)):
            interleaved = numbers[..., _INTERLEAVED] | (numbers[..., _INTERLEAVED + 16] << 4)
            packed[some, :, 16 * half : 16 * (half + 1)] = interleaved
    return packed


def _measured(
    vectors: Float[np.ndarray, "rows dim"],
    parts: Mapping[str, slice],
    files: Int[np.ndarray, " rows"],
    cells: PartCells,
    numbers: Int[np.ndarray, " rows"],
    shards: Sequence[Path],
) -> dict[str, Any]:
    """The shares of rows and the number of candidates by which searches find their true neighbours.

    A neighbour is scanned if the cells with better scores hold less than the share, and compared if fewer candidates
    are better by their codes. Neighbours in the query's own file do not count: those of a new sound are harder to find.
    """
    queries, itself = sample_queries(vectors, parts)
    together = np.arange(len(queries)) < (len(queries) if len(parts) == 1 else len(queries) // (1 + len(parts)))
    _, neighbours = nearest(
        vectors,
        queries,
        (np.searchsorted(files, files[itself]), np.searchsorted(files, files[itself], "right")),
        min(_NEIGHBOURS[-1], len(vectors) - 1),
    )
    sizes = np.bincount(numbers, minlength=cells.count)
    scanned = np.empty(neighbours.shape)
    for query, found, rank in zip(queries, neighbours, scanned, strict=True):
        scores = cells.scores(query)
        order = np.argsort(-scores)
        held = np.empty(len(order))
        held[order] = np.cumsum(sizes[order]) / len(vectors)
        rank[:] = held[numbers[found]]
    shares = {
        name: [float(np.quantile(scanned[some, :k], _WANTED)) for k in _NEIGHBOURS]
        for name, some in {"all": together, "one": ~together if len(parts) > 1 else together}.items()
    }
    lists = PartLists(cells, sizes, [_Plain(shard) for shard in shards], {"shares": shares, "candidates": _MOST})
    compared = []
    for query, own, found, alike in zip(queries, itself, neighbours, together, strict=True):
        rows = lists.search(query, _MOST, shares["all" if alike else "one"][0])
        rows = rows[files[rows] != files[own]]
        places = np.flatnonzero(np.isin(rows, found[: _NEIGHBOURS[0]]))
        compared += [*places, *[_MOST] * (min(_NEIGHBOURS[0], len(found)) - len(places))]
    candidates = int(np.clip(np.quantile(compared, _WANTED - _LOST_BY_CODES) + 1, _FEWEST, _MOST))
    return {"shards": len(shards), "shares": shares, "candidates": candidates}


@dataclass
class _Plain:
    """A file that was just written, which needs no check."""

    path: Path

    def check_all(self) -> None:
        """Nothing."""


def _scan(
    index: Any,
    cells: Int[np.ndarray, " n"],
    query: Float32[np.ndarray, " dim"],
    count: int,
    admitted: UInt8[np.ndarray, " bytes"] | None,
) -> tuple[Float32[np.ndarray, " count"], Int[np.ndarray, " count"]]:
    """The best rows of some lists of a shard by their codes, with their products; -1 where there are fewer."""
    import faiss

    products, rows = np.full((1, count), -np.inf, np.float32), np.full((1, count), -1, np.int64)
    if len(cells):
        lists, distances = np.ascontiguousarray(cells, np.int64), np.zeros(len(cells), np.float32)
        settings: dict[str, Any] = {"nprobe": len(cells)}
        if admitted is not None:
            settings["sel"] = faiss.IDSelectorBitmap(len(admitted), faiss.swig_ptr(admitted))
        given = _even(query[None])
        pointers = [faiss.swig_ptr(array) for array in (lists, distances, products, rows)]
        # Not by the wrapper of Python, which takes no selector.
        index.search_preassigned_c(
            1, faiss.swig_ptr(given), count, *pointers, False, faiss.SearchParametersIVF(**settings)
        )
    return products[0], rows[0]


def _even(vectors: Float32[np.ndarray, "rows dim"]) -> Float32[np.ndarray, "rows _dim"]:
    """Vectors with a column of zeros where the number of columns is odd."""
    return np.ascontiguousarray(np.pad(vectors, ((0, 0), (0, vectors.shape[1] % 2))))
