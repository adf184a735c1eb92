"""Words for sounds that have none: the tags nearest to a sound in the space that it shares with them.

A model that learned to agree with tags scores each tag by the cosine of sound and tag. Some tags lie nearer to every
sound than others, so what counts is by how much a tag fits a sound better than it fits the sounds that were learned
from: the cosine less its mean over them.

A model trained to tell tags directly (the paper's CNN) gives its probabilities.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from soundloom.tagging.aligned import AlignedTags

__all__ = ["Suggestion", "suggest_tags", "suggestion_scores"]


@dataclass(frozen=True)
class Suggestion:
    """A tag that may fit a sound.

    Attributes:
        tag: the word.
        score: how well it fits: a probability where the model tells tags directly, else by how much the cosine of
            sound and tag exceeds its mean over the sounds that were learned from.
    """

    tag: str
    score: float


def suggest_tags(
    tags: AlignedTags | str | os.PathLike[str], embeddings: Float[np.ndarray, "sounds dim"], k: int = 5
) -> list[list[Suggestion]]:
    """The k best tags for each sound, best first; equal ones in the order of the vocabulary.

    Args:
        tags: the tags' side of a model, or the folder of the model.
        embeddings: of the sounds, as the model gives them.
        k: how many tags a sound; all there are if that is fewer.

    Raises:
        ModelError: the folder holds no model that knows tags.
        ValueError: embeddings of another size than the model's, or k below 1.
    """
    known = tags if isinstance(tags, AlignedTags) else AlignedTags.load(tags)
    if embeddings.shape[1] != known.dim:
        raise ValueError(f"the tags of {known.part!r} are for embeddings of {known.dim}, got {embeddings.shape[1]}")
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    scores = suggestion_scores(known, torch.from_numpy(np.ascontiguousarray(embeddings, np.float32)))
    best = scores.sort(dim=1, descending=True, stable=True)
    return [
        _row(known.vocabulary.tags, places, values)
        for places, values in zip(best.indices[:, :k].tolist(), best.values[:, :k].tolist(), strict=True)
    ]


def suggestion_scores(tags: AlignedTags, embeddings: Float[Tensor, "sounds dim"]) -> Float[Tensor, "sounds tags"]:
    """How well each tag fits each sound, comparable from tag to tag."""
    return tags.scores(embeddings) - tags.usual()


def _row(tags: Sequence[str], places: list[int], values: list[float]) -> list[Suggestion]:
    return [Suggestion(tags[place], value) for place, value in zip(places, values, strict=True)]
