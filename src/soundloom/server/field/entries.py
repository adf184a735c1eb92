"""Annotations, detectors and their findings as the API shows them."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from soundloom.annotations import Annotation
from soundloom.detectors.calibration import Aim, Interval, OperatingPoint
from soundloom.library import Library, site_and_moment
from soundloom.server.catalogue import Catalogue
from soundloom.server.field.field_schemas import (
    AnnotationEntry,
    DetectorEntry,
    DetectorReport,
    Estimate,
    FailedRecording,
    OperatingPointEntry,
    SampledWindow,
)

if TYPE_CHECKING:
    from soundloom.detectors import Detector

__all__ = ["RegionEntries", "detector_entry", "estimate", "failed_recordings", "operating_points"]


class RegionEntries:
    """Regions of the library's files as the API shows them: with a segment, the site and the time of recording.

    Args:
        library: the library.
        catalogue: its rows.
    """

    def __init__(self, library: Library, catalogue: Catalogue) -> None:
        self._index, self._catalogue = library.index(), catalogue
        annotations = library.annotations
        self._deployments, self._recorded = annotations.deployments(), annotations.recorded()
        self._segments: dict[str, tuple[list[float], list[str]]] = {}

    def annotation(self, one: Annotation, identity: str | None = None) -> AnnotationEntry:
        """A region, and what is said of it.

        Args:
            one: the annotation.
            identity: its id, if it is kept.
        """
        site, moment = site_and_moment(one, self._deployments, self._recorded)
        return AnnotationEntry(
            id=identity,
            segment=self._segment(one),
            path=one.path,
            name=os.path.basename(one.path),
            folder=self._catalogue.folder_name(os.path.dirname(one.path)),
            start=one.start,
            end=one.end,
            label=one.label,
            low=one.low,
            high=one.high,
            score=one.score,
            annotator=one.annotator,
            site=site,
            recorded=None if moment is None else moment.isoformat(timespec="seconds"),
        )

    def window(self, one: Annotation) -> SampledWindow:
        """A window to mark."""
        return SampledWindow(
            segment=self._segment(one),
            path=one.path,
            name=os.path.basename(one.path),
            start=one.start,
            end=one.end,
            probability=one.score or 0.0,
            **dict(one.columns),
        )

    def _segment(self, one: Annotation) -> str | None:
        """The last segment of the file that begins before the region does."""
        if one.path not in self._segments:
            rows = self._index.rows_of_file(one.path)
            starts = self._index.rows["start"].take(rows).to_pylist()
            self._segments[one.path] = starts, self._catalogue.segments.ids(rows)
        starts, ids = self._segments[one.path]
        return ids[max(0, bisect_right(starts, one.start) - 1)] if ids else None


def detector_entry(name: str, detector: Detector, folder: Path) -> DetectorEntry:
    """A detector, and how well it finds each label.

    Args:
        name: what it is called.
        detector: it.
        folder: where it is kept.
    """
    from soundloom.detectors.detector_folder import rounds_of

    half, labels = Aim(probability=0.5), []
    for one in detector.labels:
        point, quality = one.calibration.point(half), one.quality
        precision = quality.average_precision
        labels.append(
            DetectorReport(
                label=one.label,
                window=one.window,
                hop=detector.hop,
                average_precision=None if precision is None else estimate(precision),
                held_out=quality.held_out,
                positive=quality.positive,
                negative=quality.negative,
                unlabelled=quality.unlabelled,
                frequency=estimate(one.calibration.frequency),
                precision=estimate(point.precision),
                recall=estimate(point.recall),
            )
        )
    return DetectorEntry(
        name=name,
        model=detector.model_name,
        labels=labels,
        examples=len(detector.examples),
        rounds=len(rounds_of(folder)),
    )


def estimate(interval: Interval) -> Estimate:
    """An interval as the API shows it."""
    return Estimate(value=interval.value, low=interval.low, high=interval.high)


def operating_points(points: Mapping[str, OperatingPoint]) -> list[OperatingPointEntry]:
    """The threshold of every label."""
    return [
        OperatingPointEntry(
            label=label,
            threshold=point.threshold,
            precision=estimate(point.precision),
            recall=estimate(point.recall),
            reached=point.reached,
        )
        for label, point in points.items()
    ]


def failed_recordings(failed: Mapping[str, str]) -> list[FailedRecording]:
    """The files that could not be searched, by path."""
    return [FailedRecording(path=path, reason=reason) for path, reason in sorted(failed.items())]
