"""Schemas of annotations and detectors, as OpenAPI documents them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from soundloom.library import AnnotationFilter
from soundloom.server.http.validation_messages import DETECTOR_NAME
from soundloom.server.queries import FileFilter, RecordedQuery
from soundloom.server.schemas import Identity, RequestModel, ResponseModel

__all__ = [
    "AnnotationEntry",
    "AnnotationIds",
    "AnnotationList",
    "AnnotationQuery",
    "AnnotationsAdded",
    "AnnotationsImported",
    "AnnotationsRemoved",
    "CheckedWindow",
    "Density",
    "DensityRequest",
    "DetectRequest",
    "Detections",
    "DetectorEntry",
    "DetectorList",
    "DetectorReport",
    "Estimate",
    "FailedRecording",
    "FileChoice",
    "HourCounts",
    "LabelCount",
    "LabelList",
    "MarkedRegion",
    "MarkedRegions",
    "OperatingPointEntry",
    "SampleRequest",
    "SampledWindow",
    "SampledWindows",
    "TrainRequest",
]

Label = Annotated[str, Field(max_length=200, examples=["crow"])]
_Name = Annotated[str, Field(min_length=1, max_length=200)]
_Seconds = Annotated[float, Field(ge=0, lt=1e9)]
_Hertz = Annotated[float, Field(ge=0, lt=1e6)]
_Share = Annotated[float, Field(gt=0, le=1)]


class Estimate(ResponseModel):
    """A number and its 95 % interval."""

    value: float
    low: float
    high: float


class AnnotationEntry(ResponseModel):
    """A region of a file, and what is said of it."""

    id: str | None = Field(description="To remove it by; null of what is not kept, such as a detection.")
    segment: Identity | None = Field(description="A segment of the file; its audio and pictures take the region.")
    path: str
    name: str
    folder: str = Field(description="As in the library's folders.")
    start: float = Field(description="Seconds of the file.")
    end: float
    label: str = Field(description="Empty: marked to hold nothing that is looked for.")
    low: float | None = Field(description="Hertz.")
    high: float | None
    score: float | None = Field(description="An annotator's certainty, or a detector's probability.")
    annotator: str
    site: str
    recorded: str | None = Field(description="When the region was recorded, by the recorder's clock.")


class AnnotationList(ResponseModel):
    """Annotations by path and start."""

    annotations: list[AnnotationEntry]
    total: int = Field(description="How many there are, listed or not.")


class AnnotationQuery(RecordedQuery):
    """Which annotations are meant; named as by ``soundloom annotations list``."""

    label: Label | None = None
    annotator: Annotated[str | None, Field(max_length=200)] = None

    def annotation_filter(self) -> AnnotationFilter:
        """The filter, as the library takes it; raises as `recorded`."""
        return AnnotationFilter(label=self.label, annotator=self.annotator, **self.recorded())


class MarkedRegion(RequestModel):
    """A region of a file, and what is said of it."""

    start: _Seconds
    end: Annotated[float, Field(gt=0, lt=1e9)]
    label: Label = Field(default="", description="Empty: it holds nothing that is looked for.")
    low: _Hertz | None = None
    high: _Hertz | None = None
    score: Annotated[float | None, Field(description="How certain the annotator is.")] = None
    annotator: Annotated[str, Field(max_length=200)] = ""


class MarkedRegions(RequestModel):
    """Regions of one file."""

    annotations: Annotated[list[MarkedRegion], Field(min_length=1, max_length=10_000)]


class AnnotationsAdded(ResponseModel):
    """Annotations that were kept, and all of the file now."""

    added: int = Field(description="How many are new.")
    annotations: list[AnnotationEntry]


class AnnotationsImported(ResponseModel):
    """What was taken from a table."""

    said: str = Field(description="How the table was understood: its format, and which columns were taken for what.")
    added: int = Field(description="How many annotations are new.")
    known: int = Field(description="How many were there already.")
    elsewhere: list[str] = Field(description="Names in the table that no file of the library fits, or several.")


class AnnotationIds(RequestModel):
    """Annotations by their ids."""

    ids: Annotated[list[Annotated[str, Field(pattern="^[0-9a-f]{16}$")]], Field(min_length=1, max_length=10_000)]


class AnnotationsRemoved(ResponseModel):
    """How many annotations no longer count."""

    removed: int


class LabelCount(ResponseModel):
    """A label and how many annotations have it."""

    name: str
    count: int


class LabelList(ResponseModel):
    """The labels of the library's annotations, the most frequent first."""

    labels: list[LabelCount]


class HourCounts(ResponseModel):
    """How many annotations begin in each hour of the day, by site."""

    sites: dict[str, list[int]] = Field(description="Site -> 24 numbers.")
    time_unknown: int = Field(description="How many are of files whose recording time is not known.")


