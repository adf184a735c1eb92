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

__all__ = ["angles_table", "inverse_dft", "rfft2_magnitude", "rows_of_rfft"]


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


def rfft2_magnitude(patches: Float[Tensor, "*batch height width"]) -> Float[Tensor, "*batch height _half"]:
    """Magnitudes of `torch.fft.rfft2`."""
    height, width = patches.shape[-2:]
    cosines, sines = angles_table(width, width // 2 + 1, width)
    real, imaginary = patches @ cosines, -(patches @ sines)
    cosines, sines = angles_table(height, height, height)
    return torch.sqrt((cosines @ real + sines @ imaginary).square() + (cosines @ imaginary - sines @ real).square())


def _turned(real: Tensor, imaginary: Tensor, cosines: Tensor, sines: Tensor) -> tuple[Tensor, Tensor]:
    """Complex numbers times exp(-i angle)."""
    return real * cosines + imaginary * sines, imaginary * cosines - real * sines
