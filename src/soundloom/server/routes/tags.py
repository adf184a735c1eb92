"""Tags: which there are, giving and taking them, undoing that, learning one from examples, taking them elsewhere."""

from __future__ import annotations

import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, BinaryIO, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from soundloom.library.tags.editor import Edit
from soundloom.server.http.errors import ApiError, documented
from soundloom.server.http.range_response import file_response
from soundloom.server.schemas import (
    ExamplesRequest,
    Quality,
    Ranking,
    TagCount,
    TagEdited,
    TagEditRequest,
    TagList,
    UndoRequest,
)
from soundloom.server.service import Service, ServiceDep

__all__ = ["routes"]

routes = APIRouter(tags=["tags"])

_FILE = {"schema": {"type": "string", "format": "binary"}}


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
    return await service.run("write", _apply, service, asked)


@routes.post("/tags/undo", operation_id="undoTag", responses=documented(404, 409))
async def undo(service: ServiceDep, asked: UndoRequest) -> TagEdited:
    """Take a change of tags back; what came of it can be taken back in turn."""
    return await service.run("write", _undo, service, asked.edit)


@routes.get(
    "/tags/export",
    operation_id="exportTags",
    response_class=Response,
    responses={**documented(409, 416), 200: {"content": {"text/csv": _FILE, "application/zip": _FILE}}},
)
async def export(service: ServiceDep, request: Request, format: Literal["csv", "audacity"] = "csv") -> Response:
    """All tags as a table, or as label tracks for Audacity, one a file, in a zip."""
    file = await service.run("write", _exported, service, format)
    name, kind = ("tags.csv", "text/csv") if format == "csv" else ("labels.zip", "application/zip")
    return file_response(file, request, kind, {"Content-Disposition": f'attachment; filename="{name}"'})


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
    words = service.tags.vocabulary.tags if service.tags else ()
    known = [word for word in words if word.casefold().startswith(prefix)]
    return TagList(tags=counted[:limit], vocabulary=known[:limit])


def _apply(service: Service, asked: TagEditRequest) -> TagEdited:
    return _remembered(service, service.library.edit_tag(asked.tag, add=asked.add, remove=asked.remove))


def _undo(service: Service, identity: str) -> TagEdited:
    edit = service.edits.get(identity)
    if edit is None:
        raise ApiError(404, "no_edit", f"there is no edit {identity!r}: edits are forgotten when the server stops")
    return _remembered(service, edit.revert())


def _remembered(service: Service, edit: Edit) -> TagEdited:
    service.remember(edit)
    return TagEdited(edit=edit.id, changed=edit.changed)


def _exported(service: Service, format: str) -> BinaryIO:
    """The export, in a file whose name is gone already."""
    with TemporaryDirectory(prefix="soundloom-export-", ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary)
        if format == "csv":
            service.library.export_tags(folder / "tags.csv")
            return open(folder / "tags.csv", "rb")  # (the response closes it)
        labels = folder / "labels"
        service.library.export_tags(labels)
        with zipfile.ZipFile(folder / "labels.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for file in sorted(labels.rglob("*.txt")):
                archive.write(file, file.relative_to(labels))
        return open(folder / "labels.zip", "rb")


def _ranking(service: Service, asked: ExamplesRequest) -> Ranking:
    catalogue = service.catalogue()
    learned = service.library.tag_by_example(asked.tag, asked.yes, asked.no, asked.k)
    quality = learned.quality
    return Ranking(
        ranked=catalogue.show(learned.ranked),
        doubtful=catalogue.show(learned.doubtful),
        quality=Quality(
            accuracy=quality.accuracy,
            low=quality.low,
            high=quality.high,
            average_precision=quality.average_precision,
            message=quality.message,
        ),
    )
