"""The map: where every segment lies, in a form that a page draws a million points from.

Points travel as columns of little-endian numbers behind a short head, which JavaScript's typed arrays take as they
are. Their order is the library's; names and details are asked for when they are needed.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Literal

import numpy as np
import pyarrow.compute as pc
from fastapi import APIRouter, Query, Request
from numpy.typing import NDArray
from starlette.responses import Response

from soundloom.library.map.library_map import Map
from soundloom.server.catalogue import Catalogue
from soundloom.server.http.errors import ApiError, documented
from soundloom.server.jobs import Job
from soundloom.server.queries import parse_weights
from soundloom.server.schemas import (
    Identity,
    Ids,
    Indices,
    JobStarted,
    MapInfo,
    MapRequest,
    PointIndices,
    SegmentIds,
    Segments,
    TagCount,
)
from soundloom.server.service import Service, ServiceDep

__all__ = ["routes"]

routes = APIRouter(prefix="/map", tags=["map"])

Weights = Annotated[str, Query(max_length=2000, description="PART:NUMBER,...; the plain map if not given.")]

_BYTES = {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}
_MAGIC = b"SLM1"
_TAGS = 200
_STEPS = 1000


@routes.get("", operation_id="getMap", response_class=Response, responses={**documented(404), 200: _BYTES})
async def points(service: ServiceDep, request: Request, weights: Weights = "") -> Response:
    """Every segment's place: "SLM1", uint32 n, float32 x[n] and y[n] in [-1, 1], uint16 folder[n] and cluster[n].

    Folders and clusters are numbers into the lists that `/map/about` gives.
    """
    content = await service.run("embed", _points, service, parse_weights(weights))
    return _bytes(request, content)


@routes.get("/about", operation_id="getMapAbout", responses=documented())
async def about(service: ServiceDep, weights: Weights = "") -> MapInfo:
    """Whether there is a map, whether it shows the library as it is now, and what its colours mean."""
    return await service.run("embed", _about, service, parse_weights(weights))


@routes.get("/ids", operation_id="getMapIds", responses=documented())
async def ids(
    service: ServiceDep,
    first: Annotated[int, Query(alias="from", ge=0, lt=2**53)] = 0,
    count: Annotated[int, Query(ge=1, le=100_000)] = 1000,
) -> Ids:
    """The ids of the points, in their order."""
    catalogue = await service.run("search", service.catalogue)
    return Ids(ids=await service.run("search", catalogue.segments.ids, slice(first, first + count)))


@routes.get("/colour", operation_id="getMapColour", response_class=Response, responses={**documented(404), 200: _BYTES})
async def colour(
    service: ServiceDep,
    request: Request,
    by: Literal["tag", "part"],
    value: Annotated[str, Query(max_length=200, description="The tag, or the part of the model.")],
    like: Annotated[Identity | None, Query(description="By a part: the segment that all are compared with.")] = None,
) -> Response:
    """A byte for every point: 255 where it has the tag, else 0; or its similarity by a part, from 0 to 255."""
    catalogue = await service.run("search", service.catalogue)
    content = await service.run("search", _colour, service, catalogue, by, value, like)
    return _bytes(request, content)


@routes.post("/at", operation_id="getMapSegments", response_model_exclude_none=True, responses=documented())
async def at(service: ServiceDep, asked: PointIndices) -> Segments:
    """The segments at some points."""
    catalogue = await service.run("search", service.catalogue)
    if max(asked.indices, default=-1) >= len(catalogue.segments):
        raise ApiError(422, "no_such_point", f"the map has {len(catalogue.segments)} points, numbered from 0")
    return Segments(segments=catalogue.show(catalogue.segments.at(asked.indices)))


@routes.post("/where", operation_id="findOnMap", responses=documented())
async def where(service: ServiceDep, asked: SegmentIds) -> Indices:
    """Where some segments are on the map; -1 for those that the library no longer has."""
    catalogue = await service.run("search", service.catalogue)
    places = await service.run("search", catalogue.segments.places, asked.ids)
    return Indices(indices=places.tolist())


@routes.post("/compute", operation_id="computeMap", status_code=202, responses=documented(409))
async def compute(service: ServiceDep, asked: MapRequest) -> JobStarted:
    """Compute the map anew, in the background."""
    weights = dict(asked.weights) or None

    def work(job: Job) -> str:
        made = service.library.map(
            weights,
            lambda reached: job.reached(round(reached.share * _STEPS), _STEPS, reached.phase),
            recompute=True,
        )
        service.maps.clear()
        return f"{len(made)} segments are on the map"

    return JobStarted(job=service.jobs.start("map", work).id)


def _kept(service: Service, weights: dict[str, float]) -> Map | None:
    """The map that is kept; remembered, for a large one takes seconds to read and to name its clusters."""

    def read() -> Map:
        kept = service.library.kept_map(weights or None)
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


def _points(service: Service, weights: dict[str, float]) -> bytes:
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


def _about(service: Service, weights: dict[str, float]) -> MapInfo:
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


def _colour(service: Service, catalogue: Catalogue, by: str, value: str, like: str | None) -> bytes:
    index = service.library.index()
    if by == "tag":
        tagged = np.zeros(len(index), np.uint8)
        parents, tags = pc.list_parent_indices(index.rows["tags"]), pc.list_flatten(index.rows["tags"])
        tagged[parents.to_numpy()[pc.equal(tags, value).to_numpy()]] = 255
        return tagged.tobytes()
    columns = service.library.settings.parts.get(value)
    if columns is None or like is None:
        parts = ", ".join(service.library.settings.parts)
        raise ApiError(422, "bad_query", f"by=part needs like= and a part as value=: {parts}; got {value!r}")
    row = int(catalogue.segments.places([like])[0])
    catalogue.segment(like)
    part = index.vectors[:, slice(*columns)]
    cosines = part @ part[row]
    levels: NDArray[np.uint8] = np.rint(255 * np.clip(cosines, 0, 1)).astype(np.uint8)
    return levels.tobytes()


def _bytes(request: Request, content: bytes) -> Response:
    """Numbers, sent again only if they have changed."""
    etag = f'"{hashlib.blake2b(content, digest_size=12).hexdigest()}"'
    headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
    if request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers=headers)
    return Response(content, media_type="application/octet-stream", headers=headers)
