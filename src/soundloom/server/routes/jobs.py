"""Work in the background: bringing the library up to date, and how far that or a map is."""

from __future__ import annotations

import os
from typing import Annotated

from fastapi import APIRouter, Request
from fastapi import Path as PathParameter

from soundloom.counted import counted
from soundloom.file_names import os_path
from soundloom.library import FileProgress
from soundloom.remote import absolute_location, is_address
from soundloom.remote.locations import inside
from soundloom.server.http.error_responses import ApiError, documented
from soundloom.server.http.security import from_this_machine
from soundloom.server.job_schemas import IndexRequest, JobList, JobStarted, JobStatus, KnownJob
from soundloom.server.jobs import BackgroundJob
from soundloom.server.service import Service, ServiceDep

__all__ = ["routes"]

routes = APIRouter(tags=["jobs"])

Id = Annotated[str, PathParameter(alias="id", pattern="^j_[A-Za-z0-9_-]{1,40}$", description="A job's id.")]


@routes.post("/index", operation_id="updateLibrary", status_code=202, responses=documented(409))
async def index(service: ServiceDep, request: Request, asked: IndexRequest) -> JobStarted:
    """Bring the library up to date with what is on disk, in the background."""
    here = from_this_machine(request.scope, service.settings)
    folders = await service.run("search", _folders, service, asked.folders, here)

    def work(job: BackgroundJob) -> str:
        def report_progress(reached: FileProgress) -> None:
            job.reached(reached.done, reached.total, f"embedded {os.path.basename(reached.path)}")

        job.reached(0, 0, "looking for what is new")
        report = service.library.add(folders, progress=report_progress)
        service.library.index()
        lost = sum(report.lost_annotations.values())
        gone = f"; {counted(lost, 'annotation')} of content that is gone now" if lost else ""
        absent = f"; not there: {', '.join(report.absent)}" if report.absent else ""
        return (
            f"{report.new} new, {report.changed} changed, {report.moved} moved, {report.deleted} deleted, "
            f"{report.unchanged} unchanged, {len(report.failed)} failed{gone}{absent}"
        )

    return JobStarted(job=service.jobs.start("index", work).id)


@routes.get("/jobs", operation_id="listJobs", response_model_exclude_none=True, responses=documented())
async def listed(service: ServiceDep) -> JobList:
    """The last job of each kind, begun by any client: the one that is running, and how others have ended."""
    return JobList(jobs=[KnownJob(id=job.id, **_about(job).model_dump()) for job in service.jobs.latest()])


@routes.get("/jobs/{id}", operation_id="getJob", response_model_exclude_none=True, responses=documented(404))
async def job(service: ServiceDep, identity: Id) -> JobStatus:
    """How far a job is."""
    return _about(service.jobs.get(identity))


@routes.delete(
    "/jobs/{id}",
    operation_id="cancelJob",
    status_code=202,
    response_model_exclude_none=True,
    responses=documented(404),
)
async def cancel(service: ServiceDep, identity: Id) -> JobStatus:
    """Ask a job to stop; what it has done by then is kept."""
    job = service.jobs.get(identity)
    job.cancel()
    return _about(job)


def _about(job: BackgroundJob) -> JobStatus:
    return JobStatus(
        kind=job.kind,
        state=job.state,
        done=job.done,
        total=job.total,
        message=job.message,
        seconds_left=job.seconds_left,
    )


def _folders(service: Service, asked: list[str] | None, here: bool) -> list[str] | None:
    """The folders to look through; None for those that the library knows."""
    known = service.library.roots.all()
    if asked is None:
        if all(root.absent for root in known):
            raise ApiError(409, "no_folders", "none of the folders that were indexed is there: name the folders")
        return None
    for folder in asked:
        if not (os.path.isabs(folder) or is_address(folder)) or "\0" in folder:
            raise ApiError(422, "bad_folder", f"folders must be absolute paths or addresses, got {folder!r}")
        # A token opens the library to others, and not the whole disk, nor what the server's credentials open.
        if not here and not any(inside(_real(folder)).startswith(inside(_real(root.path))) for root in known):
            raise ApiError(403, "not_here", f"{folder!r} is new: index it on the machine of the server")
    return asked


def _real(location: str) -> str:
    """A path without links and dots; an address as libraries keep it."""
    return absolute_location(location) if is_address(location) else os.path.realpath(os_path(location))
