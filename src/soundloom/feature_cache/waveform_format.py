"""Storage of waveforms in block floating point, for objectives that change sounds before the front-end.

A row is a stretch of 10 ms, as 16-bit shares of its loudest sample and that sample's 32767th, a float32: block
floating point. A sample is wrong by at most 1 / 65534 of the loudest within its 10 ms, 96 dB below it, so that a
front-end that looks 80 dB down (`MFCC`) sees the sound and not the rounding; and a kept hour takes 117 MB at 16 kHz,
about half of float32.

When not: an objective that takes sounds as they are. The representation is then computed once (`Represented`), not in
every step.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Shaped
from numpy.typing import NDArray
from torch import Tensor

from soundloom.embedder import Stream, Window
from soundloom.errors import FeatureCacheError, InvalidArgumentError
from soundloom.feature_cache.chunks import overlapping
from soundloom.feature_cache.formats import CHUNK_SECONDS, Form, form_of
from soundloom.frontends import Frontend

__all__ = ["Samples", "editable_form_of"]

SECONDS = 0.01
"""Length of a row."""

_LARGEST = 32767

# The two 16-bit places at the end of a row that hold its float32.
_UNIT = 2

# Rows that are encoded at once.
_ROWS = 1000


class Samples(Form):
    """Stretches of 10 ms of the waveform; what is left at the end is filled with silence.

    Args:
        sample_rate: of the waveforms, in hertz.

    Attributes:
        row: samples of a row.
        hop: seconds from one row to the next.

    Raises:
        InvalidArgumentError: 10 ms are not a whole number of samples.
    """

    dtype = np.dtype(np.int16)
    sounds_are = "waveforms"

    def __init__(self, sample_rate: int) -> None:
        self.row = round(SECONDS * sample_rate)
        if self.row * round(1 / SECONDS) != sample_rate:
            raise InvalidArgumentError(f"a row is {SECONDS} s, which at {sample_rate} Hz is no whole number of samples")
        self.hop = SECONDS
        self.sample_rate = sample_rate
        self.min_samples = 1
        self.shape = (self.row + _UNIT,)

    def settings(self) -> dict[str, Any]:
        """The rate and the row."""
        return {"form": "samples", "sample_rate": self.sample_rate, "row": self.row, "largest": _LARGEST}

    def keep_blocks(self, blocks: Iterable[NDArray[np.float32]]) -> NDArray[np.int16]:
        """The codes of every stretch, ``[rows, row + 2]``."""
        size = _ROWS * self.row
        kept = [
            self._encode(piece)
            for piece, last in overlapping(blocks, size=size, step=size, enough=size)
            if len(piece) or not last
        ]
        if not kept:
            raise InvalidArgumentError("a clip without samples has no rows: leave it out")
        return np.concatenate(kept)

    def restore(self, kept: Tensor) -> Tensor:
        """The samples, ``[..., row]``."""
        units = kept[..., self.row :].contiguous().view(torch.float32)
        return kept[..., : self.row].float() * units

    def sounds(self, kept: Shaped[Tensor, "batch rows *shape"]) -> Float[Tensor, "batch samples"]:
        """Waveforms."""
        return super().sounds(kept).flatten(1)

    def window_rows(self, window: Window | None) -> int:  # noqa: ARG002 (the front-end is part of every step)
        """Those of `CHUNK_SECONDS`."""
        return round(CHUNK_SECONDS / self.hop)

    def represent(
        self, sounds: Float[Tensor, "batch samples"], frontend: Frontend
    ) -> Float[Tensor, "batch channel frequency time"]:
        """The front-end's output."""
        representation: Tensor = frontend(sounds)
        return representation

    def _encode(self, samples: NDArray[np.float32]) -> NDArray[np.int16]:
        if not np.isfinite(samples).all():
            raise FeatureCacheError("the sound has samples that are no numbers: convert it anew, or leave it out")
        rows = np.pad(samples, (0, -len(samples) % self.row)).reshape(-1, self.row)
        units = (np.abs(rows).max(axis=1, keepdims=True) / _LARGEST).astype(np.float32)
        codes = np.round(np.divide(rows, units, out=np.zeros_like(rows), where=units > 0))
        # A unit that has no more digits (a sound below 1e-38) may leave its codes too large.
        shares = codes.clip(-_LARGEST, _LARGEST).astype(np.int16)
        return np.concatenate([shares, units.view(np.int16)], axis=1)


def editable_form_of(stream: Stream) -> Form:
    """How clips are stored for objectives that make new sounds of them: energies where there are some, else samples."""
    form = form_of(stream) if stream.frontend.base.storage_form == "energies" else None
    return form or Samples(stream.sample_rate)
