"""The unchanging files of an index, opened: its table of rows, its vectors, and what finds them.

A process that has it open goes on using it while the log of changes grows (`soundloom.library.row_log`).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from soundloom.library.row_log.merged_rows import FixedRows, MergedRows
from soundloom.library.search.vector_index.cells import Cells
from soundloom.library.search.vector_index.checked_matrix import CheckedMatrix
from soundloom.library.search.vector_index.codes import Codes
from soundloom.library.search.vector_index.index_files import NORMS_FILE, ROWS_FILE, VECTORS_FILE, IndexFiles
from soundloom.library.search.vector_index.part_lists import PartLists, open_lists
from soundloom.library.search.vector_index.standardisation import Standardisation

__all__ = ["IndexBase"]


class IndexBase:
    """The files of an index, opened.

    Args:
        files: the files.

    Attributes:
        files: as given.
        parts: part name -> its columns.
        rows: path, start, end, duration, tags, notices and row id of every row, ordered by path and start.
        standardisation: of the embeddings.
        sample: raw embeddings of every n-th row.
        vectors: standardised embeddings.
        norms: lengths of their parts before these had unit length, if they are known.
        cells: the inverted file, if there is one.
        codes: the product codes, if there are some.
        lists: the lists of a large index.
        is_exact: whether searches compare every row.

    Raises:
        CacheDamagedError: a file is not as it was written.
    """

    def __init__(self, files: IndexFiles) -> None:
        manifest = files.manifest
        self.files = files
        self.parts = {name: slice(*columns) for name, columns in manifest["parts"].items()}
        self.rows = FixedRows(files.table(ROWS_FILE))
        scaling = files.arrays("scaling.npz")
        self.standardisation = Standardisation(scaling["mean"], scaling["scale"], self.parts)
        self.sample: Float[np.ndarray, "sampled dim"] = files.arrays("sample.npy")
        self.vectors = CheckedMatrix(files.open(VECTORS_FILE))
        self.norms = CheckedMatrix(files.open(NORMS_FILE)) if NORMS_FILE in manifest["files"] else None
        self.cells: Cells | None = None
        if manifest["cells"] is not None:
            self.cells = Cells(files.open("cells.faiss"), *manifest["cells"])
        self.codes: Codes | None = None
        if manifest.get("codes") is not None:
            self.codes = Codes(files.open("codes.faiss"), manifest["codes"])
        self.is_exact = bool(manifest.get("exact"))
        self.lists: PartLists | None = None
        if (settings := manifest.get("lists")) is not None:
            lists = [files.open(f"lists-{number}.bin") for number in range(len(self.parts))]
            self.lists = open_lists(files.arrays("cells.npz"), self.parts, lists, settings)

    @classmethod
    def of(cls, files: IndexFiles, earlier: IndexBase | None) -> IndexBase:
        """What is open already, if the files have the same manifest as that; otherwise these files, opened."""
        return earlier if earlier is not None and earlier.files.manifest is files.manifest else cls(files)

    def follow(self, files: IndexFiles) -> MergedRows:
        """The rows with the changes in the log of files of the same manifest."""
        return MergedRows(self.rows, files.log)

    def check(self) -> None:
        """Compare every block of every file with its checksum.

        Raises:
            CacheDamagedError: one differs.
        """
        for file in (self.vectors, self.norms, self.cells, self.codes, self.lists):
            if file is not None:
                file.check()
