"""A sweep, and what a file of it is decoded to, for the tests of lengths."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from soundloom.audio import DecodeOptions, Notice, info, read

RATE = 44100


def sweep(seconds: float = 2.0, rate: int = RATE) -> np.ndarray:
    """A tone that rises, which is like itself at no other place."""
    times = np.arange(round(seconds * rate)) / rate
    return (0.4 * np.sin(2 * np.pi * 200 * times * (1 + times))).astype(np.float32)


def decoded(file: Path, rate: int = RATE, **how: DecodeOptions) -> tuple[np.ndarray, list[str]]:
    """The waveform and the codes of its notices; the length that is shown is the length decoded."""
    notices: list[Notice] = []
    samples = read(file, rate, notices=notices, **how)
    shown = info(file, **how).duration
    assert shown is not None
    assert shown == pytest.approx(len(samples) / rate, abs=0.06)
    return samples, [notice.code for notice in notices]


# WAV and its kin


def pcm(path: Path, container: str, subtype: str = "PCM_16") -> tuple[bytearray, np.ndarray]:
    """A file of libsndfile, and what it holds."""
    soundfile.write(path, sweep(), RATE, subtype, format=container)
    return bytearray(path.read_bytes()), soundfile.read(path, dtype="float32")[0]
