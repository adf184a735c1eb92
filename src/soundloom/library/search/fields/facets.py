"""Facet counts: how many files have each value of a field, among those that text and filters admit.

Lengths are counted by ranges, every tag of a file counts, and of fields with many values the most frequent are named.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from soundloom.library.search.fields.file_fields import FileFields

__all__ = ["FACETS", "LENGTHS", "Facets", "count_facets"]

FACETS = ("folder", "tags", "sample_rate", "channels", "bits", "codec", "duration", "hour", "month", "category")
"""Fields that are counted if none is named."""

LENGTHS = ((1, "under 1 s"), (5, "1 to 5 s"), (30, "5 to 30 s"), (300, "30 s to 5 min"), (3600, "5 min to 1 h"))
"""Ranges of lengths: the seconds that a file is shorter than, and the name."""

_FOLDERS = 2000
"""Folders that are named, more than values of other fields: together they are a tree."""

_LONGEST = "1 h or more"
_BY_VALUE = ("sample_rate", "channels", "bits", "hour", "month")
"""Fields whose values are listed in their own order."""


@dataclass(frozen=True)
class Facets:
    """How many files have each value of some fields.

    Attributes:
        files: how many files were counted.
        counts: field -> value as text -> files: frequent values first; rates, channels, bits, hours and months in their
            own order. Files of which a value is not known are not counted by it.
    """

    files: int
    counts: dict[str, dict[str, int]]


def count_facets(fields: FileFields, files: NDArray[np.int64], asked: Sequence[str] = (), most: int = 100) -> Facets:
    """How many of some files have each value of some fields.

    Args:
        fields: of all files.
        files: numbers of the files that are counted, each once.
        asked: names of fields; those of `FACETS` that are known if none.
        most: how many values of a field are named, folders apart; the most frequent, equal ones by name.

    Raises:
        QueryError: there is no such field.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    counts = {}
    for asked_name in asked or [name for name in FACETS if name in fields.names]:
        name = fields.name(asked_name)
        column = fields.column(name).take(pa.array(files, pa.int64()))
        if pa.types.is_list(column.type):
            column = pc.list_flatten(column)
        if name == "duration":
            counts[asked_name] = _by_length(column.to_numpy())
            continue
        found = pc.value_counts(column.drop_null())
        pairs = list(zip(found.field("values").to_pylist(), found.field("counts").to_pylist(), strict=True))
        pairs = sorted(pairs, key=lambda pair: (-pair[1], str(pair[0])))[
            : max(most, _FOLDERS) if name == "folder" else most
        ]
        if name in _BY_VALUE:
            pairs.sort()
        counts[asked_name] = {str(value): count for value, count in pairs}
    return Facets(len(files), counts)


def _by_length(seconds: np.ndarray) -> dict[str, int]:
    ranges = np.searchsorted([limit for limit, _ in LENGTHS], seconds, side="right")
    found = np.bincount(ranges, minlength=len(LENGTHS) + 1)
    names = [*(name for _, name in LENGTHS), _LONGEST]
    return {name: int(count) for name, count in zip(names, found, strict=True) if count}
