"""Sounds brought as queries."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, File, Path, Request, UploadFile
from starlette.responses import Response

from soundloom.server.http.error_responses import documented
from soundloom.server.http.range_response import binary, file_response
from soundloom.server.schemas import Uploaded
from soundloom.server.service import ServiceDep

__all__ = ["routes"]

routes = APIRouter(prefix="/uploads", tags=["uploads"])

Id = Annotated[str, Path(alias="id", pattern="^u_[A-Za-z0-9_-]{1,60}$", description="An upload's id.")]

_SOUND = binary("audio/*")


@routes.post("", operation_id="upload", status_code=201, responses=documented(415))
async def upload(service: ServiceDep, file: Annotated[UploadFile, File(description="A sound file.")]) -> Uploaded:
    """Bring a sound to search by. It is forgotten when many others came after it, and when the server stops."""
    rate = service.library.model.sample_rate
    taken = await service.run("upload", service.uploads.add, file.file, file.filename or "upload", rate)
    return Uploaded(upload=taken.id, name=taken.name, duration=taken.duration, peaks=taken.peaks, notices=taken.notices)


@routes.delete("/{id}", operation_id="forgetUpload", status_code=204, responses=documented(404))
async def forget(service: ServiceDep, identity: Id) -> None:
    """Throw an upload away."""
    await service.run("write", service.uploads.forget, identity)


@routes.get(
    "/{id}/audio",
    operation_id="getUploadAudio",
    response_class=Response,
    responses={**documented(404, 416), 200: _SOUND, 206: {**_SOUND, "description": "The range asked for."}},
)
async def audio(service: ServiceDep, request: Request, identity: Id) -> Response:
    """The sound as browsers play it. Ranges are served."""
    one = service.uploads.get(identity)
    played = await service.run("upload", service.files.played, str(one.original))
    return file_response(played.file, request, played.media_type)
