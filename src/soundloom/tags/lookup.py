"""Lookup of the tag model of a model: beside a saved model, published with COALA, or a classifier in an encoder."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from soundloom.components.config_file import read_json
from soundloom.embedder import Embedder
from soundloom.encoders import COALA_DIM, ENCODERS
from soundloom.errors import ModelError
from soundloom.models import MODELS, from_pretrained, load
from soundloom.models.model_config import ModelConfig
from soundloom.models.saved_model import CONFIG, PACKAGED, folder_of, is_saved
from soundloom.models.transformers_folder import is_transformers
from soundloom.models.weights.download import Announcement
from soundloom.models.weights.weight_source import WeightSource
from soundloom.models.zoo import coala_tags
from soundloom.tags.class_head import ClassHead
from soundloom.tags.tag_model import TAGS, AlignedTags
from soundloom.tags.vocabulary import Vocabulary

__all__ = ["aligned_tags", "class_tags"]

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
        announce: called with what is about to be downloaded.

    Raises:
        ModelError: the tags' side is there and cannot be read, or had.
    """
    # A path may itself hold a '+'.
    parts = [name] if os.path.isdir(os.path.expanduser(name)) else [part.strip() for part in name.split("+")]
    for part in parts:
        if part == _COALA:
            return _published(WeightSource(weights=weights, offline=offline, announce=announce))
        row = MODELS.get(part)
        if row is not None and row.classifies:
            return _classes_of_published(part, weights, offline=offline, announce=announce)
        packaged = PACKAGED / part
        if row is not None and (packaged / TAGS).is_file():
            return _checked(AlignedTags.load(packaged), packaged)
        if row is None and is_saved(part):
            folder = folder_of(part, offline=offline, announce=announce)
            if (folder / TAGS).is_file():
                return _checked(AlignedTags.load(folder), folder)
            if _holds_classifier(folder):
                return class_tags(from_pretrained(folder))
    return None


def class_tags(model: Embedder) -> AlignedTags | None:
    """The classes that an encoder inside a model scores, as tags; of several parts the first; None without any.

    A stream has them whose embedding begins with the mean of the encoder's customary embedding: no layers chosen, no
    reduction.
    """
    for stream in model.streams:
        linear = stream.class_layer
        if linear is not None and stream.pooling.partition(",")[0] == "mean":
            vocabulary = Vocabulary.of_classes(stream.classes)
            return AlignedTags(stream.name, stream.dim, vocabulary, head=ClassHead(linear, stream.dim))
    return None


def _classes_of_published(
    word: str,
    weights: str | os.PathLike[str] | Mapping[str, str | os.PathLike[str]],
    *,
    offline: bool,
    announce: Callable[[Announcement], None] | None,
) -> AlignedTags | None:
    chosen = weights.get(word, "published") if isinstance(weights, Mapping) else weights
    if chosen == "random":
        raise ModelError(f"{word} with random weights knows no classes: use the published weights, or a file of them")
    return class_tags(load(word, weights=chosen, offline=offline, announce=announce))


def _holds_classifier(folder: Path) -> bool:
    """Whether one of the encoders of a saved model has a classifier, as its configuration says; loads no weights."""
    try:
        data = read_json(folder / CONFIG)
        if is_transformers(data):
            return False
        encoders = [part.encoder.type for part in ModelConfig.read(data, CONFIG).parts]
    except (ModelError, OSError, ValueError):
        return False  # `from_pretrained` says what is wrong with it
    return any(bool(ENCODERS[name].kind.classes) for name in encoders if name in ENCODERS)


def _checked(tags: AlignedTags, folder: Path) -> AlignedTags:
    parts = from_pretrained(folder).parts
    if tags.part not in parts:
        raise ModelError(f"{folder / TAGS} is for a part {tags.part!r}, and the model beside it has {', '.join(parts)}")
    return tags


def _published(source: WeightSource) -> AlignedTags:
    encoder, audio_map, words = coala_tags(source, _COALA)
    return AlignedTags(_COALA, COALA_DIM, Vocabulary(tags=words), encoder=encoder, audio_map=audio_map)
