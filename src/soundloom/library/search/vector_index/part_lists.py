"""Inverted files of product codes, one for each part of the embeddings, over millions of rows, with FAISS.

Every part has cells of its own, many and small (`vector_index.part_cells`), and every row is in one list of each part.
What is near by a weighted sum is near by one of its parts at least, so a search scans the lists of the parts whose
centroids have the largest products with the weighted query: one that is steered by a part scans the lists of that part.

A list holds codes of 2 bits a number, of which each belongs to one part (`vector_index.codes`); they are scanned in
registers (Quick ADC, André 2017), from a file that is mapped into memory. The best rows by their codes are then
compared exactly. How many are scanned and compared is measured when the lists are built (`vector_index.list_builder`).

The lists of a part follow each other in a file: of each its codes, 32 rows a block as FAISS packs them, of which the
last may be empty in part, and a number of 64 bits for each row of the blocks.

When not: below a million rows, where `cells` and `codes` are quicker to build and as quick to search.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from math import log, sqrt
from pathlib import Path
from threading import Lock
from typing import Any, Protocol

import numpy as np
from jaxtyping import Float, Float32, Int, UInt8

from soundloom.errors import CacheDamagedError
from soundloom.library.search.vector_index.codes import even_columns
from soundloom.library.search.vector_index.part_cells import PartCells
from soundloom.library.storage.block_checksums import CheckedFile

__all__ = ["BLOCK_ROWS", "NEIGHBOURS", "ListFile", "PartLists", "empty_index", "open_lists"]

NEIGHBOURS = (10, 100, 1000)
"""Numbers of neighbours for which is measured how many rows a search has to scan."""
BLOCK_ROWS = 32
_BINS = 1024
_THREADS = os.cpu_count() or 1


class ListFile(Protocol):
    """A file of lists that can be checked: one of an index, or one that was just written."""

    path: Path

    def check_all(self) -> None:
        """See `CheckedFile.check_all`."""

    def is_at(self, path: Path) -> bool:
        """See `CheckedFile.is_at`."""


class PartLists:
    """Lists on disk.

    Args:
        cells: part name -> its cells.
        sizes: part name -> rows of each cell.
        codewords: centroids of the codes.
        files: of each part's lists.
        settings: what `list_builder.build_lists` returned.
    """

    def __init__(
        self,
        cells: Mapping[str, PartCells],
        sizes: Mapping[str, Int[np.ndarray, " cells"]],
        codewords: Float32[np.ndarray, " n"],
        files: Sequence[ListFile],
        settings: Any,
    ) -> None:
        self._cells = cells
        self._sizes = {name: some.astype(np.float64) for name, some in sizes.items()}
        self._codewords = codewords
        self._files = dict(zip(cells, files, strict=True))
        self._shares: dict[str, list[float]] = settings["shares"]
        self._candidates: dict[str, int] = settings["candidates"]
        self._rows = int(next(iter(sizes.values())).sum())
        self._lock = Lock()
        self._opened: dict[str, Any] | None = None

    @cached_property
    def _threads(self) -> ThreadPoolExecutor:
        import faiss

        return ThreadPoolExecutor(_THREADS, "soundloom-lists", faiss.omp_set_num_threads, (1,))

    def check(self) -> None:
        """Compare all files with their checksums.

        Raises:
            CacheDamagedError: one is not as it was written.
        """
        for file in self._files.values():
            file.check_all()

    def share(self, weights: Mapping[str, float], k: int, admitted: int) -> float:
        """How many rows are scanned, as a share of all.

        Args:
            weights: of the parts.
            k: neighbours that are to be found.
            admitted: rows that may be found.
        """
        shares = np.max([self._shares[kind] for kind in self._kinds(weights)], axis=0)
        # As hard as finding so many among all rows.
        among_all = max(NEIGHBOURS[0], k * self._rows / max(1, admitted))
        if among_all > NEIGHBOURS[-1]:
            return min(1.0, float(shares[-1]) * sqrt(among_all / NEIGHBOURS[-1]))
        return float(np.exp(np.interp(log(among_all), np.log(NEIGHBOURS), np.log(shares))))

    def candidates(self, weights: Mapping[str, float], k: int) -> int:
        """How many rows are compared exactly.

        Args:
            weights: of the parts.
            k: neighbours that are to be found.
        """
        of_ten = max(self._candidates[kind] for kind in self._kinds(weights))
        return max(round(of_ten * max(1.0, k / NEIGHBOURS[0])), k)

    def _kinds(self, weights: Mapping[str, float]) -> list[str]:
        """The measured kinds of queries between which these weights lie."""
        if min(weights.values()) < 0:
            return list(self._shares)
        counted = len([weight for weight in weights.values() if weight])
        return ["one"] if counted == 1 else ["all"] if len(set(weights.values())) == 1 else ["all", "one"]

    def search(
        self,
        weighted: Float32[np.ndarray, " dim"],
        count: int,
        share: float,
        admitted: UInt8[np.ndarray, " bytes"] | None = None,
    ) -> Int[np.ndarray, " n"]:
        """The rows of the largest products with a weighted query, largest first, as the codes in the best lists show.

        Args:
            weighted: the query.
            count: how many, at most.
            share: how many rows are scanned, as a share of all.
            admitted: a bit for every row that may be found; all if not given.

        Raises:
            CacheDamagedError: the files on disk are not as they were written.
        """
        opened = self._indexes()
        work = [
            (opened[name], some)
            for name, chosen in self._best_lists(weighted, share).items()
            for some in np.array_split(chosen, _THREADS)
        ]
        found = list(self._threads.map(lambda one: _scan(one[0], one[1], weighted, count, admitted), work))
        products, rows = (np.concatenate(some) for some in zip(*found, strict=True))
        rows = rows[np.argsort(-products, kind="stable")]
        # A row is found by several of its parts, with the same product.
        distinct, first_place = np.unique(rows, return_index=True)
        return np.asarray(rows[np.sort(first_place[distinct >= 0])[:count]])

    def scores(self, weighted: Float32[np.ndarray, " dim"]) -> dict[str, Float32[np.ndarray, " cells"]]:
        """The scores of every part's lists; parts that do not count have none."""
        counted = {name: cells for name, cells in self._cells.items() if weighted[cells.columns].any()}
        scores = self._threads.map(lambda cells: cells.scores(weighted), counted.values())
        return dict(zip(counted, scores, strict=True))

    def _best_lists(self, weighted: Float32[np.ndarray, " dim"], share: float) -> dict[str, Int[np.ndarray, " n"]]:
        """By part the lists of the highest scores that together hold so many rows; found by a histogram of scores."""
        scores = self.scores(weighted)
        chosen = {name: np.zeros(0, np.int64) for name in self._cells}
        if not scores or share >= 1:
            # The lists of one part hold all rows.
            name = next(iter(scores), next(iter(chosen)))
            return chosen | {name: np.flatnonzero(self._sizes[name])}
        least, most = min(some.min() for some in scores.values()), max(some.max() for some in scores.values())
        bins = {
            name: ((some - least) * ((_BINS - 1) / max(1e-12, most - least))).astype(np.int64)
            for name, some in scores.items()
        }
        rows = np.sum([np.bincount(some, self._sizes[name], _BINS) for name, some in bins.items()], axis=0)
        limit = _BINS - 1 - int(np.searchsorted(np.cumsum(rows[::-1]), share * self._rows))
        return chosen | {name: np.flatnonzero((some >= limit) & (self._sizes[name] > 0)) for name, some in bins.items()}

    def _indexes(self) -> dict[str, Any]:
        with self._lock:
            if self._opened is None:
                self.check()
                self._opened = {
                    name: _mapped(self._sizes[name], self._codewords, file.path) for name, file in self._files.items()
                }
                for file in self._files.values():
                    if not file.is_at(file.path):
                        self._opened = None
                        raise CacheDamagedError(f"{str(file.path)!r} was replaced while it was opened")
            return self._opened


