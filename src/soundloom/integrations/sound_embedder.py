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
import warnings
from collections.abc import Sequence
from numbers import Integral
from typing import Any, Self

import numpy as np
from jaxtyping import Float32

from soundloom import audio
from soundloom.embedding_model import EmbeddingModel, ShortAudioWarning, sounds_of
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

_SHORTEST = 0.01
"""Seconds below which a waveform is likely no sound."""


class SoundEmbedder(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Embeds sounds: a row for each.

    Sounds are a sequence of files, of regions (``(path, start, end)`` in seconds, hits, segments) or of waveforms of
    any lengths; a column of files, such as a column of a data frame; or an array ``[sounds, samples]`` of waveforms
    of one length.

    Args:
        model: the model or its name, as for `soundloom.load`.
        parts: the parts of a woven model whose columns are wanted, in the model's order, or one part; all if None.
        sample_rate: of waveforms, in hertz; that of the model if None. Files know their own.
        decoding: how files are decoded; `soundloom.audio.DEFAULT_OPTIONS` if None.
        n_jobs: how many sounds at a time, below 0 counted from the number of processors as scikit-learn does: -1 is all
            of them, as is None. The result does not depend on it.

    Attributes:
        model_: the model that was loaded.
        n_features_in_: samples of each waveform, where an array of them was given.
    """

    def __init__(
        self,
        model: str | EmbeddingModel = DEFAULT,
        *,
        parts: str | Sequence[str] | None = None,
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
            InvalidArgumentError: the model has no part of that name, these are no sounds, or ``n_jobs`` is no number.
        """
        self._sounds(X, reset=True)
        _workers(self.n_jobs)
        if not isinstance(self.model, str | EmbeddingModel):
            raise InvalidArgumentError(f"model is a {type(self.model).__name__}: give a model or its name")
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
        self._warn_of_short(sounds)
        for number, row in enumerate(process(sounds, self._embed, workers=_workers(self.n_jobs))):
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
            if part in self._wanted()
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

    def _wanted(self) -> list[str]:
        """The parts that are wanted."""
        if self.parts is None:
            return list(self.model_.parts)
        return [self.parts] if isinstance(self.parts, str) else list(self.parts)

    def _columns(self) -> np.ndarray:
        """The columns of the parts wanted, in the model's order."""
        known, wanted = self.model_.parts, self._wanted()
        if not wanted or not set(wanted) <= set(known):
            raise InvalidArgumentError(f"parts {wanted!r}: {self.model_.name} has {', '.join(known)}")
        return np.concatenate([np.arange(place.start, place.stop) for part, place in known.items() if part in wanted])

    def _sounds(self, given: Any, *, reset: bool) -> list[tuple[Any, float, float | None]]:
        """Every sound with the second at which it begins and at which it ends, None for its end.

        An array of numbers goes through the checks, and the messages, of scikit-learn for ``[sounds, samples]``.
        """
        if isinstance(given, str | os.PathLike):
            raise InvalidArgumentError(f"{os.fspath(given)!r} is one file: put it into a list")
        if (sounds := sounds_of(given)) is not None and _are_sounds(sounds):
            return [_region(sound) for sound in sounds]
        if hasattr(given, "__array__"):
            table = np.asarray(given)
            if table.ndim == 1:
                raise InvalidArgumentError(
                    f"this is one waveform of {len(table)} samples: put it into a list. "
                    "Reshape your data to [1, samples] if it is an array of one"
                )
            if table.dtype.kind in "OUT" and table.ndim == 2 and table.shape[1] == 1:
                return [_region(sound) for sound in table[:, 0].tolist()]
            if table.dtype.kind in "OUT" and any(isinstance(one, str | os.PathLike) for one in table.flat):
                raise InvalidArgumentError(
                    f"this is a table of shape {list(table.shape)}: give its column of files, such as table['path']"
                )
        elif not isinstance(given, list | tuple) and not hasattr(given, "ndim"):
            raise InvalidArgumentError(f"this is a {type(given).__name__}: give a list of files, regions or waveforms")
        return [_region(row) for row in validate_data(self, given, reset=reset, dtype="numeric", ensure_min_features=1)]

    def _warn_of_short(self, sounds: Sequence[tuple[Any, float, float | None]]) -> None:
        """Warn, once, of waveforms too short to be sounds, such as the rows of a table of features."""
        needed = max(self.model_.min_samples / self.model_.sample_rate, _SHORTEST)
        samples = [len(one) for one, _, _ in sounds if isinstance(one, np.ndarray) and one.ndim == 1]
        short = [count for count in samples if count < needed * (self.sample_rate or self.model_.sample_rate)]
        if short:
            warnings.warn(
                f"{len(short)} of {len(sounds)} waveforms are shorter than {needed:.3f} s, the shortest has "
                f"{min(short)} samples. Each row is taken for a waveform: a table of features is none",
                ShortAudioWarning,
                stacklevel=3,
            )

    def _embed(self, sound: tuple[Any, float, float | None], _: audio.AvProcess) -> Float32[np.ndarray, " dim"]:
        source, start, end = sound
        rate = None if isinstance(source, str | os.PathLike) else self.sample_rate
        options = self.decoding or audio.DEFAULT_OPTIONS
        # In a list, which refuses what is no sound.
        row: Float32[np.ndarray, " dim"] = self.model_.embed([source], rate, start=start, end=end, options=options)[0]
        return row


def _workers(n_jobs: int | None) -> int:
    """How many sounds at a time, as joblib understands ``n_jobs``, but for None: -2 is all processors but one."""
    if n_jobs is None:
        n_jobs = -1
    if not isinstance(n_jobs, Integral) or not n_jobs:
        raise InvalidArgumentError(f"n_jobs is {n_jobs!r}: give a number from 1, -1 for all processors, or None")
    return int(n_jobs) if n_jobs > 0 else max(1, (os.cpu_count() or 1) + 1 + int(n_jobs))


def _are_sounds(given: Sequence[Any]) -> bool:
    """Whether these are files, regions or waveforms in a row, and not a table of numbers."""
    first = next(iter(given), "")
    if isinstance(first, tuple):
        return len(first) == 3 and isinstance(first[0], str | os.PathLike)
    return isinstance(first, str | os.PathLike | Segment) or getattr(first, "ndim", 0) > 0


def _region(sound: Any) -> tuple[Any, float, float | None]:
    if isinstance(sound, Segment):
        return os_path(sound.path), sound.start, sound.end
    if isinstance(sound, tuple):
        path, start, end = sound
        return path, float(start), None if end is None else float(end)
    return sound, 0.0, None
