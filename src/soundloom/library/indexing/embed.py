"""Embedding of one file: hash, decode, cut into segments, embed; `soundloom.file_pool` runs it on many files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from jaxtyping import Float

from soundloom import audio
from soundloom.embedder import Embedder
from soundloom.library.indexing.diff import FileOnDisk, content_hash
from soundloom.library.storage.segment_rows import FileState

__all__ = ["Embedded", "segment_embedder"]


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


def segment_embedder(
    model: Embedder,
    window: float | None,
    hop: float | None,
    hashes: Mapping[str, str] = MappingProxyType({}),
    decoding: audio.DecodeOptions = audio.DEFAULT_OPTIONS,
) -> Callable[[FileOnDisk, audio.AvProcess], Embedded]:
    """The work of embedding one file's segments.

    Args:
        model: the embedder.
        window: seconds of a segment; None keeps every file whole.
        hop: seconds from segment to segment.
        hashes: content hashes that are known already, by path.
        decoding: how files become waveforms.
    """

    def embed(file: FileOnDisk, av: audio.AvProcess) -> Embedded:
        state = file.state(hashes.get(file.path) or content_hash(file.path))
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
