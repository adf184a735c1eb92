"""Feature extraction for evaluation: a corpus's clips to arrays, several files at a time, cached on disk.

A `FeatureExtractor` is a model on whole clips, a model on windows of a clip, or librosa's acoustic features for the
correlation analysis. A clip that cannot be decoded, or whose features are not finite, is left out and named; the corpus
that comes back with the features holds the others, in their order.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int64

from soundloom import audio
from soundloom.corpora import Corpus
from soundloom.embedder import BLOCK, Embedder
from soundloom.errors import ModelError
from soundloom.evaluation.acoustic_features import (
    PUBLISHED_RATE,
    STATISTICS,
    acoustic_features,
    acoustic_statistics,
    published_acoustic_features,
)
from soundloom.evaluation.embedding_cache import Shards, Writer, default_cache, key_of
from soundloom.file_pool import Failed, process

__all__ = [
    "Clip",
    "Disturbance",
    "ExtractionProgress",
    "FeatureExtractor",
    "Features",
    "LeftOut",
    "acoustic_extractor",
    "clip_extractor",
    "extract_features",
    "named_statistics",
    "window_extractor",
]

ACOUSTIC_RATE = 22_050
"""Hertz at which the acoustic features are taken: librosa's own, and close to Favory 2020's 22 kHz."""


@dataclass(frozen=True)
class Clip:
    """A file, or a region of it in seconds."""

    path: str
    start: float | None
    end: float | None


@dataclass(frozen=True)
class Disturbance:
    """Something done to a waveform at the model's rate: a name of its own, by which results are cached, and how."""

    name: str
    of: Callable[[Float32[np.ndarray, " samples"]], Float32[np.ndarray, " changed"]]


