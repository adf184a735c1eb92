"""Framing, mel filters, log-mel presets and Kaldi features against librosa and against slow formulas."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import librosa
import numpy as np
import pytest
import soundfile
import torch

from soundloom.frontends.fbank import Fbank, FbankSettings
from soundloom.frontends.filterbank import FilterBank, filter_bank
from soundloom.frontends.frames import FramingSettings, window_function
from soundloom.frontends.mel import LogMel, LogMelSettings


def tone(frequency: float, sample_rate: int, seconds: float = 1.0) -> torch.Tensor:
    time = torch.arange(int(seconds * sample_rate)) / sample_rate
    return 0.5 * torch.sin(2 * math.pi * frequency * time)[None]


def noise(samples: int, seed: int = 0) -> torch.Tensor:
    return 0.1 * torch.randn(2, samples, generator=torch.Generator().manual_seed(seed))


def recordings(folder: Path, count: int) -> list[np.ndarray]:
    """Some real sounds at 16 kHz."""
    paths = sorted((folder / "esc50" / "audio").iterdir())[:: 2000 // count][:count]
    sounds = [soundfile.read(path, dtype="float32")[0][:80000] for path in paths]
    assert len(sounds) == count
    return [sound if sound.ndim == 1 else sound.mean(axis=1) for sound in sounds]


@pytest.mark.parametrize(("scale", "htk"), [("slaney", False), ("htk", True)])
@pytest.mark.parametrize(("norm", "librosa_norm"), [("area", "slaney"), ("none", None)])
@pytest.mark.parametrize(
    ("rate", "n_fft", "bins", "fmin", "fmax"),
    [(16000, 512, 40, 50, 8000), (22000, 1024, 96, 0, 11000), (32000, 1024, 64, 50, 14000)],
)
def test_filters_are_librosas(
    scale: str, htk: bool, norm: str, librosa_norm: str | None, rate: int, n_fft: int, bins: int, fmin: int, fmax: int
) -> None:
    ours = filter_bank(sample_rate=rate, n_fft=n_fft, bins=bins, fmin=fmin, fmax=fmax, scale=scale, norm=norm)
    theirs = librosa.filters.mel(sr=rate, n_fft=n_fft, n_mels=bins, fmin=fmin, fmax=fmax, htk=htk, norm=librosa_norm)
    np.testing.assert_allclose(ours.numpy(), theirs, atol=2e-7 * theirs.max())


def test_filters_straight_over_mel_follow_the_published_formula() -> None:
    """Hershey et al. 2017's code in words: both sides of a triangle are linear in 1127 ln(1 + f / 700)."""

    def mel(hertz: float) -> float:
        return 1127 * math.log(1 + hertz / 700)

    filters = filter_bank(
        sample_rate=16000, n_fft=512, bins=64, fmin=125, fmax=7500, scale="htk", slope="mel", norm="none"
    )
    edges = np.linspace(mel(125), mel(7500), 66)
    for band in range(64):
        low, middle, high = edges[band : band + 3]
        for bin_ in range(257):
            at = mel(bin_ * 16000 / 512)
            expected = max(0.0, min((at - low) / (middle - low), (high - at) / (high - middle)))
            assert abs(float(filters[band, bin_]) - expected) < 1e-6
    assert not filters[:, 0].any()


@pytest.mark.parametrize("bins", [1, 2, 31, 33, 64, 128])
def test_leaving_out_zeros_changes_nothing(bins: int) -> None:
    filters = filter_bank(sample_rate=16000, n_fft=512, bins=bins, fmin=0, fmax=8000)
    spectra = torch.rand(3, 5, 257, generator=torch.Generator().manual_seed(0))
    expected = (spectra @ filters.T).transpose(1, 2)
    torch.testing.assert_close(FilterBank(filters)(spectra), expected)


