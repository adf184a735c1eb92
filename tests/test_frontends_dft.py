"""Fourier transforms in matrix products against torch's, and the front-ends that are recorded with them."""

from __future__ import annotations

import pytest
import torch

from soundloom.frontends import ConstantQ, ConstantQSettings, Texture
from soundloom.frontends.base import Frontend
from soundloom.frontends.dft import inverse_dft, ripple_magnitudes, rows_of_rfft


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(3))


def near(got: torch.Tensor, expected: torch.Tensor, tolerance: float = 2e-6) -> None:
    assert got.shape == expected.shape
    assert float((got - expected).abs().max()) <= tolerance * float(expected.abs().max())


@pytest.mark.parametrize(("hop", "period", "rows"), [(8, 5, 4), (400, 48, 30), (7, 6, 3)])
def test_rows_of_a_spectrum(hop: int, period: int, rows: int) -> None:
    waveforms = noise(2, hop * period)
    expected = torch.view_as_real(torch.fft.rfft(waveforms)[:, : rows * period].reshape(2, rows, period))
    near(rows_of_rfft(waveforms, rows, period), expected)


def test_the_inverse_transform() -> None:
    spectra = noise(45, 3, 2)
    near(inverse_dft(spectra), torch.view_as_real(torch.fft.ifft(torch.view_as_complex(spectra), dim=0)))


@pytest.mark.parametrize("shape", [(3, 32, 96), (2, 4, 6, 9)])
def test_magnitudes_of_ripples(shape: tuple[int, ...]) -> None:
    patches, half = noise(*shape), shape[-2] // 2
    tapers = (noise(shape[-2]), noise(shape[-1]))
    expected = torch.fft.rfft2(patches * (tapers[0][:, None] * tapers[1])).abs()
    rising = expected[..., :half, :]
    falling = torch.cat([expected[..., :1, :], expected[..., half + 1 :, :].flip(-2)], dim=-2)
    near(ripple_magnitudes(patches, tapers), torch.stack([rising, falling], dim=-3))


@pytest.mark.parametrize(
    "frontend",
    [ConstantQ.verma(), ConstantQ(ConstantQSettings(hop_length=800, bins=84, fmin=32.7)), Texture()],
    ids=["verma", "notes", "texture"],
)
@pytest.mark.parametrize("seconds", [0.3, 2.0, 12.3])  # the last in several pieces
def test_what_is_recorded_is_what_is_computed(
    frontend: Frontend, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    waveforms = noise(2, round(seconds * 16000)) / 10
    silence = torch.zeros(1, round(seconds * 16000))
    computed, silent = frontend(waveforms), frontend(silence)
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    near(frontend(waveforms), computed, 1e-4)
    near(frontend(silence), silent, 1e-4)
