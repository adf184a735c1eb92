"""Words that a model knows, found by its name: the one loader of them, for searches, lists and taggers.

Those of the packaged model come without PyTorch; modules of the others are found by `soundloom.tags.lookup`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from soundloom import packaged
from soundloom.tags.linear_tags import LinearTags

if TYPE_CHECKING:
    from soundloom.tags.tag_model import AlignedTags

__all__ = ["Words", "words_of_model"]

Words: TypeAlias = "LinearTags | AlignedTags"
"""What a model knows of words."""


def words_of_model(name: str, weights: object = "published", *, offline: bool = False) -> Words | None:
    """What a model knows of words, or None; of the packaged model without PyTorch, else `aligned_tags`.

    Raises:
        ModelError: its words are there and cannot be read, or had.
    """
    if packaged.is_packaged(name, weights):
        return LinearTags.load(packaged.FOLDER)
    from soundloom.tags.lookup import aligned_tags

    return aligned_tags(name, weights=weights, offline=offline)  # type: ignore[arg-type]  # as it came from `load`
