"""Sites and times of recordings that need not be in a library, by their names, headers and a table of deployments."""

from __future__ import annotations

from datetime import datetime

from soundloom import audio
from soundloom.annotations import Annotation
from soundloom.errors import AudioError
from soundloom.file_names import os_path
from soundloom.library import Deployments, RecordingFilter, site_and_moment
from soundloom.library.indexing.file_facts import read_facts

__all__ = ["RecordingTimes"]


class RecordingTimes:
    """Where and when recordings were made; a file's time of change is not taken for that.

    Args:
        deployments: of the recordings.
        decoding: how they are decoded.
    """

    def __init__(self, deployments: Deployments, decoding: audio.DecodeOptions) -> None:
        self._deployments, self._decoding = deployments, decoding
        self._begun: dict[str, datetime] = {}
        self._read: set[str] = set()

    def overlap(self, path: str, where: RecordingFilter) -> bool:
        """Whether some of a recording is meant; one that cannot be read is, so that detection reports it."""
        try:
            seconds = audio.info(os_path(path), options=self._decoding).duration or 0.0
        except AudioError:
            return True
        site, begun = site_and_moment(Annotation(path, 0.0, seconds), self._deployments, self._times(path))
        return where.overlaps(site, begun, max(seconds, 1e-3))

    def admit(self, one: Annotation, where: RecordingFilter) -> bool:
        """Whether a region of a recording is meant."""
        return where.admits(*site_and_moment(one, self._deployments, self._times(one.path)))

    def _times(self, path: str) -> dict[str, datetime]:
        if path not in self._read:
            self._read.add(path)
            facts = read_facts(path)
            if facts.recorded and facts.recorded_by != "file":
                self._begun[path] = datetime.fromisoformat(facts.recorded)
        return self._begun
