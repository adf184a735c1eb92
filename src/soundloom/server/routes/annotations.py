"""Routes of annotations: of the library, and of the file of a segment; list, add, remove, count, export."""

from __future__ import annotations

import os
from typing import Annotated

from fastapi import APIRouter, File, Path, Query, Request, UploadFile
from starlette.responses import Response

from soundloom.annotations import FORMATS, Annotation
from soundloom.library import hour_counts
from soundloom.server.field.entries import RegionEntries
from soundloom.server.field.field_schemas import (
    AnnotationIds,
    AnnotationList,
    AnnotationQuery,
    AnnotationsAdded,
    AnnotationsImported,
    AnnotationsRemoved,
    HourCounts,
    LabelCount,
    LabelList,
    MarkedRegions,
)
from soundloom.server.http.error_responses import documented
from soundloom.server.http.range_response import binary, file_response, saved_as
from soundloom.server.schemas import Identity
from soundloom.server.segment_export import export_annotations
from soundloom.server.service import Service, ServiceDep

__all__ = ["routes"]

routes = APIRouter(tags=["annotations"])

_NAMED = 100
"""Names that no file fits that an import lists."""

Id = Annotated[Identity, Path(alias="id", description="A segment's id; its whole file is meant.")]
Where = Annotated[AnnotationQuery, Query()]


class _Listed(AnnotationQuery):
    """Which annotations are listed."""

    limit: Annotated[int, Query(ge=1, le=5000)] = 500
    offset: Annotated[int, Query(ge=0, lt=2**31)] = 0


class _Exported(AnnotationQuery):
    """Which annotations are exported, and in which form."""

    format: Annotated[str, Query(max_length=40, description="A name of those that /export lists, but sounds.")] = "csv"


@routes.get("/annotations", operation_id="listAnnotations", responses=documented(409))
async def listed(service: ServiceDep, query: Annotated[_Listed, Query()]) -> AnnotationList:
    """Annotations by path and start, with the site and the recording time of each."""

    def found() -> AnnotationList:
        every = service.library.annotations.with_ids(query.annotation_filter())
        entries = RegionEntries(service.library, service.catalogue())
        page = every[query.offset : query.offset + query.limit]
        return AnnotationList(annotations=[entries.annotation(one, key) for key, one in page], total=len(every))

    return await service.run("search", found)


@routes.get("/annotations/labels", operation_id="listLabels", responses=documented(409))
async def labels(service: ServiceDep) -> LabelList:
    """The labels, the most frequent first."""
    counts = await service.run("search", service.library.annotations.labels)
    return LabelList(labels=[LabelCount(name=name, count=count) for name, count in counts.items()])


@routes.get("/annotations/counts", operation_id="countAnnotations", responses=documented(409))
async def counts(service: ServiceDep, query: Where) -> HourCounts:
    """How many annotations begin in each hour of the day, by site."""

    def counted() -> HourCounts:
        annotations = service.library.annotations
        found = annotations.all(query.annotation_filter())
        sites, unknown = hour_counts(found, annotations.deployments(), annotations.recorded())
        return HourCounts(sites=sites, time_unknown=unknown)

    return await service.run("search", counted)


@routes.get(
    "/annotations/export",
    operation_id="exportAnnotations",
    response_class=Response,
    responses={**documented(409, 416), 200: binary()},
)
async def export(service: ServiceDep, request: Request, query: Annotated[_Exported, Query()]) -> Response:
    """Annotations as a table in the format of a program, or as label tracks in a zip.

    CSV, JSON and parquet say of which content each is; the others leave out those whose content is gone.
    """

    def written() -> Response:
        any_columns = query.format in FORMATS and FORMATS[query.format].any_columns
        found, _ = service.library.annotations.to_write(query.annotation_filter(), any_columns=any_columns)
        file, ending = export_annotations(found, query.format)
        return file_response(file, request, headers=saved_as(f"annotations{ending}"))

    return await service.run("write", written)


@routes.post("/annotations/import", operation_id="importAnnotations", responses=documented(404, 409))
async def import_table(
    service: ServiceDep,
    file: Annotated[UploadFile, File(description="A table, under its own name.")],
    format: Annotated[str | None, Query(max_length=40, description="Its format, if it is not recognised.")] = None,
    segment: Annotated[
        Identity | None, Query(description="A segment of the file that the table is of, where that is not said.")
    ] = None,
) -> AnnotationsImported:
    """Take a table of Raven, Audacity, Kaleidoscope, BirdNET or hoplite, or a CSV. Names in it stand for files here."""
    sound = None if segment is None else (await service.segment(segment)).path
    name = os.path.basename(file.filename or "table")
    report = await service.run(
        "write",
        lambda: service.library.annotations.import_table(name, format=format, sound=sound, content=file.file.read()),
    )
    return AnnotationsImported(
        said=report.said, added=report.added, known=report.known, elsewhere=list(report.elsewhere[:_NAMED])
    )


@routes.post("/annotations/remove", operation_id="removeAnnotations", responses=documented(409))
async def remove(service: ServiceDep, asked: AnnotationIds) -> AnnotationsRemoved:
    """Remove annotations by their ids. Audio and tables outside the library stay as they are."""
    return AnnotationsRemoved(removed=await service.run("write", service.library.annotations.remove_ids, asked.ids))


@routes.get("/segments/{id}/annotations", operation_id="getFileAnnotations", responses=documented(404, 409))
async def of_file(service: ServiceDep, identity: Id) -> AnnotationList:
    """The annotations of the segment's whole file, by start."""
    one = await service.segment(identity)
    return await service.run("search", _of_file, service, one.path)


@routes.post("/segments/{id}/annotations", operation_id="addFileAnnotations", responses=documented(404, 409))
async def add(service: ServiceDep, identity: Id, asked: MarkedRegions) -> AnnotationsAdded:
    """Keep annotations of the segment's file. What is known already is not kept twice."""
    segment = await service.segment(identity)
    regions = [Annotation(segment.path, duration=segment.duration, **one.model_dump()) for one in asked.annotations]
    added = await service.run("write", service.library.annotations.add, regions)
    found = await service.run("search", _of_file, service, segment.path)
    return AnnotationsAdded(added=added, annotations=found.annotations)


def _of_file(service: Service, path: str) -> AnnotationList:
    entries = RegionEntries(service.library, service.catalogue())
    found = [entries.annotation(one, key) for key, one in service.library.annotations.with_ids(path=path)]
    return AnnotationList(annotations=found, total=len(found))
