"""Heads that score tags: the linear classifier inside a published encoder, and other layers.

Networks trained on AudioSet score its classes from their embedding (Plakal and Ellis 2019: YAMNet). With the logits

    l  =  W z + b

of an embedding z, the direction along which the logit of class t grows is row t of W; several classes are the sum of
their rows, each at unit length. An index of embeddings is searched along it (`soundloom.library.search.tag_query`).
"""

from __future__ import annotations

from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["ClassHead", "TagHead"]


class ClassHead(nn.Module):
    """A linear classifier on part of an embedding.

    Args:
        linear: from a frame's vector to logits.
        dim: size of the embedding, which begins with the mean of the frames' vectors.

    Attributes:
        windowed: whether it scores the windows of the published network one by one.
    """

    windowed: ClassVar[bool] = True

    def __init__(self, linear: nn.Linear, dim: int) -> None:
        super().__init__()
        self.linear = linear
        self.dim = dim

    def forward(self, embeddings: Float[Tensor, "sounds dim"]) -> Float[Tensor, "sounds classes"]:
        """Logits of embeddings."""
        logits: Tensor = self.linear(embeddings[:, : self.linear.in_features])
        return logits

    def direction(self, wanted: Float[Tensor, " classes"]) -> Float[Tensor, " dim"]:
        """Where the logits of some classes grow: positive entries are wanted classes, negative ones are avoided."""
        rows = functional.normalize(self.linear.weight.detach(), dim=1)
        return functional.pad(wanted @ rows, (0, self.dim - self.linear.in_features))


class TagHead(nn.Sequential):
    """Layers from an embedding to logits of tags, such as those of the CNN (Favory 2020); they give no direction."""

    windowed: ClassVar[bool] = False

    def direction(self, wanted: Float[Tensor, " tags"]) -> None:
        """None: where its logits grow depends on the sound."""
