"""Acoustic features of a clip and their statistics over time, for the correlation analysis (Favory 2020, section 3.3).

MFCC, chroma, spectral centroid and spectral bandwidth, by librosa; mean, variance and skewness of each.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from soundloom.errors import MissingExtraError

__all__ = ["STATISTICS", "acoustic_features", "acoustic_statistics"]

STATISTICS = ("mean", "variance", "skewness")


def acoustic_features(
    waveform: Float[np.ndarray, " samples"], sample_rate: int
) -> dict[str, Float[np.ndarray, "_bins time"]]:
    """The paper's four features over time, with librosa's settings: 20 MFCC, 12 chroma, centroid and bandwidth in Hz.

    Raises:
        MissingExtraError: librosa is not installed.
    """
    try:
        import librosa
    except ImportError as error:
        raise MissingExtraError("librosa", "eval", "the correlation analysis") from error

    magnitude = np.abs(librosa.stft(waveform))
    return {
        "mfcc": librosa.feature.mfcc(y=waveform, sr=sample_rate),
        # Tuning is fixed: it is an estimate, and fails loudly on sounds without pitch.
        "chroma": librosa.feature.chroma_stft(S=magnitude**2, sr=sample_rate, tuning=0.0),
        "spectral centroid": librosa.feature.spectral_centroid(S=magnitude, sr=sample_rate),
        "spectral bandwidth": librosa.feature.spectral_bandwidth(S=magnitude, sr=sample_rate),
    }


def acoustic_statistics(
    waveforms: Sequence[Float[np.ndarray, " _samples"]], sample_rate: int
) -> dict[str, dict[str, Float[np.ndarray, "clips _bins"]]]:
    """Feature -> statistic -> ``[clips, bins]``, of clips of any lengths.

    Skewness is the third central moment over the variance to 3/2; of a feature that stays constant, 0.

    Args:
        waveforms: mono clips, one at least.
        sample_rate: their rate in hertz.
    """
    rows: dict[str, dict[str, list[np.ndarray]]] = {}
    for waveform in waveforms:
        for name, values in acoustic_features(waveform, sample_rate).items():
            mean = values.mean(axis=1, dtype=np.float64)
            deviations = values - mean[:, None]
            variance = (deviations**2).mean(axis=1)
            steady = variance <= (np.finfo(np.float32).eps * np.abs(mean)) ** 2
            spread = np.where(steady, 1.0, variance) ** 1.5
            skewness = np.where(steady, 0.0, (deviations**3).mean(axis=1) / spread)
            for statistic, value in zip(STATISTICS, (mean, variance, skewness), strict=True):
                rows.setdefault(name, {}).setdefault(statistic, []).append(value)
    return {name: {key: np.stack(each) for key, each in by.items()} for name, by in rows.items()}
