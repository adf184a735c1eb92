"""Sites and times of recordings that need not be in a library, by their names, headers and a table of deployments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from math import inf

from soundloom import audio
from soundloom.annotations import Annotation
from soundloom.annotations.column_map import without_empty
from soundloom.errors import AudioError
from soundloom.file_names import os_path
from soundloom.library.annotation_store.library_annotations import site_and_moment
from soundloom.library.indexing.file_facts import read_facts
from soundloom.library.search.fields.deployments import Deployments
from soundloom.library.search.fields.recording_filter import RecordingFilter

__all__ = ["RecordingTimes"]

_LONGEST = 1e6
"""Seconds that a recording lasts at most whose length is not known before it is decoded."""


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

    def spans(self, path: str, where: RecordingFilter, unread: dict[str, str]) -> list[tuple[float, float]]:
        """The stretches of a recording that are meant, in its seconds; the last may end with infinity, the file's end.

        All of one that cannot be read is meant if its beginning is.

        Args:
            path: of the recording.
            where: what is meant.
            unread: to it is added which files are not meant and cannot be read, and why.
        """
        site, begun = site_and_moment(Annotation(path, 0.0, 0.0), self._deployments, self._times(path))
        try:
            seconds = audio.info(os_path(path), options=self._decoding).duration
        except AudioError as error:
            if where.admits(site, begun):
                return [(0.0, inf)]
            unread[path] = error.reason
            return []
        length = _LONGEST if seconds is None else max(seconds, 1e-3)
        return [(start, inf if end >= length else end) for start, end in where.spans(site, begun, length)]

    def of(self, annotations: Sequence[Annotation]) -> list[Annotation]:
        """Annotations with the time of recording of each (``recorded``) and its ``site`` as columns, where known.

        Without a table of deployments folders count as sites where the times of recording are known.
        """
        found = []
        for one in annotations:
            site, moment = site_and_moment(one, self._deployments, self._times(one.path))
            known = moment is not None or bool(self._deployments.rows)
            columns = {"site": site if known else "", "recorded": "" if moment is None else _text(moment)}
            found.append(replace(one, columns={**one.columns, **columns}))
        return without_empty(found)

    def _times(self, path: str) -> dict[str, datetime]:
        if path not in self._read:
            self._read.add(path)
            facts = read_facts(path)
            if facts.recorded and facts.recorded_by != "file":
                self._begun[path] = datetime.fromisoformat(facts.recorded)
        return self._begun


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds" if moment.microsecond else "seconds")
