"""Detectors: sounds found in recordings by what was marked in others, with calibrated probabilities.

The names below are loaded when they are first used: intervals and aims need no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from soundloom.lazy_names import lazy_names

if TYPE_CHECKING:
    from soundloom.detectors.calibration import Aim, Calibration, Interval, OperatingPoint
    from soundloom.detectors.detection import DetectionReport
    from soundloom.detectors.detector import Detector
    from soundloom.detectors.detector_folder import find_detectors
    from soundloom.detectors.label_detector import LabelDetector, Quality
    from soundloom.detectors.library_detectors import LibraryDetectors

__all__ = [
    "Aim",
    "Calibration",
    "DetectionReport",
    "Detector",
    "Interval",
    "LabelDetector",
    "LibraryDetectors",
    "OperatingPoint",
    "Quality",
    "find_detectors",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "Aim": "calibration",
        "Calibration": "calibration",
        "DetectionReport": "detection",
        "Detector": "detector",
        "find_detectors": "detector_folder",
        "Interval": "calibration",
        "LabelDetector": "label_detector",
        "LibraryDetectors": "library_detectors",
        "OperatingPoint": "calibration",
        "Quality": "label_detector",
    },
)
