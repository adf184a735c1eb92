"""Routes of the map: points, colours, ids, and its computation in the background."""

from __future__ import annotations

import hashlib
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from soundloom.counted import counted
from soundloom.server import map_data
from soundloom.server.http.error_responses import ApiError, documented
from soundloom.server.http.range_response import BYTES, binary
from soundloom.server.job_schemas import JobStarted
from soundloom.server.jobs import BackgroundJob
from soundloom.server.queries import parse_weights
from soundloom.server.schemas import (
    Identity,
    Ids,
    Indices,
    MapInfo,
    MapRequest,
    PointIndices,
    SegmentIds,
    SegmentList,
)
from soundloom.server.service import ServiceDep

__all__ = ["routes"]

routes = APIRouter(prefix="/map", tags=["map"])

Weights = Annotated[str, Query(max_length=2000, description="PART:NUMBER,...; the plain map if not given.")]

_STEPS = 1000


@routes.get("", operation_id="getMap", response_class=Response, responses={**documented(404), 200: binary()})
async def points(service: ServiceDep, request: Request, weights: Weights = "") -> Response:
    """Every segment's place: "SLM1", uint32 n, float32 x[n] and y[n] in [-1, 1], uint16 folder[n] and cluster[n].

    Folders and clusters are numbers into the lists that `/map/about` gives.
    """
    content = await service.run("embed", map_data.points, service, parse_weights(weights))
    return _bytes(request, content)


@routes.get("/about", operation_id="getMapAbout", responses=documented())
async def about(service: ServiceDep, weights: Weights = "") -> MapInfo:
    """Whether there is a map, whether it shows the library as it is now, and what its colours mean."""
    return await service.run("embed", map_data.about, service, parse_weights(weights))


@routes.get("/ids", operation_id="getMapIds", responses=documented())
async def ids(
    service: ServiceDep,
    first: Annotated[int, Query(alias="from", ge=0, lt=2**53)] = 0,
    count: Annotated[int, Query(ge=1, le=100_000)] = 1000,
) -> Ids:
    """The ids of the points, in their order."""
    catalogue = await service.run("search", service.catalogue)
    return Ids(ids=await service.run("search", catalogue.segments.ids, slice(first, first + count)))


@routes.get(
    "/colour", operation_id="getMapColour", response_class=Response, responses={**documented(404), 200: binary()}
)
async def colour(
    service: ServiceDep,
    request: Request,
    by: Literal["tag", "part"],
    value: Annotated[str, Query(max_length=200, description="The tag, or the part of the model.")],
    like: Annotated[Identity | None, Query(description="By a part: the segment that all are compared with.")] = None,
) -> Response:
    """A byte for every point: 255 where it has the tag, else 0; or its similarity by a part, from 0 to 255."""
    catalogue = await service.run("search", service.catalogue)
    content = await service.run("search", map_data.colour, service, catalogue, by, value, like)
    return _bytes(request, content)


@routes.post("/at", operation_id="getMapSegments", response_model_exclude_none=True, responses=documented())
async def at(service: ServiceDep, asked: PointIndices) -> SegmentList:
    """The segments at some points."""
    catalogue = await service.run("search", service.catalogue)
    if max(asked.indices, default=-1) >= len(catalogue.segments):
        raise ApiError(422, "no_such_point", f"the map has {len(catalogue.segments)} points, numbered from 0")
    return SegmentList(segments=catalogue.show(catalogue.segments.at(asked.indices)))


@routes.post("/where", operation_id="findOnMap", responses=documented())
async def where(service: ServiceDep, asked: SegmentIds) -> Indices:
    """Where some segments are on the map; -1 for those that the library no longer has."""
    catalogue = await service.run("search", service.catalogue)
    places = await service.run("search", catalogue.segments.rows_of_ids, asked.ids)
    return Indices(indices=places.tolist())


@routes.post("/compute", operation_id="computeMap", status_code=202, responses=documented(409))
async def compute(service: ServiceDep, asked: MapRequest) -> JobStarted:
    """Compute the map anew, in the background."""
    weights = dict(asked.weights) or None

    def work(job: BackgroundJob) -> str:
        made = service.library.maps.get(
            weights,
            lambda reached: job.reached(round(reached.share * _STEPS), _STEPS, reached.phase),
            recompute=True,
        )
        service.maps.clear()
        return f"on the map: {counted(len(made), 'segment')}"

    return JobStarted(job=service.jobs.start("map", work).id)


def _bytes(request: Request, content: bytes) -> Response:
    """Numbers, sent again only if they have changed."""
    etag = f'"{hashlib.blake2b(content, digest_size=12).hexdigest()}"'
    headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
    if request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=BYTES, headers=headers)
