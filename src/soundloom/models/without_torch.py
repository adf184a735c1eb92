"""Naming of models where PyTorch is not installed: the packaged one loads, others are known and say what they need."""

from __future__ import annotations

import os
from typing import Any

from soundloom.components.own_listings import own_listings
from soundloom.components.registry import is_extended
from soundloom.embedding_model import EmbeddingModel
from soundloom.errors import MissingExtraError, SoundloomError, UnknownModelError
from soundloom.letter_case import suggestion
from soundloom.models.names import parse
from soundloom.packaged import NAME, PackagedModel, is_packaged

__all__ = ["absolute", "check_trusted_name", "load", "refusal"]


def load(
    name: str = NAME,
    *,
    weights: Any = "published",
    seed: int = 0,  # noqa: ARG001 (those of `soundloom.load`)
    offline: bool = False,  # noqa: ARG001
    announce: Any = None,  # noqa: ARG001
    progress: Any = None,  # noqa: ARG001
    trust: bool = False,  # noqa: ARG001
) -> EmbeddingModel:
    """What `soundloom.load` is then.

    Raises:
        UnknownModelError: there is no such model.
        MissingExtraError: it is another than the packaged one.
    """
    if not is_packaged(name, weights):
        raise refusal(name)
    return PackagedModel()


def absolute(name: str) -> str:
    """What `soundloom.models.absolute` is then; errors are those of `load`."""
    if not is_packaged(name):
        raise refusal(name)
    return name


def check_trusted_name(name: str, where: str, trust: bool = False) -> None:  # noqa: ARG001 (that of `soundloom.models`)
    """What `soundloom.models.check_trusted_name` is then; errors are those of `load`."""
    absolute(name)


def refusal(name: str) -> SoundloomError:
    """Why a model other than the packaged one cannot be loaded: a mistake in its name, or else PyTorch is missing."""
    return _mistake(name) or MissingExtraError("torch", "torch", f"the model {name!r}")


def _mistake(name: object) -> UnknownModelError | None:
    """What is wrong with a name; None where only PyTorch could find out."""
    if not isinstance(name, (str, os.PathLike)):
        return UnknownModelError(f"a model is named by text, such as {NAME!r}; got a {type(name).__name__}")
    name = os.fspath(name)
    known = own_listings().models
    words = [text.strip().partition("#")[0] for text in name.split("+")]
    if is_extended() or any(word.startswith(("hf:", "onnx:")) or os.path.exists(word) for word in words):
        return None
    try:
        parts = parse(name)
    except UnknownModelError as error:
        return error
    for word in (part.word for part in parts):
        if ":" not in word and word not in known:
            every = suggestion(word, known, f"there are {', '.join(sorted(known))}")
            return UnknownModelError(f"no model {word!r}: {every} (see: soundloom models)")
    return None
