"""Journal of rows that are computed one after another, so that a run that was killed goes on there.

A file for each sequence of rows: a line of JSON that says what was computed from what, then the float32 values of every
row, in order. A row that was written in part when the process ended is computed again. Every row has its place in the
file: of several processes that compute the same rows at the same time, each writes what the others write.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from jaxtyping import Float32

__all__ = ["RowJournal"]


class RowJournal:
    """The rows of a sequence that are done.

    Args:
        folder: where journals lie; None: nothing is written, and nothing is remembered.
        key: all that decides the rows.
        columns: how many numbers a row has.
        suffix: of the file.
    """

    def __init__(self, folder: Path | None, key: Mapping[str, Any], columns: int, *, suffix: str = ".rows") -> None:
        self._stream = None
        self._done = np.zeros((0, columns), np.float32)
        if folder is None:
            return
        head = json.dumps(key, sort_keys=True).encode() + b"\n"
        file = folder / f"{hashlib.sha256(head).hexdigest()[:24]}{suffix}"
        folder.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError), open(file, "xb") as new:
            new.write(head)
        held = file.read_bytes()
        if not held.startswith(head):
            held = head
            file.write_bytes(head)
        rows = (len(held) - len(head)) // (4 * columns)
        whole = held[len(head) : len(head) + 4 * columns * rows]
        self._done = np.frombuffer(whole, "<f4").reshape(rows, columns).astype(np.float32)
        self._stream = open(file, "r+b")  # noqa: SIM115 (closed by __exit__)
        self._stream.seek(len(head) + len(whole))

    @property
    def done(self) -> Float32[np.ndarray, "rows columns"]:
        """The rows that were done when the journal was opened."""
        return self._done

    def append(self, rows: Float32[np.ndarray, "rows columns"]) -> None:
        """Note rows that follow those before.

        Raises:
            OSError: they cannot be written.
        """
        if self._stream is not None:
            self._stream.write(np.ascontiguousarray(rows, "<f4").tobytes())
            self._stream.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._stream is not None:
            self._stream.close()
