"""Files to embeddings, several at a time: hash, decode, cut, embed.

A file is the unit of work and is processed from its first byte to its last vector by one worker, alone
and on one thread of computation. So neither the number of workers nor the order in which they finish
can change a bit of the result. Decoding, resampling and torch all release the interpreter's lock, so
the workers are threads; codecs that do not are run in a child process (`soundloom.audio.AvProcess`).
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from threading import local
from typing import TypeVar

import numpy as np
from jaxtyping import Float

from soundloom import audio
from soundloom.embedder import Embedder, one_thread
from soundloom.errors import AudioError, SoundloomError
from soundloom.library.changes import Found, content_hash
from soundloom.library.store import FileState

__all__ = ["Embedded", "Failed", "Recognised", "Result", "process", "segment_embedder"]

_log = logging.getLogger(__name__)

_IN_FLIGHT = 32
"""Files begun or finished and waiting for an earlier one, for each worker."""

T = TypeVar("T")


@dataclass(frozen=True)
class Embedded:
    """A file's embeddings.

    Attributes:
        state: the file.
        starts: the second at which each row's stretch of sound starts.
        ends: the second at which it ends.
        embeddings: a row a stretch, ``[rows, dim]``.
        times: the second that each row stands for.
    """

    state: FileState
    starts: Sequence[float]
    ends: Sequence[float]
    embeddings: Float[np.ndarray, "rows dim"]
    times: Sequence[float]

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


@dataclass(frozen=True)
class Failed:
    """A file that could not be embedded, and why."""

    file: Found
    reason: str

    @property
    def path(self) -> str:
        """The file."""
        return self.file.path


Result = Embedded | Recognised


def segment_embedder(
    model: Embedder,
    window: float | None,
    hop: float | None,
    recognise: Callable[[FileState], str | None] = lambda _: None,
) -> Callable[[Found, audio.AvProcess], Result]:
    """The work of embedding one file's segments.

    Args:
        model: the embedder.
        window: seconds of a segment; None keeps every file whole.
        hop: seconds from segment to segment.
        recognise: tells under which path a file's content is held already, if it is; called by the workers.
    """

    def embed(file: Found, av: audio.AvProcess) -> Result:
        state = file.state(content_hash(file.path))
        if (known_as := recognise(state)) is not None:
            return Recognised(state, known_as)
        starts, ends, vectors = [], [], []
        blocks = audio.stream(file.path, model.sample_rate, av=av)
        for segment in audio.segments(blocks, model.sample_rate, window, hop):
            starts.append(segment.start)
            ends.append(segment.end)
            vectors.append(model.embed_samples(segment.samples))
        middles = [(start + end) / 2 for start, end in zip(starts, ends, strict=True)]
        return Embedded(state, starts, ends, np.stack(vectors), middles)

    return embed


def process(
    files: Sequence[Found], work: Callable[[Found, audio.AvProcess], T], *, workers: int
) -> Generator[T | Failed]:
    """Do the work on several files at a time, yielding results in the files' order.

    A file that cannot be read, or on which the work fails, gives `Failed` in its place. Few files are in
    flight, so memory does not grow with their number.

    Args:
        files: what to work on.
        work: what to do with a file, given a child process for codecs that need one.
        workers: how many files at a time.
    """
    mine = local()

    def attempt(file: Found) -> T | Failed:
        if not hasattr(mine, "av"):
            mine.av = audio.AvProcess()
        try:
            return work(file, mine.av)
        except AudioError as error:
            return Failed(file, error.reason)
        except (SoundloomError, OSError) as error:
            return Failed(file, str(error))
        except Exception as error:
            # A defect of ours or of a codec's must cost one file, not the night's work.
            _log.exception("while working on %r", file.path)
            return Failed(file, f"unexpected {type(error).__name__}: {error}")

    executor = ThreadPoolExecutor(workers, thread_name_prefix="soundloom")
    remaining = iter(files)
    pending: deque[Future[T | Failed]] = deque()
    # Held from outside, so that no worker finds the number of threads changed under it.
    with one_thread:
        try:
            pending.extend(executor.submit(attempt, file) for file in islice(remaining, _IN_FLIGHT * workers))
            while pending:
                yield pending.popleft().result()
                pending.extend(executor.submit(attempt, file) for file in islice(remaining, 1))
        finally:
            executor.shutdown(wait=True, cancel_futures=True)
