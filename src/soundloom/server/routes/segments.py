"""A segment of the library: what it is, how it sounds, how it looks, where it lies."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from soundloom.server.http.error_responses import ApiError, documented
from soundloom.server.http.range_response import file_response
from soundloom.server.http.security import from_this_machine
from soundloom.server.media.reveal import reveal
from soundloom.server.schemas import Peaks, SegmentEntry
from soundloom.server.service import ServiceDep

__all__ = ["routes"]

routes = APIRouter(prefix="/segments/{id}", tags=["sounds"])

Id = Annotated[str, Path(alias="id", pattern="^[0-9a-f]{16}$", description="A segment's id.")]

_SOUND = {"content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in ("audio/*",)}}
_PICTURE = {"content": {"image/png": {"schema": {"type": "string", "format": "binary"}}}}


@routes.get("", operation_id="getSegment", response_model_exclude_none=True, responses=documented(404))
async def segment(service: ServiceDep, identity: Id) -> SegmentEntry:
    """A segment."""
    catalogue = await service.run("search", service.catalogue)
    return catalogue.show([catalogue.segment(identity)])[0]


@routes.get(
    "/audio",
    operation_id="getSegmentAudio",
    response_class=Response,
    responses={**documented(404, 416), 200: _SOUND, 206: {**_SOUND, "description": "The range asked for."}},
)
async def audio(
    service: ServiceDep,
    request: Request,
    identity: Id,
    part: Annotated[
        Literal["file", "segment"], Query(description="The whole file, or only the segment, as WAV.")
    ] = "file",
) -> Response:
    """The sound as browsers play it: the file itself where they all do, else FLAC. Ranges are served."""
    one = await service.segment(identity)
    played = await service.run("decode", service.files.whole if part == "file" else service.files.part, one)
    return file_response(played.file, request, played.media_type)


@routes.get(
    "/thumbnail.png",
    operation_id="getSegmentThumbnail",
    response_class=Response,
    responses={**documented(404), 200: _PICTURE},
)
async def thumbnail(
    service: ServiceDep,
    request: Request,
    identity: Id,
    width: Annotated[int, Query(ge=16, le=1024)] = 240,
    height: Annotated[int, Query(ge=16, le=512)] = 96,
    theme: Literal["dark", "light"] = "dark",
) -> Response:
    """The segment's spectrogram: low tones below, silence in the page's ground colour."""
    one = await service.segment(identity)
    rate = service.library.model.sample_rate
    file = await service.run("decode", service.files.thumbnail, one, rate, width, height, theme)
    return file_response(file, request, "image/png", {"Cache-Control": "private, max-age=3600"})


@routes.get("/peaks", operation_id="getSegmentPeaks", responses=documented(404))
async def peaks(service: ServiceDep, identity: Id, points: Annotated[int, Query(ge=1, le=8000)] = 800) -> Peaks:
    """The outline of the segment's whole file, for a waveform; fewer points where the file has fewer."""
    outline = await service.run("decode", service.files.peaks, await service.segment(identity), points)
    return Peaks(**outline)


@routes.post("/reveal", operation_id="revealSegment", status_code=204, responses=documented(404, 409, 501))
async def reveal_segment(service: ServiceDep, request: Request, identity: Id) -> None:
    """Open the folder of the file in the file manager of the server's machine; from a browser there only."""
    if not from_this_machine(request.scope, service.settings):
        raise ApiError(403, "not_here", "folders are opened only for a browser on the server's own machine")
    one = await service.segment(identity)
    await service.run("write", reveal, one.path)
