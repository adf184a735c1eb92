"""A stretch of a file as a viewer shows it: a spectrogram on an absolute scale, and the least and greatest samples.

Tiles of one file must fit together, so levels are decibels below full scale (a sine of amplitude 1 is at 0) and not
relative to the loudest of a tile, and the frequencies are those asked for, up to half the file's own rate. A stretch
that is too long to be read whole is sampled: short excerpts at equal distances, which are kept apart from the picture
(`write_stretches`), so that another scale, another gain and the waveform need no decoding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Float32

from soundloom import audio
from soundloom.audio import DecodeOptions
from soundloom.pictures.excerpt import mel
from soundloom.server.media.thumbnail import levels_png

__all__ = [
    "WHOLE_SECONDS",
    "Stretch",
    "least_and_greatest",
    "outline_of_stretches",
    "read_stretches",
    "region_samples",
    "spectrogram",
    "write_stretches",
]

WHOLE_SECONDS = 90.0
"""Seconds of a stretch that is read whole."""
_WINDOW_SECONDS = 0.023
_FRAMES_EACH = 4
"""Frames of a column, at most: their loudest is shown."""
_RANGE = 90.0
"""Decibels from the faintest that is shown to the loudest."""

Scale = Literal["linear", "mel"]


@dataclass(frozen=True, eq=False)
class Stretch:
    """Samples of a stretch, with some before and after it: the frames at its edges reach beyond them.

    Attributes:
        samples: mono.
        first: where the stretch begins among them.
        last: where it ends.
    """

    samples: Float32[np.ndarray, " samples"]
    first: int
    last: int


def region_samples(
    path: str, start: float, end: float, excerpts: int, about: audio.AudioInfo, options: DecodeOptions
) -> list[Stretch]:
    """A stretch in one piece, or excerpts of it at equal distances, at the file's own rate.

    Args:
        path: the file.
        start: where the stretch begins, in seconds.
        end: where it stops.
        excerpts: how many, of a stretch longer than `WHOLE_SECONDS`.
        about: what the file is.
        options: how it is decoded.
    """
    if end - start <= WHOLE_SECONDS:
        regions = [(start, end)]
    else:
        seconds = 2 * _WINDOW_SECONDS
        regions = [(at, at + seconds) for at in np.linspace(start, end - seconds, excerpts).tolist()]
    rate, around = about.sample_rate, []
    for first, last in regions:
        after = last + _WINDOW_SECONDS if about.duration is None else min(last + _WINDOW_SECONDS, about.duration)
        around.append((max(0.0, first - _WINDOW_SECONDS), max(after, last)))
    return [
        Stretch(samples, round((first - before) * rate), round((last - before) * rate))
        for samples, (before, _), (first, last) in zip(
            audio.read_regions(path, rate, around, options=options), around, regions, strict=True
        )
    ]


def write_stretches(stretches: list[Stretch], path: str) -> None:
    """Keep stretches in a file, for `read_stretches`."""
    bounds = np.array([(len(one.samples), one.first, one.last) for one in stretches], np.int64)
    with open(path, "wb") as file:
        np.savez(file, samples=np.concatenate([one.samples for one in stretches]), bounds=bounds)


def read_stretches(path: str) -> list[Stretch]:
    """The stretches that `write_stretches` kept."""
    with np.load(path, allow_pickle=False) as kept:
        samples, bounds = kept["samples"], kept["bounds"]
    pieces = np.split(samples, np.cumsum(bounds[:-1, 0]))
    return [Stretch(piece, int(first), int(last)) for piece, (_, first, last) in zip(pieces, bounds, strict=True)]


def outline_of_stretches(stretches: list[Stretch]) -> tuple[list[float], list[float]]:
    """The least and the greatest sample of each stretch."""
    inside = [one.samples[one.first : max(one.last, one.first + 1)] for one in stretches]
    each = [(float(one.min()), float(one.max())) if len(one) else (0.0, 0.0) for one in inside]
    return [round(least, 4) for least, _ in each], [round(greatest, 4) for _, greatest in each]


def spectrogram(
    stretches: list[Stretch],
    rate: int,
    *,
    width: int,
    height: int,
    low: float,
    high: float,
    scale: Scale,
    gain: float,
    theme: str,
) -> bytes:
    """A PNG of the power of a stretch over time and frequency.

    Args:
        stretches: the stretch, or excerpts of it.
        rate: of the samples, in hertz.
        width: columns.
        height: rows.
        low: hertz at the bottom.
        high: hertz at the top.
        scale: of the frequencies.
        gain: decibels by which all is raised before it is shown.
        theme: as for `thumbnail`.
    """
    window = 1 << max(5, round(np.log2(_WINDOW_SECONDS * rate)))
    # An excerpt stands for much more than it holds: its own course would be taken for that.
    columns = width if len(stretches) == 1 else 1
    decibels = np.concatenate([_frames(stretch, window, columns) for stretch in stretches])
    rows = _rows(decibels, np.fft.rfftfreq(window, 1 / rate), _edges(height, low, high, scale))
    chosen = np.linspace(0, len(rows), width, endpoint=False).astype(int)
    return levels_png(1 + (rows[chosen].T[::-1] + gain) / _RANGE, theme)


def least_and_greatest(samples: Float32[np.ndarray, " samples"], points: int) -> tuple[list[float], list[float]]:
    """The least and the greatest sample of each of some equal stretches; fewer where there are fewer samples."""
    if not len(samples):
        return [], []
    starts = np.unique(np.linspace(0, len(samples), min(points, len(samples)), endpoint=False).astype(int))
    least, greatest = np.minimum.reduceat(samples, starts), np.maximum.reduceat(samples, starts)
    return np.round(least.astype(float), 4).tolist(), np.round(greatest.astype(float), 4).tolist()


def _frames(stretch: Stretch, window: int, columns: int) -> Float[np.ndarray, "columns bins"]:
    """Decibels below full scale of so many columns; of several frames in a column the loudest."""
    apart = (stretch.last - stretch.first) / columns
    together = int(np.clip(np.ceil(apart / window), 1, _FRAMES_EACH))
    many = columns * together
    # Each frame is centred in its share of the stretch.
    centres = stretch.first + (np.arange(many) + 0.5) * (stretch.last - stretch.first) / many
    padded = np.pad(np.nan_to_num(stretch.samples), (window // 2, window))
    last = len(padded) - window
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)[np.clip(centres.astype(int), 0, last)]
    taper = np.hanning(window).astype(np.float32)
    power = (np.abs(np.fft.rfft(frames * taper, axis=1)) * (2 / taper.sum())) ** 2
    loudest = power.reshape(columns, together, -1).max(axis=1)
    decibels: Float[np.ndarray, "columns bins"] = 10 * np.log10(loudest + 1e-12)
    return decibels


def _edges(height: int, low: float, high: float, scale: Scale) -> Float[np.ndarray, " edges"]:
    """The frequencies between rows, from low to high."""
    if scale == "linear":
        return np.linspace(low, high, height + 1)
    edges: Float[np.ndarray, " edges"] = 700 * np.expm1(np.linspace(mel(low), mel(high), height + 1) / 1127)
    return edges


def _rows(
    decibels: Float[np.ndarray, "columns bins"],
    frequencies: Float[np.ndarray, " bins"],
    edges: Float[np.ndarray, " edges"],
) -> Float[np.ndarray, "columns height"]:
    """The loudest bin of each row; between bins that are wider than rows, what lies between them."""
    centres = (edges[:-1] + edges[1:]) / 2
    spacing = frequencies[1]
    below = np.clip((centres / spacing).astype(int), 0, len(frequencies) - 2)
    share = np.clip(centres / spacing - below, 0, 1)
    between = decibels[:, below] * (1 - share) + decibels[:, below + 1] * share
    first = np.clip(np.round(edges[:-1] / spacing).astype(int), 0, len(frequencies) - 1)
    last = np.clip(np.round(edges[1:] / spacing).astype(int), first + 1, len(frequencies))
    wide = last - first > 1
    loudest = np.maximum.reduceat(np.pad(decibels, ((0, 0), (0, 1)), mode="edge"), np.ravel([first, last], "F"), axis=1)
    rows: Float[np.ndarray, "columns height"] = np.where(wide, loudest[:, ::2], between)
    # Above half the file's rate there is nothing.
    rows[:, centres > frequencies[-1] + spacing] = -200.0
    return rows
