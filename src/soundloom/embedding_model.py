"""Interface of embedding models, as libraries and commands ask it: sounds in, vectors out, in NumPy.

Two kinds of model have it: `soundloom.embedder.Embedder`, a PyTorch module, and `soundloom.packaged.PackagedModel`,
which needs none.
"""

from __future__ import annotations

import reprlib
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar, cast, overload

import numpy as np
from jaxtyping import Float, Float32
from numpy import ndarray

from soundloom import audio
from soundloom.errors import AudioError
from soundloom.html_table import facts_table

if TYPE_CHECKING:
    from torch import Tensor

    Source = audio.Sound | Tensor
else:
    Source = audio.Sound
"""A sound: a file, or a mono waveform: floating point in [-1, 1], or integers, which are scaled by their type."""

__all__ = ["BLOCK", "PLAIN", "EmbeddingModel", "ShortAudioWarning", "Source", "each_sound", "sound_blocks", "sounds_of"]

Result = TypeVar("Result")

BLOCK = 60.0
"""Seconds of a file that are embedded at once; a longer file is embedded block by block."""

PLAIN = "plain"
"""The engine of a model whose encoders are computed as they come."""


class ShortAudioWarning(UserWarning):
    """A sound was shorter than the model's shortest input and was padded with silence."""


