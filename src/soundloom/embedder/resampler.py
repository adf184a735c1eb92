"""Resampling of equally long waveforms as a module, with julius (Smith's windowed sinc)."""

from __future__ import annotations

from torch import nn

__all__ = ["resampler"]


def resampler(old: int, new: int) -> nn.Module:
    """From a sample rate to another, [..., samples] -> [..., samples]; nothing where both are the same."""
    if old == new:
        return nn.Identity()
    import julius

    # Longer filters than its default: the error falls from 1.6e-5 to 1e-6 of full scale, for little time.
    module: nn.Module = julius.ResampleFrac(old, new, zeros=64)
    return module
