"""Discrete Fourier transforms as matrix products, for graphs that are recorded (ONNX export).

ONNX has no complex numbers, and its runtimes transform lengths that are no power of two less exactly than torch.
Products with tables of cosines and sines need neither; the tables are constants of the graph. Outside of a recording
`torch.fft` is faster.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["angles_table", "inverse_dft", "ripple_magnitudes", "rows_of_rfft"]


def angles_table(first: int, second: int, period: int) -> tuple[Tensor, Tensor]:
    """Cosine and sine of 2 pi j k / period for j below ``first`` and k below ``second``, as ``[first, second]``."""
    # Tensors are made at each call: one that a recording had made would be none outside of it.
    cosines, sines = _angles(first, second, period)
    return torch.from_numpy(cosines), torch.from_numpy(sines)


@lru_cache(maxsize=32)
def _angles(
    first: int, second: int, period: int
) -> tuple[Float[np.ndarray, "{first} {second}"], Float[np.ndarray, "{first} {second}"]]:
    # In whole numbers first, so that no angle is large.
    angles = 2 * np.pi * (np.outer(np.arange(first), np.arange(second)) % period) / period
    return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)


def rows_of_rfft(
    waveforms: Float[Tensor, "batch samples"], rows: int, period: int
) -> Float[Tensor, "batch rows period 2"]:
    """The first ``rows * period`` numbers of ``torch.fft.rfft``, in rows; the last axis is real and imaginary part.

    Cooley and Tukey's division of a transform of h T points: with n = a + h b and f = r T + j,

        Y[f] = sum_a exp(-2 pi i r a / h) exp(-2 pi i j a / (h T)) sum_b y[a + h b] exp(-2 pi i j b / T).

    Args:
        waveforms: of ``h * period`` samples.
        rows: how many, h / 2 at most.
        period: T.
    """
    hop = waveforms.shape[1] // period
    samples = torch.unflatten(waveforms, 1, (period, hop))
    cosines, sines = angles_table(period, period, period)
    real, imaginary = _turned(cosines @ samples, -(sines @ samples), *angles_table(period, hop, period * hop))
    cosines, sines = angles_table(hop, rows, hop)
    real, imaginary = real @ cosines + imaginary @ sines, imaginary @ cosines - real @ sines
    return torch.stack([real.mT, imaginary.mT], dim=-1)


def inverse_dft(spectra: Float[Tensor, "period columns 2"]) -> Float[Tensor, "period columns 2"]:
    """`torch.fft.ifft` along the first axis; the last is real and imaginary part."""
    period = spectra.shape[0]
    cosines, sines = (table / period for table in angles_table(period, period, period))
    real, imaginary = spectra.unbind(dim=-1)
    return torch.stack([cosines @ real - sines @ imaginary, sines @ real + cosines @ imaginary], dim=-1)


def ripple_magnitudes(
    patches: Float[Tensor, "*batch height width"],
    tapers: tuple[Float[Tensor, " height"], Float[Tensor, " width"]],
) -> Float[Tensor, "*batch 2 _scales _rates"]:
    """Magnitudes of `torch.fft.rfft2` in its first ``height / 2`` rows, and in the rows of the same scales below 0.

    Of an angle a over the height and b over the width both follow from four sums of real numbers, as

        cos(b + a), sin(b + a) = cos b cos a - sin b sin a, sin b cos a + cos b sin a

    and for -a with the signs of sin a turned.

    Args:
        patches: of real numbers.
        tapers: what their rows and their columns are multiplied by first.
    """
    height, width = patches.shape[-2:]
    scales, rates = height // 2, width // 2 + 1
    over_width = patches @ (torch.cat(angles_table(width, rates, width), dim=1) * tapers[1][:, None])
    over_both = (torch.cat(angles_table(scales, height, height)) * tapers[0]) @ over_width
    of_cosines, of_sines = torch.split(over_both, scales, dim=-2)
    (cc, sc), (cs, ss) = torch.split(of_cosines, rates, dim=-1), torch.split(of_sines, rates, dim=-1)
    rising = _squared(cc - ss) + _squared(sc + cs)
    falling = _squared(cc + ss) + _squared(sc - cs)
    return torch.stack([rising, falling], dim=-3).sqrt()


def _squared(numbers: Tensor) -> Tensor:
    """As a product, which runtimes of recorded graphs compute faster than a power."""
    return numbers * numbers


def _turned(real: Tensor, imaginary: Tensor, cosines: Tensor, sines: Tensor) -> tuple[Tensor, Tensor]:
    """Complex numbers times exp(-i angle)."""
    return real * cosines + imaginary * sines, imaginary * cosines - real * sines