class EmbeddingModel(ABC):
    """Sounds in, embeddings out.

    Attributes:
        name: the model's name, as `soundloom.load` takes it.
        sample_rate: the rate in hertz of the waveforms it takes.
        dim: the size of an embedding.
        parts: part name -> its columns of an embedding; one part, named like the model, unless woven.
        frame_dim: the size of a frame's vector.
        min_samples: shorter waveforms are padded with silence to this many samples.
        balance: part name -> how much it counts in a search that weighs all parts evenly; 1 for those not named.
        centred: parts whose columns a search centres and does not scale, as how much each varies says what it is worth.
        engine: what computes its encoders, as `soundloom.engine_choice` names it.
    """

    name: str
    sample_rate: int
    dim: int
    parts: Mapping[str, slice]
    frame_dim: int
    min_samples: int
    balance: Mapping[str, float] = MappingProxyType({})
    centred: tuple[str, ...] = ()
    engine: str = PLAIN

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """Everything but the weights that decides an embedding, as plain JSON data."""

    @abstractmethod
    def fingerprints(self) -> tuple[str, ...]:
        """The fingerprint, and those that earlier versions of soundloom gave the same model."""

    @abstractmethod
    def embed_samples(self, samples: Float[np.ndarray, " samples"]) -> Float[np.ndarray, " dim"]:
        """Embed one waveform, in one piece, alone and on one thread: what libraries store.

        One shorter than ``min_samples`` is padded without a warning; callers that embed many files count them.
        """

    @abstractmethod
    def embed_frames_of(
        self, samples: Float[np.ndarray, " samples"]
    ) -> tuple[Float[np.ndarray, "time dim"], Float[np.ndarray, " time"]]:
        """Embed one waveform over time, as `embed_samples`; with the seconds at which the vectors are centred.

        Raises:
            ModelError: the model only embeds sounds whole.
        """

    def fingerprint(self) -> str:
        """A hash of all state: equal fingerprints give equal embeddings.

        Raises:
            ComponentError: an attribute of a part has no identity that another process could compare; names it.
        """
        return self.fingerprints()[0]

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} {self.name!r}: {self.dim} numbers ({self._sizes}) of sounds at "
            f"{self.sample_rate:,} Hz, engine {self.engine}>"
        )

    @property
    def _sizes(self) -> str:
        return ", ".join(f"{name} {columns.stop - columns.start}" for name, columns in self.parts.items())

    def _repr_html_(self) -> str:
        facts = {"embedder": self.name, "numbers of an embedding": self.dim, "parts": self._sizes}
        return facts_table(facts | {"sample rate": f"{self.sample_rate:,} Hz", "engine": self.engine})

    def embed(
        self,
        source: Source | list[Any] | tuple[Any, ...],
        sample_rate: float | None = None,
        *,
        start: float = 0.0,
        end: float | None = None,
        options: audio.DecodeOptions = audio.DEFAULT_OPTIONS,
        notices: list[audio.Notice] | None = None,
    ) -> Float[np.ndarray, "*sounds dim"]:
        """Embed a sound, or a list of sounds one by one, reproducible to the bit.

        A sound longer than a minute is embedded minute by minute, so that memory does not grow with its
        length; the result is the mean of the blocks' embeddings, weighted by duration.

        Args:
            source: a file, or a mono waveform ``[samples]``: floating point in [-1, 1], or integers, which are scaled
                by their type. A list or tuple of these, or a column of them, such as one of a data frame, gives a row
                for each.
            sample_rate: of a waveform, in hertz; it is resampled as a file would be. If not given, floating point is
                taken to have the model's rate. A file knows its own.
            start: where to begin, in seconds of the sound.
            end: where to stop, in seconds of the sound; its end if not given.
            options: how files are decoded.
            notices: a list to which is added what is noticed of the sound, such as silence.

        Raises:
            AudioError: the file cannot be read; the waveform is not one-dimensional, not finite, far beyond full
                scale, or of integers without their rate; the region lies outside the sound.
        """
        if (sounds := sounds_of(source)) is not None:
            region: dict[str, Any] = {"start": start, "end": end, "options": options, "notices": notices}
            rows = each_sound(sounds, lambda one: self.embed(one, sample_rate, **region))
            return np.stack(rows) if rows else np.zeros((0, self.dim), np.float32)
        total, seconds = np.zeros(self.dim, np.float64), 0.0
        for block in self._blocks(source, sample_rate, start, end, options, notices=notices):
            duration = block.end - block.start
            self._warn_of_padding(len(block.samples))
            total += duration * self.embed_samples(block.samples).astype(np.float64)
            seconds += duration
        return (total / seconds).astype(np.float32)

    @overload
    def embed_frames(
        self,
        source: Source,
        sample_rate: float | None = None,
        *,
        start: float = 0.0,
        end: float | None = None,
        options: audio.DecodeOptions = audio.DEFAULT_OPTIONS,
        notices: list[audio.Notice] | None = None,
        av: audio.AvProcess | None = None,
    ) -> tuple[Float[np.ndarray, "time dim"], Float[np.ndarray, " time"]]: ...

    @overload
    def embed_frames(
        self,
        source: list[Any] | tuple[Any, ...],
        sample_rate: float | None = None,
        *,
        start: float = 0.0,
        end: float | None = None,
        options: audio.DecodeOptions = audio.DEFAULT_OPTIONS,
        notices: list[audio.Notice] | None = None,
        av: audio.AvProcess | None = None,
    ) -> list[tuple[Float[np.ndarray, "time dim"], Float[np.ndarray, " time"]]]: ...

    def embed_frames(
        self,
        source: Source | list[Any] | tuple[Any, ...],
        sample_rate: float | None = None,
        *,
        start: float = 0.0,
        end: float | None = None,
        options: audio.DecodeOptions = audio.DEFAULT_OPTIONS,
        notices: list[audio.Notice] | None = None,
        av: audio.AvProcess | None = None,
    ) -> Any:
        """Embed a sound over time, or a list of sounds one by one, reproducible to the bit.

        Arguments are those of `embed`, and ``av``, a child process for the codecs that need one, if several files are
        embedded at a time.

        Returns:
            The frames' vectors and the seconds, from the beginning of the sound, at which they are centred.

        Raises:
            AudioError: as for `embed`.
        """
        if (sounds := sounds_of(source)) is not None:
            how: dict[str, Any] = {"start": start, "end": end, "options": options, "notices": notices, "av": av}
            return each_sound(sounds, lambda one: self.embed_frames(one, sample_rate, **how))
        values, times = [], []
        for block in self._blocks(source, sample_rate, start, end, options, notices=notices, av=av):
            self._warn_of_padding(len(block.samples))
            vectors, centres = self.embed_frames_of(block.samples)
            values.append(vectors)
            times.append(centres * options.speed + block.start)
        return np.concatenate(values), np.concatenate(times)

    def _blocks(
        self,
        source: Any,
        sample_rate: float | None,
        start: float,
        end: float | None,
        options: audio.DecodeOptions,
        *,
        notices: list[audio.Notice] | None = None,
        av: audio.AvProcess | None = None,
    ) -> Iterator[audio.AudioSegment]:
        """The sound in blocks of about a minute, each with its times in seconds from the beginning of the sound."""
        blocks = sound_blocks(source, self.sample_rate, sample_rate, start, end, options, notices=notices, av=av)
        for block in audio.segments(blocks, self.sample_rate, BLOCK, BLOCK):
            yield replace(block, start=block.start * options.speed + start, end=block.end * options.speed + start)

    def _warn_of_padding(self, samples: int) -> None:
        if samples < self.min_samples:
            warnings.warn(
                f"a sound of {samples / self.sample_rate:.3f} s is shorter than the "
                f"{self.min_samples / self.sample_rate:.3f} s that {self.name} needs: padded with silence",
                ShortAudioWarning,
                stacklevel=3,
            )


