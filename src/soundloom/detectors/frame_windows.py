"""Embeddings of overlapping windows that share their frames: streamed in blocks, pooled window by window.

A sound goes through a model's front-ends and encoders once, in blocks of 24 s, and the embedding of a window is pooled
from the frames whose centres lie in it. A window more then costs a pooling, not an embedding. A frame depends on a
second of sound before and after it alone (`soundloom.embedder.Embedder.shared_frames`), so no event colours windows
further away, and frames are the same wherever blocks begin and end. What depends on a window as a whole, such as how
loud a frame is beside the loudest one, is applied when it is pooled. Parts of a model that have no such frames embed
every window by itself.

The embedding is not that of the window alone: frames at its edges have seen what lies beyond, and a detector is trained
by windows embedded in the same way, with a second of the recording on either side.

Blocks begin at multiples of 24 s of the sound, whatever is asked of it, so that a window's embedding does not depend on
where a run began.

Windows of several lengths follow one grid: those of the shortest length, and around the middle of each the longer ones,
moved where they would reach beyond the sound.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import ceil

import numpy as np
import torch
from jaxtyping import Float

from soundloom.embedder import Embedder, Frames
from soundloom.embedder.threads import alone

__all__ = ["BLOCK", "LEAD", "MARGIN", "SHARING", "WindowTrack", "embed_stream", "lookback", "reach", "with_last"]

BLOCK = 24.0
"""Seconds, as the model takes them, whose frames are computed at once."""

LEAD = 2.0
"""Seconds before a block that go through the model with it."""

MARGIN = 1.0
"""Seconds after a block, and on either side of a window to learn from, that go through the model with it."""


SHARING = 2
"""To be raised when shared frames give windows other embeddings than before."""


class WindowTrack:
    """A stretch of a sound that grows at its end, of which windows are embedded.

    Args:
        model: the embedder.
        start: the sample of the sound at which the first block begins.
        first: the sample of the sound at which what is added begins, before ``start`` by `LEAD` or less.
        shared: whether windows share frames; if not, each is embedded by itself.

    Attributes:
        end: the sample of the sound up to which windows can be embedded.
    """

    def __init__(self, model: Embedder, start: int, first: int | None = None, *, shared: bool = True) -> None:
        self._model, self._shared = model, shared and model.shares_frames
        self._starts: list[int] = []
        self._blocks: list[tuple[Frames | None, ...]] = []
        self._first, self._samples = start if first is None else first, np.zeros(0, np.float32)
        self.end = start

    def add(self, samples: Float[np.ndarray, " samples"], *, last: bool = False) -> None:
        """Append what follows; the frames of a block are computed as soon as there are enough samples.

        Args:
            samples: the next ones.
            last: whether nothing follows them.
        """
        self._samples = np.concatenate([self._samples, samples])
        received, rate = self._first + len(self._samples), self._model.sample_rate
        if not self._shared:
            self.end = received
            return
        block, beyond = round(BLOCK * rate), round(MARGIN * rate)
        while self.end + block + beyond <= received:
            self._compute(self.end + block)
        while last and self.end < received:
            self._compute(min(self.end + block, received))

    def forget(self, before: int) -> None:
        """Drop what no window from a sample on needs."""
        rate = self._model.sample_rate
        while len(self._blocks) > 1 and self._starts[1] <= before:
            del self._blocks[0], self._starts[0]
        kept = before if not self._shared else min(before, self.end - round(LEAD * rate))
        gone = max(0, min(kept, self.end) - self._first)
        self._samples, self._first = self._samples[gone:].copy(), self._first + gone

    def embed(self, start: int, end: int) -> Float[np.ndarray, " dim"]:
        """The embedding of a window of the sound, in samples."""
        samples = self._samples[start - self._first : end - self._first]
        if not self._shared:
            return self._model.embed_samples(samples.copy())
        rate = self._model.sample_rate
        frames = [_between(some, start / rate, end / rate) for some in zip(*self._blocks, strict=True)]
        with alone(self._model):
            return np.asarray(self._model.pool_shared(frames, self._model.batch_of(samples))[0].cpu().numpy())

    def _compute(self, end: int) -> None:
        """Add the frames of the block from `end` on to a sample."""
        model, rate = self._model, self._model.sample_rate
        first = max(self._first, self.end - round(LEAD * rate))
        samples = self._samples[first - self._first : end + round(MARGIN * rate) - self._first]
        with alone(model):
            every = model.shared_frames(model.batch_of(samples), (self.end - first) / rate)
        self._starts.append(self.end)
        self._blocks.append(tuple(one and _block_of(one, self.end / rate, (end - self.end) / rate) for one in every))
        self.end = end


def _block_of(frames: Frames, start: float, seconds: float) -> Frames:
    """The frames centred within a block, on the times of the sound; one of a block that is shorter than a frame."""
    # A frame at the very end of a block belongs to the next one, up to rounding.
    kept = max(1, int(torch.searchsorted(frames.times, seconds - 1e-6)))
    return Frames(frames.values[..., :kept], frames.times[:kept] + start, frames.weights[:kept])


def _between(blocks: Sequence[Frames | None], start: float, end: float) -> Frames | None:
    """The frames of a part that are centred in a window, in seconds; the nearest of its block if there are none."""
    known = [block for block in blocks if block is not None]
    if not known:
        return None
    times = torch.cat([block.times for block in known])
    first, last = (int(torch.searchsorted(times, second)) for second in (start, end))
    if first == last:
        # Frames are farther apart than the window is long.
        middle = (start + end) / 2
        first = int(torch.searchsorted(times, middle // BLOCK * BLOCK)) if middle >= BLOCK else 0
        first += int((times[first:] - middle).abs().argmin()) if first < len(times) else -1
        last = first + 1
    values, weights = ([getattr(block, name) for block in known] for name in ("values", "weights"))
    return Frames(_part(values, first, last), times[first:last], _part(weights, first, last))


def lookback(sizes: Sequence[int]) -> int:
    """Samples by which windows around one of the grid may begin before it."""
    return max(sizes) if len(sizes) > 1 else 0


def reach(sizes: Sequence[int]) -> int:
    """Samples from the beginning of a window of the grid to the end of the longest one around it."""
    return sizes[0] + (max(sizes) - sizes[0] + 1) // 2


def embed_stream(
    model: Embedder,
    blocks: Iterable[Float[np.ndarray, " samples"]],
    *,
    origin: int,
    first: int,
    sizes: Sequence[int],
    step: int,
    count: int | None,
    shared: bool = True,
) -> Iterator[tuple[Float[np.ndarray, "sizes windows dim"], int]]:
    """Embeddings of the windows of a sound that streams by, those that a block completes at a time.

    The windows of the first size are those of `soundloom.audio.segments`.

    Args:
        model: the embedder.
        blocks: the sound at the model's rate; beyond the last window asked for by `MARGIN`, or to its end.
        origin: a sample at which a block begins (`BLOCK`), before the first window by `lookback` or at the beginning.
            The sound is given from `LEAD` before it on, or from its beginning.
        first: the number of the first window wanted.
        sizes: samples of a window of each length, the shortest first.
        step: samples from one window to the next.
        count: how many windows; None: to the end of the sound.
        shared: whether windows share frames; if not, each is embedded by itself.

    Yields:
        Rows of every size, and the sample at which the last of these windows ends.
    """
    track = WindowTrack(model, origin, max(0, origin - round(LEAD * model.sample_rate)), shared=shared)
    size, ahead = sizes[0], reach(sizes)
    number, last = first, None if count is None else first + count
    # A window that is asked for by number is followed by another; of the others that has to be seen.
    enough = size if last is not None else max(size + 1, step + ceil(size / 4))

    def whole(needed: int) -> list[list[Float[np.ndarray, " dim"]]]:
        """Of the windows whose beginnings so many samples follow."""
        nonlocal number
        some = []
        while number != last and track.end >= number * step + needed:
            some.append(_around(track, number * step, number * step + size, sizes))
            number += 1
        return some

    for block, is_last in with_last(blocks):
        track.add(block, last=is_last)
        if some := whole(max(enough, ahead)):
            yield np.stack(some, axis=1), (number - 1) * step + size
        if number == last:
            return
        track.forget(number * step - lookback(sizes))
    if some := whole(enough):
        yield np.stack(some, axis=1), (number - 1) * step + size
    if number != last and track.end > number * step:
        yield np.stack([_around(track, number * step, track.end, sizes)], axis=1), track.end


def _around(track: WindowTrack, start: int, end: int, sizes: Sequence[int]) -> list[Float[np.ndarray, " dim"]]:
    """The embeddings of a window of the grid, and of those of the other sizes around it."""
    found = [track.embed(start, end)]
    for longer in sizes[1:]:
        first = max(0, min((start + end - longer) // 2, track.end - longer))
        found.append(track.embed(first, min(first + longer, track.end)))
    return found


def _part(blocks: list[torch.Tensor], first: int, last: int) -> torch.Tensor:
    """Frames ``first`` to ``last`` of blocks that follow each other; copies only what it gives."""
    found = []
    for block in blocks:
        length = block.shape[-1]
        if first < length and last > 0:
            found.append(block[..., max(0, first) : last])
        first, last = first - length, last - length
    return found[0].contiguous() if len(found) == 1 else torch.cat(found, dim=-1)


def with_last(
    blocks: Iterable[Float[np.ndarray, " samples"]],
) -> Iterator[tuple[Float[np.ndarray, " samples"], bool]]:
    """Blocks, and of each whether it is the last one."""
    waiting = None
    for block in blocks:
        if waiting is not None:
            yield waiting, False
        waiting = block
    if waiting is not None:
        yield waiting, True
