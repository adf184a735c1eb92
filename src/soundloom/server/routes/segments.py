"""A segment of the library: what it is, how it sounds, how it looks, where it lies."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from soundloom.server.http.error_responses import ApiError, documented
from soundloom.server.http.range_response import BYTES, binary, file_response, saved_as
from soundloom.server.http.security import from_this_machine
from soundloom.server.media.reveal import reveal
from soundloom.server.media.sound_files import saved_name
from soundloom.server.queries import Tile
from soundloom.server.schemas import FileEntry, Identity, Outline, Peaks, SegmentEntry
from soundloom.server.service import ServiceDep

__all__ = ["routes"]

routes = APIRouter(prefix="/segments/{id}", tags=["sounds"])

Id = Annotated[Identity, Path(alias="id")]

_SOUND = binary("audio/*", BYTES)
"""An original file of a kind without a registered type is bytes."""


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
        Literal["file", "segment", "region", "original"],
        Query(description="The whole file; only the segment, or a region, as WAV; or the file as it is, to be kept."),
    ] = "file",
    start: Annotated[float, Query(ge=0, lt=1e9, description="Of a region, in seconds.")] = 0.0,
    end: Annotated[float, Query(gt=0, lt=1e9, description="Of a region, in seconds.")] = 1.0,
    download: Annotated[bool, Query(description="Have browsers save it under a name.")] = False,
) -> Response:
    """The sound as browsers play it: the file itself where they all do, else FLAC. Ranges are served."""
    one = await service.segment(identity)
    if part == "region":
        _check_region(start, end)
        played = await service.run("decode", service.files.region, one, start, end)
    else:
        make = {"file": service.files.whole, "segment": service.files.part, "original": service.files.original}[part]
        played = await service.run("decode", make, one)
    start, end = (start, end) if part == "region" else (one.start, one.end)
    name = saved_name(one.path, None if part in ("file", "original") else (start, end), played.media_type)
    return file_response(played.file, request, played.media_type, saved_as(name) if download else None)


@routes.get(
    "/thumbnail.webp",
    operation_id="getSegmentThumbnail",
    response_class=Response,
    responses={**documented(404), 200: binary("image/webp")},
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
    return file_response(file, request, "image/webp", {"Cache-Control": "private, max-age=3600"})


@routes.get("/peaks", operation_id="getSegmentPeaks", responses=documented(404))
async def peaks(service: ServiceDep, identity: Id, points: Annotated[int, Query(ge=1, le=8000)] = 800) -> Peaks:
    """The outline of the segment's whole file, for a waveform; fewer points where the file has fewer."""
    outline = await service.run("decode", service.files.peaks, await service.segment(identity), points)
    return Peaks(**outline)


@routes.get("/file", operation_id="getSegmentFile", response_model_exclude_none=True, responses=documented(404))
async def file(service: ServiceDep, identity: Id) -> FileEntry:
    """The file of a segment, with all its segments in the order of time."""
    one = await service.segment(identity)
    form = await service.run("view", service.files.form, one)

    def segments() -> list[SegmentEntry]:
        catalogue, index = service.catalogue(), service.library.index()
        return catalogue.show(catalogue.segments.at(index.rows_of_file(one.path)))

    return FileEntry(segments=await service.run("search", segments), duration=one.duration, **form)


@routes.get(
    "/spectrogram.png",
    operation_id="getSpectrogram",
    response_class=Response,
    responses={**documented(404, 422), 200: binary("image/png")},
)
async def spectrogram(service: ServiceDep, request: Request, identity: Id, tile: Annotated[Tile, Query()]) -> Response:
    """A stretch of the segment's file over time and frequency; levels are below full scale, so that tiles fit."""
    _check_region(tile.start, tile.end)
    one = await service.segment(identity)
    picture = await service.run("view", partial(service.files.region_picture, one, **tile.model_dump()))
    return file_response(picture, request, "image/png", {"Cache-Control": "private, max-age=3600"})


@routes.get("/outline", operation_id="getOutline", responses=documented(404, 422))
async def outline(
    service: ServiceDep,
    identity: Id,
    start: Annotated[float, Query(ge=0, lt=1e9)],
    end: Annotated[float, Query(gt=0, lt=1e9)],
    points: Annotated[int, Query(ge=1, le=4000)] = 800,
    excerpts: Annotated[int, Query(ge=16, le=512)] = 128,
) -> Outline:
    """The least and greatest samples of equal stretches of a region of the segment's file, for a waveform.

    A region longer than 90 s is not decoded whole: these are of excerpts, those of its picture.
    """
    _check_region(start, end)
    one = await service.segment(identity)
    outline = partial(service.files.region_outline, one, start, end, points=points, excerpts=excerpts)
    return Outline(**await service.run("view", outline))


def _check_region(start: float, end: float) -> None:
    if end <= start:
        raise ApiError(422, "bad_query", f"the region must end after it begins, got {start:g} to {end:g} s")


@routes.post("/reveal", operation_id="revealSegment", status_code=204, responses=documented(404, 409, 501))
async def reveal_segment(service: ServiceDep, request: Request, identity: Id) -> None:
    """Open the folder of the file in the file manager of the server's machine; from a browser there only."""
    if not from_this_machine(request.scope, service.settings):
        raise ApiError(403, "not_here", "folders are opened only for a browser on the server's own machine")
    one = await service.segment(identity)
    await service.run("write", reveal, one.path)
