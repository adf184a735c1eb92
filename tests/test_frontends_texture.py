"""The texture front-end against its statistics written as slow loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from soundloom.frontends import Texture, TextureSettings

FLOOR = TextureSettings().floor


def slow_ripples(patches: list[np.ndarray], rates: tuple[int, ...], scales: tuple[int, ...]) -> np.ndarray:
    """Every cell by its definition, averaged over patches ``[bands, frames]`` that stand for one another."""
    cells = []
    for patch in patches:
        height, width = patch.shape
        hann = [0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n) for n in (height, width)]
        centred = (patch - patch.mean()) * np.outer(*hann)
        told = np.zeros((2, len(scales) - 1, len(rates) - 1))
        for sign in range(2):
            for s in range(len(scales) - 1):
                for r in range(len(rates) - 1):
                    strengths = []
                    for scale in range(scales[s], scales[s + 1]):
                        for rate in range(rates[r], rates[r + 1]):
                            turn = (scale if sign == 0 else -scale) * np.arange(height)[:, None] / height
                            wave = np.exp(-2j * np.pi * (turn + rate * np.arange(width) / width))
                            strengths.append(abs((centred * wave).sum()))
                    told[sign, s, r] = np.log(np.mean(strengths) + FLOOR)
        cells.append(told.ravel())
    return np.mean(cells, axis=0)


def test_the_statistics_are_those_of_slow_loops() -> None:
    frontend = Texture()
    window = torch.randn(64, 96, generator=torch.Generator().manual_seed(0)).cumsum(dim=1) / 4
    told = frontend.statistics(window[None, None])[0, 0].numpy()
    values = window.numpy().astype(np.float64)
    settings = frontend.settings
    expected = [values.mean(axis=1), values.std(axis=1)]
    for half in (values[:32], values[32:]):
        expected.append(slow_ripples([half], settings.rates, settings.scales))
    for half in (values[:32], values[32:]):
        thirds = [half[:, start : start + 32] for start in range(0, 65, 16)]
        expected.append(slow_ripples(thirds, settings.short_rates, settings.scales))
    groups = values.reshape(16, 4, 96).mean(axis=1)
    centred = groups - groups.mean(axis=1, keepdims=True)
    units = centred / (centred.std(axis=1, keepdims=True) + 1e-3)
    expected.append(np.array([np.mean(units[a] * units[b]) for a in range(16) for b in range(a + 1, 16)]))
    change = np.diff(values, axis=1)
    expected.append(change.std(axis=1))
    for part in (change.clip(0), (-change).clip(0)):
        expected.append(np.cbrt((part**3).mean(axis=1) + 1e-9))
    np.testing.assert_allclose(told, np.concatenate(expected), atol=2e-4)


def test_no_sound_is_left_unheard() -> None:
    frontend = Texture()
    base = torch.zeros(1, 16000 + 6000)
    changed = base.clone()
    changed[0, -500:] = torch.randn(500, generator=torch.Generator().manual_seed(1))
    assert not torch.equal(frontend(base)[..., -1], frontend(changed)[..., -1])
    assert torch.equal(frontend(base)[..., 0], frontend(changed)[..., 0])


def test_a_ripple_that_rises_is_told_from_one_that_falls() -> None:
    frontend = Texture()
    bands, frames = torch.arange(64)[:, None], torch.arange(96)[None]
    rising = torch.cos(2 * torch.pi * (4 * frames / 96 - 2 * bands / 32))
    falling = torch.cos(2 * torch.pi * (4 * frames / 96 + 2 * bands / 32))
    up, down = (frontend.statistics(each[None, None])[0, 0] for each in (rising, falling))
    ripples = slice(128, 128 + 2 * 120)
    parted = [each[ripples].reshape(2, 2, 6, 10) for each in (up, down)]
    strongest = [divmod(int(each[0].mean(dim=(1, 2)).argmax()), 1)[0] for each in parted]
    assert strongest[0] != strongest[1]
    torch.testing.assert_close(parted[0][:, 0], parted[1][:, 1], atol=0.05, rtol=0.05)


@pytest.mark.parametrize(
    ("given", "told"),
    [({"window": 97}, "multiple of 3"), ({"hop": 0}, "at least the hop"), ({"rates": (0, 60)}, "rates must ascend")],
)
def test_impossible_settings_are_refused(given: dict[str, object], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        TextureSettings(**given)  # type: ignore[arg-type]


def test_bands_that_are_no_whole_number_of_patches_are_refused() -> None:
    with pytest.raises(ValueError, match="64 bands cannot be divided into patches of 48"):
        Texture(TextureSettings(patch_bands=48, scales=(0, 1)))