class DetectorReport(ResponseModel):
    """How well a detector finds one label, by examples that were held out."""

    label: str
    window: float = Field(description="Seconds that are looked at together.")
    hop: float = Field(description="Seconds from one window to the next.")
    average_precision: Estimate | None = Field(description="Null where nothing could be held out.")
    held_out: str = Field(description="recordings, blocks of time, or nothing.")
    positive: int = Field(description="Windows with the sound that it learned from.")
    negative: int = Field(description="Windows marked to be without it.")
    unlabelled: int = Field(description="Windows presumed to be without it.")
    frequency: Estimate = Field(description="Share of windows of recordings that hold the sound.")
    precision: Estimate = Field(description="At a probability of one half.")
    recall: Estimate


class DetectorEntry(ResponseModel):
    """A detector of the library."""

    name: str
    model: str
    labels: list[DetectorReport]
    examples: int = Field(description="Marked regions that it learned from.")
    rounds: int = Field(description="How often it was trained.")


class DetectorList(ResponseModel):
    """The detectors of the library, by name."""

    detectors: list[DetectorEntry]


class TrainRequest(RequestModel):
    """A detector to train from the library's annotations or tags."""

    name: Annotated[str, Field(pattern=DETECTOR_NAME, examples=["crow"])]
    labels: Annotated[list[_Name], Field(min_length=1, max_length=50)]
    source: Literal["annotations", "tags"] = "annotations"
    other: list[_Name] = Field(
        default=[], max_length=100, description="Of tags: those of segments that hold none of the labels."
    )
    window: Annotated[float | None, Field(gt=0, le=600, description="Seconds; what suits the calls if null.")] = None
    hop: Annotated[float | None, Field(gt=0, le=600, description="Seconds; half a window if null.")] = None


class FileChoice(FileFilter):
    """Files to search: those of some segments, among those that text and filters admit; all if nothing is given."""

    ids: list[Identity] = Field(default=[], max_length=1000, description="Segments whose files are meant.")


class DetectRequest(FileChoice):
    """Where to detect, and by which threshold: one of three aims, a probability of one half if none is given."""

    precision: Annotated[_Share | None, Field(description="Share of detections that are right.")] = None
    recall: Annotated[_Share | None, Field(description="Share of sounds that are detected.")] = None
    probability: Annotated[_Share | None, Field(description="Lowest probability of a detection.")] = None


class SampleRequest(FileChoice):
    """Windows to choose for somebody to mark."""

    label: _Name | None = Field(default=None, description="Of a detector of several; its first if null.")
    count: Annotated[int, Field(ge=1, le=1000)] = 20
    by: Annotated[
        Literal["diversity", "doubt", "random", "density"],
        Field(description="What a mark would teach most, unlike each other or not; at random; for a density."),
    ] = "diversity"
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0


class OperatingPointEntry(ResponseModel):
    """A threshold, and what it is expected to reach."""

    label: str
    threshold: float = Field(description="Lowest probability of a detection.")
    precision: Estimate
    recall: Estimate
    reached: bool = Field(description="Whether the aim is expected to be reached; mark more examples if not.")


class FailedRecording(ResponseModel):
    """A file that could not be searched, and why."""

    path: str
    reason: str


class Detections(ResponseModel):
    """What a detector found."""

    detector: str
    events: list[AnnotationEntry]
    points: list[OperatingPointEntry]
    files: int
    seconds: float = Field(description="Of sound that was searched.")
    failed: list[FailedRecording]


class SampledWindow(ResponseModel):
    """A window to mark: send its label to /segments/{id}/annotations, empty where the call is not in it."""

    segment: Identity | None
    path: str
    name: str
    start: float
    end: float
    probability: float
    bin: int | None = Field(default=None, description="Of a sample for a density, as it is sent to /density.")
    share: float | None = Field(default=None, description="Likewise: share of all windows that are in the bin.")
    expected: float | None = Field(default=None, description="Likewise: mean probability of the bin.")


class SampledWindows(ResponseModel):
    """Windows to mark, by file and start."""

    detector: str
    label: str
    windows: list[SampledWindow]
    failed: list[FailedRecording]


class CheckedWindow(RequestModel):
    """A window of a sample for a density, and whether the call is in it."""

    bin: Annotated[int, Field(ge=0, lt=100)]
    share: Annotated[float, Field(ge=0, le=1)]
    expected: Annotated[float, Field(ge=0, le=1)]
    present: bool | None = Field(default=None, description="Null where it is not checked, or not clear.")


class DensityRequest(RequestModel):
    """The windows of a sample for a density, some of them checked."""

    windows: Annotated[list[CheckedWindow], Field(min_length=1, max_length=10_000)]


class Density(ResponseModel):
    """In how many of all windows a call is."""

    density: Estimate
    checked: int
