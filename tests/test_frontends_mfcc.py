"""Cepstral coefficients and differences against librosa."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import librosa
import numpy as np
import pytest
import scipy.fft
import soundfile
import torch

from soundloom.frontends.mfcc import MFCC, cosine_transform, differences


def sounds(count: int, samples: int) -> torch.Tensor:
    """Noise that fades by 100 dB, so that the cut at 80 dB matters."""
    generator = torch.Generator().manual_seed(0)
    return 0.1 * torch.randn(count, samples, generator=generator) * torch.logspace(0, -5, samples)


def test_verma_is_librosas_without_the_first_coefficient_and_the_last_frame() -> None:
    waveforms = sounds(2, 16000)
    heard = MFCC.verma()(waveforms)
    assert heard.shape == (2, 1, 12, 40)
    for row, ours in zip(waveforms.numpy(), heard[:, 0].numpy(), strict=True):
        theirs = librosa.feature.mfcc(y=row, sr=16000, n_mfcc=13, hop_length=400)[1:, :40]
        np.testing.assert_allclose(ours, theirs, atol=5e-3)


@pytest.mark.parametrize("rate", [16000, 22000])
def test_coala_is_librosas_with_differences(rate: int) -> None:
    waveform = sounds(1, rate)
    theirs = librosa.feature.mfcc(y=waveform[0].numpy(), sr=rate, n_mfcc=20)
    theirs = np.concatenate([theirs, librosa.feature.delta(theirs), librosa.feature.delta(theirs, order=2)])
    np.testing.assert_allclose(MFCC.coala(rate)(waveform)[0, 0], theirs, atol=5e-3)


def test_real_sounds_agree_with_librosa(shared_audio: Path) -> None:
    paths = (
        sorted((shared_audio / "pitch").rglob("*.opus"))[::40] + sorted((shared_audio / "esc50").rglob("*.opus"))[::200]
    )
    frontend = MFCC.verma()
    assert len(paths) >= 15
    for path in paths:
        sound = soundfile.read(path, dtype="float32")[0][:48000]
        theirs = librosa.feature.mfcc(y=sound, sr=16000, n_mfcc=13, hop_length=400)[1:, : len(sound) // 400]
        ours = frontend(torch.from_numpy(sound)[None])[0, 0].numpy()
        if theirs.std() > 0:
            assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.9999, path


def test_loudness_is_only_in_the_first_coefficient() -> None:
    waveforms = sounds(1, 16000)
    torch.testing.assert_close(MFCC.verma()(5 * waveforms), MFCC.verma()(waveforms), atol=5e-3, rtol=0)


def test_the_cosine_transform_is_orthonormal_and_scipys() -> None:
    whole = cosine_transform(32, 32)
    torch.testing.assert_close(whole @ whole.T, torch.eye(32, dtype=torch.float64))
    rows = np.random.default_rng(0).standard_normal(32)
    np.testing.assert_allclose(cosine_transform(5, 32).numpy() @ rows, scipy.fft.dct(rows, norm="ortho")[:5])


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("frames", [1, 2, 8, 9, 10, 40])
def test_differences_are_librosas(order: int, frames: int) -> None:
    rows = torch.randn(2, 3, frames, generator=torch.Generator().manual_seed(frames))
    mode = "interp" if frames >= 9 else "nearest"
    np.testing.assert_allclose(
        differences(rows, order=order), librosa.feature.delta(rows.numpy(), order=order, mode=mode), atol=1e-6
    )


def test_differences_of_a_parabola_are_its_derivatives() -> None:
    time = torch.arange(30.0)
    parabola = (2 + 3 * time + 0.5 * time**2)[None, None]
    torch.testing.assert_close(differences(parabola, order=2), torch.ones(1, 1, 30), atol=1e-4, rtol=0)
    slope = differences(parabola, order=1)[0, 0]
    torch.testing.assert_close(slope[4:-4], (3 + time)[4:-4])


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="order 1 or 2, got 3"):
        differences(torch.zeros(1, 1, 20), order=3)
    with pytest.raises(ValueError, match="between 2 and the 128 bands, got 1"):
        dataclasses.replace(MFCC.verma().settings, coefficients=1)
