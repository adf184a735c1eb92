"""Triplet samplers on waveforms: noise, translation and mixing (after Jansen 2017, section 3.2).

Jansen 2017, section 3.2, defines them on the cells of a mel spectrogram. A front-end of peaks, cepstra, samples or a
network's columns has no such cells, or none that add; so the waveform itself is changed before the front-end.
Each does to a waveform what the paper does to cells:

    noise         the cells are those of a Fourier transform every 16 ms; their energies grow as the paper's do
    translation   around in time; higher or lower by whole semitones, which are about as wide as the paper's bins
    mixing        the other waveform is added, at the share of the energy that the paper gives it

Random numbers are torch's own: the same state of torch's generator gives the same positives.

When not: translation in frequency for an embedding that is to distinguish pitches. It learns that a sound and its
transposition are the same; ``shift=0`` leaves the translation in time.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from soundloom.objectives.samplers import PositiveSampler

__all__ = ["POSITIVES", "mixed", "noisy", "translated"]

# 32 ms at 16 kHz: fine enough for two notes, short enough that noise follows the sound.
_POINTS = 512
_HOP = 256

_QUIETEST = 1e-30


def noisy(waveforms: Float[Tensor, "batch samples"], sigma: float) -> Float[Tensor, "batch samples"]:
    """Gaussian noise: the energy of every cell of the sound's spectrogram larger by a random share of itself.

    |X_p[t, f]|^2 = |X[t, f]|^2 (1 + |e[t, f]|),   e[t, f] ~ N(0, sigma^2)

    Cells overlap in time, so that the noise of a cell is a mean over it and its neighbours.
    """
    window = torch.hann_window(_POINTS, device=waveforms.device)
    cells = torch.stft(waveforms, _POINTS, _HOP, window=window, return_complex=True, pad_mode="constant")
    louder = (1 + sigma * torch.randn(cells.shape, device=cells.device).abs()).sqrt()
    return torch.istft(cells * louder, _POINTS, _HOP, window=window, length=waveforms.shape[1])


def translated(waveforms: Float[Tensor, "batch samples"], shift: int) -> Float[Tensor, "batch samples"]:
    """Time and frequency translation: around in time, then faster or slower by v of -S ... S semitones.

    With r = 2^(v / 12) and M = N / r, rounded, the sound, N samples that repeat for ever, is read r times as fast,
    which is M samples that repeat:

        x_p[n] = sum_k X[k] exp(2 pi i k n / M) / N,   |k| <= min(N, M) / 2,   n of 0 ... N - 1

    where X is the Fourier transform of the sound moved around by u of 0 ... N - 1 samples. What would lie above half
    the sample rate is cut off, as the paper's truncated shift does at its last bin. A sound read slower is cut at N
    samples.
    """
    batch, samples = waveforms.shape
    # Drawn where the loop below reads them, which on another device would have to be waited for.
    along, semitones = torch.randint(samples, (batch,)), torch.randint(-shift, shift + 1, (batch,))
    times = (torch.arange(samples) - along[:, None]) % samples
    spectra = torch.fft.rfft(waveforms.gather(1, times.to(waveforms.device)))
    moved = torch.empty_like(waveforms)
    for semitone in sorted(set(semitones.tolist())):
        period = round(samples / 2 ** (semitone / 12))
        rows = torch.nonzero(semitones == semitone)[:, 0].to(waveforms.device)
        once = torch.fft.irfft(spectra[rows], period) * (period / samples)
        moved[rows] = once.repeat(1, -(-samples // period))[:, :samples]
    return moved


def mixed(
    anchors: Float[Tensor, "batch samples"], others: Float[Tensor, "batch samples"], alpha: float
) -> Float[Tensor, "batch samples"]:
    """Example mixing: the other sound at a share alpha of the anchor's energy.

        x_p = x_a + sqrt(alpha E(x_a) / E(x_n)) x_n,   E(x) the sum of all squares of x

    Energies of two sounds add but for what they have in common. Silence mixed in adds nothing.
    """
    energy, other = (sounds.square().sum(dim=1, keepdim=True) for sounds in (anchors, others))
    return anchors + (alpha * energy / other.clamp_min(_QUIETEST)).sqrt() * others


POSITIVES = {
    "noise": PositiveSampler(lambda anchors, _, settings: noisy(anchors, settings.sigma)),
    "translation": PositiveSampler(lambda anchors, _, settings: translated(anchors, settings.shift)),
    "mixing": PositiveSampler(lambda anchors, others, settings: mixed(anchors, others, settings.alpha), mixes=True),
}
"""Each of `MADE` on waveforms."""
