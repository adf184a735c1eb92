"""Checks of what a search is given, before anything is decoded or compared."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from soundloom.errors import QueryError
from soundloom.library.search.row_filter import RowFilter

if TYPE_CHECKING:
    from soundloom.embedding_model import Source
    from soundloom.library.search.query_sound import QuerySound
    from soundloom.library.storage.library_settings import LibrarySettings

__all__ = [
    "as_embedding",
    "check_count",
    "check_sound",
    "check_where",
    "refuse_embedding",
]

_LOWEST_RATE = 4000
"""Hertz. More hits than this are wanted of no waveform."""


def as_embedding(settings: LibrarySettings, numbers: ArrayLike) -> NDArray[np.floating[Any]]:
    """Numbers as an embedding of the library's model, or several; an array of them as it is.

    Raises:
        QueryError: another size, what is no number, or values that are not finite.
    """
    embedding = np.asarray(numbers)
    if embedding.dtype.kind in "iu":
        embedding = embedding.astype(np.float32)
    size = embedding.shape[-1] if embedding.ndim in (1, 2) and embedding.size else 0
    if size != settings.dim or embedding.dtype.kind != "f" or not np.isfinite(embedding).all():
        raise QueryError(
            f"an embedding of {settings.model!r} is {settings.dim} finite numbers, got shape {list(embedding.shape)} "
            f"of {embedding.dtype}"
        )
    return embedding


def check_count(k: int) -> None:
    """Refuse a number of hits that is none.

    Raises:
        QueryError: it is no whole number, or below 1.
    """
    if not isinstance(k, int | np.integer) or k < 1:
        raise QueryError(f"k must be at least 1, a whole number of hits; got {k!r}")


def check_where(where: object) -> None:
    """Refuse a filter that is none.

    Raises:
        QueryError: it is neither a condition nor a `RowFilter`.
    """
    if not isinstance(where, str | RowFilter | None):
        raise QueryError(
            f"where is an SQL condition, such as 'duration < 5 AND channels = 2', or a RowFilter; got {where!r}"
        )


def check_sound(query: Source, k: int, sample_rate: float | None) -> None:
    """Refuse several sounds, and a sample rate of a waveform in the place of k: ``search(samples, 44100)``.

    Raises:
        QueryError: a list, or a tuple such as a waveform and its rate; so many hits of a waveform whose rate is not
            named.
    """
    if isinstance(query, tuple) or (isinstance(query, list) and not all(isinstance(one, int | float) for one in query)):
        raise QueryError(
            f"a search is by one sound, a file or a waveform, got a {type(query).__name__} of {len(query)}: write the "
            "rate of a waveform as sample_rate=...; several sounds are LibraryQuery(like=(QuerySound(...), ...))"
        )
    if sample_rate is None and not isinstance(query, str | os.PathLike) and k >= _LOWEST_RATE:
        raise QueryError(
            f"k={k} is how many hits are wanted, and looks like a sample rate: write sample_rate={k}; for so many hits "
            "name the rate of the waveform as well"
        )


def refuse_embedding(settings: LibrarySettings, sound: QuerySound) -> None:
    """Refuse an embedding in the place of a waveform, as which it would find something else.

    Raises:
        QueryError: an array without a sample rate, as long as the library's embeddings.
    """
    if isinstance(sound.source, str | os.PathLike) or sound.sample_rate is not None:
        return
    if np.shape(sound.source)[-1:] == (settings.dim,):
        raise QueryError(
            f"{settings.dim} numbers are an embedding of {settings.model!r}, and a waveform is searched by here: "
            "give it to search_embedding; of a waveform of so many samples name the sample_rate"
        )
