"""Notices: facts about a decoded file that its owner should know and that are not errors."""

from __future__ import annotations

from dataclasses import dataclass

from soundloom.errors import InvalidArgumentError

__all__ = ["NOTICE_KINDS", "Notice"]

NOTICE_KINDS = {
    "silent": "digital silence",
    "quiet": "very quiet",
    "short": "shorter than the model takes, padded with silence",
    "loud": "far above full scale",
    "cancelled": "channels that cancel when mixed",
    "ultrasonic": "most energy above the model's range",
    "repaired": "a wrong length in the header, repaired",
    "truncated": "cut short, taken as it is",
    "joined": "several streams joined end to end",
    "track": "several audio tracks",
    "unclosed": "no mark at the end; perhaps cut there",
}
"""The code of every notice -> what the files that have it have in common, for summaries."""


@dataclass(frozen=True)
class Notice:
    """Something that was noticed while a file was decoded.

    Attributes:
        code: one of `NOTICE_KINDS`.
        text: what was noticed in this file, and what can be done; one line.
    """

    code: str
    text: str

    def __post_init__(self) -> None:
        if self.code not in NOTICE_KINDS:
            raise InvalidArgumentError(f"notice code {self.code!r}: the codes are {', '.join(NOTICE_KINDS)}")
