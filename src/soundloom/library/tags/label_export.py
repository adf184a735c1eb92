"""Export of tags to other tools, in every form of `soundloom.annotations`; a region for every tag of every segment.

In label tracks, neighbouring segments with the same tag are one label. The sounds themselves are never written to.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from soundloom.annotations import Annotation, write_annotations

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["export_tags", "tag_counts", "tag_regions"]


def tag_counts(rows: pa.Table) -> dict[str, int]:
    """Every tag and how many segments have it, the most frequent first, equals by the alphabet.

    Args:
        rows: the segments, with their tags.
    """
    import pyarrow.compute as pc

    counted = pc.value_counts(pc.list_flatten(rows["tags"]))
    pairs = zip(counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True)
    return dict(sorted(pairs, key=lambda pair: (-pair[1], pair[0])))


def tag_regions(rows: pa.Table) -> Iterator[Annotation]:
    """Every tag of every segment, by path, start and tag.

    Args:
        rows: path, start, end, duration and tags, ordered by path and start.
    """
    for batch in rows.select(["path", "start", "end", "duration", "tags"]).to_batches():
        for path, start, end, duration, tags in zip(*batch.to_pydict().values(), strict=True):
            for tag in sorted(tags or ()):
                yield Annotation(path, start, end, tag, duration=duration)


def export_tags(rows: pa.Table, out: str | os.PathLike[str], tag: str | None = None) -> int:
    """Write the tags of segments to a file or a folder of label tracks.

    Args:
        rows: path, start, end, duration and tags, ordered by path and start.
        out: where to write (`soundloom.annotations`).
        tag: the only tag that is written; None: every tag.

    Returns:
        How many tags of segments were written; neighbours that became one label count apart.

    Raises:
        InvalidArgumentError: an ending that is not known.
        ResourceError: the place cannot be written.
    """
    regions = [region for region in tag_regions(rows) if tag in (None, region.label)]
    write_annotations(regions, out, join_labels=True)
    return len(regions)
