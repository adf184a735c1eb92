"""Matches of a query: rows with their similarities, and files and regions of them with what each was found by.

The best region of a file stands for it, unless every segment is wanted; then regions of a file that overlap are one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from soundloom.library.hits import FoundList
from soundloom.library.segments import Segment

if TYPE_CHECKING:
    from soundloom.library.search.library_query import LibraryQuery

__all__ = ["Match", "Matches", "NearestRows", "best_of_each_file", "merge_overlapping"]


@dataclass(frozen=True)
class NearestRows:
    """The best rows of a search, best first.

    Attributes:
        rows: positions in the index, [k].
        similarity: weighted mean of the parts' cosines, in [-1, 1], [k].
        parts: part name -> that part's cosine, [k].
    """

    rows: NDArray[np.integer]
    similarity: NDArray[np.floating]
    parts: dict[str, NDArray[np.floating]]


@dataclass(frozen=True)
class Match(Segment):
    """A file, or a region of one, that a query found.

    Attributes:
        found_by: what found it: name, tag, title, folder (`soundloom.library.search.text_match`), sentence or word (by
            the model), sound; empty where nothing but filters was asked for.
        similarity: weighted mean of the parts' cosines, in [-1, 1]; None where no embedding was compared.
        percentile: share of the library that is less similar, in [0, 1]; with the similarity.
        probability: how probable the least probable of the asked words is for the region, in [0, 1], as the model's
            scores are calibrated; None where no words were asked for.
        parts: part name -> cosine by that part alone.
    """

    found_by: tuple[str, ...] = field(default=(), kw_only=True)
    similarity: float | None = field(default=None, kw_only=True)
    percentile: float | None = field(default=None, kw_only=True)
    probability: float | None = field(default=None, kw_only=True)
    parts: dict[str, float] = field(default_factory=dict, kw_only=True)


class Matches(FoundList[Match]):
    """The matches of a query.

    Attributes:
        answered: the query as it was understood: text that stands for words of the model is among the words; None of a
            part of the matches.
    """

    answered: LibraryQuery | None = None

    def _reasons(self) -> list[str]:
        return [", ".join(match.found_by) for match in self]


def best_of_each_file(matches: Iterable[Match]) -> list[Match]:
    """The first match of every file, in the order given.

    Args:
        matches: the best first.
    """
    best: dict[str, Match] = {}
    for match in matches:
        best.setdefault(match.path, match)
    return list(best.values())


def merge_overlapping(matches: Sequence[Match]) -> list[Match]:
    """Matches of a file that overlap as one, which has the rank and the similarity of the best of them.

    Args:
        matches: the best first.
    """
    merged: list[Match] = []
    for match in matches:
        overlapping = [one for one in merged if _overlap(one, match)]
        if not overlapping:
            merged.append(match)
            continue
        place = merged.index(overlapping[0])
        merged = [one for one in merged if one not in overlapping]
        merged.insert(place, _joined([*overlapping, match]))
    return merged


def _overlap(one: Match, other: Match) -> bool:
    return one.path == other.path and one.start < other.end and other.start < one.end


def _joined(matches: Sequence[Match]) -> Match:
    """Matches as one, which is the first in all but its region and tags."""
    return replace(
        matches[0],
        start=min(match.start for match in matches),
        end=max(match.end for match in matches),
        tags=tuple(sorted({tag for match in matches for tag in match.tags})),
    )
