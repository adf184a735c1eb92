"""The map as the page draws it: columns of little-endian numbers behind a short head.

JavaScript's typed arrays take the columns as they are, so that a page draws a million points. Their order is that of
the library's rows; names and details are requested when they are needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from soundloom.library import Map
from soundloom.server.catalogue import Catalogue
from soundloom.server.http.error_responses import ApiError
from soundloom.server.schemas import MapInfo, TagCount

if TYPE_CHECKING:
    from soundloom.server.service import Service

__all__ = ["about", "colour", "points"]

_MAGIC = b"SLM1"
_TAGS = 200


def _kept(service: Service, weights: dict[str, float]) -> Map | None:
    """The map that is kept; remembered, for a large one takes seconds to read and to name its clusters."""

    def read() -> Map:
        kept = service.library.maps.kept(weights or None)
        if kept is None:
            raise _NoMap
        return kept

    try:
        return service.maps.get((service.library.index().version, *sorted(weights.items())), read)
    except _NoMap:
        # Not remembered: another process may be making it.
        return None


class _NoMap(Exception):  # noqa: N818 (a state, not an error)
    pass


def points(service: Service, weights: dict[str, float]) -> bytes:
    """Every segment's place: a head, then columns; see the module.

    Raises:
        ApiError: no map is kept of the library as it is now.
    """
    catalogue, kept = service.catalogue(), _kept(service, weights)
    if kept is None or kept.version != catalogue.version:
        raise ApiError(404, "no_map", "there is no map of this library yet: POST /api/v1/map/compute makes one")
    low, high = (kept.coordinates.min(axis=0), kept.coordinates.max(axis=0)) if len(kept) else (0.0, 0.0)
    # One scale for both axes: distances on the map mean something.
    half = float(np.max(high - low, initial=0.0)) / 2 or 1.0
    places = np.clip((kept.coordinates - (np.asarray(high) + low) / 2) / half, -1, 1).astype("<f4")
    columns = (places[:, 0], places[:, 1], catalogue.folder_places[1].astype("<u2"), kept.clusters.astype("<u2"))
    head = _MAGIC + np.array(len(kept), "<u4").tobytes()
    return head + b"".join(np.ascontiguousarray(column).tobytes() for column in columns)


def about(service: Service, weights: dict[str, float]) -> MapInfo:
    """Whether a map is kept, whether it is up to date, and what its colours mean."""
    catalogue, kept = service.catalogue(), _kept(service, weights)
    counts = list(service.tag_counts().items())[:_TAGS]
    return MapInfo(
        computed=kept is not None,
        stale=kept is not None and kept.stale,
        n=len(catalogue.segments),
        folders=catalogue.folder_places[0],
        clusters=list(kept.names) if kept else [],
        tags=[TagCount(name=name, count=count) for name, count in counts],
    )


def colour(service: Service, catalogue: Catalogue, by: str, value: str, like: str | None) -> bytes:
    """A byte for every point: 255 where it has the tag ``value``, or its similarity to a segment by the part ``value``.

    Raises:
        ApiError: there is no such part or segment.
    """
    if by == "tag":
        return (255 * catalogue.segments.with_tag(value).astype(np.uint8)).tobytes()
    columns = service.library.settings.parts.get(value)
    if columns is None or like is None:
        parts = ", ".join(service.library.settings.parts)
        raise ApiError(422, "bad_query", f"by=part needs like= and a part as value=: {parts}; got {value!r}")
    row = catalogue.row(like)
    part = service.library.index().vectors[:, slice(*columns)]
    cosines = part @ part[row]
    levels: NDArray[np.uint8] = np.rint(255 * np.clip(cosines, 0, 1)).astype(np.uint8)
    return levels.tobytes()
