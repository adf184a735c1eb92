"""Removal of a constant offset before a front-end."""

from __future__ import annotations

import torch

from soundloom.frontends import CentredFrontend, LogMel


def sound() -> torch.Tensor:
    noise = 0.1 * torch.randn(2, 16000, generator=torch.Generator().manual_seed(4))
    return noise - noise.mean(dim=1, keepdim=True)


def test_an_offset_changes_nothing() -> None:
    inner = LogMel.yamnet()
    frontend = CentredFrontend(inner)
    torch.testing.assert_close(frontend(sound() + 0.2), inner(sound()), atol=1e-3, rtol=1e-3)
    assert (inner(sound() + 0.2) - inner(sound())).abs().max() > 1


def test_silence_behind_a_sound_stays_silence() -> None:
    frontend = CentredFrontend(LogMel.yamnet())
    filled = torch.nn.functional.pad(sound() + 0.2, (0, 8000))
    expected = frontend.inner(torch.nn.functional.pad(sound(), (0, 8000)))
    torch.testing.assert_close(frontend(filled), expected, atol=1e-3, rtol=1e-3)


def test_rows_are_centred_alone_and_silence_stays_as_it_is() -> None:
    frontend = CentredFrontend(LogMel.yamnet())
    rows = torch.stack([sound()[0] + 0.2, torch.zeros(16000)])
    assert torch.equal(frontend(rows)[:1], frontend(rows[:1]))
    assert torch.equal(frontend(rows)[1:], frontend.inner(torch.zeros(1, 16000)))
