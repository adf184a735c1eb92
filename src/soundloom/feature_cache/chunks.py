"""Overlapping pieces of a waveform that comes in blocks.

Not `audio.segments`, which joins a short rest to the last segment: here pieces are all of one length, and what to do
with the rest is for the form to say.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

__all__ = ["overlapping"]


def overlapping(
    blocks: Iterable[NDArray[np.float32]], *, size: int, step: int, enough: int
) -> Iterator[tuple[NDArray[np.float32], bool]]:
    """Pieces of ``size`` samples that begin every ``step`` samples, and last what is left, which may be nothing.

    Little more than a piece is held at a time, and where one block ends and the next begins changes nothing.

    Args:
        blocks: a waveform in pieces of any length, each ``[samples]``.
        size: samples in a piece.
        step: samples from the beginning of a piece to that of the next.
        enough: there is a piece, and another after it, where so many samples or more are left; at least ``size``.

    Yields:
        A piece, a view to be read and not written; and whether it is what is left.
    """
    pending: list[NDArray[np.float32]] = []
    count, begin = 0, 0
    for block in blocks:
        pending.append(block)
        count += len(block)
        if count - begin < enough:
            continue
        held = np.concatenate(pending)
        while count - begin >= enough:
            yield held[begin : begin + size], False
            begin += step
        # Where steps are longer than pieces, the next piece may begin in a block that has not come yet.
        passed = min(begin, count)
        pending, count, begin = [held[passed:]], count - passed, begin - passed
    rest = np.concatenate(pending) if pending else np.zeros(0, np.float32)
    yield rest[begin:], True
