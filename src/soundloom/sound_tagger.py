"""Interface of taggers: scores of classes for a sound, per clip and per stretch of it, in NumPy.

Two kinds of tagger have it: `soundloom.tagger.Tagger`, a PyTorch model with a head, and
`soundloom.packaged_tagger.PackagedTagger`, the words of the packaged model, which needs no PyTorch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, cast, overload

import numpy as np
from jaxtyping import Float

from soundloom import audio
from soundloom.embedding_model import EmbeddingModel, Source, each_sound, sound_blocks, sounds_of
from soundloom.errors import ModelError

__all__ = ["WHOLE", "Explained", "SoundTagger", "Tagged"]

# Seconds that are embedded at a time: bounds what a long sound takes in memory.
BLOCK = 60
WHOLE = 10.0
"""Seconds of the longest sound that is scored as a whole: as much as libraries embed at a time by default."""
_UNSPECIFIC = frozenset({"Silence", "Environmental noise", "Noise"})
"""Classes of AudioSet that name no source. Recordings of anything hold a little of them."""
_QUIET = 1e-2
"""A stretch of so much less amplitude than the loudest, 40 dB, says nothing of a sound by words."""
_DESCRIBES = 0.1
"""Score from which another class describes a sound better than those do."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Explained:
    """What moved the scores of one sound: of each score, ``average`` and the parts' shares are the sum.

    Attributes:
        average: scores of the average sound of those that were learned from, [classes].
        clip: part -> how much it moved the scores of the whole, [classes].
        seconds: part -> how much it moved those of every second, [seconds, classes].
    """

    average: Float[np.ndarray, " classes"]
    clip: Mapping[str, Float[np.ndarray, " classes"]]
    seconds: Mapping[str, Float[np.ndarray, "seconds classes"]]


@dataclass(frozen=True, eq=False, kw_only=True)
class Tagged:
    """The scores of one sound.

    Attributes:
        clip: of the sound, [classes].
        seconds: of every second, [seconds, classes].
        starts: where each begins, in seconds.
        ends: where each ends.
        span: where the stretches that count for the whole begin and end, in seconds.
        explained: what moved them, if that was asked for.
    """

    clip: Float[np.ndarray, " classes"]
    seconds: Float[np.ndarray, "seconds classes"]
    starts: Float[np.ndarray, " seconds"]
    ends: Float[np.ndarray, " seconds"]
    span: tuple[float, float]
    explained: Explained | None = None


