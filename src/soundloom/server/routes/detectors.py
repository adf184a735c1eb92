"""Routes of detectors: list, train, run over files, choose what to mark next, call density, export of what is found."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, TypeVar

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from soundloom.annotations import UNMARKED, Annotation
from soundloom.detectors.call_density import call_density
from soundloom.server.field import detector_jobs
from soundloom.server.field.detector_jobs import FoundEvents, MarkingSample
from soundloom.server.field.entries import (
    RegionEntries,
    detector_entry,
    estimate,
    failed_recordings,
    operating_points,
)
from soundloom.server.field.field_schemas import (
    Density,
    DensityRequest,
    Detections,
    DetectorEntry,
    DetectorList,
    DetectRequest,
    SampledWindows,
    SampleRequest,
    TrainRequest,
)
from soundloom.server.http.error_responses import ApiError, documented
from soundloom.server.http.range_response import binary, file_response, saved_as
from soundloom.server.http.validation_messages import DETECTOR_NAME
from soundloom.server.job_schemas import JobStarted
from soundloom.server.routes.jobs import Id as JobId
from soundloom.server.segment_export import export_annotations
from soundloom.server.service import Service, ServiceDep

if TYPE_CHECKING:
    from soundloom.detectors import LibraryDetectors
    from soundloom.library import Library

__all__ = ["routes"]

routes = APIRouter(tags=["detectors"])

Result = TypeVar("Result", FoundEvents, MarkingSample)
Name = Annotated[str, Path(alias="id", pattern=DETECTOR_NAME, description="A detector's name.")]


@routes.get("/detectors", operation_id="listDetectors", responses=documented(409))
async def listed(service: ServiceDep) -> DetectorList:
    """The detectors that the library keeps, with how well each finds what was held out."""

    def found() -> DetectorList:
        detectors = _of(service.library)
        return DetectorList(detectors=[_entry(detectors, name) for name in detectors.names()])

    return await service.run("search", found)


@routes.post("/detectors", operation_id="trainDetector", status_code=202, responses=documented(409))
async def train(service: ServiceDep, asked: TrainRequest) -> JobStarted:
    """Train a detector from the library's annotations or tags, in the background.

    Of an existing name it is another round: the detector that was there is kept beside it, as its former.
    """
    detectors = _of(service.library)
    by_tags = asked.source == "tags"
    await service.run("search", detectors.examples, asked.labels, by_tags=by_tags, other=asked.other)
    return JobStarted(job=service.jobs.start("train", partial(detector_jobs.train, detectors, asked)).id)


@routes.get("/detectors/{id}", operation_id="getDetector", responses=documented(404, 409))
async def about(service: ServiceDep, name: Name) -> DetectorEntry:
    """A detector, and how well it finds what was held out."""
    return await service.run("search", lambda: _entry(_with(service, name), name))


@routes.delete("/detectors/{id}", operation_id="removeDetector", status_code=204, responses=documented(404, 409))
async def remove(service: ServiceDep, name: Name) -> None:
    """Delete a detector. The annotations stay."""
    await service.run("write", lambda: _with(service, name).remove(name))


@routes.post("/detectors/{id}/detect", operation_id="detect", status_code=202, responses=documented(404, 409))
async def detect(service: ServiceDep, name: Name, asked: DetectRequest) -> JobStarted:
    """Run a detector over files of the library, in the background; `/jobs/{id}/detections` has what it finds."""
    aim, where = detector_jobs.aim_of(asked), detector_jobs.recording_filter(asked)
    detectors, paths = await service.run("search", _chosen, service, name, asked)
    work = partial(detector_jobs.detect, detectors, name, paths, aim, where)
    return JobStarted(job=service.jobs.start("detect", work).id)


@routes.post("/detectors/{id}/sample", operation_id="sampleWindows", status_code=202, responses=documented(404, 409))
async def sample(service: ServiceDep, name: Name, asked: SampleRequest) -> JobStarted:
    """Choose windows for somebody to mark, in the background; `/jobs/{id}/windows` has them."""
    detectors, paths = await service.run("search", _chosen, service, name, asked)
    await service.run("search", lambda: detectors.get(name).column_of(asked.label))
    return JobStarted(job=service.jobs.start("sample", partial(detector_jobs.sample, detectors, name, paths, asked)).id)


@routes.get("/jobs/{id}/detections", operation_id="getDetections", responses=documented(404, 409))
async def detections(service: ServiceDep, identity: JobId) -> Detections:
    """What a detection found, once its job is done."""
    found = service.jobs.result(identity, FoundEvents)

    def shown() -> Detections:
        entries = RegionEntries(service.library, service.catalogue())
        return Detections(
            detector=found.detector,
            events=[entries.annotation(one) for one in found.report.events],
            points=operating_points(found.report.points),
            files=found.report.files,
            seconds=found.report.seconds,
            failed=failed_recordings(found.report.failed),
        )

    return await service.run("search", shown)


@routes.get(
    "/jobs/{id}/detections/export",
    operation_id="exportDetections",
    response_class=Response,
    responses={**documented(404, 409, 416), 200: binary()},
)
async def export(
    service: ServiceDep,
    request: Request,
    identity: JobId,
    format: Annotated[str, Query(max_length=40, description="A name of those that /export lists, but sounds.")] = "csv",
) -> Response:
    """What a detection found as a table in the format of a program, or as label tracks in a zip."""
    found = service.jobs.result(identity, FoundEvents)
    file, ending = await service.run("write", export_annotations, found.report.events, format)
    return file_response(file, request, headers=saved_as(f"{found.detector}{ending}"))


@routes.get(
    "/jobs/{id}/windows",
    operation_id="getSampledWindows",
    response_model_exclude_none=True,
    responses=documented(404, 409),
)
async def windows(service: ServiceDep, identity: JobId) -> SampledWindows:
    """The windows that were chosen to be marked, once the job is done."""
    found = service.jobs.result(identity, MarkingSample)

    def shown() -> SampledWindows:
        entries = RegionEntries(service.library, service.catalogue())
        return SampledWindows(
            detector=found.detector,
            label=found.label,
            windows=[entries.window(one) for one in found.windows],
            failed=failed_recordings(found.failed),
        )

    return await service.run("search", shown)


@routes.post("/density", operation_id="estimateDensity", responses=documented())
async def density(service: ServiceDep, asked: DensityRequest) -> Density:
    """Estimate in how many of all windows a call is, from the windows of a sample for a density that were checked."""
    labels = {None: UNMARKED, True: "yes", False: ""}
    sampled = [
        Annotation("", 0.0, 0.0, labels[one.present], columns=one.model_dump(include={"bin", "share", "expected"}))
        for one in asked.windows
    ]
    found = await service.run("search", call_density, sampled, "yes")
    return Density(density=estimate(found), checked=sum(one.present is not None for one in asked.windows))


def _of(library: Library) -> LibraryDetectors:
    """The library's detectors; imports torch."""
    from soundloom.detectors import LibraryDetectors

    return LibraryDetectors(library)


def _with(service: Service, name: str) -> LibraryDetectors:
    """The library's detectors, where there is one of this name.

    Raises:
        ApiError: there is none.
    """
    detectors = _of(service.library)
    names = detectors.names()
    if name not in names:
        raise ApiError(404, "no_detector", f"no detector {name!r}: the library has {', '.join(names) or 'none'}")
    return detectors


def _chosen(service: Service, name: str, asked: DetectRequest | SampleRequest) -> tuple[LibraryDetectors, list[str]]:
    detectors = _with(service, name)
    return detectors, detector_jobs.chosen_files(service.library, service.catalogue(), asked)


def _entry(detectors: LibraryDetectors, name: str) -> DetectorEntry:
    return detector_entry(name, detectors.get(name), detectors.folder(name))
