"""Journal of a detection: probabilities of every window that is done, so that a killed run goes on there.

A file for each piece of a recording: a line of JSON that says what was computed from what, then a float32 for every
label of every window, in order. Windows that were written in part when the process ended are computed again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from jaxtyping import Float32

__all__ = ["PieceJournal"]


class PieceJournal:
    """The windows of a piece of a recording that are done.

    Args:
        folder: where journals lie; None: nothing is written, and nothing is remembered.
        key: all that decides the probabilities: the detector, the file with its size and time, the piece.
        labels: how many numbers a window has.
    """

    def __init__(self, folder: Path | None, key: Mapping[str, Any], labels: int) -> None:
        self._labels = labels
        self._stream = None
        self._done = np.zeros((0, labels), np.float32)
        if folder is None:
            return
        head = json.dumps(key, sort_keys=True).encode() + b"\n"
        file = folder / f"{hashlib.sha256(head).hexdigest()[:24]}.windows"
        folder.mkdir(parents=True, exist_ok=True)
        held = file.read_bytes() if file.is_file() else b""
        if not held.startswith(head):
            held = head
            file.write_bytes(head)
        rows = (len(held) - len(head)) // (4 * labels)
        whole = held[len(head) : len(head) + 4 * labels * rows]
        self._done = np.frombuffer(whole, "<f4").reshape(rows, labels).astype(np.float32)
        os.truncate(file, len(head) + len(whole))
        self._stream = open(file, "ab")  # noqa: SIM115 (closed by __exit__)

    @property
    def done(self) -> Float32[np.ndarray, "windows labels"]:
        """The probabilities of the windows that were done when the journal was opened."""
        return self._done

    def append(self, rows: Float32[np.ndarray, "windows labels"]) -> None:
        """Note windows that follow those before.

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
