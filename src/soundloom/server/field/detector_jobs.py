"""Work of a detector in the background: training, detection, choice of windows to mark."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from soundloom.annotations import Annotation
from soundloom.cache_folder import cache_home
from soundloom.counted import counted
from soundloom.detectors.calibration import Aim
from soundloom.file_names import text_path
from soundloom.library import Library, RecordingFilter, Segment, SegmentRef, parse_hours
from soundloom.server.catalogue import Catalogue
from soundloom.server.field.field_schemas import DetectRequest, FileChoice, SampleRequest, TrainRequest
from soundloom.server.http.error_responses import ApiError
from soundloom.server.jobs import BackgroundJob

if TYPE_CHECKING:
    from soundloom.detectors import DetectionReport, LibraryDetectors

__all__ = ["FoundEvents", "MarkingSample", "aim_of", "chosen_files", "detect", "recording_filter", "sample", "train"]


_NAMED = 3
"""Files of which a training says why they could not be read, or what was left out."""


@dataclass(frozen=True)
class FoundEvents:
    """The result of a detection.

    Attributes:
        detector: the name of the detector.
        report: what it found.
    """

    detector: str
    report: DetectionReport


@dataclass(frozen=True)
class MarkingSample:
    """The result of a choice of windows.

    Attributes:
        detector: the name of the detector.
        label: what is looked for.
        windows: to mark.
        failed: file -> why it could not be read.
    """

    detector: str
    label: str
    windows: list[Annotation]
    failed: dict[str, str]


def aim_of(asked: DetectRequest) -> Aim:
    """The aim of the thresholds.

    Raises:
        InvalidArgumentError: several aims.
    """
    given = {name: getattr(asked, name) for name in ("precision", "recall", "probability")}
    given = {name: value for name, value in given.items() if value is not None}
    return Aim(**(given or {"probability": 0.5}))


def chosen_files(library: Library, catalogue: Catalogue, asked: FileChoice) -> list[str]:
    """The files that a request chooses, by path.

    Raises:
        ApiError: there is no such segment, or no file is chosen.
        QueryError: the filter names what is not there.
    """
    query = asked.admitted(catalogue)
    paths = {catalogue.segment(one).path for one in asked.ids} if asked.ids else set(library.files())
    if query.text or query.filter or query.where:
        paths &= {_path_of(one) for one in library.select(query)}
    if not paths:
        raise ApiError(422, "bad_query", "no file of the library is chosen: name other segments, or loosen the filter")
    return sorted(paths)


def recording_filter(asked: FileChoice) -> RecordingFilter:
    """Site, hours and dates of the events that a request chooses, beside those of the files.

    Raises:
        QueryError: hours that the day does not have.
    """
    hours = None if asked.hours is None else parse_hours(asked.hours)
    return RecordingFilter(hours=hours, after=asked.after, before=asked.before)


def _path_of(one: SegmentRef) -> str:
    if isinstance(one, Segment):
        return one.path
    return text_path(one[0] if isinstance(one, tuple) else one)


def train(detectors: LibraryDetectors, asked: TrainRequest, job: BackgroundJob) -> str:
    """Train a detector, and say how good it is."""
    job.reached(0, 0, "reading the examples")
    detector = detectors.train(
        asked.name,
        asked.labels,
        by_tags=asked.source == "tags",
        other=asked.other,
        window=asked.window,
        hop=asked.hop,
        progress=lambda done, total: job.reached(done, total, f"embedded {counted(done, 'window')}"),
    )
    reached = ", ".join(
        f"{one.label}: average precision {one.quality.average_precision or 'not measured'}" for one in detector.labels
    )
    left = [f"{path}: {why}" for path, why in [*detector.failed.items(), *detector.remarks.items()][:_NAMED]]
    return "; ".join([f"{asked.name} learned from {counted(len(detector.examples), 'marked region')}", reached, *left])


def detect(
    detectors: LibraryDetectors, name: str, paths: list[str], aim: Aim, where: RecordingFilter, job: BackgroundJob
) -> str:
    """Run a detector over files; what it finds becomes the job's result."""
    detector = detectors.get(name)
    job.reached(0, 0, "loading the model")
    report = detector.detect(
        paths,
        aim,
        model=detectors.model_of(detector),
        where=where,
        deployments=detectors.library.annotations.deployments(),
        journal=cache_home() / "detections",
        progress=partial(_searched, job),
    )
    job.result = FoundEvents(name, report)
    return f"{counted(len(report.events), 'event')} in {counted(report.files, 'file')}"


def sample(detectors: LibraryDetectors, name: str, paths: list[str], asked: SampleRequest, job: BackgroundJob) -> str:
    """Choose windows of files for somebody to mark; they become the job's result."""
    from soundloom.detectors.detection import scored_windows
    from soundloom.detectors.next_examples import windows_to_mark

    detector, failed = detectors.get(name), dict[str, str]()
    job.reached(0, 0, "loading the model")
    model = detectors.model_of(detector)
    every = scored_windows(
        detector, paths, failed, model=model, where=recording_filter(asked),
        deployments=detectors.library.annotations.deployments(), journal=cache_home() / "detections",
        progress=partial(_searched, job),
    )  # fmt: skip
    found = windows_to_mark(detector, list(every), asked.label, asked.count, by=asked.by, model=model, seed=asked.seed)
    job.result = MarkingSample(name, detector.labels[detector.column_of(asked.label)].label, found, failed)
    return f"{counted(len(found), 'window')} to mark"


def _searched(job: BackgroundJob, done: float, total: float) -> None:
    whole = max(1, round(total))
    job.reached(round(done), whole, f"{round(done):,} of {whole:,} s of sound searched")
