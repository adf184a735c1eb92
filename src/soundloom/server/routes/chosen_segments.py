"""Routes of the export of chosen segments: formats, tables and sounds."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from soundloom.server.http.error_responses import ApiError, documented
from soundloom.server.http.range_response import binary, file_response, saved_as
from soundloom.server.schemas import ExportFormats, ExportRequest
from soundloom.server.segment_export import SOUNDS, export_sounds, export_table, formats
from soundloom.server.service import ServiceDep

__all__ = ["routes"]

routes = APIRouter(prefix="/export", tags=["export"])


@routes.get("", operation_id="listExportFormats", responses=documented())
async def listed() -> ExportFormats:
    """In which forms segments can be exported."""
    return ExportFormats(formats=formats())


@routes.post(
    "", operation_id="exportSegments", response_class=Response, responses={**documented(404, 422), 200: binary()}
)
async def export(service: ServiceDep, request: Request, asked: ExportRequest) -> Response:
    """Segments as a table in the format of a program, as label tracks, or as sounds in a zip."""
    if asked.scores and len(asked.scores) != len(asked.ids):
        raise ApiError(422, "bad_query", f"a score for each id, got {len(asked.scores)} for {len(asked.ids)}")
    catalogue = await service.run("search", service.catalogue)
    segments = [catalogue.segment(one) for one in asked.ids]
    scores = asked.scores or [None] * len(segments)
    if asked.format == SOUNDS:
        file, ending = await service.run("upload", export_sounds, segments, service.files), ".zip"
    else:
        file, ending = await service.run("write", export_table, segments, scores, asked.format)
    name = {"sounds": "sounds.zip", "tracks": "labels.zip"}.get(asked.format, f"soundloom{ending}")
    return file_response(file, request, headers=saved_as(name))