@dataclass(frozen=True)
class LeftOut:
    """A clip without features, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class ExtractionProgress:
    """How far feature extraction has come: clips done, clips to do, seconds of sound, and the last file."""

    done: int
    total: int
    seconds: float
    path: str


@dataclass(frozen=True, kw_only=True)
class FeatureExtractor:
    """Turns a clip into feature vectors.

    Attributes:
        identity: a hash of all that decides a vector: weights, front end, layers, window, version.
        dim: the size of a vector.
        work: a clip, and a child process for codecs that need one, to vectors ``[rows, dim]`` and the
            seconds of sound they stand for.
    """

    identity: str
    dim: int
    work: Callable[[Clip, audio.AvProcess], tuple[Float32[np.ndarray, "rows dim"], float]]


@dataclass(frozen=True, eq=False, kw_only=True)
class Features:
    """The features of a corpus's clips.

    Attributes:
        corpus: the clips that have features.
        vectors: all rows, clip by clip.
        clips: the clip of each row, by its index in ``corpus``.
        positions: the index of each clip of ``corpus`` in the corpus that was given.
        left_out: the clips without features, by their index in the corpus that was given.
        fresh: how many clips were computed now rather than read from the cache.
        seconds: how long it took.
    """

    corpus: Corpus
    vectors: Float32[np.ndarray, "rows dim"]
    clips: Int64[np.ndarray, " rows"]
    positions: Int64[np.ndarray, " clips"]
    left_out: Mapping[int, LeftOut]
    fresh: int
    seconds: float


def clip_extractor(model: Embedder, disturbance: Disturbance | None = None) -> FeatureExtractor:
    """One vector a clip: what `Embedder.embed` gives from its start to its end.

    Args:
        model: the model.
        disturbance: what is done to waveforms first.
    """

    def work(clip: Clip, av: audio.AvProcess) -> tuple[np.ndarray, float]:
        total, seconds = np.zeros(model.dim), 0.0
        for piece in _pieces(model, clip, BLOCK, av):
            duration = piece.end - piece.start
            samples = piece.samples if disturbance is None else disturbance.of(piece.samples)
            total += duration * model.embed_samples(samples).astype(np.float64)
            seconds += duration
        return (total / seconds).astype(np.float32)[None], seconds

    what = "whole" if disturbance is None else f"whole, {disturbance.name}"
    return FeatureExtractor(identity=_identity(*_hash_of(model), what), dim=model.dim, work=work)


def window_extractor(model: Embedder, seconds: float) -> FeatureExtractor:
    """One vector a window of so many seconds, the windows side by side; see `audio.segments` for the last one."""

    def work(clip: Clip, av: audio.AvProcess) -> tuple[np.ndarray, float]:
        pieces = list(_pieces(model, clip, seconds, av))
        return np.stack([model.embed_samples(piece.samples) for piece in pieces]), pieces[-1].end

    return FeatureExtractor(identity=_identity(*_hash_of(model), f"windows of {seconds} s"), dim=model.dim, work=work)


def acoustic_extractor(*, published: bool = False) -> FeatureExtractor:
    """The statistics of acoustic features over time, in a row; `named_statistics` splits them again.

    Args:
        published: as COALA's published code takes them (`published_acoustic_features`).

    Raises:
        MissingExtraError: librosa is not installed.
    """
    layout = _layout()
    rate, features = (PUBLISHED_RATE, published_acoustic_features) if published else (ACOUSTIC_RATE, acoustic_features)

    def work(clip: Clip, av: audio.AvProcess) -> tuple[np.ndarray, float]:
        samples = audio.read(clip.path, rate, start=clip.start or 0.0, end=clip.end, av=av)
        table = acoustic_statistics([samples], rate, features)
        row = np.concatenate([table[name][statistic] for name, statistic, _ in layout], axis=1)
        return row.astype(np.float32), len(samples) / rate

    identity = _identity(f"librosa {metadata.version('librosa')} at {rate} Hz", repr(layout))
    return FeatureExtractor(identity=identity, dim=sum(size for *_, size in layout), work=work)


def named_statistics(
    rows: Float32[np.ndarray, "clips dim"],
) -> dict[str, dict[str, Float32[np.ndarray, "clips _bins"]]]:
    """Feature -> statistic -> values, from the rows of `acoustic_extractor`."""
    table: dict[str, dict[str, np.ndarray]] = {}
    first = 0
    for name, statistic, size in _layout():
        table.setdefault(name, {})[statistic] = rows[:, first : first + size]
        first += size
    return table


def extract_features(
    corpus: Corpus,
    extractor: FeatureExtractor,
    *,
    cache: str | os.PathLike[str] | None = None,
    workers: int | None = None,
    progress: Callable[[ExtractionProgress], None] | None = None,
) -> Features:
    """The features of every clip of a corpus.

    Args:
        corpus: the clips.
        extractor: what computes them.
        cache: the folder in which vectors are kept; `default_cache` if not given.
        workers: how many files at a time; as many as there are processors if not given.
        progress: called after every clip that is computed.

    Raises:
        EmbeddingCacheError: the cache cannot be read or written.
    """
    began = time.monotonic()
    regions = zip(*(corpus.column(name) for name in ("path", "start", "end")), strict=True)
    clips = [Clip(*region) for region in regions]
    several = workers or os.cpu_count() or 1
    keys, broken = _keys(clips, several)
    # A corpus of one's own may be called anything.
    folder = re.sub(r"[^\w.-]", "_", corpus.name)
    place = default_cache() if cache is None else Path(cache)
    shards = Shards(place / "embeddings" / folder / extractor.identity, extractor.dim)
    found = shards.read({key for key in keys if key is not None})
    # Clips of the same bytes are computed once.
    missing = {key: clip for key, clip in zip(keys, clips, strict=True) if key is not None and key not in found}
    failed: dict[bytes, str] = {}
    seconds = 0.0
    with Writer(shards) as writer:
        outcomes = process(missing.values(), _finite(extractor), workers=several)
        for done, (key, outcome) in enumerate(zip(missing, outcomes, strict=True), start=1):
            if isinstance(outcome, Failed):
                failed[key] = outcome.reason
            else:
                found[key] = outcome[0]
                seconds += outcome[1]
                writer.put(key, outcome[0])
            if progress is not None:
                progress(ExtractionProgress(done, len(missing), seconds, missing[key].path))

    reasons = [broken.get(clip.path) if key is None else failed.get(key) for key, clip in zip(keys, clips, strict=True)]
    kept = [found[key] for key, reason in zip(keys, reasons, strict=True) if key is not None and reason is None]
    mask = np.array([reason is None for reason in reasons], bool)
    return Features(
        corpus=corpus.filter(mask=mask),
        vectors=np.concatenate(kept) if kept else np.zeros((0, extractor.dim), np.float32),
        clips=np.repeat(np.arange(len(kept)), np.array([len(rows) for rows in kept], np.int64)),
        positions=np.flatnonzero(mask),
        left_out={
            index: LeftOut(clips[index].path, reason) for index, reason in enumerate(reasons) if reason is not None
        },
        fresh=len(missing) - len(failed),
        seconds=time.monotonic() - began,
    )


def _keys(clips: Sequence[Clip], workers: int) -> tuple[list[bytes | None], dict[str, str]]:
    """The cache key of each clip, None where the file cannot be read; and why, by path."""

    def digest(path: str, _: audio.AvProcess) -> bytes:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, hashlib.blake2b).digest()

    paths = list(dict.fromkeys(clip.path for clip in clips))
    outcomes = dict(zip(paths, process(paths, digest, workers=workers), strict=True))
    contents = {path: outcome for path, outcome in outcomes.items() if not isinstance(outcome, Failed)}
    keys = [key_of(contents[clip.path], clip.start, clip.end) if clip.path in contents else None for clip in clips]
    return keys, {path: outcome.reason for path, outcome in outcomes.items() if isinstance(outcome, Failed)}


def _finite(extractor: FeatureExtractor) -> Callable[[Clip, audio.AvProcess], tuple[np.ndarray, float]]:
    """The extractor's work; features that are not finite are an error."""

    def work(clip: Clip, av: audio.AvProcess) -> tuple[np.ndarray, float]:
        vectors, seconds = extractor.work(clip, av)
        if not np.isfinite(vectors).all():
            raise ModelError("its embedding is not finite: did the model overflow?")
        return vectors, seconds

    return work


def _pieces(model: Embedder, clip: Clip, seconds: float, av: audio.AvProcess) -> Iterator[audio.AudioSegment]:
    """A clip at the model's rate, cut into pieces of so many seconds."""
    blocks = audio.stream(clip.path, model.sample_rate, start=clip.start or 0.0, end=clip.end, av=av)
    return audio.segments(blocks, model.sample_rate, seconds, seconds)


def _hash_of(model: Embedder) -> tuple[str, str]:
    """The model's fingerprint, and the engine that computes it if it is not torch's own: the last digits differ."""
    return model.fingerprint(), "" if model.engine == Embedder.engine else model.engine


def _identity(*parts: str) -> str:
    return hashlib.sha256("\n".join((metadata.version("soundloom"), *parts)).encode()).hexdigest()[:32]


def _layout() -> list[tuple[str, str, int]]:
    """Feature, statistic and size of each stretch of an acoustic row, as a short noise shows them."""
    noise = np.random.default_rng(0).normal(0, 0.1, ACOUSTIC_RATE // 2).astype(np.float32)
    table = acoustic_statistics([noise], ACOUSTIC_RATE)
    return [(name, statistic, table[name][statistic].shape[1]) for name in table for statistic in STATISTICS]
