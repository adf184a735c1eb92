"""Waveform transformer: learned filters and a transformer (Verma 2023, section 3.3, after Sainath 2015).

Each patch of 25 ms (400 samples) "is passed through a series of convolutional filters of length 200, with the number
of filters being 128, with zero-padded such that the output of each convolutional filter is the same length as the
input. Now, we take the maximum across the output [...] to get a single vector" of 128 numbers, the frame of a
transformer.

Left open by the paper and chosen here: an even filter has 99 zeros before a patch and 100 behind it, as TensorFlow
pads; filters have no bias, for the projection that follows has one; and the maxima are compressed by log(x + 0.01), x
cut at zero: without that a quiet sound would reach the transformer as next to nothing beside its positions.

Convolving naively costs 400 x 200 x 128 products a patch, and three times that in training. Only the maximum is
wanted, which both halves of `strongest` make use of; ``benchmarks/streams.py`` measures what that saves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from soundloom.encoders.base import Encoder, register_encoder
from soundloom.encoders.layer_collection import check_shape
from soundloom.encoders.transformer import Transformer, TransformerSettings
from soundloom.errors import InvalidArgumentError

__all__ = ["WaveformFilters", "WaveformSettings", "WaveformTransformer", "strongest"]

OFFSET = 0.01
"""What keeps the logarithm of a silent patch finite: 40 dB below a filter's output of 1."""

# Patches convolved at a time: 8 x 128 outputs of 512 samples are 2 MB, which a core's cache holds.
BLOCK = 8

# Patches whose strongest stretches are laid side by side at a time, 128 x 200 numbers each.
GATHERED = 64


@dataclass(frozen=True, kw_only=True)
class WaveformSettings:
    """The paper's sizes.

    Attributes:
        patch: samples of a patch.
        filters: how many there are.
        length: samples of a filter.
        compress: whether the maxima are compressed by the logarithm.
        transformer: takes the maxima; its bins are the filters.
    """

    patch: int = 400
    filters: int = 128
    length: int = 200
    compress: bool = True
    transformer: TransformerSettings = field(default_factory=lambda: TransformerSettings(bins=128))

    def __post_init__(self) -> None:
        if not 1 <= self.length <= self.patch:
            raise InvalidArgumentError(
                f"length must be between 1 and the {self.patch} samples of a patch, got {self.length}"
            )
        if (self.transformer.channels, self.transformer.bins) != (1, self.filters):
            raise InvalidArgumentError(
                f"the transformer must take 1 channel of {self.filters} bins, a bin a filter, got "
                f"{self.transformer.channels} of {self.transformer.bins}"
            )


class WaveformFilters(nn.Module):
    """Patches in, each filter's strongest output: [B, 1, patch, T] -> [B, 1, filters, T]."""

    def __init__(self, settings: WaveformSettings) -> None:
        super().__init__()
        self.settings = settings
        self.filters = nn.Parameter(torch.empty(settings.filters, settings.length))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weights uniform within 1 / sqrt(length), torch's rule for convolutions."""
        bound = self.settings.length**-0.5
        nn.init.uniform_(self.filters, -bound, bound)

    def forward(self, patches: Float[Tensor, "batch 1 samples time"]) -> Float[Tensor, "batch 1 filters time"]:
        """The maxima over time, compressed if the settings say so."""
        batch, _, _, time = patches.shape
        rows = patches[:, 0].transpose(1, 2).flatten(0, 1)
        maxima = torch.unflatten(strongest(rows, self.filters), 0, (batch, time)).transpose(1, 2).unsqueeze(1)
        return (maxima.clamp_min(0) + OFFSET).log() if self.settings.compress else maxima


@register_encoder("WaveformTransformer", settings=WaveformSettings, presets={"waveform": lambda: WaveformTransformer()})
class WaveformTransformer(Encoder):
    """Filters, their maxima, and a transformer over them: [B, 1, 400, T] -> [B, 64, 1, T'].

    Attributes:
        front: the learned filters.
        transformer: its layers are the encoder's.
    """

    def __init__(self, settings: WaveformSettings | None = None) -> None:
        super().__init__()
        self.settings = settings = settings or WaveformSettings()
        self.front = WaveformFilters(settings)
        self.transformer = Transformer(settings.transformer)
        self.available = self.transformer.available
        self.stride = self.transformer.stride

    def extra_repr(self) -> str:
        """The settings: what, besides the weights, decides the layers."""
        return repr(self.settings)

    def layers(
        self, representation: Float[Tensor, "batch channel frequency time"], wanted: Sequence[int]
    ) -> list[Float[Tensor, "batch _channel _frequency _time"]]:
        """The transformer's layers of the filters' maxima: [B, 64, 1, T'].

        Raises:
            InvalidArgumentError: a wanted layer is not in ``available``, or the representation is not of patches of the
                settings' length, or of too few for the pools.
        """
        self.check_wanted(wanted)
        shortest = 2 ** len(self.settings.transformer.pool_after)
        check_shape(self, representation, channels=1, bins=self.settings.patch, min_frames=shortest)
        return self.transformer.layers(self.front(representation), wanted)

    def baseline(
        self, representation: Float[Tensor, "batch channel frequency time"]
    ) -> Float[Tensor, "batch _dim _frames"]:
        """The average of the last layer's tokens: [B, 64, 1]."""
        (last,) = self.layers(representation, self.available[-1:])
        return last.mean(dim=3)


