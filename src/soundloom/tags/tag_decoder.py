"""COALA's tag decoder (Favory 2020, section 2.1 and supplement): from z_t back to tags.

The paper says that it mirrors the tag encoder; as in the published code it drops out only after its first layer, and
its last layer ends in batch normalisation and a logistic function instead of a ReLU.
"""

from __future__ import annotations

from itertools import pairwise

from jaxtyping import Float
from torch import Tensor, nn

from soundloom.encoders import COALA_DIM
from soundloom.encoders.init import he_normal

__all__ = ["TagDecoder"]

_HIDDEN = 512
_DROPOUT = 0.25


class TagDecoder(nn.Module):
    """From z_t to a logit for each tag: layers of 512, 512 and as many units as there are tags.

    Args:
        tags: how many there are.
    """

    def __init__(self, tags: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise((COALA_DIM, _HIDDEN, _HIDDEN)):
            layers += [nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.ReLU(inplace=True)]
            layers += [nn.Dropout(_DROPOUT)] if inputs == COALA_DIM else []
        self.layers = nn.Sequential(*layers, nn.Linear(_HIDDEN, tags), nn.BatchNorm1d(tags))
        he_normal(self)

    def forward(self, z: Float[Tensor, "batch 1152"]) -> Float[Tensor, "batch tags"]:
        """How much the embedding says that each tag was there, before the logistic function."""
        logits: Tensor = self.layers(z)
        return logits
