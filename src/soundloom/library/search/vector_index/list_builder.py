"""Building the lists of `vector_index.part_lists` in bounded memory, and measuring how to search them.

Vectors are read once in their order, for cells and codes, which are then gathered by cells some million rows at a time.

How many rows a search scans and compares is measured with rows of the library as queries: by all parts together, by one
alone and by one against the others, for 10, 100 and 1000 neighbours. A filter that leaves one row in ten needs the rows
of 100 neighbours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Int, UInt8

from soundloom.library.search.vector_index.codes import even_columns
from soundloom.library.search.vector_index.part_cells import PartCells, cell_count
from soundloom.library.search.vector_index.part_lists import BLOCK_ROWS, NEIGHBOURS, PartLists, empty_index
from soundloom.library.search.vector_index.recall import nearest, sample_queries
from soundloom.system_errors import one_line_errors

__all__ = ["build_lists", "packed_codes"]

_CODES_TRAINED_ON = 2**14
_ROWS_AT_ONCE = 2**21
"""Rows of lists that are made in memory, and then written."""
_INTERLEAVED = np.array([0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15])
_BATCH = 2**15
_CODES = "codes.tmp"
"""Codes of all rows until they are in lists."""
_QUERIES = 96
_FEWEST, _MOST = 128, 4096
"""Candidates of ten neighbours."""
_SCANNED, _COMPARED = 0.99, 0.98
"""Recall of ten neighbours among the rows that are scanned, and among those that are compared."""


def build_lists(
    vectors: Float[np.ndarray, "rows dim"], parts: Mapping[str, slice], files: Int[np.ndarray, " rows"], folder: Path
) -> dict[str, Any]:
    """Write the lists of standardised embeddings: ``cells.npz`` and ``lists-N.bin``.

    Args:
        vectors: the embeddings, in half precision.
        parts: part name -> its columns.
        files: the number of each row's file, ascending.
        folder: where to write.

    Returns:
        What `PartLists` needs to know.

    Raises:
        ResourceError: a file cannot be written.
    """
    import faiss

    count = cell_count(len(vectors))
    used = min(len(vectors), max(PartCells.trained_on(count), _CODES_TRAINED_ON))
    sample = vectors[np.sort(np.random.default_rng(0).choice(len(vectors), used, replace=False))]
    cells = {name: PartCells.train(sample[:, columns], columns, count) for name, columns in parts.items()}
    coder = _trained(np.asarray(sample[:: -(-used // _CODES_TRAINED_ON)], np.float32))
    del sample
    codewords = faiss.vector_to_array(coder.pq.centroids)
    written: list[_Written] = []
    with one_line_errors(folder):
        codes, numbers = _coded(vectors, coder, cells, folder / _CODES)
        sizes = {name: np.bincount(own, minlength=count) for name, own in numbers.items()}
        for number, (name, own) in enumerate(numbers.items()):
            written.append(_Written(folder / f"lists-{number}.bin"))
            _write_lists(codes, np.argsort(own, kind="stable").astype(np.int32), sizes[name], written[-1].path)
        del codes
        (folder / _CODES).unlink()
        arrays: dict[str, Any] = {"codewords": codewords}
        for number, name in enumerate(parts):
            arrays |= {f"centroids_{number}": cells[name].centroids, f"sizes_{number}": sizes[name]}
        np.savez(folder / "cells.npz", **arrays)
    queries = _Queries.draw(vectors, parts, files)
    shares = queries.shares(cells, numbers, sizes)
    lists = PartLists(cells, sizes, codewords, written, {"shares": shares, "candidates": {}})
    return {"shares": shares, "candidates": queries.candidates(lists, shares, files)}


def packed_codes(codes: UInt8[np.ndarray, "rows bytes"]) -> UInt8[np.ndarray, "blocks bytes 32"]:
    """Codes as the scan of FAISS reads them: 32 rows a block, both numbers of a byte apart, rows interleaved.

    FAISS packs codes only together with an assignment to cells by its own quantiser, which is another than ours.

    Args:
        codes: two codes a byte; a multiple of 32 rows.
    """
    packed = np.empty((len(codes) // BLOCK_ROWS, codes.shape[1], BLOCK_ROWS), np.uint8)
    for first in range(0, len(packed), _BATCH // BLOCK_ROWS):
        some = slice(first, first + _BATCH // BLOCK_ROWS)
        rows = codes[first * BLOCK_ROWS : some.stop * BLOCK_ROWS]
        bytes_first = rows.reshape(-1, BLOCK_ROWS, codes.shape[1]).transpose(0, 2, 1)
        for half, numbers in enumerate((bytes_first & 15, bytes_first >> 4)):
            interleaved = numbers[..., _INTERLEAVED] | (numbers[..., _INTERLEAVED + 16] << 4)
            packed[some, :, 16 * half : 16 * (half + 1)] = interleaved
    return packed


@dataclass(frozen=True)
class _Queries:
    """Rows as queries, with their true neighbours; those in the query's own file do not count, as a new sound has none.

    Attributes:
        queries: standardised, with the parts as they are weighted.
        rows: the row that each is.
        kinds: how each is weighted: "all" parts alike, "one" alone, or one "against" the others.
        neighbours: the rows of the largest products with each.
    """

    queries: Float32[np.ndarray, "queries dim"]
    rows: Int[np.ndarray, " queries"]
    kinds: list[str]
    neighbours: Int[np.ndarray, "queries neighbours"]

    @classmethod
    def draw(
        cls, vectors: Float[np.ndarray, "rows dim"], parts: Mapping[str, slice], files: Int[np.ndarray, " rows"]
    ) -> _Queries:
        """Choose queries, and find their neighbours by comparing every row."""
        queries, rows = sample_queries(vectors, parts, _QUERIES)
        drawn = len(queries) // (1 + len(parts) if len(parts) > 1 else 1)
        kinds = ["all"] * drawn + ["one"] * (len(queries) - drawn)
        if len(parts) > 1:
            against = -queries[:drawn]
            against[:, next(iter(parts.values()))] *= -1
            queries, rows = np.concatenate([queries, against]), np.concatenate([rows, rows[:drawn]])
            kinds += ["against"] * drawn
        own = np.searchsorted(files, files[rows]), np.searchsorted(files, files[rows], "right")
        _, neighbours = nearest(vectors, queries, own, min(NEIGHBOURS[-1], len(vectors) - 1))
        return cls(queries, rows, kinds, neighbours)

    def shares(
        self,
        cells: Mapping[str, PartCells],
        numbers: Mapping[str, Int[np.ndarray, " rows"]],
        sizes: Mapping[str, Int[np.ndarray, " cells"]],
    ) -> dict[str, list[float]]:
        """For each kind the shares of rows by which searches for `NEIGHBOURS` find enough of them.

        A neighbour is scanned if the lists with better scores than one of its own hold fewer rows.
        """
        scanned: dict[str, list[np.ndarray]] = {kind: [] for kind in self.kinds}
        for query, found, kind in zip(self.queries, self.neighbours, self.kinds, strict=True):
            own = {name: some for name, some in cells.items() if query[some.columns].any()} or cells
            scores = np.concatenate([some.scores(query) for some in own.values()])
            every = np.concatenate([sizes[name] for name in own])
            order = np.argsort(-scores)
            held = np.empty(len(order))
            held[order] = np.cumsum(every[order]) / len(next(iter(numbers.values())))
            firsts = np.cumsum([0, *(len(some.centroids) for some in own.values())])
            lists = [first + numbers[name][found] for first, name in zip(firsts, own, strict=False)]
            scanned[kind].append(held[np.array(lists)].min(axis=0))
        return {
            kind: [float(np.quantile(np.array(some)[:, :k], _SCANNED)) for k in NEIGHBOURS]
            for kind, some in scanned.items()
        }

    def candidates(
        self, lists: PartLists, shares: Mapping[str, list[float]], files: Int[np.ndarray, " rows"]
    ) -> dict[str, int]:
        """For each kind how many of the best rows by their codes hold enough of ten neighbours."""
        compared: dict[str, list[int]] = {kind: [] for kind in self.kinds}
        for query, row, kind, found in zip(self.queries, self.rows, self.kinds, self.neighbours, strict=True):
            best = lists.search(query, _MOST, shares[kind][0])
            places = np.flatnonzero(np.isin(best[files[best] != files[row]], found[: NEIGHBOURS[0]]))
            compared[kind] += [*places.tolist(), *[_MOST] * (min(NEIGHBOURS[0], len(found)) - len(places))]
        return {kind: int(np.clip(np.quantile(some, _COMPARED) + 1, _FEWEST, _MOST)) for kind, some in compared.items()}


@dataclass
class _Written:
    """A file that was just written, which needs no check."""

    path: Path

    def check_all(self) -> None:
        """Nothing."""

    def is_at(self, path: Path) -> bool:
        """It is: nobody else knows it."""
        return path == self.path


def _trained(sample: Float32[np.ndarray, "rows dim"]) -> Any:
    """An index without lists whose codes are trained."""
    given = even_columns(sample)
    index = empty_index(given.shape[1])
    index.pq.cp.seed, index.pq.cp.min_points_per_centroid = 0, 1
    index.pq.train(given)
    return index


def _coded(
    vectors: Float[np.ndarray, "rows dim"], coder: Any, cells: Mapping[str, PartCells], file: Path
) -> tuple[UInt8[np.ndarray, "rows bytes"], dict[str, Int[np.ndarray, " rows"]]]:
    """The codes of all rows, in a file, and their cells by part."""
    codes = np.memmap(file, np.uint8, "w+", shape=(len(vectors), coder.code_size))
    numbers = {name: np.empty(len(vectors), np.int32) for name in cells}
    for first in range(0, len(vectors), _BATCH):
        some = np.asarray(vectors[first : first + _BATCH], np.float32)
        codes[first : first + len(some)] = coder.pq.compute_codes(even_columns(some))
        for name, own in cells.items():
            numbers[name][first : first + len(some)] = own.cells_of(some)
    return codes, numbers


def _write_lists(
    codes: UInt8[np.ndarray, "rows bytes"],
    order: Int[np.ndarray, " rows"],
    sizes: Int[np.ndarray, " cells"],
    file: Path,
) -> None:
    """Write the lists of a part.

    Args:
        codes: of all rows.
        order: the rows in the order of their cells.
        sizes: rows of each cell.
        file: where to write.
    """
    padded = -(-sizes // BLOCK_ROWS) * BLOCK_ROWS
    first_row, first_slot = (np.concatenate([[0], np.cumsum(some)]) for some in (sizes, padded))
    with open(file, "wb") as out:
        start = 0
        while start < len(sizes):
            stop = max(start + 1, int(np.searchsorted(first_row, first_row[start] + _ROWS_AT_ONCE, "right")) - 1)
            rows = order[first_row[start] : first_row[stop]]
            # Every list begins a block of its own.
            shift = first_slot[start:stop] - first_slot[start] - first_row[start:stop] + first_row[start]
            slots = np.arange(len(rows)) + np.repeat(shift, sizes[start:stop])
            own = np.zeros((first_slot[stop] - first_slot[start], codes.shape[1]), np.uint8)
            ids = np.full(len(own), -1, np.int64)
            own[slots], ids[slots] = codes[rows], rows
            packed = packed_codes(own)
            for slot, end in pairwise((first_slot[start : stop + 1] - first_slot[start]).tolist()):
                out.write(packed[slot // BLOCK_ROWS : end // BLOCK_ROWS].tobytes())
                out.write(ids[slot:end].tobytes())
            start = stop
