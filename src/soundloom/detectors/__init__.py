"""Detectors: sounds found in recordings by what was marked in others, with calibrated probabilities."""

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
