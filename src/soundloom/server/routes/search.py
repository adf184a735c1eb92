"""Searching: by a sound of the library or one brought along, by a region of it, among what filters admit."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter
from fastapi import Query as InQuery
from numpy.typing import NDArray
from starlette.responses import Response

from soundloom.library import Explanation
from soundloom.library.segments import Segment
from soundloom.server.http.errors import documented
from soundloom.server.queries import Query, parse_weights
from soundloom.server.schemas import SearchResult
from soundloom.server.service import Service, ServiceDep

__all__ = ["routes"]

routes = APIRouter(tags=["search"])

Embedding = NDArray[Any]


@routes.get(
    "/search",
    operation_id="search",
    response_model=SearchResult,
    responses=documented(404, 409),
    summary="Find segments",
)
async def search(service: ServiceDep, query: Annotated[Query, InQuery()]) -> Response:
    """Segments most alike first; with no query at all, every segment in the order of its path."""
    began = time.perf_counter()
    query.check()
    heard = None
    if query.upload is not None or query.start is not None or query.end is not None:
        heard = await service.run("embed", _heard, service, query)
    return Response(await service.run("search", _answer, service, query, heard, began), media_type="application/json")


def _answer(service: Service, query: Query, heard: Embedding | None, began: float) -> str:
    """What was found, as JSON: written here, in a thread, so that the others are not kept waiting."""
    catalogue = service.catalogue()
    where, weights = query.where(catalogue), parse_weights(query.weights)
    embedding, exclude = heard, None
    if query.like is not None:
        segment = catalogue.segment(query.like)
        start, end = _region(query, segment)
        exclude = (segment.path, start, float("inf") if end is None else end)
        if embedding is None:
            embedding = service.stored_embedding(catalogue, segment)
    if query.tag or query.without:
        embedding, weights = service.worded(query, embedding, weights)
    shown = slice(query.offset, query.offset + query.k)
    hits: Sequence[Segment]
    hits, total = service.library.browse(where, shown if embedding is None else slice(0))
    explained: Sequence[Explanation] = ()
    if embedding is not None:
        found = service.library.search_embedding(embedding, shown.stop, weights=weights, where=where, exclude=exclude)
        hits = found[shown]
        if query.explain and (query.like is not None or query.upload is not None):
            explained = service.library.explain_embedding(embedding, found[shown])
    taken = 1000 * (time.perf_counter() - began)
    return SearchResult(
        hits=catalogue.show(hits, explained), total=total, milliseconds=round(taken, 2)
    ).model_dump_json(exclude_none=True)


def _heard(service: Service, query: Query) -> Embedding:
    """The embedding of an upload or of a region, computed once for each."""
    if query.upload is not None:
        return service.embed_upload(query.upload, query.start or 0.0, query.end)
    catalogue = service.catalogue()
    segment = catalogue.segment(query.like or "")
    return service.embed_region(catalogue, segment, *_region(query, segment))


def _region(query: Query, segment: Segment) -> tuple[float, float | None]:
    """The region of the segment's file that is searched by."""
    if query.start is None and query.end is None:
        return segment.start, segment.end
    return query.start or 0.0, query.end
