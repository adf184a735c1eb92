"""A file to embeddings: hash, decode, cut, embed; the work that `soundloom.file_pool` does on many files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from soundloom import audio
from soundloom.embedder import Embedder
from soundloom.library.indexing.diff import Found, content_hash
from soundloom.library.storage.store import FileState

__all__ = ["Embedded", "Recognised", "Result", "segment_embedder"]


@dataclass(frozen=True)
class Embedded:
    """A file's embeddings.

    Attributes:
        state: the file.
        starts: the second at which each row's stretch of sound starts.
        ends: the second at which it ends.
        embeddings: a row a stretch, ``[rows, dim]``.
        times: the second that each row stands for.
        notices: what was noticed of the sound.
    """

    state: FileState
    starts: Sequence[float]
    ends: Sequence[float]
    embeddings: Float[np.ndarray, "rows dim"]
    times: Sequence[float]
    notices: Sequence[audio.Notice] = ()

    @property
    def path(self) -> str:
        """The file."""
        return self.state.path


@dataclass(frozen=True)
class Recognised:
    """A file whose content the library holds already, under the path ``known_as``; nothing was computed."""

    state: FileState
    known_as: str

    @property
    def path(self) -> str:
        """The file."""
        return self.state.path


Result = Embedded | Recognised


def segment_embedder(
    model: Embedder,
    window: float | None,
    hop: float | None,
    recognise: Callable[[FileState], str | None] = lambda _: None,
    decoding: audio.DecodeOptions = audio.DEFAULT_OPTIONS,
) -> Callable[[Found, audio.AvProcess], Result]:
    """The work of embedding one file's segments.

    Args:
        model: the embedder.
        window: seconds of a segment; None keeps every file whole.
        hop: seconds from segment to segment.
        recognise: tells under which path a file's content is held already, if it is; called by the workers.
        decoding: how files become waveforms.
    """

    def embed(file: Found, av: audio.AvProcess) -> Result:
        state = file.state(content_hash(file.path))
        if (known_as := recognise(state)) is not None:
            return Recognised(state, known_as)
        starts, ends, vectors = [], [], []
        notices: list[audio.Notice] = []
        blocks = audio.stream(file.path, model.sample_rate, av=av, options=decoding, notices=notices)
        for segment in audio.segments(blocks, model.sample_rate, window, hop):
            starts.append(segment.start * decoding.speed)
            ends.append(segment.end * decoding.speed)
            vectors.append(model.embed_samples(segment.samples))
        middles = [(start + end) / 2 for start, end in zip(starts, ends, strict=True)]
        return Embedded(state, starts, ends, np.stack(vectors), middles, notices)

    return embed
