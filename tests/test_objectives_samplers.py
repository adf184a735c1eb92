"""Samplers against the paper's equations as loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from soundloom.objectives import waveform_samplers
from soundloom.objectives.samplers import mixed, noisy, translated


@pytest.fixture
def energies() -> torch.Tensor:
    """Four sounds of seven frames and five bins."""
    return torch.rand(4, 7, 5, generator=torch.Generator().manual_seed(1)) + 0.1


def test_noise_is_the_paper_s_cell_by_cell(energies: torch.Tensor) -> None:
    torch.manual_seed(3)
    made = noisy(energies, 0.5)
    torch.manual_seed(3)
    epsilon = 0.5 * torch.randn(4, 7, 5)
    for b in range(4):
        for t in range(7):
            for f in range(5):
                expected = energies[b, t, f] * (1 + abs(epsilon[b, t, f]))
                assert made[b, t, f] == pytest.approx(expected.item(), rel=1e-6)


def test_noise_makes_every_cell_louder_by_sigma_times_the_mean_of_a_half_normal() -> None:
    torch.manual_seed(0)
    louder = noisy(torch.ones(10, 100, 100), 0.5) - 1
    assert (louder >= 0).all()
    assert louder.mean().item() == pytest.approx(0.5 * np.sqrt(2 / np.pi), rel=0.01)


def test_noise_leaves_silence_silent() -> None:
    assert not noisy(torch.zeros(2, 3, 4), 0.5).any()


def loop_translated(sound: np.ndarray, along: int, across: int) -> np.ndarray:
    """Circ_T and then Trunc_S of one sound, cell by cell."""
    frames, bins = sound.shape
    moved = np.zeros_like(sound)
    for t in range(frames):
        for f in range(bins):
            if 0 <= f + across < bins:
                moved[(t + along) % frames, f + across] = sound[t, f]
    return moved


def test_translation_is_one_of_the_paper_s_for_each_sound(energies: torch.Tensor) -> None:
    torch.manual_seed(5)
    many = energies.repeat(100, 1, 1)
    found = set()
    for sound, moved in zip(many.numpy(), translated(many, 2).numpy(), strict=True):
        matches = [
            (along, across)
            for along in range(7)
            for across in range(-2, 3)
            if np.array_equal(moved, loop_translated(sound, along, across))
        ]
        assert len(matches) == 1
        found.add(matches[0])
    assert found == {(along, across) for along in range(7) for across in range(-2, 3)}


def test_translation_by_no_bins_only_turns_time_around(energies: torch.Tensor) -> None:
    moved = translated(energies, 0)
    torch.testing.assert_close(moved.sum(dim=1), energies.sum(dim=1))


def test_translation_farther_than_there_are_bins_leaves_silence() -> None:
    torch.manual_seed(0)
    moved = translated(torch.ones(200, 3, 2), 4)
    # Of -4 ... 4 bins, -1, 0 and 1 leave something of two.
    assert moved.sum(dim=(1, 2)).unique().tolist() == [0, 3, 6]


def test_mixing_is_the_paper_s_equation(energies: torch.Tensor) -> None:
    others = energies.flip(0) * torch.tensor([1.0, 10, 100, 1000])[:, None, None]
    made = mixed(energies, others, 0.25)
    for anchor, other, positive in zip(energies.tolist(), others.tolist(), made.tolist(), strict=True):
        energy = [sum(sum(frame) for frame in sound) for sound in (anchor, other)]
        for t in range(7):
            for f in range(5):
                expected = anchor[t][f] + 0.25 * energy[0] / energy[1] * other[t][f]
                assert positive[t][f] == pytest.approx(expected, rel=1e-5)


def test_mixing_adds_a_quarter_of_the_energy_however_loud_the_other_is(energies: torch.Tensor) -> None:
    for gain in (1e-8, 1.0, 1e8):
        made = mixed(energies, gain * energies.flip(0), 0.25)
        torch.testing.assert_close(made.sum(dim=(1, 2)), 1.25 * energies.sum(dim=(1, 2)))


def test_mixing_in_silence_changes_nothing_and_mixing_into_silence_stays_silent(energies: torch.Tensor) -> None:
    assert torch.equal(mixed(energies, torch.zeros_like(energies), 0.25), energies)
    assert not mixed(torch.zeros_like(energies), energies, 0.25).any()


@pytest.mark.parametrize("sampler", [lambda x: noisy(x, 0.5), lambda x: translated(x, 2)])
def test_the_same_state_of_the_generator_gives_the_same_positives(energies: torch.Tensor, sampler: object) -> None:
    def made(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return sampler(energies)  # type: ignore[operator]

    assert torch.equal(made(1), made(1))
    assert not torch.equal(made(1), made(2))


# --- on waveforms


def tones(*hertz: float, seconds: float = 1.0) -> torch.Tensor:
    time = torch.arange(round(16000 * seconds)) / 16000
    return torch.stack([0.5 * torch.sin(2 * torch.pi * each * time) for each in hertz])


def strongest(waveforms: torch.Tensor) -> list[int]:
    """The strongest frequency of each, in hertz; of seconds."""
    return [int(place) for place in torch.fft.rfft(waveforms).abs().argmax(dim=1)]


def test_noise_makes_a_waveform_s_cells_louder_and_nothing_else() -> None:
    torch.manual_seed(0)
    sound = torch.randn(4, 16000, generator=torch.Generator().manual_seed(1))
    made = waveform_samplers.noisy(sound, 0.5)
    # The mean of 1 + |e| is 1 + sigma sqrt(2 / pi), as on mel energies; overlapping cells average amplitudes, not
    # energies, which takes a little off.
    gain = (made.square().sum(dim=1) / sound.square().sum(dim=1)).numpy()
    np.testing.assert_allclose(gain, 1 + 0.5 * np.sqrt(2 / np.pi), rtol=0.03)
    assert strongest(waveform_samplers.noisy(tones(440), 0.5)) == [440]
    assert not waveform_samplers.noisy(torch.zeros(2, 16000), 0.5).any()
    torch.testing.assert_close(waveform_samplers.noisy(sound, 0.0), sound, rtol=0, atol=1e-5)


def test_translation_without_a_shift_is_around_in_time() -> None:
    torch.manual_seed(3)
    sound = torch.randn(3, 1000, generator=torch.Generator().manual_seed(1))
    moved = waveform_samplers.translated(sound, 0)
    torch.manual_seed(3)
    along = torch.randint(1000, (3,)).tolist()
    for row, by in enumerate(along):
        torch.testing.assert_close(moved[row], sound[row].roll(by), rtol=0, atol=1e-5)


def test_translation_is_the_formula_s_sum() -> None:
    samples, shift = 64, 4
    sound = torch.randn(30, samples, generator=torch.Generator().manual_seed(1)).double()
    torch.manual_seed(7)
    moved = waveform_samplers.translated(sound, shift).numpy()
    torch.manual_seed(7)
    along, semitones = torch.randint(samples, (30,)).tolist(), torch.randint(-shift, shift + 1, (30,)).tolist()
    assert set(semitones) == set(range(-shift, shift + 1))
    for row in range(30):
        # Half the sample rate itself has no phase: kept out on both sides.
        spectrum = np.fft.fft(np.roll(sound[row].numpy(), along[row]))
        period = round(samples / 2 ** (semitones[row] / 12))
        most = (min(samples, period) - 1) // 2
        for n in range(0, samples, 7):
            expected = (
                sum(spectrum[k] * np.exp(2j * np.pi * k * n / period) for k in range(-most, most + 1)).real / samples
            )
            edge = np.abs(spectrum[most + 1]) * 2 / samples
            assert abs(moved[row, n] - expected) <= edge + 1e-9


def test_translation_moves_tones_by_semitones() -> None:
    torch.manual_seed(0)
    moved = strongest(waveform_samplers.translated(tones(*[440] * 200), 6))
    assert min(moved) == pytest.approx(440 / 2**0.5, abs=1)
    assert max(moved) == pytest.approx(440 * 2**0.5, abs=1)
    steps = 12 * np.log2(np.array(moved) / 440)
    np.testing.assert_allclose(steps, steps.round(), atol=0.05)
    assert len(set(steps.round())) == 13


def test_what_is_moved_beyond_half_the_rate_is_cut_off() -> None:
    torch.manual_seed(0)
    high = waveform_samplers.translated(tones(*[7000] * 100), 12).square().mean(dim=1)
    # A tone of 7 kHz is beyond 8 kHz from three semitones up.
    assert {bool(energy > 0.1) for energy in high} == {True, False}
    assert all(energy > 0.1 or energy < 1e-3 for energy in high)


def test_a_waveform_is_mixed_at_the_share_of_its_energy() -> None:
    sounds, others = tones(440, 100), 7 * tones(1000, 2000)
    made = waveform_samplers.mixed(sounds, others, 0.25)
    added = made - sounds
    torch.testing.assert_close(added.square().sum(dim=1), 0.25 * sounds.square().sum(dim=1))
    gain = (added * others).sum(dim=1, keepdim=True) / others.square().sum(dim=1, keepdim=True)
    torch.testing.assert_close(added, gain * others, rtol=0, atol=1e-5)
    assert torch.equal(waveform_samplers.mixed(sounds, torch.zeros_like(sounds), 0.25), sounds)


@pytest.mark.parametrize("name", ["noisy", "translated"])
def test_the_generator_s_state_decides_the_waveforms(name: str) -> None:
    def made(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return getattr(waveform_samplers, name)(tones(200, 300), 5)

    assert torch.equal(made(1), made(1))
    assert not torch.equal(made(1), made(2))
