"""Search by tags: a direction in a model's own space, brought into the space that searches compare in.

The agreement of sounds z with tags grows along g, which depends on what the library's sounds have in common
(`soundloom.tags.tag_model`; told by a sample of them). The index compares something else, embeddings
standardised by the library's own mean m and deviations d and brought to unit length, x = (z - m) / d / |(z - m) / d|.
Asked with g d, it finds

    g d . x  =  g . (z - m) / |(z - m) / d|,

that is what agrees with the tags more than the library's sounds do on average, for how far it is from the average. It
is not the cosine that the model was trained for, which would have to be computed for every sound anew; but it needs no
index of its own, costs what a sound costs, and mixes with one: the embedding whose comparable form is

    (1 - b) sound + b tags,        both at unit length

is m + d times that, and `Library.search_embedding` takes it as it takes any other.

A woven model's other parts know no tags: without a sound they count for nothing, with one as they always do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray

from soundloom.errors import ModelError, QueryError
from soundloom.tags.lookup import aligned_tags

if TYPE_CHECKING:
    from soundloom.library.search.index import SearchIndex
    from soundloom.library.storage.settings import LibrarySettings
    from soundloom.tags import AlignedTags

__all__ = ["tag_embedding", "tags_of_library"]


def tags_of_library(settings: LibrarySettings, *, offline: bool = False) -> AlignedTags:
    """The tags' side of the model that fills a library.

    Raises:
        QueryError: no part of the model learned from tags.
        ModelError: it cannot be read.
    """
    found = aligned_tags(settings.source or settings.model, weights=settings.weights, offline=offline)
    if found is None:
        raise QueryError(
            f"the library's model {settings.model!r} knows no tags, so sounds cannot be searched by them: index with "
            "loom (the default), coala, or a model of your own from: soundloom train coala"
        )
    return found


def tag_embedding(
    aligned: AlignedTags,
    settings: LibrarySettings,
    index: SearchIndex,
    tags: Sequence[str],
    not_: Sequence[str] = (),
    *,
    sound: Float[np.ndarray, " dim"] | None = None,
    share: float = 0.5,
) -> Float[np.ndarray, " dim"]:
    """The embedding that stands for tags, or for tags and a sound, in one library as it is now.

    Args:
        aligned: the tags' side of the library's model.
        settings: the library's.
        index: the library's.
        tags: words that the hits should have.
        not_: words that they should not have.
        sound: the embedding of a sound that they should be like, too.
        share: b, how much the tags count beside the sound, from 0 to 1.

    Raises:
        QueryError: a tag is not in the vocabulary (the nearest are named), there are none, or the share is not one.
        ModelError: the tags' side is of another model than the library's.
    """
    if not 0 <= share <= 1:
        raise QueryError(f"the tags' share beside a sound must be from 0 to 1, got {share}")
    columns = _columns(aligned, settings)
    mean, scale = index.scaling
    # A constant column tells nothing of any sound, and the index leaves it out.
    deviation = np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > 0)
    common = aligned.common(torch.from_numpy(index.sample[:, columns].copy()))
    direction = aligned.direction(tags, not_, around=common).numpy()
    comparable = np.zeros_like(mean)
    comparable[columns] = _unit(direction * deviation[columns])
    if sound is not None:
        heard = (sound - mean) * scale
        heard[columns] = (1 - share) * _unit(heard[columns]) + share * comparable[columns]
        comparable = heard
    embedding: Float[np.ndarray, " dim"] = mean + deviation * comparable
    return embedding


def _columns(aligned: AlignedTags, settings: LibrarySettings) -> slice:
    """Where in the library's embeddings the part is that knows the tags."""
    if aligned.part not in settings.parts:
        raise ModelError(f"the tags are of {aligned.part!r}, but the library's parts are {', '.join(settings.parts)}")
    first, last = settings.parts[aligned.part]
    if last - first != aligned.dim:
        raise ModelError(
            f"the tags of {aligned.part!r} are for {aligned.dim} numbers, its part of the library has {last - first}: "
            "they go with the model's own embedding, without layers chosen"
        )
    return slice(first, last)


def _unit(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(vector, float(np.linalg.norm(vector)) or 1.0)