def librosa_log_mel(settings: LogMelSettings, waveform: np.ndarray) -> np.ndarray:
    energies = librosa.feature.melspectrogram(
        y=waveform,
        sr=settings.sample_rate,
        n_fft=settings.n_fft,
        win_length=settings.win_length,
        hop_length=settings.hop_length,
        n_mels=settings.bins,
        fmin=settings.fmin,
        fmax=settings.fmax,
        power=settings.power,
        pad_mode="reflect",
    )
    if settings.logarithm == "decibel":
        return librosa.power_to_db(energies, amin=settings.floor, top_db=None)
    return np.log(energies + settings.floor)


@pytest.mark.parametrize("preset", [LogMel.coala, lambda: LogMel.panns(16000), lambda: LogMel.panns(32000)])
def test_centred_presets_are_librosas(preset: object) -> None:
    frontend = preset()
    waveforms = noise(frontend.sample_rate)
    for row, heard in zip(waveforms, frontend(waveforms), strict=True):
        np.testing.assert_allclose(heard[0], librosa_log_mel(frontend.settings, row.numpy()), atol=1e-3)


def test_log_mel_of_real_sounds_is_librosas(shared_audio: Path) -> None:
    frontend = LogMel.panns(16000)
    for sound in recordings(shared_audio, 10):
        heard = frontend(torch.from_numpy(sound)[None])[0, 0]
        # A decibel scale has its floor at -100; below it rounding of the transform is all there is.
        expected = librosa_log_mel(frontend.settings, sound)
        np.testing.assert_allclose(heard.numpy().clip(-80), expected.clip(-80), atol=1e-2)
        loud = expected > expected.max() - 60
        np.testing.assert_allclose(heard.numpy()[loud], expected[loud], atol=1e-3)


def slow_vggish(waveform: np.ndarray) -> np.ndarray:
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    filters = filter_bank(
        sample_rate=16000, n_fft=512, bins=64, fmin=125, fmax=7500, scale="htk", slope="mel", norm="none"
    ).numpy()
    columns = []
    for start in range(0, len(waveform) - 399, 160):
        frame = np.zeros(512)
        frame[:400] = waveform[start : start + 400] * window
        columns.append(np.log(filters @ np.abs(np.fft.rfft(frame)) + 0.01))
    return np.stack(columns, axis=1)


def test_vggish_is_its_description() -> None:
    waveforms = noise(15600)
    heard = LogMel.vggish()(waveforms)
    assert heard.shape == (2, 1, 64, 96)
    np.testing.assert_allclose(heard[1, 0], slow_vggish(waveforms[1].double().numpy()), atol=1e-4)


def test_jansen_is_vggish() -> None:
    assert LogMel.jansen().settings == LogMel.vggish().settings


def slow_kaldi(waveform: np.ndarray) -> np.ndarray:
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 399)
    filters = filter_bank(
        sample_rate=16000, n_fft=512, bins=128, fmin=20, fmax=8000, scale="htk", slope="mel", norm="none"
    ).numpy()
    waveform = waveform - waveform.mean()
    columns = []
    for start in range(0, len(waveform) - 399, 160):
        frame = waveform[start : start + 400]
        frame = frame - frame.mean()
        frame = frame - 0.97 * np.concatenate([frame[:1], frame[:-1]])
        power = np.abs(np.fft.rfft(frame * window, 512)) ** 2
        columns.append(np.log(np.maximum(filters @ power, 1.1920929e-07)))
    return (np.stack(columns, axis=1) + 4.2677393) / (2 * 4.5689974)


def test_ast_features_are_kaldis() -> None:
    waveforms = noise(16000) + 0.3
    np.testing.assert_allclose(Fbank.ast()(waveforms)[0, 0], slow_kaldi(waveforms[0].double().numpy()), atol=2e-4)


def test_ast_features_are_those_of_the_transformers_library() -> None:
    audio_utils = pytest.importorskip("transformers.audio_utils")
    waveform = noise(16000)[0]
    filters = filter_bank(
        sample_rate=16000, n_fft=512, bins=128, fmin=20, fmax=8000, scale="htk", slope="mel", norm="none"
    )
    expected = audio_utils.spectrogram(
        waveform.numpy(),
        audio_utils.window_function(400, "hann", periodic=False),
        frame_length=400,
        hop_length=160,
        fft_length=512,
        power=2.0,
        center=False,
        preemphasis=0.97,
        mel_filters=filters.numpy().T,
        log_mel="log",
        mel_floor=1.192092955078125e-07,
        remove_dc_offset=True,
    )
    normalised = (expected + 4.2677393) / (2 * 4.5689974)
    np.testing.assert_allclose(Fbank.ast()(waveform[None])[0, 0], normalised, atol=1e-3)


