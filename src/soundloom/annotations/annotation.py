"""Annotation: a region of a sound, in time and frequency, and what a person or a program says of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

from soundloom.errors import InvalidArgumentError

__all__ = ["UNMARKED", "Annotation"]

UNMARKED = "?"
"""The label of a region that waits for somebody to mark it."""


@dataclass(frozen=True)
class Annotation:
    """A region of a sound, and what is said of it.

    Attributes:
        path: the file, as text (`soundloom.file_names`).
        start: where the region begins, in seconds of the file.
        end: where it ends, not before ``start``.
        label: what is said of it, in a few words.
        score: how sure that is: an annotator's certainty, or a program's score; None where nothing was said.
        duration: length of the file in seconds, which Raven's tables of several files need; None: its header says it.
        columns: further facts, by name; the same names for every annotation of a file.
        low: the lower limit in hertz of the file; None where there is none.
        high: the upper limit in hertz, not below ``low``.
        annotator: who says so.

    Raises:
        InvalidArgumentError: the end lies before the start, the upper frequency below the lower, or a number is not
            finite or negative.
    """

    path: str
    start: float
    end: float
    label: str = ""
    score: float | None = None
    duration: float | None = None
    columns: Mapping[str, Any] = field(default_factory=dict)
    low: float | None = None
    high: float | None = None
    annotator: str = ""

    def __post_init__(self) -> None:
        given = {"start": self.start, "end": self.end, "low": self.low, "high": self.high}
        odd = {
            name: value for name, value in given.items() if value is not None and not (isfinite(value) and value >= 0)
        }
        if odd:
            raise InvalidArgumentError(f"an annotation has numbers that are finite and not negative, got {odd}")
        if self.end < self.start:
            raise InvalidArgumentError(f"an annotation ends after its start, got {self.start:g} s to {self.end:g} s")
        if self.low is not None and self.high is not None and self.high < self.low:
            raise InvalidArgumentError(f"the upper limit lies below the lower: {self.low:g} Hz to {self.high:g} Hz")
        if self.score is not None and not isfinite(self.score):
            raise InvalidArgumentError(f"the score of an annotation is finite, got {self.score}")

    def record(self) -> dict[str, Any]:
        """The annotation as named values; limits in frequency and the annotator only where they are known."""
        plain = {"path": self.path, "start": self.start, "end": self.end, "label": self.label, "score": self.score}
        known = {"low": self.low, "high": self.high, "annotator": self.annotator or None}
        return {**plain, **{name: value for name, value in known.items() if value is not None}, **self.columns}
