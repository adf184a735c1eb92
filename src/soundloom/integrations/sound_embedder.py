"""Transformer of scikit-learn: sounds to embeddings, as a step of a pipeline (the extra ``sklearn``).

    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from soundloom.integrations.sound_embedder import SoundEmbedder

    classifier = make_pipeline(SoundEmbedder("mfcc"), LogisticRegression(max_iter=1000))
    classifier.fit(["dog.wav", "cat.wav"], ["dog", "cat"])

Each sound is embedded alone, so a row does not depend on the others. Nothing is learned by `SoundEmbedder.fit`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from jaxtyping import Float32

from soundloom import audio
from soundloom.embedder import Embedder
from soundloom.errors import AudioError, InvalidArgumentError, MissingExtraError
from soundloom.file_names import os_path
from soundloom.file_pool import Failed, process
from soundloom.library.segments import Segment
from soundloom.models import DEFAULT, load

try:
    from sklearn.base import BaseEstimator, TransformerMixin
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as error:
    raise MissingExtraError("scikit-learn", "sklearn", "SoundEmbedder") from error

__all__ = ["SoundEmbedder"]


class SoundEmbedder(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Embeds sounds: a row for each.

    Sounds are a sequence of files, of regions (``(path, start, end)`` in seconds, hits, segments) or of waveforms of
    any lengths; a column of files, such as a column of a data frame; or an array ``[sounds, samples]`` of waveforms
    of one length.

    Args:
        model: the model or its name, as for `soundloom.load`.
        parts: the parts of a woven model whose columns are wanted, in the model's order; all if None.
        sample_rate: of waveforms, in hertz; that of the model if None. Files know their own.
        decoding: how files are decoded; `soundloom.audio.DEFAULT_OPTIONS` if None.
        n_jobs: how many sounds at a time; as many as there are processors if None. The result does not depend on it.

    Attributes:
        model_: the model that was loaded.
        n_features_in_: samples of each waveform, where an array of them was given.
    """

    def __init__(
        self,
        model: str | Embedder = DEFAULT,
        *,
        parts: Sequence[str] | None = None,
        sample_rate: float | None = None,
        decoding: audio.DecodeOptions | None = None,
        n_jobs: int | None = None,
    ) -> None:
        self.model = model
        self.parts = parts
        self.sample_rate = sample_rate
        self.decoding = decoding
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: ARG002, N803 (scikit-learn's signature)
        """Load the model and check the sounds' form; no sound is read.

        Raises:
            ModelError: there is no such model, or its weights cannot be had.
            InvalidArgumentError: the model has no part of that name, or these are no sounds.
        """
        self._sounds(X, reset=True)
        self.model_ = load(self.model) if isinstance(self.model, str) else self.model
        self._columns()
        return self

    def transform(self, X: Any) -> Float32[np.ndarray, "sounds dim"]:  # noqa: N803 (scikit-learn's signature)
        """Embed sounds.

        Raises:
            AudioError: a sound cannot be read.
            InvalidArgumentError: these are no sounds.
        """
        check_is_fitted(self)
        sounds = self._sounds(X, reset=False)
        columns = self._columns()
        rows = np.zeros((len(sounds), len(columns)), np.float32)
        for number, row in enumerate(process(sounds, self._embed, workers=self.n_jobs or os.cpu_count() or 1)):
            if isinstance(row, Failed):
                name = row.item[0] if isinstance(row.item[0], str | os.PathLike) else f"sound {number}"
                raise AudioError(name, row.reason)
            rows[number] = row[columns]
        return rows

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:  # noqa: ARG002 (scikit-learn's signature)
        """The name of every column: its part, and its number in it."""
        check_is_fitted(self)
        names = [
            f"{part}_{number}"
            for part, place in self.model_.parts.items()
            if self.parts is None or part in self.parts
            for number in range(place.stop - place.start)
        ]
        return np.array(names, dtype=object)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "model_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.requires_fit = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    def _columns(self) -> np.ndarray:
        """The columns of the parts wanted, in the model's order."""
        known = self.model_.parts
        unknown = sorted(set(self.parts or ()) - set(known))
        if unknown or (self.parts is not None and not len(self.parts)):
            raise InvalidArgumentError(f"parts {list(self.parts or ())!r}: {self.model_.name} has {', '.join(known)}")
        wanted = [place for part, place in known.items() if self.parts is None or part in self.parts]
        return np.concatenate([np.arange(place.start, place.stop) for place in wanted])

    def _sounds(self, given: Any, *, reset: bool) -> list[tuple[Any, float, float | None]]:
        """Every sound with the second at which it begins and at which it ends, None for its end."""
        if isinstance(given, str | os.PathLike):
            raise InvalidArgumentError(f"{os.fspath(given)!r} is one file: put it into a list")
        array = given if hasattr(given, "dtype") and getattr(given, "ndim", 0) == 2 else None
        if hasattr(given, "columns") and getattr(given, "shape", (0, 0))[1] == 1:
            given, array = list(np.asarray(given)[:, 0]), None
        elif array is None and not _is_sequence_of_sounds(given):
            array = given
        elif array is not None and array.dtype.kind in "OUT" and array.shape[1] == 1:
            given, array = list(np.asarray(array)[:, 0]), None
        if array is not None:
            # The checks, and the messages, of scikit-learn for an array [sounds, samples].
            given = list(validate_data(self, array, reset=reset, dtype="numeric", ensure_min_features=1))
        return [_region(sound) for sound in given]

    def _embed(self, sound: tuple[Any, float, float | None], _: audio.AvProcess) -> Float32[np.ndarray, " dim"]:
        source, start, end = sound
        rate = None if isinstance(source, str | os.PathLike) else self.sample_rate
        return self.model_.embed(source, rate, start=start, end=end, options=self.decoding or audio.DEFAULT_OPTIONS)


def _is_sequence_of_sounds(given: Any) -> bool:
    """Whether these are files, regions or waveforms in a row, and not a table of numbers."""
    if getattr(given, "ndim", 1) != 1 or not hasattr(given, "__len__") or not hasattr(given, "__iter__"):
        return False
    first = next(iter(given), None)
    if isinstance(first, tuple):
        return len(first) == 3 and isinstance(first[0], str | os.PathLike)
    return isinstance(first, str | os.PathLike | Segment) or getattr(first, "ndim", 0) == 1


def _region(sound: Any) -> tuple[Any, float, float | None]:
    if isinstance(sound, Segment):
        return os_path(sound.path), sound.start, sound.end
    if isinstance(sound, tuple):
        path, start, end = sound
        return path, float(start), None if end is None else float(end)
    return sound, 0.0, None
