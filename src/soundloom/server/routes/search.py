"""Routes of searches: by a segment, a region, an upload or words, with filters; and by text."""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import APIRouter
from fastapi import Query as InQuery
from starlette.responses import Response

from soundloom.server.http.error_responses import documented
from soundloom.server.queries import FacetQuery, FileQuery, Query
from soundloom.server.schemas import FacetCounts, FoundFiles, SearchResult
from soundloom.server.service import ServiceDep

__all__ = ["routes"]

routes = APIRouter(tags=["search"])


@routes.get(
    "/search",
    operation_id="search",
    response_model=SearchResult,
    responses=documented(404, 409),
    summary="Find segments",
)
async def search(service: ServiceDep, query: Annotated[Query, InQuery()]) -> Response:
    """The most similar segments first; with no query at all, every segment in the order of its path."""
    began = time.perf_counter()
    query.check()
    embedding = None
    if query.upload is not None or query.start is not None or query.end is not None:
        embedding = await service.run("embed", service.search.embed_query, query)
    # Written as JSON in the thread, so that other requests are not kept waiting.
    content = await service.run("search", service.search.answer, query, embedding, began)
    return Response(content, media_type="application/json")


@routes.get("/find", operation_id="find", responses=documented(404, 409), summary="Find files by text, sounds, filters")
async def find(service: ServiceDep, query: Annotated[FileQuery, InQuery()]) -> FoundFiles:
    """Files whose names, tags or folders hold all words of a text, the best first; then what the model takes for it.

    Beside segments of the library, or words for the model, text says among which files. Filters alone list files.
    """
    return await service.run(
        "embed" if query.like or query.unlike or query.upload else "search", service.search.find, query
    )


@routes.get("/facets", operation_id="getFacets", responses=documented(404, 409), summary="Count files by fields")
async def facets(service: ServiceDep, query: Annotated[FacetQuery, InQuery()]) -> FacetCounts:
    """How many files have each folder, tag, rate, codec, length, hour ..., among those that text and filters admit."""
    return await service.run("search", service.search.facets, query)
