"""Steps of a search: complete weights, evaluate a filter, exclude the query itself, turn rows into hits."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Int

from soundloom.embedder import Source
from soundloom.errors import QueryError
from soundloom.file_names import os_path, text_path
from soundloom.library.segments import Hit

if TYPE_CHECKING:
    from soundloom.library.search.search_index import NearestRows, SearchIndex
    from soundloom.library.storage.store import Store

__all__ = ["FilterMaskCache", "apply_balance", "complete_weights", "overlapping_rows", "query_region", "to_hits"]

_CACHED_FILTERS = 32


def apply_balance(weights: Mapping[str, float], balance: Mapping[str, float]) -> dict[str, float]:
    """A caller's weights times the model's own balance of its parts; 1 for parts without one."""
    return {name: weight * balance.get(name, 1.0) for name, weight in weights.items()}


def complete_weights(parts: Iterable[str], weights: Mapping[str, float] | None) -> dict[str, float]:
    """A weight for every part: 1 for those not named.

    Raises:
        QueryError: unknown part, a weight that is not finite, or all of them zero.
    """
    every = dict.fromkeys(parts, 1.0)
    for name, weight in (weights or {}).items():
        if name not in every:
            raise QueryError(f"no part {name!r} in this library: its parts are {', '.join(every)}")
        if not np.isfinite(weight):
            raise QueryError(f"the weight of {name!r} must be a finite number, got {weight}")
        every[name] = float(weight)
    if not any(every.values()):
        raise QueryError("every part has weight 0: at least one must count")
    return every


class FilterMaskCache:
    """LRU cache of the rows that satisfy a filter; a steered search asks for the same ones again and again.

    Args:
        store: the library's rows.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._masks: dict[tuple[int, str], Bool[np.ndarray, " rows"]] = {}

    def mask(self, index: SearchIndex, where: str) -> Bool[np.ndarray, " rows"]:
        """The rows of an index for which an SQL condition holds.

        Raises:
            QueryError: the condition cannot be evaluated.
        """
        key = (index.version, where)
        mask = self._masks.get(key)
        if mask is None:
            mask = np.zeros(len(index), np.bool_)
            for batch in self._store.scan(["start"], where, row_ids=True):
                mask[index.positions(batch["_rowid"].to_numpy())] = True
            # A new dictionary for every change: other threads may be reading the old one.
            latest = list(self._masks.items())[-_CACHED_FILTERS + 1 :]
            self._masks = dict([*latest, (key, mask)])
        return mask


def query_region(sound: Source | None, start: float, end: float | None) -> tuple[str, float, float] | None:
    """The file and the seconds of it that a query is, which it must not find; None for a waveform."""
    if not isinstance(sound, str | os.PathLike):
        return None
    return text_path(os_path(os.path.abspath(Path(sound).expanduser()))), start, float("inf") if end is None else end


def overlapping_rows(index: SearchIndex, region: tuple[str, float, float]) -> Int[np.ndarray, " n"]:
    """The positions of a file's rows that overlap a region of it, in seconds."""
    path, start, end = region
    rows = index.rows_of_file(path)
    if not len(rows):
        # The library may hold the file under a path through symbolic links, or without them.
        rows = index.rows_of_file(text_path(os.path.realpath(os_path(path))))
    starts, ends = index.rows["start"].to_numpy()[rows], index.rows["end"].to_numpy()[rows]
    return np.asarray(rows[(starts < end) & (ends > start)])


def to_hits(
    index: SearchIndex,
    found: NearestRows,
    shown: Int[np.ndarray, " k"],
    absent: Callable[[Sequence[str]], Sequence[bool]],
) -> list[Hit]:
    """The rows that a search found, as hits.

    Args:
        index: that was searched.
        found: its answer.
        shown: which of them, in order.
        absent: tells which of some files are not there.
    """
    rows = index.rows.take(found.rows[shown]).to_pylist()
    gone = absent([row["path"] for row in rows])
    return [
        Hit(
            path=row["path"],
            start=row["start"],
            end=row["end"],
            duration=row["duration"],
            tags=tuple(row["tags"] or ()),
            similarity=float(found.similarity[rank]),
            parts={name: float(cosines[rank]) for name, cosines in found.parts.items()},
            absent=missing,
        )
        for row, rank, missing in zip(rows, shown, gone, strict=True)
    ]
