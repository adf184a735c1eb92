"""Disk cache of embeddings for evaluation, by content of the clip and identity of the feature extractor.

A row is known by a key that holds everything it depends on but the extractor: the content of the file and the
region of it. The extractor (weights, front end, layers) names the folder. So a changed file or model is another
key or folder and is computed anew, and a file that only moved is not.

    FOLDER/3f0c...d1.shard      16 bytes of BLAKE2b of the rest, then an npz of
                                keys [clips, 16], rows [clips] and vectors [all rows, dim]

Shards are written once, whole, under a temporary name, and never changed: a crash loses the rows that waited,
a minute's work at most, and processes that write at the same time cannot hurt each other. A shard whose hash
does not fit is deleted with a warning, and what it held is computed again. 100,000 clips of 6,144 numbers
are 2.5 GB in 38 shards.

When not: for search; that is a library's work.
"""

from __future__ import annotations

import hashlib
import io
import logging
import time
from collections.abc import Collection
from pathlib import Path
from types import TracebackType

import numpy as np
from jaxtyping import Float32

from soundloom.atomic_file import replacing
from soundloom.cache_folder import cache_home
from soundloom.errors import EmbeddingCacheError

__all__ = ["EmbeddingCacheError", "Shards", "Writer", "default_cache", "key_of"]

_log = logging.getLogger(__name__)

_DIGEST = 16
_SHARD_BYTES = 64 << 20
_WAIT_SECONDS = 60.0


def default_cache() -> Path:
    """The folder in which embeddings are kept unless another is given."""
    return cache_home() / "evaluation"


def key_of(content: bytes, start: float | None, end: float | None) -> bytes:
    """The key of a region of a file, from the hash of the file's content."""
    return hashlib.blake2b(content + repr((start, end)).encode(), digest_size=_DIGEST).digest()


class Shards:
    """The cached rows of one extractor.

    Args:
        folder: the folder of the shards; made when something is written.
        dim: the size of a vector; a shard of another size counts as damaged.
    """

    def __init__(self, folder: Path, dim: int) -> None:
        self.folder = folder
        self.dim = dim

    def read(self, wanted: Collection[bytes]) -> dict[bytes, Float32[np.ndarray, "_rows dim"]]:
        """The rows of those of the wanted keys that are there.

        Raises:
            EmbeddingCacheError: the folder cannot be read.
        """
        wanted = set(wanted)
        found: dict[bytes, np.ndarray] = {}
        try:
            for path in sorted(self.folder.glob("*.shard")):
                held = self._open(path)
                if held is None:
                    _log.warning("%s is damaged: deleted, what it held is computed again", path)
                    path.unlink(missing_ok=True)
                    continue
                keys, rows, vectors = held
                ends = np.cumsum(rows)
                for key, first, last in zip(keys, ends - rows, ends, strict=True):
                    if key.tobytes() in wanted:
                        found[key.tobytes()] = vectors[first:last]
        except OSError as error:
            raise _unusable(self.folder, error) from None
        return found

    def _open(self, path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        """Keys, rows and vectors of a shard; None if it is damaged."""
        data = memoryview(path.read_bytes())
        if len(data) <= _DIGEST or hashlib.blake2b(data[_DIGEST:], digest_size=_DIGEST).digest() != data[:_DIGEST]:
            return None
        with np.load(io.BytesIO(data[_DIGEST:]), allow_pickle=False) as arrays:
            keys, rows, vectors = arrays["keys"], arrays["rows"], arrays["vectors"]
        return (keys, rows, vectors) if vectors.shape == (rows.sum(), self.dim) else None


class Writer:
    """Writes rows to shards as they come; use it as a context, so that the last ones are written too."""

    def __init__(self, shards: Shards) -> None:
        self._shards = shards
        self._waiting: dict[bytes, np.ndarray] = {}
        self._bytes = 0
        self._since = time.monotonic()

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._flush()

    def put(self, key: bytes, vectors: Float32[np.ndarray, "_rows _dim"]) -> None:
        """Keep the rows of a key.

        Raises:
            EmbeddingCacheError: the folder cannot be written.
        """
        self._waiting[key] = vectors
        self._bytes += vectors.nbytes
        if self._bytes >= _SHARD_BYTES or time.monotonic() - self._since > _WAIT_SECONDS:
            self._flush()

    def _flush(self) -> None:
        if not self._waiting:
            return
        keys = b"".join(self._waiting)
        packed = io.BytesIO()
        np.savez(
            packed,
            keys=np.frombuffer(keys, np.uint8).reshape(-1, _DIGEST),
            rows=np.array([len(vectors) for vectors in self._waiting.values()]),
            vectors=np.concatenate(list(self._waiting.values())),
        )
        target = self._shards.folder / f"{hashlib.blake2b(keys, digest_size=_DIGEST).hexdigest()}.shard"
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with replacing(target, shared=True) as unfinished, unfinished.open("wb") as file:
                file.write(hashlib.blake2b(packed.getbuffer(), digest_size=_DIGEST).digest())
                file.write(packed.getbuffer())
        except OSError as error:
            raise _unusable(target.parent, error) from None
        self._waiting, self._bytes, self._since = {}, 0, time.monotonic()


def _unusable(folder: Path, error: OSError) -> EmbeddingCacheError:
    return EmbeddingCacheError(
        f"embeddings cannot be kept in {str(folder)!r}: {error.strerror or error}; choose another folder for them"
    )
