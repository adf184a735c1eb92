"""Annotations within the ends of their files: cut where they reach beyond, left out where they begin there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from soundloom.annotations.annotation import Annotation
from soundloom.counted import counted

__all__ = ["TOLERANCE", "named_region", "within_ends"]

TOLERANCE = 0.1
"""Seconds by which tables and headers may disagree."""
_NAMED = 3
"""Regions of a file beyond its end that are named."""


def within_ends(
    annotations: Iterable[Annotation], lengths: Mapping[str, float]
) -> tuple[list[Annotation], dict[str, str]]:
    """The annotations that are of recorded sound, and for each file with others what became of these.

    Args:
        annotations: regions.
        lengths: file -> its seconds; regions of other files stay as they are.
    """
    kept: list[Annotation] = []
    beyond: dict[str, list[str]] = defaultdict(list)
    for one in annotations:
        length = lengths.get(one.path, one.end)
        if one.end <= length + TOLERANCE:
            kept.append(one)
        elif one.start < length:
            kept.append(replace(one, end=length))
            beyond[one.path].append(f"{named_region(one)} cut")
        else:
            beyond[one.path].append(f"{named_region(one)} left out")
    return kept, {path: _said(regions, lengths[path]) for path, regions in sorted(beyond.items())}


def named_region(one: Annotation) -> str:
    """A region as a message names it."""
    label = f"{one.label!r} at " if one.label else ""
    return f"{label}{one.start:g} to {one.end:g} s"


def _said(regions: Sequence[str], length: float) -> str:
    """What became of the regions of a file that reach beyond its end."""
    more = [f"and {len(regions) - _NAMED} more"] if len(regions) > _NAMED else []
    return (
        f"{counted(len(regions), 'region')} beyond its end at {length:g} s ({', '.join([*regions[:_NAMED], *more])}): "
        "are they of this file, and in seconds?"
    )
