"""Creation and opening of a library, and loading of the model that filled it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from soundloom.audio import DEFAULT_OPTIONS, DecodeOptions
from soundloom.embedding_model import EmbeddingModel
from soundloom.engine_choice import check_trusted, load_on
from soundloom.errors import LibraryError, ModelError
from soundloom.library.library_files import is_library
from soundloom.library.storage.library_settings import UNFINISHED, LibrarySettings
from soundloom.library.storage.store_folders import next_store
from soundloom.packaged import is_packaged
from soundloom.system_errors import reason_of

__all__ = ["LibraryModel", "Loader", "Weights", "create_library", "open_library", "upgraded_settings"]

Weights = str | os.PathLike[str] | Mapping[str, str | os.PathLike[str]]
"""What `soundloom.load` takes as weights."""

Loader = Callable[..., EmbeddingModel]
"""`soundloom.load`, or the same with some arguments chosen."""


def create_library(
    folder: Path,
    model: str | EmbeddingModel,
    window: float | None,
    hop: float | None,
    weights: Weights,
    loader: Loader,
    decoding: DecodeOptions = DEFAULT_OPTIONS,
) -> tuple[LibrarySettings, EmbeddingModel]:
    """Make the folder of an empty library; see `Library.create`."""
    embedder = loader(model, weights=weights) if isinstance(model, str) else model
    settings = LibrarySettings.of(embedder, window, hop, decoding)
    if isinstance(model, str):
        settings = replace(settings, source=_absolute(model), weights=_absolute_paths(weights))
    if outer := next((parent for parent in folder.parents if is_library(parent)), None):
        raise LibraryError(f"{str(folder)!r} lies in the library {str(outer)!r}: choose a folder of its own")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(entry.name != UNFINISHED for entry in folder.iterdir()):
            raise LibraryError(f"{str(folder)!r} is not empty: open it as a library, or choose another name")
        settings.write(folder)
    except OSError as error:
        raise LibraryError(f"cannot make a library at {str(folder)!r}: {reason_of(error)}") from None
    return settings, embedder


def open_library(
    folder: Path, model: str | EmbeddingModel | None, weights: Weights | None, loader: Loader
) -> tuple[LibrarySettings, EmbeddingModel | None]:
    """Read the settings of a library, and load its model if one is named; see `Library.open`."""
    settings = LibrarySettings.read(folder)
    if model is None and weights is None:
        return settings, None
    if model is not None and not isinstance(model, str):
        settings.check_model(model)
        return settings, model
    known = settings.source or settings.model
    if model is None:
        check_trusted(known, f"the library {str(folder)!r}")
    name = known if model is None else _absolute(model)
    places = _absolute_paths(weights or (settings.weights if name == known else "published"))
    embedder = load_on(settings.engine, loader, name, places)
    settings.check_model(embedder)
    moved = replace(settings, source=name, weights=places)
    if moved != settings:
        moved.write(folder)
    return moved, embedder


def upgraded_settings(
    settings: LibrarySettings, model: str | EmbeddingModel | None, weights: Weights | None, loader: Loader
) -> tuple[LibrarySettings, EmbeddingModel]:
    """The settings that a library has after an upgrade, and the model that fills it then; see `Library.upgrade`."""
    known = settings.source or settings.model
    if model is None:
        check_trusted(known, "the library")
    if model is None or isinstance(model, str):
        name = known if model is None else _absolute(model)
        places = _absolute_paths(weights or (settings.weights if name == known else "published"))
        model = load_on(settings.engine, loader, name, places)
    else:
        name, places = None, "published"
    after = LibrarySettings.of(model, settings.window, settings.hop, settings.decoding)
    store = next_store(settings.store, after.fingerprint)
    return replace(after, source=name, weights=places, store=store), model


class LibraryModel:
    """The model that fills a library, loaded when it is first needed.

    Args:
        folder: the library's.
        settings: name the model.
        model: the model, if it is loaded already.
        loader: as for `Library.open`.
    """

    def __init__(self, folder: Path, settings: LibrarySettings, model: EmbeddingModel | None, loader: Loader) -> None:
        self._folder = folder
        self._settings = settings
        self._model = model
        self._loader = loader

    def get(self) -> EmbeddingModel:
        """The model.

        Raises:
            ModelError: it cannot be loaded.
            ModelMismatchError: it is no longer the one that filled the library.
        """
        if self._model is None:
            self._model = _load_model(self._folder, self._settings, self._loader)
        return self._model


def _load_model(folder: Path, settings: LibrarySettings, loader: Loader) -> EmbeddingModel:
    """Load the model that filled a library, by what its settings say.

    Raises:
        ModelError: it cannot be loaded.
        ModelMismatchError: it is no longer the one that filled the library.
    """
    check_trusted(settings.source or settings.model, f"the library {str(folder)!r}")
    try:
        model = load_on(settings.engine, loader, settings.source or settings.model, settings.weights)
    except ModelError as error:
        raise ModelError(
            f"the model of the library {str(folder)!r} cannot be loaded: {error}. "
            "If the model or its weights have moved, say where to: Library.open(folder, model, weights=...), "
            f"or soundloom index SOUNDS -l {folder} --model NAME --weights FILE"
        ) from error
    settings.check_model(model)
    return model


def _absolute(name: str) -> str:
    """`soundloom.models.absolute`; the packaged model's name is so already, and the registry takes long to import."""
    if is_packaged(name):
        return name
    from soundloom.models import absolute

    return absolute(name)


def _absolute_paths(weights: Weights) -> str | dict[str, str]:
    """Weights as they can be written down and found again from any folder."""
    if isinstance(weights, Mapping):
        return {word: _absolute_path(place) for word, place in weights.items()}
    return _absolute_path(weights)


def _absolute_path(place: str | os.PathLike[str]) -> str:
    text = os.fspath(place)
    return text if text in ("published", "random") else os.path.abspath(os.path.expanduser(text))
