"""Routes of the library's status: contents, failures and notices of its files."""

from __future__ import annotations

from fastapi import APIRouter, Request

from soundloom.option_hints import hints_for_page
from soundloom.server.http.error_responses import documented
from soundloom.server.http.security import from_this_machine
from soundloom.server.media.reveal import can_reveal
from soundloom.server.schemas import FailedFile, Failures, LibraryInfo, LibraryPart, Noticed, Notices
from soundloom.server.service import Service, ServiceDep

__all__ = ["routes"]

routes = APIRouter(tags=["library"])


@routes.get("/library", operation_id="getLibrary", responses=documented())
async def about(service: ServiceDep, request: Request) -> LibraryInfo:
    """What the library holds."""
    return await service.run("search", _about, service, from_this_machine(request.scope, service.settings))


def _about(service: Service, here: bool) -> LibraryInfo:
    catalogue, settings = service.catalogue(), service.library.settings
    return LibraryInfo(
        name=service.library.folder.name,
        model=settings.model,
        parts=[
            LibraryPart(name=name, dim=last - first, balance=settings.balance.get(name, 1.0))
            for name, (first, last) in settings.parts.items()
        ],
        segments=len(catalogue.segments),
        files=catalogue.files,
        seconds=catalogue.seconds,
        failures=len(service.library.failures()),
        notices=len(catalogue.notices),
        unfinished=service.library.unfinished(),
        tags_searchable=bool(service.vocabulary),
        version=str(catalogue.version),
        folders=catalogue.folders,
        upload_bytes=service.settings.upload_bytes,
        upload_seconds=service.uploads.longest,
        folders_left_out=catalogue.left_out,
        fields=service.library.index().fields.names,
        can_add_folders=here,
        can_reveal=here and can_reveal(),
        libraries=list(service.served),
    )


@routes.get("/failures", operation_id="getFailures", responses=documented())
async def failures(service: ServiceDep) -> Failures:
    """The files that could not be indexed, and why."""
    failed = await service.run("search", service.library.failures)
    return Failures(failures=[FailedFile(path=one.path, reason=hints_for_page(one.reason)) for one in failed])


@routes.get("/notices", operation_id="getNotices", responses=documented())
async def notices(service: ServiceDep) -> Notices:
    """What was noticed of files that were indexed, such as silence or a repaired length."""
    catalogue = await service.run("search", service.catalogue)
    return Notices(
        notices=[Noticed(path=one.path, code=one.code, text=hints_for_page(one.text)) for one in catalogue.notices]
    )
