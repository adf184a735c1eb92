"""Lookup of the tag model of a model: beside a saved model, or published with COALA."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from soundloom.encoders import COALA_DIM
from soundloom.errors import ModelError
from soundloom.models import MODELS, from_pretrained
from soundloom.models.saved_model import PACKAGED, folder_of, is_saved
from soundloom.models.weights.download import Announcement
from soundloom.models.weights.weight_source import WeightSource
from soundloom.models.zoo import coala_tags
from soundloom.tags.tag_model import TAGS, AlignedTags
from soundloom.tags.vocabulary import Vocabulary

__all__ = ["aligned_tags"]

_COALA = "coala"


def aligned_tags(
    name: str,
    *,
    weights: str | os.PathLike[str] | Mapping[str, str | os.PathLike[str]] = "published",
    offline: bool = False,
    announce: Callable[[Announcement], None] | None = None,
) -> AlignedTags | None:
    """The tags' side of a model, or None if no part of it has one; of several, the first.

    >>> aligned_tags("logmel+mfcc") is None
    True

    Args:
        name: the model's name, as for `soundloom.load`.
        weights: the model's, as for `soundloom.load`: a file of COALA's own has the tag encoder beside it.
        offline: never touch the network.
        announce: told what is about to be fetched.

    Raises:
        ModelError: the tags' side is there and cannot be read, or had.
    """
    # A path may itself hold a '+'.
    parts = [name] if os.path.isdir(os.path.expanduser(name)) else [part.strip() for part in name.split("+")]
    for part in parts:
        if part == _COALA:
            return _published(WeightSource(weights=weights, offline=offline, announce=announce))
        packaged = PACKAGED / part
        if part in MODELS and (packaged / TAGS).is_file():
            return _checked(AlignedTags.load(packaged), packaged)
        if is_saved(part):
            folder = folder_of(part, offline=offline, announce=announce)
            if (folder / TAGS).is_file():
                return _checked(AlignedTags.load(folder), folder)
    return None


def _checked(tags: AlignedTags, folder: Path) -> AlignedTags:
    parts = from_pretrained(folder).parts
    if tags.part not in parts:
        raise ModelError(f"{folder / TAGS} is for a part {tags.part!r}, and the model beside it has {', '.join(parts)}")
    return tags


def _published(source: WeightSource) -> AlignedTags:
    encoder, audio_map, words = coala_tags(source, _COALA)
    return AlignedTags(_COALA, COALA_DIM, Vocabulary(tags=words), encoder=encoder, audio_map=audio_map)
