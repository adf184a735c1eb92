"""Triangular mel filter banks, in the variants that published models were trained on.

The scale is Slaney's (Auditory Toolbox) or HTK's; triangles are straight over hertz (librosa) or over mel
(TensorFlow, Kaldi); their area or their peak is one.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from soundloom.errors import InvalidArgumentError

__all__ = ["FilterBank", "Norm", "Scale", "Slope", "filter_bank"]

Scale = Literal["slaney", "htk"]
Slope = Literal["hertz", "mel"]
Norm = Literal["area", "none"]


_MAX_SIZE = 2**25
"""Filters times points of the transform: far more than any model needs, and computed in a second."""


def filter_bank(
    *,
    sample_rate: int,
    n_fft: int,
    bins: int,
    fmin: float,
    fmax: float,
    scale: Scale = "slaney",
    slope: Slope = "hertz",
    norm: Norm = "area",
) -> Float[Tensor, "bins frequency"]:
    """Triangular filters, evenly spaced on a mel scale, over the ``n_fft // 2 + 1`` bins of a spectrum.

    Args:
        sample_rate: in hertz.
        n_fft: points of the Fourier transform.
        bins: how many filters.
        fmin: where the first filter begins, in hertz.
        fmax: where the last filter ends, in hertz.
        scale: "slaney" (linear below 1 kHz, logarithmic above) or "htk" (2595 log10(1 + f / 700); also Kaldi's
            and TensorFlow's 1127 ln(1 + f / 700), the factor dividing out).
        slope: the filters' sides are straight lines over "hertz" or over "mel".
        norm: "area" divides each filter by half its width in hertz; "none" leaves the peak at 1.

    Raises:
        InvalidArgumentError: the band is empty or reaches past half the sample rate, or an option is unknown.
    """
    if not 0 <= fmin < fmax <= sample_rate / 2:
        raise InvalidArgumentError(
            f"a mel filter bank needs 0 <= fmin < fmax <= {sample_rate / 2:g} Hz (half the sample rate), "
            f"got fmin {fmin:g} and fmax {fmax:g}"
        )
    if scale not in ("slaney", "htk") or slope not in ("hertz", "mel") or norm not in ("area", "none"):
        raise InvalidArgumentError(
            "scale is 'slaney' or 'htk', slope 'hertz' or 'mel', norm 'area' or 'none'; "
            f"got {scale!r}, {slope!r}, {norm!r}"
        )
    if not (n_fft >= 1 and bins >= 1 and bins * n_fft <= _MAX_SIZE):
        raise InvalidArgumentError(
            f"a filter bank of {bins} filters over {n_fft} points is not possible: at least 1 of each, "
            f"and a product of at most {_MAX_SIZE}"
        )
    limits = hertz_to_mel(torch.tensor([fmin, fmax], dtype=torch.float64), scale)
    corners_mel = torch.linspace(float(limits[0]), float(limits[1]), bins + 2, dtype=torch.float64)
    corners_hertz = mel_to_hertz(corners_mel, scale)
    spectrum_hertz = torch.arange(n_fft // 2 + 1, dtype=torch.float64) * sample_rate / n_fft

    corners = corners_hertz if slope == "hertz" else corners_mel
    spectrum = spectrum_hertz if slope == "hertz" else hertz_to_mel(spectrum_hertz, scale)
    distance = spectrum - corners[:, None]
    width = corners.diff()[:, None]
    rising = distance[:-2] / width[:-1]
    falling = -distance[2:] / width[1:]
    filters = torch.minimum(rising, falling).clamp_min(0)
    if norm == "area":
        filters = filters * (2 / (corners_hertz[2:] - corners_hertz[:-2]))[:, None]
    return filters.float()


def hertz_to_mel(hertz: Tensor, scale: Scale) -> Tensor:
    """Frequencies on a mel scale; see ``filter_bank`` for the scales."""
    if scale == "htk":
        return 2595 * torch.log10(1 + hertz / 700)
    # Slaney: 200/3 Hz a mel up to 1 kHz (mel 15), then 27 mels for a factor of 6.4.
    logarithmic = 15 + 27 * torch.log(hertz.clamp_min(1000) / 1000) / math.log(6.4)
    return torch.where(hertz < 1000, hertz * 3 / 200, logarithmic)


def mel_to_hertz(mel: Tensor, scale: Scale) -> Tensor:
    """The inverse of ``hertz_to_mel``."""
    if scale == "htk":
        return 700 * (10 ** (mel / 2595) - 1)
    logarithmic = 1000 * torch.exp((mel - 15) * math.log(6.4) / 27)
    return torch.where(mel < 15, mel * 200 / 3, logarithmic)


class FilterBank(nn.Module):
    """A filter bank applied to spectra, leaving out most of its zeros.

    A triangle covers few of the spectrum's bins, so that a product with the whole matrix mostly multiplies
    by zero. Bands are cut into runs of about 32, each multiplied with the part of the spectrum it covers.
    """

    filters: Tensor

    def __init__(self, filters: Float[Tensor, "bins frequency"]) -> None:
        super().__init__()
        self.register_buffer("filters", filters, persistent=False)
        self.spans: list[tuple[slice, slice]] = []
        for bands in torch.arange(len(filters)).tensor_split(math.ceil(len(filters) / 32)):
            first, last = int(bands[0]), int(bands[-1])
            covered = filters[first : last + 1].any(dim=0).nonzero()
            low, high = (int(covered[0]), int(covered[-1])) if len(covered) else (0, 0)
            self.spans.append((slice(first, last + 1), slice(low, high + 1)))

    def forward(self, spectra: Float[Tensor, "batch time frequency"]) -> Float[Tensor, "batch bins time"]:
        """The spectra's sums under each filter, time last."""
        if torch.compiler.is_compiling():
            # The same; other runtimes are slow to bring a long last axis forward.
            sums = [spectra[..., part] @ self.filters[band, part].T for band, part in self.spans]
            return torch.cat(sums, dim=2).transpose(1, 2)
        transposed = spectra.transpose(1, 2)
        return torch.cat([self.filters[band, part] @ transposed[:, part] for band, part in self.spans], dim=1)
