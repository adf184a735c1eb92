"""Standardisation: zero mean and unit variance by the statistics of the training part (Favory 2020, 3.2).

A dimension that does not vary in training carries nothing to learn from; it is centred and left at its
scale, so that rounding errors are not blown up into features.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["moments", "standardise"]

# Deviations below this share of the mean's size are rounding errors of float32 (2^-24 = 6e-8 each).
NEGLIGIBLE = 1e-6


def moments(features: Float[Tensor, "clips dim"]) -> tuple[Float[Tensor, " dim"], Float[Tensor, " dim"]]:
    """Mean and scale of each dimension; the scale of a constant dimension is 1."""
    variance, mean = torch.var_mean(features, dim=0, correction=0)
    deviation = variance.sqrt()
    constant = deviation <= NEGLIGIBLE * mean.abs()
    return mean, torch.where(constant, torch.ones_like(deviation), deviation)


def standardise(
    features: Float[Tensor, "clips dim"], mean: Float[Tensor, " dim"], scale: Float[Tensor, " dim"]
) -> Float[Tensor, "clips dim"]:
    """A standardised copy."""
    return (features - mean).div_(scale)
