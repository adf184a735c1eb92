"""Reduction of embeddings to whitened principal components (Hotelling 1933; Jegou and Chum 2012).

Statistics of many layers, bands and modulations are thousands of numbers that mostly say the same. Every number is
brought to mean 0 and deviation 1 over the collection, the directions in which the collection then varies most are
kept (Hotelling 1933), and each is scaled to deviation 1, so that two sounds are compared by how unusual they are in
each direction rather than by loudness in all of them ("whitening"; what it does for retrieval: Jegou and Chum 2012).
Directions in which copies of a sound differ from it can be made shorter (`Reduction.steadied`). Shares of bins, such as
notes, are turned into their characteristic function instead, which takes nothing away (`Reduction.characteristic`).

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
    """An affine map of an embedding, [B, wide] -> [B, dim].

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
    ) -> Self:
        """The map of a collection to its principal components.

        Computed on one thread, with signs such that the largest entry of a direction is positive: the same sounds, the
        same map.

        Args:
            embeddings: of the collection's sounds.
            dim: components to keep.
            whiten: the power of a component's deviation that it is divided by: 1 gives all the same, 0 leaves them.
            length: root mean square length of the collection's embeddings afterwards; as it comes if not given.

        Raises:
            InvalidArgumentError: the sounds vary in fewer directions.
        """
        with one_thread:
            return cls._fitted(embeddings.double(), dim, whiten, length)

    @classmethod
    def _fitted(cls, values: Float[Tensor, "sounds wide"], dim: int, whiten: float, length: float | None) -> Self:
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
        return cls._of(centre, matrix)

    @classmethod
    def characteristic(cls, shares: Float[Tensor, "sounds bins"], *, length: float) -> Self:
        """The characteristic functions of distributions over bins, at as many frequencies as there are bins.

        Twice as many numbers: the expectations of the cosine and of the sine of 2 pi f b over the bins b, at
        f = (2 k - 1) / (4 bins) cycles a bin, k from 1 on. Inner products are those of the distributions (Parseval;
        the frequencies are every other one of a Fourier transform four times as long, up to half a cycle a bin).

        A bin's share is next to nothing in almost all sounds, and a linear classifier that is learned by gradient
        steps weighs such a number little beside hundreds that vary in all of them; these vary in all, too.

        Args:
            shares: of the collection's sounds, each adding up to 1.
            length: root mean square length of the collection's embeddings afterwards, which are centred.

        Raises:
            InvalidArgumentError: the sounds are all alike.
        """
        with one_thread:
            values = shares.double()
            bins = values.shape[1]
            frequencies = (torch.arange(bins, dtype=torch.float64) + 0.5) / (2 * bins)
            turns = 2 * torch.pi * torch.outer(frequencies, torch.arange(bins, dtype=torch.float64))
            matrix = torch.cat([turns.cos(), turns.sin()])
            centre = values.mean(dim=0)
            now = ((values - centre) @ matrix.T).square().sum(dim=1).mean().sqrt()
            if not now > torch.finfo(torch.float32).eps:
                raise InvalidArgumentError(f"{len(values)} sounds have the same shares: nothing distinguishes them")
            return cls._of(centre, matrix * length / now)

    def steadied(
        self, sounds: Float[Tensor, "sounds dim"], copies: Float[Tensor, "kinds sounds dim"], strength: float
    ) -> Self:
        """The same with directions made shorter in which copies differ from their sound.

        Within-class covariance normalisation (Hatch 2006), softly, where a class is a sound and its copies: with W the
        sum over the kinds of copies of the mean outer product of what they differ by, and v the mean variance of a
        component among sounds, embeddings are multiplied by (I + strength W / v)^(-1/2). Their root mean square length
        stays. Neither labels nor training are needed to say that a quieter sound is the same sound.

        Args:
            sounds: embeddings by this map of some sounds.
            copies: those of the copies, kind by kind.
            strength: 0 changes nothing; from 30 on, little is left of such directions.
        """
        with one_thread:
            wide = sounds.double()
            differences = (copies.double() - wide).flatten(0, 1)
            nuisance = differences.T @ differences / len(wide)
            variance = wide.var(dim=0, correction=0).mean()
            shares, directions = torch.linalg.eigh(nuisance * (strength / variance))
            shorter = directions * (1 + shares.clamp_min(0)).rsqrt() @ directions.T
            before, after = (each.square().sum(dim=1).mean().sqrt() for each in (wide, wide @ shorter))
            return self._of(self.centre, shorter @ self.matrix.double() * (before / after))

    @classmethod
    def _of(cls, centre: Float[Tensor, " wide"], matrix: Float[Tensor, "dim wide"]) -> Self:
        reduction = cls(len(centre), len(matrix))
        reduction.centre.copy_(centre)
        reduction.matrix.copy_(matrix)
        return reduction
