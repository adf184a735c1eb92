"""Inverted file (IVF) over standardised embeddings, with FAISS: a query visits only the cells nearest to it.

How many cells a query must visit for a recall of 0.995 is measured when the file is built, for plain and for weighted
queries, instead of guessed. The vectors of a cell lie together in the file, so a search touches few blocks of it; these
are checked before FAISS reads them through its memory map.
"""

from __future__ import annotations

from functools import partial
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Int, UInt8

from soundloom.errors import CacheDamagedError
from soundloom.library.search.vector_index.recall import RecallSample
from soundloom.library.storage.block_checksums import CheckedFile
from soundloom.system_errors import one_line_errors

__all__ = ["Cells", "build_cells", "top_rows"]

_BATCH = 8192


class Cells:
    """An inverted file on disk.

    Args:
        file: the file, whose header has been written by `build_cells`.
        probes: how many cells a query visits.
        header: bytes before the first cell.

    Raises:
        CacheDamagedError: the file is not as it was written.

    Attributes:
        probes: as given.
    """

    def __init__(self, file: CheckedFile, probes: int, header: int) -> None:
        import faiss

        self._file = file
        self.probes = probes
        # FAISS trusts the sizes in the header, so the header must be right before FAISS sees it.
        file.check(0, header)
        self._index: Any = faiss.read_index(str(file.path), faiss.IO_FLAG_MMAP)
        if not file.is_at(file.path):
            raise CacheDamagedError(f"{str(file.path)!r} was replaced while it was opened")
        self._first, self._stop = _byte_ranges(self._index)

    def check(self) -> None:
        """Compare the whole file with its checksums.

        Raises:
            CacheDamagedError: it is not as it was written.
        """
        self._file.check_all()

    def search(
        self, query: Float32[np.ndarray, " dim"], k: int, admitted: UInt8[np.ndarray, " bytes"] | None = None
    ) -> Int[np.ndarray, " n"]:
        """The rows of the largest inner products in the cells nearest a query, at most k.

        Args:
            query: weighted.
            k: how many, at most.
            admitted: a bit for every row that may be found; all if not given.

        Raises:
            CacheDamagedError: the cells on disk are not as they were written.
        """
        _, cells = self._index.quantizer.search(query[None], self.probes)
        cells = cells[0][cells[0] >= 0]
        self._file.check_ranges(self._first[cells], self._stop[cells])
        return _search(self._index, query, k, self.probes, admitted)


def build_cells(vectors: Float32[np.ndarray, "rows dim"], sample: RecallSample, file: Path) -> tuple[int, int] | None:
    """Write an inverted file; None if a query would have to visit most of its cells.

    Args:
        vectors: standardised embeddings.
        sample: queries that recall is measured by.
        file: where to write.

    Returns:
        How many cells a query must visit, and the bytes before the first cell in the file.

    Raises:
        ResourceError: the file cannot be written.
    """
    import faiss

    count, dim = vectors.shape
    cells = round(4 * sqrt(count))
    index = faiss.IndexIVFFlat(faiss.IndexFlatIP(dim), dim, cells, faiss.METRIC_INNER_PRODUCT)
    index.cp.seed = 0
    some = np.random.default_rng(0).choice(count, min(count, 40 * cells), replace=False)
    index.train(np.ascontiguousarray(vectors[np.sort(some)]))
    for first in range(0, count, _BATCH):
        index.add(np.ascontiguousarray(vectors[first : first + _BATCH]))
    probes = _measured_probes(index, sample, cells)
    if probes is None:
        return None
    with one_line_errors(file):
        faiss.write_index(index, str(file))
    offsets, _ = _byte_ranges(faiss.read_index(str(file), faiss.IO_FLAG_MMAP))
    return probes, int(offsets.min())


def top_rows(similarity: Float32[np.ndarray, " rows"], k: int) -> Int[np.ndarray, " k"]:
    """Positions of the k largest values, largest first; the earlier of two equals wins."""
    if k < len(similarity):
        kth = np.partition(similarity, len(similarity) - k)[len(similarity) - k]
        above = np.flatnonzero(similarity > kth)
        equal = np.flatnonzero(similarity == kth)[: k - len(above)]
        chosen = np.concatenate([above, equal])
    else:
        chosen = np.arange(len(similarity))
    return chosen[np.lexsort((chosen, -similarity[chosen]))]


def _byte_ranges(index: Any) -> tuple[Int[np.ndarray, " cells"], Int[np.ndarray, " cells"]]:
    """Where in the mapped file every cell begins and ends."""
    import faiss

    lists: Any = faiss.downcast_InvertedLists(index.invlists)
    entry = lists.code_size + 8  # the vector and its row number
    first = np.array([lists.lists.at(cell).offset for cell in range(lists.nlist)], np.int64)
    sizes = np.array([lists.lists.at(cell).size for cell in range(lists.nlist)], np.int64)
    return first, first + entry * sizes


def _measured_probes(index: Any, sample: RecallSample, cells: int) -> int | None:
    """The fewest cells by which queries find their true neighbours, also when only one part counts."""
    probes = 4
    while probes <= cells // 2:
        if sample.is_reached(partial(_search, index, probes=probes)):
            return probes
        probes *= 2
    return None


def _search(
    index: Any,
    query: Float32[np.ndarray, " dim"],
    k: int,
    probes: int,
    admitted: UInt8[np.ndarray, " bytes"] | None = None,
) -> Int[np.ndarray, " n"]:
    import faiss

    settings: dict[str, Any] = {"nprobe": probes}
    if admitted is not None:
        settings["sel"] = faiss.IDSelectorBitmap(len(admitted), faiss.swig_ptr(admitted))
    _, rows = index.search(query[None], k, params=faiss.SearchParametersIVF(**settings))
    return np.asarray(rows[0][rows[0] >= 0])