class SoundTagger(ABC):
    """A model, and scores of classes from its embeddings.

    Args:
        model: makes the embeddings.
        classes: names of the scores.
        mean: of the embeddings that were learned from, [dim]; without it nothing can be explained.
        length: seconds that are tagged at a time.
        hop: seconds from the start of one such stretch to the next; the length if not given.
        skip_silence: leave stretches that are almost silent beside the loudest out of the scores of the whole, as words
            that a model suggests do, whose scores say how probable they are.
        whole: seconds up to which a sound is also scored as a whole, as classes that were learned from whole sounds
            may be; the higher score of each class counts.
    """

    def __init__(
        self,
        model: EmbeddingModel,
        classes: Sequence[str],
        mean: Float[np.ndarray, " dim"] | None = None,
        *,
        length: float = 1.0,
        hop: float | None = None,
        skip_silence: bool = False,
        whole: float = 0.0,
    ) -> None:
        self.model = model
        self.classes = tuple(classes)
        self.mean = mean
        self.length = length
        self.hop = length if hop is None else hop
        self.skip_silence = skip_silence
        self.whole = whole

    @abstractmethod
    def scores(self, embeddings: Float[np.ndarray, "rows dim"]) -> Float[np.ndarray, "rows classes"]:
        """Scores in [0, 1] of embeddings of stretches of sound."""

    def embed_pieces(self, pieces: Sequence[Float[np.ndarray, " _samples"]]) -> Float[np.ndarray, "pieces dim"]:
        """Embeddings of stretches of sound."""
        return np.stack([self.model.embed_samples(piece) for piece in pieces])

    def shares(self, embeddings: Float[np.ndarray, "rows dim"]) -> dict[str, Float[np.ndarray, "rows classes"]]:
        """How much each part moved the scores of embeddings of seconds from those of the average sound.

        Returns:
            Part -> its shares, [rows, classes]; those of all parts add up to the scores less the average sound's.

        Raises:
            ModelError: the tagger does not know the average sound.
        """
        mean = self.average()

        def worth(subset: tuple[str, ...]) -> Float[np.ndarray, "rows classes"]:
            known = np.tile(mean, (len(embeddings), 1))
            for part in subset:
                columns = self.model.parts[part]
                known[:, columns] = embeddings[:, columns]
            return self.scores(known)

        from soundloom.evaluation.analysis.shapley import shapley_values, subsets_of

        parts = tuple(self.model.parts)
        return shapley_values({subset: worth(subset) for subset in [(), *subsets_of(parts)]}, parts)

    @overload
    def tag(
        self,
        source: Source,
        sample_rate: float | None = None,
        *,
        start: float = 0.0,
        end: float | None = None,
        explain: bool = False,
        options: audio.DecodeOptions = audio.DEFAULT_OPTIONS,
        notices: list[audio.Notice] | None = None,
        av: audio.AvProcess | None = None,
    ) -> Tagged: ...

    @overload
    def tag(
        self,
        source: list[Any] | tuple[Any, ...],
        sample_rate: float | None = None,
        *,
        start: float = 0.0,
        end: float | None = None,
        explain: bool = False,
        options: audio.DecodeOptions = audio.DEFAULT_OPTIONS,
        notices: list[audio.Notice] | None = None,
        av: audio.AvProcess | None = None,
    ) -> list[Tagged]: ...

    def tag(
        self,
        source: Source | list[Any] | tuple[Any, ...],
        sample_rate: float | None = None,
        *,
        start: float = 0.0,
        end: float | None = None,
        explain: bool = False,
        options: audio.DecodeOptions = audio.DEFAULT_OPTIONS,
        notices: list[audio.Notice] | None = None,
        av: audio.AvProcess | None = None,
    ) -> Tagged | list[Tagged]:
        """Tag a sound, or a stretch of it, a minute at a time.

        Args:
            source: a file or a mono waveform, as `EmbeddingModel.embed` takes them; a list of these gives a list.
            sample_rate: of a waveform, in hertz; that of the model if not given.
            start: where to begin, in seconds of the sound.
            end: where to stop, in seconds of the sound; its end if not given.
            explain: also give the contribution of each part.
            options: how files are decoded.
            notices: a list to which is added what is noticed of the sound.
            av: a child process for the codecs that need one, if several files are tagged at a time.

        Raises:
            AudioError: the sound cannot be read, or has nothing there.
            ModelError: the tagger is to explain, and does not know the average sound.
        """
        if (sounds := sounds_of(source)) is not None:
            how: dict[str, Any] = {"explain": explain, "options": options, "notices": notices, "av": av}
            return each_sound(sounds, lambda sound: self.tag(sound, sample_rate, start=start, end=end, **how))
        one = cast(Source, source)
        blocks = sound_blocks(one, self.model.sample_rate, sample_rate, start, end, options, notices=notices, av=av)
        whole, blocks = _collected(blocks, round(self.whole * self.model.sample_rate))
        pieces = audio.segments(blocks, self.model.sample_rate, self.length, self.hop)
        vectors: list[np.ndarray] = []
        starts: list[float] = []
        ends: list[float] = []
        levels: list[float] = []
        while block := list(islice(pieces, BLOCK)):
            levels.extend(float(np.sqrt(np.mean(np.square(piece.samples, dtype=np.float64)))) for piece in block)
            vectors.append(self.embed_pieces([piece.samples for piece in block]))
            starts.extend(piece.start * options.speed + start for piece in block)
            ends.extend(piece.end * options.speed + start for piece in block)
        embeddings = np.concatenate(vectors)
        seconds = self.scores(embeddings)
        weights = self._weights(np.asarray(ends) - np.asarray(starts), np.asarray(levels))
        counting = np.flatnonzero(weights)
        clip = weights @ seconds
        if whole is not None:
            clip = np.maximum(clip, self.scores(self.embed_pieces([whole]))[0])
        return Tagged(
            clip=clip.astype(np.float32),
            seconds=seconds,
            starts=np.asarray(starts),
            ends=np.asarray(ends),
            span=(starts[counting[0]], ends[counting[-1]]),
            explained=self._explained(embeddings, weights) if explain else None,
        )

    def _weights(
        self, lengths: Float[np.ndarray, " stretches"], levels: Float[np.ndarray, " stretches"]
    ) -> Float[np.ndarray, " stretches"]:
        """How much the scores of stretches, of so many seconds and such amplitudes, count for the whole."""
        weights = lengths * (levels >= _QUIET * levels.max()) if self.skip_silence else lengths
        shares: Float[np.ndarray, " stretches"] = weights / weights.sum()
        return shares

    def highest(self, scores: Float[np.ndarray, " classes"], top: int, least: float) -> Iterator[tuple[str, float]]:
        """The classes with the highest scores: so many at most, none below the least."""
        for place in np.argsort(-scores, kind="stable")[:top]:
            if scores[place] >= least:
                yield self.classes[place], float(scores[place])

    def describing(self, scores: Float[np.ndarray, " classes"], top: int, least: float) -> list[tuple[str, float]]:
        """As `highest`, for a whole sound: Silence, noise and environmental noise only where no other describes it."""
        specific = np.array([name not in _UNSPECIFIC for name in self.classes], np.bool_)
        # All scores decide, and not only those that are wanted: a higher least must not bring anything back.
        if np.max(scores, where=specific, initial=0.0) >= _DESCRIBES:
            scores = np.where(specific, scores, -np.inf)
        return list(self.highest(scores, top, least))

    def _explained(
        self, embeddings: Float[np.ndarray, "seconds dim"], weights: Float[np.ndarray, " seconds"]
    ) -> Explained:
        """Shares of seconds, and of the whole: a clip's score is its seconds' mean, and so are its shares."""
        shares = self.shares(embeddings)
        return Explained(
            average=self.scores(self.average()[None])[0],
            clip={part: (weights @ share).astype(np.float32) for part, share in shares.items()},
            seconds={part: share.astype(np.float32) for part, share in shares.items()},
        )

    def average(self) -> Float[np.ndarray, " dim"]:
        """The mean of the embeddings that the head learned from: what the shares begin at.

        Raises:
            ModelError: the tagger does not know it.
        """
        if self.mean is None:
            raise ModelError(
                "these words are scored by one part of the model alone, so there are no shares of parts to explain; "
                "soundloom train diverse makes a tagger of several parts. One of an earlier version gets the average "
                "embedding that shares are measured from when the command that trained it is run again"
            )
        return self.mean


def _collected(
    blocks: Iterable[Float[np.ndarray, " _samples"]], most: int
) -> tuple[Float[np.ndarray, " samples"] | None, Iterator[Float[np.ndarray, " _samples"]]]:
    """The blocks of a sound as one, if it has so many samples at most and any are wanted; and the blocks."""
    rest, first, count = iter(blocks), list[np.ndarray](), 0
    while count <= most and (block := next(rest, None)) is not None:
        first.append(block)
        count += len(block)
    whole = np.concatenate(first) if 0 < count <= most else None
    return whole, chain(first, rest)
