"""Fourier transforms of a sound in NumPy: what the graph of the packaged model takes (`soundloom.packaged_graph`).

Three short-time transforms serve the model's four parts, at 16 kHz, of a waveform less its mean:

    magnitudes   512 points of 400 samples every 160, in windows of 96 frames: texture and general
    seconds      2048 points every 400 samples of each second alone, both ends included, squared: timbre
    constant_q   transforms of overlapping pieces, from which the graph takes the constant-Q frames: pitch

Everything behind them, filter banks and logarithms too, is in the graph. Frames beyond the end of the sound are zeros,
and the weights say how much of what comes out is sound, as in `soundloom.embedder.Stream`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float

__all__ = ["GraphLayout", "inputs_of", "mel_inputs_of", "seconds_of"]

_MEL = (512, 400, 160)
_CEPSTRUM = (2048, 400)


@dataclass(frozen=True, kw_only=True)
class GraphLayout:
    """How the graph takes what is cut from a sound; kept in its file.

    Attributes:
        sample_rate: in hertz.
        window: frames of a window of magnitudes.
        per_window: vectors that the general part makes of a window.
        stride: frames of magnitudes that one of those covers.
        texture_window: frames of a window of texture.
        texture_hop: from one of those to the next.
        hop: samples from one constant-Q frame to the next.
        halo: constant-Q frames before and after a piece that its filters reach into.
        kept: constant-Q frames of a piece.
        rows: of ``halo + kept + halo`` points of a piece's spectrum that the filters cover.
    """

    sample_rate: int
    window: int
    per_window: int
    stride: int
    texture_window: int
    texture_hop: int
    hop: int
    halo: int
    kept: int
    rows: int

    @property
    def period(self) -> int:
        """Constant-Q frames of a transform."""
        return self.kept + 2 * self.halo


def inputs_of(samples: Float[np.ndarray, " samples"], layout: GraphLayout) -> dict[str, np.ndarray]:
    """What the graph takes of a mono waveform that is not shorter than a hop of the constant-Q transform.

    Returns:
        ``magnitudes`` [windows, window, 257], ``general_weights`` [vectors], ``texture_starts`` [textures], ``seconds``
        [seconds, 41, 1025], ``second_weights`` [seconds], ``constant_q`` [period, rows, pieces, 2], ``note_weights``
        [frames].
    """
    samples = _centred(samples)
    mel = _mel_inputs(samples, layout)
    last = max(0, _mel_frames(len(samples)) - layout.texture_window)
    seconds, rests = _seconds(samples, layout.sample_rate)
    notes = len(samples) // layout.hop
    pieces = -(-notes // layout.kept)
    return mel | {
        "texture_starts": np.array([*range(0, last, layout.texture_hop), last]),
        "seconds": seconds,
        "second_weights": rests,
        "constant_q": _constant_q(samples, pieces, layout),
        "note_weights": (np.arange(pieces * layout.kept) < notes).astype(np.float32),
    }


def mel_inputs_of(samples: Float[np.ndarray, " samples"], layout: GraphLayout) -> dict[str, np.ndarray]:
    """What the graph of the general part takes: ``magnitudes`` and ``general_weights`` of `inputs_of`."""
    return _mel_inputs(_centred(samples), layout)


def seconds_of(frames: int, rate: int) -> float:
    """How long a sound is that gives so many frames of magnitudes."""
    _, length, hop = _MEL
    return ((frames - 1) * hop + length) / rate


def _mel_inputs(samples: Float[np.ndarray, " samples"], layout: GraphLayout) -> dict[str, np.ndarray]:
    magnitudes = _magnitudes(samples)
    frames = len(magnitudes)
    windows = -(-frames // layout.window)
    padded = np.zeros((windows * layout.window, magnitudes.shape[1]), np.float32)
    padded[:frames] = magnitudes
    return {
        "magnitudes": padded.reshape(windows, layout.window, -1),
        "general_weights": _shares(frames, layout.stride, windows, layout.window, layout.per_window),
    }


def _mel_frames(samples: int) -> int:
    _, length, hop = _MEL
    return (samples - length) // hop + 1


def _centred(samples: Float[np.ndarray, " samples"]) -> Float[np.ndarray, " samples"]:
    """Less the mean of the samples up to the last that is not 0, as `soundloom.frontends.CentredFrontend`."""
    end = len(samples) if samples[-1] else 1 + np.flatnonzero(samples)[-1:].sum()
    centred = samples.astype(np.float32)
    centred[:end] -= np.float32(samples[:end].mean(dtype=np.float64)) if end else 0
    return centred


def _shares(frames: int, stride: int, windows: int, window: int, per_window: int) -> Float[np.ndarray, " vectors"]:
    """How much of each vector is sound."""
    numbers = np.arange(windows * per_window)
    begins = numbers // per_window * window + numbers % per_window * stride
    return ((frames - begins) / stride).clip(0, 1).astype(np.float32)


def _magnitudes(samples: Float[np.ndarray, " samples"]) -> Float[np.ndarray, "frames 257"]:
    size, length, hop = _MEL
    frames = np.lib.stride_tricks.sliding_window_view(samples, length)[::hop]
    return np.asarray(np.sqrt(_power(frames * _hann(length), size)))


def _seconds(
    samples: Float[np.ndarray, " samples"], rate: int
) -> tuple[Float[np.ndarray, "seconds 41 1025"], Float[np.ndarray, " seconds"]]:
    """The power spectra of every second alone, zeros beyond its ends, and how much of each is sound, in frames."""
    size, hop = _CEPSTRUM
    frames = len(samples) // hop
    per_second = rate // hop
    count = -(-frames // per_second)
    padded = np.zeros((count, rate + size), np.float32)
    whole = np.zeros(count * rate, np.float32)
    whole[: min(len(samples), count * rate)] = samples[: count * rate]
    padded[:, size // 2 : -size // 2] = whole.reshape(count, rate)
    cut = np.lib.stride_tricks.sliding_window_view(padded, size, axis=1)[:, ::hop]
    weights = ((frames - np.arange(count) * per_second) / per_second).clip(0, 1)
    # Second by second: larger arrays are given back to the system each time, which takes longer than to fill them.
    return np.stack([_power(second * _hann(size), size) for second in cut]), weights.astype(np.float32)


def _constant_q(
    samples: Float[np.ndarray, " samples"], pieces: int, layout: GraphLayout
) -> Float[np.ndarray, "period rows pieces 2"]:
    hop, period = layout.hop, layout.period
    padded = np.zeros(((pieces - 1) * layout.kept + period) * hop, np.float32)
    first = layout.halo * hop
    padded[first : first + len(samples)] = samples[: len(padded) - first]
    cut = np.lib.stride_tricks.sliding_window_view(padded, period * hop)[:: layout.kept * hop]
    spectrum = np.fft.rfft(cut)[:, : layout.rows * period].astype(np.complex64, copy=False)
    rows = np.ascontiguousarray(spectrum.reshape(pieces, layout.rows, period).transpose(2, 1, 0))
    return rows.view(np.float32).reshape(period, layout.rows, pieces, 2)


def _power(frames: Float[np.ndarray, "*batch size"], points: int) -> Float[np.ndarray, "*batch frequency"]:
    spectrum = np.fft.rfft(frames, points).astype(np.complex64, copy=False)
    return np.asarray(np.square(spectrum.real) + np.square(spectrum.imag))


@lru_cache
def _hann(length: int) -> Float[np.ndarray, " length"]:
    """A periodic Hann window."""
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)).astype(np.float32)
