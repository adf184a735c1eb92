"""Libraries of made-up embeddings: what searches, maps and taggers see, without a sound or a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from soundloom.library import Library, LibrarySettings
from soundloom.library.storage.store import Store
from soundloom.library.storage.table_schema import FileState, segment_rows

PARTS = {"left": (0, 6), "right": (6, 16)}
DIM = 16


def clustered(kinds: int, each: int, spread: float = 0.3, seed: int = 0) -> np.ndarray:
    """``[kinds * each, DIM]``: so many vectors around each of so many centres, kind by kind."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(kinds, DIM))
    return (np.repeat(centres, each, axis=0) + spread * rng.normal(size=(kinds * each, DIM))).astype(np.float32)


def filled(
    folder: Path,
    paths: Sequence[str],
    embeddings: np.ndarray,
    *,
    segments: int = 1,
    tags: Mapping[str, Sequence[str]] | None = None,
) -> Library:
    """A library of files of so many one-second segments each; ``embeddings`` has a row a segment."""
    settings = LibrarySettings(
        model="made-up", fingerprint="0" * 64, dim=DIM, parts=PARTS, window=1.0, hop=1.0, checksums=True
    )
    folder.mkdir(parents=True)
    settings.write(folder)
    append(Store(folder / "store", DIM), paths, embeddings, segments=segments, tags=tags)
    return Library.open(folder)


def append(
    store: Store,
    paths: Sequence[str],
    embeddings: np.ndarray,
    *,
    segments: int = 1,
    tags: Mapping[str, Sequence[str]] | None = None,
) -> None:
    """Further files; the content hash of each is its path."""
    tables = [
        segment_rows(
            FileState(path, 100, 10**18 + number, path),
            [float(start) for start in range(segments)],
            [float(start + 1) for start in range(segments)],
            embeddings[number * segments : (number + 1) * segments],
            [(tags or {}).get(path, ())] * segments,
        )
        for number, path in enumerate(paths)
    ]
    store.append(pa.concat_tables(tables).combine_chunks())
