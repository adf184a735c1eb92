"""Embeddings of overlapping windows that share their frames: streamed in blocks, pooled window by window.

A sound goes through a model's front-ends and encoders once, in blocks of 24 s, and the embedding of a window is pooled
from the frames whose centres lie in it. A window more then costs a pooling, not an embedding. The embedding is not that
of the window alone: frames at its edges have seen what lies beyond, and a detector is trained by windows embedded in
the same way, with a second of the recording on either side.

Blocks begin at multiples of 24 s of the sound, whatever is asked of it, so that a window's embedding does not depend on
where a run began. Where a model has parts that are no streams, the samples are kept in place of the frames, and every
window is embedded by itself.

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

__all__ = ["BLOCK", "MARGIN", "FrameTrack", "embed_stream", "lookback", "reach", "shares_frames"]

BLOCK = 24.0
"""Seconds, as the model takes them, that go through it at once."""

MARGIN = 1.0
"""Seconds on either side of a window to learn from that go through the model with it."""


def shares_frames(model: Embedder) -> bool:
    """Whether a model's windows can share frames: all its parts are streams."""
    return len(model.streams) == len(model.embedders)


class FrameTrack:
    """The frames of a stretch of sound, block by block.

    Args:
        model: the embedder, whose parts are streams.
        start: the sample of the sound at which the first block begins.
    """

    def __init__(self, model: Embedder, start: int) -> None:
        self._model = model
        self._values: list[list[torch.Tensor]] = [[] for _ in model.streams]
        self._times: list[list[torch.Tensor]] = [[] for _ in model.streams]
        self._weights: list[list[torch.Tensor]] = [[] for _ in model.streams]
        self.end = start

    def add(self, samples: Float[np.ndarray, " samples"]) -> None:
        """Compute the frames of the next block."""
        model, rate = self._model, self._model.sample_rate
        with alone(model):
            row = model._padded(model._row(samples))
            for number, frames in enumerate(model.stream_frames(row)):
                # A frame at the very end of a block belongs to the next one.
                kept = max(1, int((frames.times < len(samples) / rate).sum()))
                self._values[number].append(frames.values[..., :kept])
                self._times[number].append(frames.times[:kept] + self.end / rate)
                self._weights[number].append(frames.weights[:kept])
        self.end += len(samples)

    def forget(self, before: int) -> None:
        """Drop the blocks that end before a sample."""
        limit = before / self._model.sample_rate
        for values, times, weights in zip(self._values, self._times, self._weights, strict=True):
            while len(times) > 1 and float(times[1][0]) <= limit:
                del values[0], times[0], weights[0]

    def embed(self, start: int, end: int) -> Float[np.ndarray, " dim"]:
        """The embedding of a window of the sound, in samples."""
        rate = self._model.sample_rate
        chosen = []
        for values, times, weights in zip(self._values, self._times, self._weights, strict=True):
            every = torch.cat(times)
            first, last = (int(torch.searchsorted(every, sample / rate)) for sample in (start, end))
            if first == last:
                # Frames are farther apart than the window is long: the nearest of the block.
                middle = (start + end) / 2 / rate
                first = int(torch.searchsorted(every, middle // BLOCK * BLOCK)) if middle >= BLOCK else 0
                first += int((every[first:] - middle).abs().argmin()) if first < len(every) else -1
                last = first + 1
            chosen.append(Frames(_part(values, first, last), every[first:last], _part(weights, first, last)))
        with alone(self._model):
            return np.asarray(self._model.pool_frames(chosen)[0].cpu().numpy())


class _SampleTrack:
    """The samples of a stretch of sound, with the operations of a `FrameTrack`: every window is embedded by itself."""

    def __init__(self, model: Embedder, start: int) -> None:
        self._model, self._start, self.end = model, start, start
        self._samples = np.zeros(0, np.float32)

    def add(self, samples: Float[np.ndarray, " samples"]) -> None:
        self._samples = np.concatenate([self._samples, samples])
        self.end += len(samples)

    def forget(self, before: int) -> None:
        gone = max(0, min(before, self.end) - self._start)
        self._samples, self._start = self._samples[gone:].copy(), self._start + gone

    def embed(self, start: int, end: int) -> Float[np.ndarray, " dim"]:
        return self._model.embed_samples(self._samples[start - self._start : end - self._start].copy())


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
        blocks: the sound from ``origin`` on, at the model's rate.
        origin: a sample at which a block begins (`BLOCK`), before the first window by `lookback` or at the beginning.
        first: the number of the first window wanted.
        sizes: samples of a window of each length, the shortest first.
        step: samples from one window to the next.
        count: how many windows; None: to the end of the sound.
        shared: whether windows share frames; if not, each is embedded by itself.

    Yields:
        Rows of every size, and the sample at which the last of these windows ends.
    """
    track: FrameTrack | _SampleTrack = FrameTrack(model, origin) if shared else _SampleTrack(model, origin)
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

    for block in _even(blocks, round(BLOCK * model.sample_rate)):
        track.add(block)
        if some := whole(max(enough, ahead)):
            yield np.stack(some, axis=1), (number - 1) * step + size
        if number == last:
            return
        track.forget(number * step - lookback(sizes))
    if some := whole(enough):
        yield np.stack(some, axis=1), (number - 1) * step + size
    if number != last and track.end > number * step:
        yield np.stack([_around(track, number * step, track.end, sizes)], axis=1), track.end


def _around(
    track: FrameTrack | _SampleTrack, start: int, end: int, sizes: Sequence[int]
) -> list[Float[np.ndarray, " dim"]]:
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


def _even(blocks: Iterable[Float[np.ndarray, " samples"]], size: int) -> Iterator[Float[np.ndarray, " samples"]]:
    """A sound in blocks of one length, and a rest."""
    held: list[np.ndarray] = []
    length = 0
    for block in blocks:
        held.append(block)
        length += len(block)
        if length >= size:
            whole = np.concatenate(held)
            for first in range(0, length - size + 1, size):
                yield whole[first : first + size]
            rest = whole[length // size * size :]
            held, length = ([rest.copy()], len(rest)) if len(rest) else ([], 0)
    if length:
        yield np.concatenate(held)
