"""Routes of searches: by a segment, a region, an upload or words, with filters; and by text."""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import APIRouter
from fastapi import Query as InQuery
from starlette.responses import Response

from soundloom.library import SavedSearches
from soundloom.server.completion import complete
from soundloom.server.find_schemas import (
    Completions,
    FacetCounts,
    FoundFiles,
    SavedSearch,
    SavedSearchList,
    SearchToSave,
)
from soundloom.server.http.error_responses import documented
from soundloom.server.queries import FacetQuery, FileQuery, Query
from soundloom.server.schemas import SearchResult
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
        "embed" if query.query or query.like or query.unlike or query.upload else "search", service.search.find, query
    )


@routes.get("/complete", operation_id="complete", responses=documented(), summary="Complete what is being typed")
async def completions(
    service: ServiceDep,
    text: Annotated[str, InQuery(max_length=200)] = "",
    limit: Annotated[int, InQuery(ge=1, le=50)] = 4,
) -> Completions:
    """Names, folders and tags that hold a text, and words that the model knows: so many of each kind."""

    def found() -> Completions:
        catalogue = service.catalogue()
        return Completions(completions=complete(catalogue, service.tag_counts(), service.vocabulary, text, limit))

    return await service.run("search", found)


@routes.get("/searches", operation_id="listSearches", responses=documented(), summary="Saved searches")
async def saved(service: ServiceDep) -> SavedSearchList:
    """The searches that the library keeps, in the order in which they were saved."""
    searches = await service.run("search", SavedSearches(service.library.folder).all)
    return SavedSearchList(searches=[SavedSearch(name=name, query=query) for name, query in searches.items()])


@routes.post("/searches", operation_id="saveSearch", status_code=204, responses=documented(), summary="Save a search")
async def save(service: ServiceDep, asked: SearchToSave) -> None:
    """Keep a search in the library."""
    await service.run("write", SavedSearches(service.library.folder).save, asked.name, asked.query)


@routes.delete("/searches", operation_id="removeSearch", status_code=204, responses=documented(), summary="Forget one")
async def forget(service: ServiceDep, name: Annotated[str, InQuery(min_length=1, max_length=200)]) -> None:
    """Remove a saved search."""
    await service.run("write", SavedSearches(service.library.folder).remove, name)


@routes.get("/facets", operation_id="getFacets", responses=documented(404, 409), summary="Count files by fields")
async def facets(service: ServiceDep, query: Annotated[FacetQuery, InQuery()]) -> FacetCounts:
    """How many files have each folder, tag, rate, codec, length, hour ..., among those that text and filters admit."""
    return await service.run("search", service.search.facets, query)
