"""Routes of tags: list, apply, undo, export, and rank by examples."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from soundloom.server.http.error_responses import documented
from soundloom.server.http.range_response import binary, file_response, saved_as
from soundloom.server.schemas import (
    ExamplesRequest,
    Ranking,
    RankingQuality,
    TagCount,
    TagEdited,
    TagEditRequest,
    TagList,
    UndoRequest,
)
from soundloom.server.segment_export import export_tags
from soundloom.server.service import Service, ServiceDep

__all__ = ["routes"]

routes = APIRouter(tags=["tags"])

_COUNTED = 10_000
"""Segments that are counted by their probability, however few of them are sent."""


@routes.get("/tags", operation_id="listTags", responses=documented())
async def tags(
    service: ServiceDep,
    prefix: Annotated[str, Query(max_length=200, description="How the tag begins, in capitals or not.")] = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = 20,
) -> TagList:
    """Tags in the library, the most frequent first, and tags that can be searched by though nothing has them."""
    return await service.run("search", _tags, service, prefix.casefold(), limit)


@routes.post("/tags/apply", operation_id="applyTag", responses=documented(409))
async def apply(service: ServiceDep, asked: TagEditRequest) -> TagEdited:
    """Give a tag to segments and take it from others. It is written to the library, never into the audio."""
    return await service.run("write", service.tag_edits.apply, asked)


@routes.post("/tags/undo", operation_id="undoTag", responses=documented(404, 409))
async def undo(service: ServiceDep, asked: UndoRequest) -> TagEdited:
    """Take a change of tags back; what came of it can be taken back in turn."""
    return await service.run("write", service.tag_edits.undo, asked.edit)


@routes.get(
    "/tags/export",
    operation_id="exportTags",
    response_class=Response,
    responses={**documented(409, 416), 200: binary("text/csv", "application/zip")},
)
async def export(service: ServiceDep, request: Request, format: Literal["csv", "audacity"] = "csv") -> Response:
    """All tags as a table, or as label tracks for Audacity, one a file, in a zip."""
    file = await service.run("write", export_tags, service.library.tags, format)
    name, kind = ("tags.csv", "text/csv") if format == "csv" else ("labels.zip", "application/zip")
    return file_response(file, request, kind, saved_as(name))


@routes.post("/examples", operation_id="rankByExamples", response_model_exclude_none=True, responses=documented(409))
async def examples(service: ServiceDep, asked: ExamplesRequest) -> Ranking:
    """Rank the segments by how much they deserve a tag, learned from a few that do and a few that do not."""
    return await service.run("embed", _ranking, service, asked)


def _tags(service: Service, prefix: str, limit: int) -> TagList:
    counted = [
        TagCount(name=name, count=count)
        for name, count in service.tag_counts().items()
        if name.casefold().startswith(prefix)
    ]
    known = [word for word in service.vocabulary if word.casefold().startswith(prefix)]
    return TagList(tags=counted[:limit], vocabulary=known[:limit])


def _ranking(service: Service, asked: ExamplesRequest) -> Ranking:
    catalogue = service.catalogue()
    learned = service.library.tags.by_example(asked.tag, asked.yes, asked.no, _COUNTED)
    quality = learned.quality
    probabilities = np.array([segment.probability for segment in learned.ranked])
    return Ranking(
        ranked=catalogue.show(learned.ranked[: asked.k]),
        doubtful=catalogue.show(learned.doubtful[: asked.k]),
        at_least=[int(np.count_nonzero(probabilities >= percent / 100)) for percent in range(50, 100)],
        quality=RankingQuality(
            accuracy=quality.accuracy,
            low=quality.low,
            high=quality.high,
            average_precision=quality.average_precision,
            message=quality.message,
        ),
    )
