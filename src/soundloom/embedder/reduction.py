"""Reduction of embeddings to whitened principal components (Hotelling 1933; Jegou and Chum 2012).

Statistics of many layers, bands and modulations are thousands of numbers that mostly say the same. Every number is
brought to mean 0 and deviation 1 over the collection, the directions in which the collection then varies most are
kept (Hotelling 1933), and each is scaled to deviation 1, so that two sounds are compared by how unusual they are in
each direction rather than by loudness in all of them ("whitening"; what it does for retrieval: Jegou and Chum 2012).
Components can be turned back onto the axes they came from ("ZCA whitening", Kessy 2018): cosines are the same, and
each number is again about what it was, such as one note, which a linear probe finds where components are mixtures.

When not: fewer sounds than directions wanted, or sounds that are all alike; whitening then amplifies noise.
"""

from __future__ import annotations

from typing import Self

import torch
from jaxtyping import Float
from torch import Tensor, nn

from soundloom.errors import InvalidArgumentError
from soundloom.one_thread import one_thread

__all__ = ["Reduction"]


class Reduction(nn.Module):
    """An affine map from an embedding to its principal components, or back from these, [B, wide] -> [B, dim].

    Attributes:
        centre: what is taken away first, [wide].
        matrix: the directions, scaled, [dim, wide].
    """

    centre: Tensor
    matrix: Tensor

    def __init__(self, wide: int, dim: int) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(wide))
        self.register_buffer("matrix", torch.zeros(dim, wide))

    @property
    def size(self) -> tuple[int, int]:
        """From how many numbers to how many."""
        dim, wide = self.matrix.shape
        return wide, dim

    def forward(self, embeddings: Float[Tensor, "batch wide"]) -> Float[Tensor, "batch dim"]:
        """The components."""
        return (embeddings - self.centre) @ self.matrix.T

    @classmethod
    def fit(
        cls,
        embeddings: Float[Tensor, "sounds wide"],
        dim: int,
        *,
        whiten: float = 1.0,
        length: float | None = None,
        turned_back: bool = False,
    ) -> Self:
        """The map of a collection.

        Computed on one thread, with signs such that the largest entry of a direction is positive: the same sounds, the
        same map.

        Args:
            embeddings: of the collection's sounds.
            dim: components to keep.
            whiten: the power of a component's deviation that it is divided by: 1 gives all the same, 0 leaves them.
            length: root mean square length of the collection's embeddings afterwards; as it comes if not given.
            turned_back: give ``wide`` numbers, the components' sums along the embedding's own axes (ZCA whitening).

        Raises:
            InvalidArgumentError: the sounds vary in fewer directions.
        """
        with one_thread:
            return cls._fitted(embeddings.double(), dim, whiten, length, turned_back)

    @classmethod
    def _fitted(
        cls, values: Float[Tensor, "sounds wide"], dim: int, whiten: float, length: float | None, turned_back: bool
    ) -> Self:
        centre, deviation = values.mean(dim=0), values.std(dim=0, correction=0)
        varying = deviation > deviation.amax() * torch.finfo(torch.float32).eps
        scale = torch.where(varying, 1 / deviation.clamp_min(torch.finfo(torch.float64).tiny), 0.0)
        standard = (values - centre) * scale
        variances, directions = torch.linalg.eigh(standard.T @ standard / len(standard))
        variances, directions = variances.flip(0)[:dim], directions.flip(1)[:, :dim].T
        if len(variances) < dim or not bool(variances[-1] > variances[0] * torch.finfo(torch.float32).eps):
            raise InvalidArgumentError(f"{len(values)} sounds vary in fewer than {dim} directions: ask for fewer")
        signs = directions.gather(1, directions.abs().argmax(dim=1, keepdim=True)).sign()
        matrix = signs * directions * variances.pow(-whiten / 2)[:, None] * scale
        if length is not None:
            matrix *= length / variances.pow(1 - whiten).sum().sqrt()
        if turned_back:
            matrix = (signs * directions).T @ matrix
        reduction = cls(values.shape[1], len(matrix))
        reduction.centre.copy_(centre)
        reduction.matrix.copy_(matrix)
        return reduction
