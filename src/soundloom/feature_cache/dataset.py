"""A corpus whose clips are prepared, to be drawn from by clip and row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64, Shaped
from numpy.typing import NDArray
from torch import Tensor

from soundloom.errors import InvalidArgumentError
from soundloom.feature_cache.formats import Form
from soundloom.file_pool import Failed

__all__ = ["FeatureDataset"]


class FeatureDataset:
    """The clips of a corpus in a form, on disk, mapped into memory.

    Attributes:
        form: how the clips are kept.
        lengths: rows of every clip, in the corpus's order; 0 for a clip that could not be heard.
        failures: the clips that could not be heard, by their place in the corpus; a path and a reason each.
        fresh: how many clips were decoded now rather than found.
        seconds: how long it took.
    """

    def __init__(
        self,
        form: Form,
        rows: NDArray[Any],
        firsts: Int64[np.ndarray, " clips"],
        lengths: Int64[np.ndarray, " clips"],
        failures: Mapping[int, Failed[str]],
        *,
        fresh: int,
        seconds: float,
    ) -> None:
        self.form = form
        self.lengths = lengths
        self.failures = failures
        self.fresh = fresh
        self.seconds = seconds
        self._rows = rows
        self._firsts = firsts

    def __len__(self) -> int:
        return len(self.lengths)

    def __repr__(self) -> str:
        return (
            f"Prepared({len(self)} clips, {int(self.lengths.sum()):,} rows of {list(self.form.shape)} "
            f"{self.form.dtype}, {len(self.failures)} not heard)"
        )

    @property
    def nbytes(self) -> int:
        """Bytes of all rows of the corpus, a clip that occurs twice counted twice."""
        return int(self.lengths.sum()) * self.form.dtype.itemsize * int(np.prod(self.form.shape))

    def take(
        self, clips: Int64[np.ndarray, " windows"], starts: Int64[np.ndarray, " windows"], count: int
    ) -> Shaped[Tensor, "windows _count ..."]:
        """Windows of rows, as they are kept.

        Args:
            clips: the clip of each window, by its place in the corpus.
            starts: its first row.
            count: rows in a window; those beyond a clip's end are zero, which is silence.

        Returns:
            ``[windows, count, *shape]``.

        Raises:
            IndexError: a window begins before its clip, or there is no such clip.
        """
        if len(clips) and not (clips.min() >= 0 and clips.max() < len(self) and starts.min() >= 0 and count >= 1):
            raise IndexError(
                f"windows of {count} rows of clips {clips.min()} to {clips.max()} from row {starts.min()} on: there "
                f"are clips 0 to {len(self) - 1}, their rows are counted from 0, and a window has a row or more"
            )
        out = np.empty((len(clips), count, *self.form.shape), self.form.dtype)
        first = self._firsts[clips] + starts
        held = np.clip(self.lengths[clips] - starts, 0, count)
        # Slices, not one index array: a window lies in one piece, and is copied as such.
        for window, begin, rows in zip(out, first.tolist(), held.tolist(), strict=True):
            window[:rows] = self._rows[begin : begin + rows]
            if rows < count:
                window[rows:] = 0
        return torch.from_numpy(out)

    def restore(self, kept: Tensor) -> Float[Tensor, ...]:
        """What `take` gave, as float32; on the device where it lies."""
        return self.form.restore(kept)

    def windows(self, size: int, hop: int) -> tuple[Int64[np.ndarray, " windows"], Int64[np.ndarray, " windows"]]:
        """Where windows of so many rows lie: those that end within their clip, from each clip's first row on.

        Args:
            size: rows in a window; a clip with fewer has one window, from its first row on.
            hop: rows from one window to the next.

        Returns:
            The clip of each window and its first row, clip by clip. A clip that could not be heard has none.

        Raises:
            InvalidArgumentError: size or hop is less than a row.
        """
        if size < 1 or hop < 1:
            raise InvalidArgumentError(f"windows of {size} rows every {hop} rows: both must be at least 1")
        counts = np.where(self.lengths > 0, np.maximum(self.lengths - size, 0) // hop + 1, 0)
        clips = np.repeat(np.arange(len(self)), counts)
        before = np.repeat(np.cumsum(counts) - counts, counts)
        return clips, (np.arange(len(clips)) - before) * hop
