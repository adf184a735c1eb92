"""Samplers against the paper's equations as loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch

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
