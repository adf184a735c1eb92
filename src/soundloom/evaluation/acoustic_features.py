"""Acoustic features of a clip and their statistics over time, for the correlation analysis (Favory 2020, section 3.3).

MFCC, chroma, spectral centroid and spectral bandwidth, by librosa; mean, variance and skewness of each: over whole
clips with librosa's settings, or as COALA's published code takes them (xavierfav/coala, scripts/analyse_sounds.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from soundloom.errors import MissingExtraError

__all__ = ["PUBLISHED_RATE", "STATISTICS", "acoustic_features", "acoustic_statistics", "published_acoustic_features"]

PUBLISHED_RATE = 22_000
"""Hertz of the waveforms that COALA's published code takes acoustic features of."""

STATISTICS = ("mean", "variance", "skewness")


def acoustic_features(
    waveform: Float[np.ndarray, " samples"], sample_rate: int
) -> dict[str, Float[np.ndarray, "_bins time"]]:
    """The paper's four features over time, with librosa's settings: 20 MFCC, 12 chroma, centroid and bandwidth in Hz.

    Raises:
        MissingExtraError: librosa is not installed.
    """
    librosa = _librosa()
    magnitude = np.abs(librosa.stft(waveform))
    return {
        "mfcc": librosa.feature.mfcc(y=waveform, sr=sample_rate),
        # Tuning is fixed: it is an estimate, and fails loudly on sounds without pitch.
        "chroma": librosa.feature.chroma_stft(S=magnitude**2, sr=sample_rate, tuning=0.0),
        "spectral centroid": librosa.feature.spectral_centroid(S=magnitude, sr=sample_rate),
        "spectral bandwidth": librosa.feature.spectral_bandwidth(S=magnitude, sr=sample_rate),
    }


def published_acoustic_features(
    waveform: Float[np.ndarray, " samples"], sample_rate: int = PUBLISHED_RATE
) -> dict[str, Float[np.ndarray, "_bins 96"]]:
    """The four features as COALA's published code takes them, over the 96 frames of a clip with the largest magnitude.

    A clip of at most ten seconds is filled with silence to ten; noise drawn evenly from 0 to 0.0005, here always the
    same, is added to it. Frames are of 1024 samples every 512; patches begin every 12 frames.

    Raises:
        MissingExtraError: librosa is not installed.
    """
    librosa = _librosa()
    missing = 10 * sample_rate - len(waveform)
    if missing >= 0:
        noise = np.random.default_rng(0).random(10 * sample_rate, dtype=np.float32)
        waveform = np.pad(waveform, (0, missing)) + np.float32(5e-4) * noise
    magnitude = np.abs(librosa.stft(waveform, n_fft=1024, hop_length=512))
    mel = librosa.feature.melspectrogram(y=waveform, sr=sample_rate, n_fft=1024, hop_length=512)
    loudness = np.lib.stride_tricks.sliding_window_view(magnitude.sum(axis=0, dtype=np.float64), 96)[::12].sum(axis=1)
    first = 12 * int(loudness.argmax())
    patch = slice(first, first + 96)
    return {
        "mfcc": librosa.feature.mfcc(S=librosa.power_to_db(mel)[:, patch], sr=sample_rate),
        "chroma": librosa.feature.chroma_stft(S=magnitude[:, patch], sr=sample_rate),
        "spectral centroid": librosa.feature.spectral_centroid(S=magnitude[:, patch], sr=sample_rate),
        "spectral bandwidth": librosa.feature.spectral_bandwidth(S=magnitude[:, patch], sr=sample_rate),
    }


def acoustic_statistics(
    waveforms: Sequence[Float[np.ndarray, " _samples"]],
    sample_rate: int,
    features: Callable[[np.ndarray, int], dict[str, np.ndarray]] = acoustic_features,
) -> dict[str, dict[str, Float[np.ndarray, "clips _bins"]]]:
    """Feature -> statistic -> ``[clips, bins]``, of clips of any lengths.

    Skewness is the third central moment over the variance to 3/2; of a feature that stays constant, 0.

    Args:
        waveforms: mono clips, one at least.
        sample_rate: their rate in hertz.
        features: what is taken of each.
    """
    rows: dict[str, dict[str, list[np.ndarray]]] = {}
    for waveform in waveforms:
        for name, values in features(waveform, sample_rate).items():
            mean = values.mean(axis=1, dtype=np.float64)
            deviations = values - mean[:, None]
            variance = (deviations**2).mean(axis=1)
            steady = variance <= (np.finfo(np.float32).eps * np.abs(mean)) ** 2
            spread = np.where(steady, 1.0, variance) ** 1.5
            skewness = np.where(steady, 0.0, (deviations**3).mean(axis=1) / spread)
            for statistic, value in zip(STATISTICS, (mean, variance, skewness), strict=True):
                rows.setdefault(name, {}).setdefault(statistic, []).append(value)
    return {name: {key: np.stack(each) for key, each in by.items()} for name, by in rows.items()}


def _librosa() -> Any:
    try:
        import librosa
    except ImportError as error:
        raise MissingExtraError("librosa", "eval", "the correlation analysis") from error
    return librosa
