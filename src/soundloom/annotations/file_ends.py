"""Annotations within the ends of their files: cut where they reach beyond, left out where they begin there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

from soundloom.annotations.annotation import Annotation
from soundloom.counted import counted

__all__ = ["TOLERANCE", "within_ends"]

TOLERANCE = 0.1
"""Seconds by which tables and headers may disagree."""


def within_ends(
    annotations: Iterable[Annotation], lengths: Mapping[str, float]
) -> tuple[list[Annotation], dict[str, str]]:
    """The annotations that are of recorded sound, and for each file with others what became of these.

    Args:
        annotations: regions.
        lengths: file -> its seconds; regions of other files stay as they are.
    """
    kept: list[Annotation] = []
    left_out: Counter[str] = Counter()
    cut: Counter[str] = Counter()
    for one in annotations:
        length = lengths.get(one.path, one.end)
        if one.end <= length + TOLERANCE:
            kept.append(one)
        elif one.start < length:
            kept.append(replace(one, end=length))
            cut[one.path] += 1
        else:
            left_out[one.path] += 1
    said = {}
    for path in sorted({*left_out, *cut}):
        parts = [f"{some[path]} {what}" for some, what in ((left_out, "left out"), (cut, "cut")) if some[path]]
        said[path] = (
            f"{counted(left_out[path] + cut[path], 'region')} beyond its end at {lengths[path]:g} s "
            f"({', '.join(parts)}): are they of this file, and in seconds?"
        )
    return kept, said
