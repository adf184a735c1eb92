"""Tag suggestions: the probability of each tag for a sound, from its similarity and its frequency.

A model that learned to agree with tags scores each tag by the cosine s_t of sound and tag. What such a loss teaches
(Favory 2020, equation 10) is how much more often the two are met together than apart: where it is lowest

    exp(s_t / tau)  ~  p(t | sound) / p(t)                      (van den Oord et al. 2018, appendix A.1),

and a rare tag that lies as near as a frequent one is the less probable of the two. Some tags besides lie nearer to
every sound than others, so what counts is by how much a tag fits a sound better than it fits those that were learned
from. Hence, with p_t the share of the sounds that had the tag,

    score  =  sigmoid( logit(p_t)  +  (s_t - s_t usually) / tau ),         tau = 0.1, as in training.

Where nobody has counted (COALA's published tags) all are taken for equally frequent. A model trained to predict tags
directly (the paper's CNN) gives its probabilities.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float

from soundloom.errors import InvalidArgumentError
from soundloom.tags.tag_model import AlignedTags

__all__ = ["Suggestion", "suggest_tags"]


@dataclass(frozen=True)
class Suggestion:
    """A tag that may fit a sound.

    Attributes:
        tag: the word.
        score: how probable it is, in [0, 1].
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
        InvalidArgumentError: embeddings of another size than the model's, or k below 1.
    """
    known = tags if isinstance(tags, AlignedTags) else AlignedTags.load(tags)
    if embeddings.shape[1] != known.dim:
        raise InvalidArgumentError(
            f"the tags of {known.part!r} are for embeddings of {known.dim}, got {embeddings.shape[1]}"
        )
    if k < 1:
        raise InvalidArgumentError(f"k must be at least 1, got {k}")
    scores = known.suggestion_scores(torch.from_numpy(np.ascontiguousarray(embeddings, np.float32)))
    best = scores.sort(dim=1, descending=True, stable=True)
    return [
        _row(known.vocabulary.tags, places, values)
        for places, values in zip(best.indices[:, :k].tolist(), best.values[:, :k].tolist(), strict=True)
    ]


def _row(tags: Sequence[str], places: list[int], values: list[float]) -> list[Suggestion]:
    return [Suggestion(tags[place], value) for place, value in zip(places, values, strict=True)]
