"""Routes of duplicates: files of the library that are copies of each other, found in the background."""

from __future__ import annotations

from fastapi import APIRouter

from soundloom.counted import counted
from soundloom.library import DuplicateFile, DuplicateReport
from soundloom.option_hints import hints_for_page
from soundloom.server.find_schemas import DuplicateCopy, DuplicateGroups, DuplicateRequest
from soundloom.server.http.error_responses import documented
from soundloom.server.job_schemas import JobStarted
from soundloom.server.jobs import BackgroundJob
from soundloom.server.routes.jobs import Id as JobId
from soundloom.server.schemas import FailedFile
from soundloom.server.service import Service, ServiceDep

__all__ = ["routes"]

routes = APIRouter(tags=["duplicates"])


@routes.post("/duplicates", operation_id="findDuplicates", status_code=202, responses=documented(409))
async def find(service: ServiceDep, asked: DuplicateRequest) -> JobStarted:
    """Find files that are copies of each other, in the background; `/jobs/{id}/duplicates` has them."""

    def work(job: BackgroundJob) -> str:
        def report_progress(done: int, total: int) -> None:
            job.reached(done, total, "comparing fingerprints")

        report = service.library.duplicates.find(exact=asked.exact, workers=1, progress=report_progress)
        job.result = report
        return f"{counted(len(report.groups), 'group')} of duplicates"

    return JobStarted(job=service.jobs.start("duplicates", work).id)


@routes.get(
    "/jobs/{id}/duplicates",
    operation_id="getDuplicates",
    response_model_exclude_none=True,
    responses=documented(404, 409),
)
async def found(service: ServiceDep, identity: JobId) -> DuplicateGroups:
    """The copies that a job found; the best file of each group first."""
    report = service.jobs.result(identity, DuplicateReport)
    return await service.run("search", _shown, service, report)


def _shown(service: Service, report: DuplicateReport) -> DuplicateGroups:
    """The groups, without files that have left the library since."""
    catalogue, index = service.catalogue(), service.library.index()

    def copy(file: DuplicateFile) -> DuplicateCopy | None:
        rows = index.rows_in_region(file.path, 0.0, float("inf"))
        if not len(rows):
            return None
        segment = index.segments.at([int(rows[0])])[0]
        fields = catalogue.region_fields(segment, segment.id) | {"start": 0.0, "end": segment.duration}
        return DuplicateCopy(**fields, is_segment=len(rows) == 1, agreement=file.agreement, exact=file.exact)

    groups = [[one for file in group if (one := copy(file))] for group in report.groups]
    failed = [FailedFile(path=one.path, reason=hints_for_page(one.reason)) for one in report.failed]
    return DuplicateGroups(groups=[group for group in groups if len(group) > 1], failed=failed)
