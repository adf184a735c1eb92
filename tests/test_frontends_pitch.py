"""The constant-Q transform against librosa and direct sums, and the peak map against loops."""

from __future__ import annotations

import math
from pathlib import Path

import librosa
import numpy as np
import pytest
import soundfile
import torch

from soundloom.frontends.constantq import LONGEST, ConstantQ, ConstantQSettings, filter_groups, hann_spectrum, smooth
from soundloom.frontends.peaks import PeakMap, median_by_second, spectral_peaks


def noise(batch: int, samples: int) -> torch.Tensor:
    return 0.1 * torch.randn(batch, samples, generator=torch.Generator().manual_seed(1))


def librosa_constant_q(waveform: np.ndarray) -> np.ndarray:
    response = librosa.cqt(
        waveform, sr=16000, hop_length=400, fmin=40, n_bins=80, bins_per_octave=12, sparsity=0.01, tuning=0.0
    )
    return np.abs(response)[:, : len(waveform) // 400]


def direct_constant_q(waveform: np.ndarray, settings: ConstantQSettings) -> np.ndarray:
    """The definition, sample by sample in double precision."""
    hop = settings.hop_length
    columns = np.zeros((settings.bins, len(waveform) // hop))
    for bin_, (frequency, length) in enumerate(
        zip(settings.frequencies.numpy(), settings.lengths.numpy(), strict=True)
    ):
        half = int(length / 2)
        offsets = np.arange(-half, half + 1)
        window = np.cos(np.pi * offsets / length) ** 2
        kernel = window / window.sum() * np.exp(-2j * np.pi * frequency / settings.sample_rate * offsets)
        padded = np.pad(waveform.astype(np.float64), half)
        for frame in range(columns.shape[1]):
            heard = padded[frame * hop : frame * hop + 2 * half + 1]
            columns[bin_, frame] = np.sqrt(length) * abs(np.dot(heard, kernel))
    return columns


def slow_peaks(magnitudes: np.ndarray, second: int) -> np.ndarray:
    """Verma 2023, section 3.1, cell by cell."""
    bins, frames = magnitudes.shape
    found = np.zeros((bins, frames), dtype=bool)
    for start in range(0, frames, second):
        median = np.median(magnitudes[:, start : start + second])
        for frame in range(start, min(start + second, frames)):
            for bin_ in range(bins):
                here = magnitudes[bin_, frame]
                around = [magnitudes[b, frame] for b in range(max(0, bin_ - 2), min(bins, bin_ + 3)) if b != bin_]
                silent = here <= 1e-5 * magnitudes.max()
                found[bin_, frame] = all(here > other for other in around) and here >= median and not silent
    return found


def f_measure(ours: np.ndarray, theirs: np.ndarray) -> float:
    return 2 * (ours & theirs).sum() / (ours.sum() + theirs.sum())


@pytest.mark.parametrize("samples", [400, 4000, 16000, 16399])
def test_the_folded_spectrum_is_the_definition(samples: int) -> None:
    waveforms = noise(2, samples)
    frontend = ConstantQ.verma()
    expected = direct_constant_q(waveforms[1].numpy(), frontend.settings)
    np.testing.assert_allclose(frontend(waveforms)[1, 0], expected, atol=2e-3 * expected.max())


def test_other_settings_follow_the_definition_too() -> None:
    # An odd hop, whose half spectrum is no whole number of rows, and another octave division.
    settings = ConstantQSettings(sample_rate=22050, hop_length=551, bins=50, bins_per_octave=24, fmin=220)
    waveforms = noise(1, 22050)
    expected = direct_constant_q(waveforms[0].numpy(), settings)
    np.testing.assert_allclose(ConstantQ(settings)(waveforms)[0, 0], expected, atol=2e-3 * expected.max())


def test_noise_agrees_with_librosa_in_shape_and_scale() -> None:
    waveforms = noise(1, 48000)
    ours, theirs = ConstantQ.verma()(waveforms)[0, 0].numpy(), librosa_constant_q(waveforms[0].numpy())
    assert ours.shape == theirs.shape
    assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.999
    assert (ours * theirs).sum() / (theirs * theirs).sum() == pytest.approx(1, abs=5e-3)


def test_real_sounds_agree_with_librosa(shared_audio: Path) -> None:
    """Constant-Q correlation above 0.999 with librosa, and peak maps that are those of the definition.

    Peaks 60 dB below the loudest are within what librosa's sparsity of 0.01 leaves out, so that its own map has an
    F1 of only about 0.95 with the definition's: ours must be no further from it, and much nearer the definition.
    """
    paths = (
        sorted((shared_audio / "pitch").rglob("*.opus"))[::42] + sorted((shared_audio / "esc50").rglob("*.opus"))[::200]
    )
    ours, theirs, defined = [], [], []
    frontend, peaks = ConstantQ.verma(), PeakMap.verma()
    for path in paths:
        sound = soundfile.read(path, dtype="float32")[0][:16000]
        sound = sound[: len(sound) // 16000 * 16000]
        # Silence holds nothing to compare but each method's rounding.
        if len(sound) == 0 or np.abs(sound).max() < 1e-3 or (sound == 0).mean() > 0.1:
            continue
        expected = librosa_constant_q(sound)
        heard = frontend(torch.from_numpy(sound)[None])[0, 0].numpy()
        assert np.corrcoef(heard.ravel(), expected.ravel())[0, 1] > 0.999, path
        ours.append(peaks(torch.from_numpy(sound)[None])[0, 0].numpy().astype(bool))
        theirs.append(slow_peaks(expected, 40))
        defined.append(slow_peaks(direct_constant_q(sound, frontend.settings), 40))
    assert len(ours) >= 10
    to_definition = f_measure(np.concatenate(ours, axis=1), np.concatenate(defined, axis=1))
    to_librosa = f_measure(np.concatenate(ours, axis=1), np.concatenate(theirs, axis=1))
    librosa_to_definition = f_measure(np.concatenate(theirs, axis=1), np.concatenate(defined, axis=1))
    assert to_definition > 0.99
    assert to_librosa > 0.94
    assert to_librosa > librosa_to_definition - 0.005


def test_sparse_filters_are_librosa_s() -> None:
    """Also where a waveform begins and ends at once, which rings in every decimated octave."""
    rng = np.random.default_rng(0)
    times = np.arange(24000) / 16000
    sound = (np.sin(2 * np.pi * 220 * times) + 0.01 * rng.standard_normal(24000)).astype(np.float32)
    sparse = ConstantQ.verma(0.01)
    ours, theirs = sparse(torch.from_numpy(sound)[None])[0, 0].numpy(), librosa_constant_q(sound)
    for first in range(0, 80, 12):
        octave = slice(first, first + 12)
        assert np.abs(ours[octave] - theirs[octave]).max() < 5e-3 * theirs[octave].max()
    # What is further than a second away does not count.
    assert sparse.local is sparse
    later = np.concatenate([rng.standard_normal(32000).astype(np.float32), sound])
    found = sparse(torch.from_numpy(later)[None])[0, 0].numpy()[:, -18:]
    np.testing.assert_allclose(found, ours[:, -18:], rtol=1e-4, atol=1e-5 * float(ours.max()))


def test_sparse_filters_find_librosa_s_peaks(shared_audio: Path) -> None:
    """Peaks of librosa with its sparsity of 0.01: ours at 0.01 are the same, those without have an F1 of 0.95."""
    paths = (
        sorted((shared_audio / "pitch").rglob("*.opus"))[::42] + sorted((shared_audio / "esc50").rglob("*.opus"))[::200]
    )
    found: dict[float, list[np.ndarray]] = {0.0: [], 0.01: []}
    theirs = []
    for path in paths:
        sound = soundfile.read(path, dtype="float32")[0][:16000]
        if len(sound) < 16000 or np.abs(sound).max() < 1e-3 or (sound == 0).mean() > 0.1:
            continue
        theirs.append(slow_peaks(librosa_constant_q(sound), 40))
        for sparsity, maps in found.items():
            maps.append(PeakMap.verma(sparsity)(torch.from_numpy(sound)[None])[0, 0].numpy().astype(bool))
    dense, sparse = (f_measure(np.concatenate(maps, axis=1), np.concatenate(theirs, axis=1)) for maps in found.values())
    assert sparse > 0.999
    assert dense < 0.97


def test_sparsity_is_a_setting_that_fingerprints_count() -> None:
    assert "sparsity" not in repr(ConstantQSettings())
    assert repr(ConstantQSettings(sparsity=0.01)).endswith(", fmin=40.0, sparsity=0.01)")
    with pytest.raises(ValueError, match="sparsity is a share from 0 to below 1, got 1"):
        ConstantQSettings(sparsity=1)


def test_long_waveforms_are_cut_without_seams() -> None:
    frontend = ConstantQ.verma()
    whole = noise(1, 400 * (2 * LONGEST + 37) + 123)
    heard = frontend(whole)[0, 0]
    assert frontend._cut(heard.shape[1]).number == 3
    # Frames in the middle of an excerpt, out of reach of its ends, are those of the whole.
    for first in range(0, heard.shape[1] - 100, 50):
        excerpt = frontend(whole[:, 400 * first : 400 * (first + 100)])[0, 0]
        torch.testing.assert_close(
            excerpt[:, frontend.halo : -frontend.halo],
            heard[:, first + frontend.halo : first + 100 - frontend.halo],
            atol=2e-4,
            rtol=1e-3,
        )


@pytest.mark.parametrize("expected", [3, 17, 41, 60, 78])
def test_a_tone_peaks_in_its_own_bin(expected: int) -> None:
    frequency = 40 * 2 ** (expected / 12)
    time = torch.arange(16000) / 16000
    waveform = 0.5 * torch.sin(2 * math.pi * frequency * time)[None]
    assert set(ConstantQ.verma()(waveform)[0, 0, :, 10:-10].argmax(dim=0).tolist()) == {expected}
    assert PeakMap.verma()(waveform)[0, 0, expected, 10:-10].all()


def test_magnitudes_follow_the_amplitude_and_peaks_do_not() -> None:
    waveforms = noise(1, 16000)
    frontend = ConstantQ.verma()
    torch.testing.assert_close(
        frontend(10 * waveforms).log() - frontend(waveforms).log(),
        torch.full((1, 1, 80, 40), math.log(10)),
        atol=1e-3,
        rtol=0,
    )
    assert torch.equal(PeakMap.verma()(8 * waveforms), PeakMap.verma()(waveforms))


def test_what_is_dropped_of_a_filter_is_as_little_as_said() -> None:
    settings = ConstantQSettings()
    period = 50
    points = torch.arange(settings.hop_length // 2 * period, dtype=torch.float64) / (settings.hop_length * period)
    for number, (first, spectra) in enumerate(filter_groups(settings, period, torch.device("cpu"))):
        bins = slice(20 * number, 20 * number + 20)
        offsets = points - settings.frequencies[bins, None] / settings.sample_rate
        energy = hann_spectrum(offsets, settings.lengths[bins, None]).square()
        kept = energy[:, first * period : (first + spectra.shape[2]) * period]
        assert (1 - kept.sum(dim=1) / energy.sum(dim=1)).max() < 3e-8


def test_smooth_numbers_are_the_next_without_larger_primes() -> None:
    assert [smooth(n) for n in (1, 7, 11, 49, 50, 101, 409)] == [1, 8, 12, 50, 50, 108, 432]


def test_the_highest_bin_must_be_heard() -> None:
    with pytest.raises(ValueError, match="above half the sample rate"):
        ConstantQSettings(bins=96)
    with pytest.raises(ValueError, match="must be above zero"):
        ConstantQSettings(fmin=0.0)


@pytest.mark.parametrize("samples", [400, 16000, 20000, 32000, 33200])
def test_peaks_are_those_of_the_loop(samples: int) -> None:
    waveforms = noise(2, samples)
    magnitudes = ConstantQ.verma()(waveforms)[:, 0]
    for row, found in zip(magnitudes.numpy(), PeakMap.verma()(waveforms)[:, 0].numpy(), strict=True):
        np.testing.assert_array_equal(found.astype(bool), slow_peaks(row, 40))


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (4, 10), (5, 13)])
def test_the_upper_median_serves_even_and_odd_counts_and_ties(shape: tuple[int, int]) -> None:
    for seed in range(20):
        cells = torch.randint(0, 4, (2, *shape), generator=torch.Generator().manual_seed(seed)).float()
        levels = median_by_second(cells, 5)
        for row, level in zip(cells.numpy(), levels.numpy(), strict=True):
            for start in range(0, shape[1], 5):
                part = row[:, start : start + 5]
                np.testing.assert_array_equal(part >= level[:, start : start + 5], part >= np.median(part))


def test_plateaus_and_silence_have_no_peaks() -> None:
    cells = torch.tensor([0.0, 0, 5, 5, 0, 0, 0, 3, 0, 0, 2])[None, :, None]
    assert spectral_peaks(cells, 40)[0, :, 0].nonzero().flatten().tolist() == [7, 10]
    assert not PeakMap.verma()(torch.zeros(1, 16000)).any()
    half_silent = noise(1, 32000)
    half_silent[:, 16000:] = 0
    # The longest filter hears 217 ms back; beyond there is only rounding, which is no sound.
    assert not PeakMap.verma()(half_silent)[..., 50:].any()
