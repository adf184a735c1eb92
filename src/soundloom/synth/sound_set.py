"""A folder of synthetic sounds, in the mixture of formats that a real folder has."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

import numpy as np
from jaxtyping import Float32
from numpy.typing import NDArray

from soundloom.errors import InvalidArgumentError
from soundloom.synth.families import FAMILIES, render

__all__ = ["write_set"]

# Suffix, libsndfile subtype, sample rate (None: the one asked for) and channels, in turn over a family's members.
_FORMATS = (
    (".wav", "PCM_16", None, 1),
    (".wav", "PCM_16", None, 1),
    (".flac", "PCM_16", 44_100, 2),
    (".wav", "PCM_16", 22_050, 1),
    (".ogg", "VORBIS", None, 1),
    (".wav", "PCM_16", 48_000, 2),
    (".wav", "PCM_16", None, 1),
)


def write_set(folder: str | PathLike[str], count: int = 15, seed: int = 0, sample_rate: int = 16_000) -> list[Path]:
    """Write ``count`` sounds of every family as ``folder/bell/bell-00.wav`` and so on.

    Most files are mono 16-bit WAV at the rate asked for; some are FLAC or Ogg Vorbis, some stereo, some at 22.05,
    44.1 or 48 kHz, always the same ones. Files of the same name are replaced.

    Args:
        folder: made when it is not there.
        count: sounds a family.
        seed: as in :func:`soundloom.synth.render`.
        sample_rate: of most files, in hertz.

    Returns:
        The files, family by family in the order of :data:`soundloom.synth.FAMILIES`.

    Raises:
        InvalidArgumentError: ``count`` is not positive, or ``seed`` or ``sample_rate`` is refused by ``render``.
    """
    import soundfile

    if count < 1:
        raise InvalidArgumentError(f"count must be 1 or more, got {count}")
    paths = []
    for family in FAMILIES:
        place = Path(folder) / family
        place.mkdir(parents=True, exist_ok=True)
        for index in range(count):
            suffix, subtype, rate, channels = _FORMATS[index % len(_FORMATS)]
            sound = render(family, index, seed, rate or sample_rate)
            samples = sound.samples if channels == 1 else _beside(sound.samples, sound.sample_rate)
            path = place / f"{family}-{index:02d}{suffix}"
            soundfile.write(path, samples, sound.sample_rate, subtype=subtype)
            paths.append(path)
    return paths


def _beside(
    samples: Float32[NDArray[np.float32], " samples"], sample_rate: int
) -> Float32[NDArray[np.float32], "samples 2"]:
    """Two channels of a sound from the left: the right channel is softer, and 0.4 ms later."""
    late = round(4e-4 * sample_rate)
    right = 0.7 * np.concatenate([np.zeros(late, np.float32), samples[:-late]])
    return np.stack([samples, right], axis=1)