def test_ast_silence_is_the_floor_and_padding_is_what_zero_becomes() -> None:
    silence = Fbank.ast()(torch.zeros(1, 1600))
    expected = (math.log(torch.finfo(torch.float32).eps) + 4.2677393) / (2 * 4.5689974)
    torch.testing.assert_close(silence, torch.full_like(silence, expected))
    assert FbankSettings().padding_value == pytest.approx(0.467, abs=1e-3)


@pytest.mark.parametrize("preset", [LogMel.vggish, LogMel.coala, lambda: LogMel.panns(32000)])
@pytest.mark.parametrize("frequency", [440, 1000, 3000])
def test_a_tone_is_loudest_in_the_band_around_it(preset: object, frequency: int) -> None:
    frontend = preset()
    filters = frontend.bank.filters
    strongest = filters[:, round(frequency / frontend.sample_rate * frontend.settings.n_fft)].argmax()
    heard = frontend(tone(frequency, frontend.sample_rate))[0, 0, :, 5:-5].mean(dim=1).argmax()
    assert abs(int(heard) - int(strongest)) <= 1


def test_ten_times_the_amplitude_adds_a_logarithm() -> None:
    waveforms = noise(22000)
    coala = LogMel.coala()
    torch.testing.assert_close(
        coala(10 * waveforms) - coala(waveforms), torch.full((2, 1, 96, 43), math.log(10)), atol=1e-4, rtol=0
    )
    panns = LogMel.panns(16000)
    difference = panns(10 * waveforms) - panns(waveforms)
    torch.testing.assert_close(difference, torch.full_like(difference, 20.0), atol=1e-3, rtol=0)


def test_energies_and_compression_make_the_whole() -> None:
    frontend = LogMel.vggish()
    waveforms = noise(16000)
    energies = frontend.energies(waveforms)
    torch.testing.assert_close(frontend(waveforms), frontend.compress(energies)[:, None])
    torch.testing.assert_close(frontend.energies(3 * waveforms), 3 * energies)


def test_gradients_are_right() -> None:
    settings = LogMelSettings(
        sample_rate=1000, n_fft=16, win_length=12, hop_length=8, bins=3, fmin=0, fmax=500, power=1
    )
    waveforms = noise(40).double().requires_grad_()
    assert torch.autograd.gradcheck(LogMel(settings).double().energies, waveforms)


@pytest.mark.parametrize(("name", "scipy_name"), [("hann", "hann"), ("hamming", "hamming")])
def test_windows_are_periodic_unless_called_symmetric(name: str, scipy_name: str) -> None:
    np.testing.assert_allclose(window_function(name, 400), librosa.filters.get_window(scipy_name, 400), atol=1e-7)
    np.testing.assert_allclose(window_function("hann-symmetric", 400), np.hanning(400), atol=1e-7)


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="win_length 800 must lie between 1 and n_fft 512"):
        FramingSettings(n_fft=512, win_length=800, hop_length=160)
    with pytest.raises(ValueError, match="hop_length must be at least one"):
        FramingSettings(n_fft=512, win_length=400, hop_length=0)
    with pytest.raises(ValueError, match="fmax <= 8000 Hz"):
        filter_bank(sample_rate=16000, n_fft=512, bins=64, fmin=50, fmax=14000)
    with pytest.raises(ValueError, match="published for 16000 and 32000"):
        LogMel.panns(44100)
    with pytest.raises(ValueError, match="deviation must be above zero"):
        FbankSettings(deviation=0.0)
    settings = LogMel.vggish().settings
    with pytest.raises(ValueError, match="floor must be above zero"):
        dataclasses.replace(settings, floor=0.0)