def sound_blocks(
    source: Source,
    model_rate: int,
    sample_rate: float | None,
    start: float,
    end: float | None,
    options: audio.DecodeOptions,
    *,
    notices: list[audio.Notice] | None = None,
    av: audio.AvProcess | None = None,
) -> Iterator[Float32[ndarray, " samples"]]:
    """The waveform of a sound at a model's rate, block by block; see `soundloom.audio.stream`.

    Args:
        source: a file or a waveform.
        model_rate: the rate wanted, in hertz.
        sample_rate: the rate of a waveform, in hertz; None: the rate wanted.
        start: where to begin, in seconds of the sound.
        end: where to stop, in seconds of the sound; None: its end.
        options: how files are decoded.
        notices: a list to which is added what is noticed of the sound.
        av: a child process for the codecs that need one.

    Raises:
        AudioError: as for `soundloom.audio.stream`.
    """
    sound = cast(audio.Sound, source)  # It makes an array of a tensor, too.
    return audio.stream(
        sound, model_rate, sound_rate=sample_rate, start=start, end=end, av=av, options=options, notices=notices
    )


def sounds_of(source: Any) -> Sequence[Any] | None:
    """The sounds of a list, a tuple or a column of them (NumPy, pandas, Polars, Arrow); None for one sound.

    >>> sounds_of(np.array(["dog.wav", "cat.wav"])), sounds_of("dog.wav"), sounds_of(np.zeros(8000))
    (['dog.wav', 'cat.wav'], None, None)
    """
    if isinstance(source, list | tuple):
        return source
    # A tensor has numbers alone, and may lie where numpy cannot reach it.
    if hasattr(source, "__array__") and not hasattr(source, "detach"):
        column = np.asarray(source)
        if column.ndim == 1 and column.dtype.kind in "OTU":
            return cast(list[Any], column.tolist())
    return None


def each_sound(sounds: Sequence[Any], work: Callable[[Any], Result]) -> list[Result]:
    """The results of work on every sound of a list; an error names the sound's place where it has no file's name.

    Raises:
        AudioError: as the work does; or a sound is a list of numbers or of sounds.
    """
    results = []
    for place, sound in enumerate(sounds):
        try:
            if isinstance(sound, list | tuple | int | float | complex):
                raise AudioError(
                    audio.WAVEFORM,
                    f"this is a {type(sound).__name__}, {reprlib.repr(sound)}, and a file or an array is wanted: make "
                    "one waveform of numbers by numpy.array(...)",
                )
            results.append(work(sound))
        except AudioError as error:
            if error.path != audio.WAVEFORM:
                raise
            raise AudioError(f"sound {place} of the list", error.reason) from None
    return results
