"""A search of a library in its steps: complete weights, the rows a condition admits, the rows a query must not find."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Int

from soundloom.embedder import Source
from soundloom.errors import QueryError
from soundloom.library.segments import Hit

if TYPE_CHECKING:
    from soundloom.library.search.index import Found, SearchIndex
    from soundloom.library.storage.store import Store

__all__ = ["Admitted", "balanced", "complete_weights", "hits_at", "overlapping", "region"]

_REMEMBERED = 32


def balanced(weights: Mapping[str, float], balance: Mapping[str, float]) -> dict[str, float]:
    """Weights as a caller gives them, to which 1 is the usual, as the parts then count."""
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


class Admitted:
    """Which rows of an index satisfy a condition; remembered, because a steered search asks again and again.

    Args:
        store: the library's rows.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[tuple[int, str], Bool[np.ndarray, " rows"]] = {}

    def rows(self, index: SearchIndex, where: str) -> Bool[np.ndarray, " rows"]:
        """The rows for which an SQL condition holds.

        Raises:
            QueryError: the condition cannot be evaluated.
        """
        key = (index.version, where)
        known = self._known.get(key)
        if known is None:
            known = np.zeros(len(index), np.bool_)
            for batch in self._store.scan(["start"], where, row_ids=True):
                known[index.places(batch["_rowid"].to_numpy())] = True
            # A new dictionary for every change: other threads may be reading the old one.
            kept = list(self._known.items())[-_REMEMBERED + 1 :]
            self._known = dict([*kept, (key, known)])
        return known


def region(sound: Source | None, start: float, end: float | None) -> tuple[str, float, float] | None:
    """The stretch of a file, in seconds, that a query was and must not find; None for what is no file."""
    if not isinstance(sound, str | os.PathLike):
        return None
    return os.path.abspath(Path(sound).expanduser()), start, float("inf") if end is None else end


def overlapping(index: SearchIndex, region: tuple[str, float, float]) -> Int[np.ndarray, " n"]:
    """The rows of a file that overlap a region of it, in seconds."""
    path, start, end = region
    rows = index.rows_of(path)
    if not len(rows):
        # A library has files by the paths that it was filled by, which may go through links or not.
        rows = index.rows_of(os.path.realpath(path))
    starts, ends = index.rows["start"].to_numpy()[rows], index.rows["end"].to_numpy()[rows]
    return np.asarray(rows[(starts < end) & (ends > start)])


def hits_at(
    index: SearchIndex,
    found: Found,
    shown: Int[np.ndarray, " k"],
    absent: Callable[[Sequence[str]], Sequence[bool]],
) -> list[Hit]:
    """The rows that a search found, as hits.

    Args:
        index: the index that was searched.
        found: the rows with their similarities.
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
            similarity=float(found.similarity[place]),
            parts={name: float(cosines[place]) for name, cosines in found.parts.items()},
            absent=missing,
        )
        for row, place, missing in zip(rows, shown, gone, strict=True)
    ]
