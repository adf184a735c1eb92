"""Layers into one vector: time alignment, fusion and pooling (Niizumi 2022, section III, equations 1-3).

A *layer* is ``[batch, channel, frequency, time]``. Equation 1 brings every layer to the same number of
frames and keeps channel and frequency apart from time; equation 2 joins layers frame by frame; equation
3 summarises time. The statistics here weigh each frame, which the paper did not need: a frame that lies
half beyond the end of the sound counts half, so that padding does not leak into the embedding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from soundloom.errors import InvalidArgumentError

__all__ = ["POOLINGS", "align", "frames_of", "fuse", "pool", "pooled_size"]


def align(layer: Float[Tensor, "batch channel frequency time"], frames: int) -> Float[Tensor, "batch dim _frames"]:
    """Equation 1: max-pool time to so many frames, flatten channel and frequency into one axis.

    Kernel and stride are ``time // frames``; a remainder of frames at the end is left out, as the
    pooling layers of the encoders do. A layer of a single time step is repeated, as the paper does for
    layers without a time axis (section IV-A1).

    Raises:
        InvalidArgumentError: the layer has more than one time step and fewer than ``frames``.
    """
    batch, channels, bins, time = layer.shape
    flat = layer.reshape(batch, channels * bins, time)
    if time == frames:
        return flat
    if time == 1:
        return flat.expand(-1, -1, frames)
    if time < frames:
        raise InvalidArgumentError(
            f"a layer of {time} time steps cannot be pooled to {frames} frames: fewer frames are needed"
        )
    stride = time // frames
    return functional.max_pool1d(flat, stride, stride)[..., :frames]


def frames_of(layers: Sequence[Float[Tensor, "batch _channel _frequency _time"]], most: int) -> int:
    """T_o of equation 1: as many frames as the shortest layer with a time axis has, and at most so many."""
    return min([most, *(layer.shape[-1] for layer in layers if layer.shape[-1] > 1)])


def fuse(
    layers: Sequence[Float[Tensor, "batch _channel _frequency _time"]], frames: int
) -> Float[Tensor, "batch dim frames"]:
    """Equation 2: the layers, aligned to so many frames, concatenated frame by frame."""
    return torch.cat([align(layer, frames) for layer in layers], dim=1)


def _mean(frames: Tensor, shares: Tensor) -> Tensor:
    return frames @ shares


def _max(frames: Tensor, shares: Tensor) -> Tensor:
    return frames.masked_fill(shares <= 0, -torch.inf).amax(-1)


def _mean_plus_max(frames: Tensor, shares: Tensor) -> Tensor:
    """Equation 3, after Kong 2020 (PANNs)."""
    return _mean(frames, shares) + _max(frames, shares)


def _mean_and_max(frames: Tensor, shares: Tensor) -> Tensor:
    return torch.cat([_mean(frames, shares), _max(frames, shares)], dim=-1)


def _mean_and_deviation(frames: Tensor, shares: Tensor) -> Tensor:
    mean = _mean(frames, shares)
    # The population deviation. The floor keeps the gradient of the root finite on constant frames.
    variance = _mean((frames - mean[..., None]).square(), shares)
    return torch.cat([mean, variance.clamp_min(1e-12).sqrt()], dim=-1)


def _mean_and_variance(frames: Tensor, shares: Tensor) -> Tensor:
    mean = _mean(frames, shares)
    return torch.cat([mean, _mean((frames - mean[..., None]).square(), shares)], dim=-1)


POOLINGS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mean": _mean,
    "max": _max,
    "mean+max": _mean_plus_max,
    "mean,max": _mean_and_max,
    "mean,deviation": _mean_and_deviation,
    "mean,variance": _mean_and_variance,
}
"""Name -> function of frames ``[batch, dim, time]`` and each frame's share ``[time]``, which add up to 1."""


def pooled_size(pooling: str, dim: int) -> int:
    """Size of the embedding that a pooling makes of frames of size ``dim``."""
    return 2 * dim if "," in pooling else dim


def pool(
    frames: Float[Tensor, "batch dim time"], weights: Float[Tensor, " time"], pooling: str
) -> Float[Tensor, "batch pooled"]:
    """Summarise time by one of ``POOLINGS``; ``weights`` is the share of each frame that is sound.

    Raises:
        InvalidArgumentError: no such pooling, or no frame has a weight.
    """
    if pooling not in POOLINGS:
        raise InvalidArgumentError(f"no pooling {pooling!r}: choose from {', '.join(POOLINGS)}")
    # A graph that is being recorded has no numbers to look at.
    if not torch.compiler.is_compiling() and not bool((weights > 0).any()):
        raise InvalidArgumentError("no frame to pool: every weight is zero")
    return POOLINGS[pooling](frames, (weights / weights.sum()).to(frames))