def strongest(
    patches: Float[Tensor, "batch samples"], filters: Float[Tensor, "filters length"]
) -> Float[Tensor, "batch filters"]:
    """The maximum over time of each patch filtered by each filter, with zeros around the patch; differentiable.

    y[f, t] = sum_k w[f, k] x[t + k - before] for every t of the patch; the result is max_t y[f, t].
    """
    if torch.compiler.is_compiling() or torch.onnx.is_in_onnx_export():
        # A graph is portable where it is made of plain operations.
        before, behind = _zeros(filters.shape[1])
        padded = functional.pad(patches, (before, behind)).unsqueeze(1)
        return functional.conv1d(padded, filters.unsqueeze(1)).amax(dim=2)
    if torch.is_grad_enabled() and (patches.requires_grad or filters.requires_grad):
        best: Tensor = _Strongest.apply(patches, filters)  # type: ignore[no-untyped-call]
        return best
    return torch.cat([_filtered(block, filters).amax(dim=2) for block in torch.split(patches, BLOCK)])


class _Strongest(torch.autograd.Function):
    """`strongest`, with a backward pass that touches nothing but the strongest stretches.

    A maximum passes its gradient to the one place t* where it was met. There y = sum_k w[k] x[t* + k - before], so

        d max / d w[k] = x[t* + k - before],    d max / d x[t* + k - before] = w[k]:

    one stretch of 200 samples a patch and filter, where differentiating the convolution would take all 400.
    """

    @staticmethod
    def forward(ctx: Any, patches: Tensor, filters: Tensor) -> Tensor:
        values, places = zip(
            *(_filtered(block, filters).max(dim=2) for block in torch.split(patches, BLOCK)), strict=True
        )
        ctx.save_for_backward(patches, filters, torch.cat(places))
        return torch.cat(values)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None]:
        patches, filters, places = ctx.saved_tensors
        for_patches, for_filters = ctx.needs_input_grad
        (gradient,) = gradients
        return (
            _patch_gradient(gradient, filters, places, patches.shape[1]) if for_patches else None,
            _filter_gradient(gradient, patches, places, filters.shape[1]) if for_filters else None,
        )


def _zeros(length: int) -> tuple[int, int]:
    """Zeros before and behind a patch."""
    return (length - 1) // 2, length // 2


def _filtered(
    patches: Float[Tensor, "batch samples"], filters: Float[Tensor, "filters length"]
) -> Float[Tensor, "batch filters samples"]:
    """The convolution by Fourier transforms.

    Filtering by w is multiplying spectra, y = IFFT(X conj(W)), circular with a period of N. With the patch moved to
    the places from ``before`` on, output t is sum_k w[k] x[t + k], for t from 0 to samples - 1. It looks no further
    than place samples + length - 2, and must see zeros wherever that is not the patch: behind it, up to N; and beyond
    N, which is the beginning again, at the ``before`` places in front of it. That the patch ends by N takes
    N >= before + samples; that no output sees round the circle into it, samples + length - 2 < N + before, which is
    N >= samples + behind. For 400 and 200 the next power of two is 512.
    """
    samples, length = patches.shape[1], filters.shape[1]
    before, behind = _zeros(length)
    period = 1 << (samples + max(before, behind) - 1).bit_length()
    spectra = torch.fft.rfft(filters, period).conj()
    shifted = functional.pad(patches, (before, period - samples - before))
    products: Tensor = torch.fft.rfft(shifted).unsqueeze(1) * spectra
    outputs: Tensor = torch.fft.irfft(products, period)
    return outputs[..., :samples]


def _filter_gradient(
    gradient: Float[Tensor, "batch filters"],
    patches: Float[Tensor, "batch samples"],
    places: Int[Tensor, "batch filters"],
    length: int,
) -> Float[Tensor, "filters {length}"]:
    total: Tensor = gradient.new_zeros(gradient.shape[1], length)
    padded = functional.pad(patches, _zeros(length))
    for rows, slopes, at in zip(*(torch.split(part, GATHERED) for part in (padded, gradient, places)), strict=True):
        count, width = rows.shape
        # Every stretch of the padded patches laid end to end; those across a seam are never asked for.
        stretches = rows.flatten().unfold(0, length, 1)
        begins = at + width * torch.arange(count, device=at.device).unsqueeze(1)
        chosen = torch.unflatten(stretches.index_select(0, begins.T.flatten()), 0, (-1, count))
        total += torch.bmm(slopes.T.unsqueeze(1), chosen).squeeze(1)
    return total


def _patch_gradient(
    gradient: Float[Tensor, "batch filters"],
    filters: Float[Tensor, "filters length"],
    places: Int[Tensor, "batch filters"],
    samples: int,
) -> Float[Tensor, "batch {samples}"]:
    length = filters.shape[1]
    before, behind = _zeros(length)
    padded: Tensor = gradient.new_zeros(len(gradient), before + samples + behind)
    at = places.unsqueeze(2) + torch.arange(length, device=places.device)
    padded.scatter_add_(1, at.flatten(1), (gradient.unsqueeze(2) * filters).flatten(1))
    inside: Tensor = padded[:, before : before + samples]
    return inside