def open_lists(
    arrays: Mapping[str, np.ndarray], parts: Mapping[str, slice], files: Sequence[CheckedFile], settings: Any
) -> PartLists:
    """The lists that `build_lists` wrote.

    Args:
        arrays: of ``cells.npz``.
        parts: part name -> its columns.
        files: the other files, in their order.
        settings: what it returned.
    """
    cells = {name: PartCells(parts[name], arrays[f"centroids_{number}"]) for number, name in enumerate(parts)}
    sizes = {name: arrays[f"sizes_{number}"] for number, name in enumerate(parts)}
    return PartLists(cells, sizes, arrays["codewords"], files, settings)


def empty_index(dim: int, lists: int = 1) -> Any:
    """An index of FAISS of so many empty lists, whose codes are to be trained or copied."""
    import faiss

    index: Any = faiss.IndexIVFPQFastScan(faiss.IndexFlatIP(dim), dim, lists, dim // 2, 4, faiss.METRIC_INNER_PRODUCT)
    index.by_residual = False
    index.is_trained = True
    return index


def _mapped(sizes: Float[np.ndarray, " cells"], codewords: Float32[np.ndarray, " n"], file: Path) -> Any:
    """An index over the lists in a file, which is mapped into memory."""
    import faiss

    index = empty_index(len(codewords) // 16, len(sizes))
    faiss.copy_array_to_vector(codewords, index.pq.centroids)
    lists: Any = faiss.OnDiskInvertedLists(len(sizes), index.code_size, str(file))
    padded = (-(-sizes // BLOCK_ROWS) * BLOCK_ROWS).astype(np.uint64)
    lists.set_all_lists_sizes(faiss.swig_ptr(padded))
    for number, size in enumerate(sizes.astype(np.int64).tolist()):
        lists.lists.at(number).size = size
    lists.read_only, lists.prefetch_nthread, lists.totsize = True, 0, file.stat().st_size
    lists.do_mmap()
    lists.this.disown()  # FAISS owns them now
    index.replace_invlists(lists, True)
    index.ntotal = int(sizes.sum())
    return index


def _scan(
    index: Any,
    lists: Int[np.ndarray, " n"],
    query: Float32[np.ndarray, " dim"],
    count: int,
    admitted: UInt8[np.ndarray, " bytes"] | None,
) -> tuple[Float32[np.ndarray, " count"], Int[np.ndarray, " count"]]:
    """The best rows of some lists by their codes, with their products; -1 where there are fewer."""
    import faiss

    products, rows = np.full((1, count), -np.inf, np.float32), np.full((1, count), -1, np.int64)
    if len(lists):
        chosen, distances = np.ascontiguousarray(lists, np.int64), np.zeros(len(lists), np.float32)
        settings: dict[str, Any] = {"nprobe": len(lists)}
        if admitted is not None:
            settings["sel"] = faiss.IDSelectorBitmap(len(admitted), faiss.swig_ptr(admitted))
        given = even_columns(query[None])
        pointers = [faiss.swig_ptr(array) for array in (chosen, distances, products, rows)]
        # Not by the wrapper of Python, which takes no selector.
        index.search_preassigned_c(
            1, faiss.swig_ptr(given), count, *pointers, False, faiss.SearchParametersIVF(**settings)
        )
    return products[0], rows[0]
