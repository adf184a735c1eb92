"""The log of what persons decided about tags: a line an edit, only ever appended to, readable with any editor.

    {"id": "5f0c...", "decisions": [{"tag": "siren", "wanted": true, "path": "...", "hash": "...", "starts": null}]}
    {"id": "91ab...", "undoes": "5f0c..."}

``starts`` are the seconds at which the segments meant begin, null for the whole file; ``hash`` is the content's when it
was decided, by which the decision finds a file that has moved. An edit that is undone counts for nothing, nor does an
undoing that is itself undone.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO
from uuid import uuid4

from soundloom.errors import InvalidArgumentError, LibraryError
from soundloom.library.storage.store import FileState

__all__ = ["Decision", "DecisionLog"]


@dataclass(frozen=True)
class Decision:
    """What was decided about one tag and one file.

    Attributes:
        tag: the tag.
        wanted: whether the segments shall have it.
        path: the file.
        starts: where the segments meant begin, in seconds; None means the whole file.
        hash: of the file's content at the time.
    """

    tag: str
    wanted: bool
    path: str
    starts: frozenset[float] | None
    hash: str = ""

    def of_content(self, digest: str) -> Decision:
        """The decision with the hash of the file it was made about."""
        return replace(self, hash=digest)


class DecisionLog:
    """The log in one file. Whoever calls `append` or `undo` sees to it that nobody else does meanwhile.

    Args:
        file: the log; made by the first edit.
    """

    def __init__(self, file: Path) -> None:
        self._file = file

    def append(self, decisions: Sequence[Decision]) -> str:
        """Note an edit; it is on the disk when this returns. Returns its id."""
        plain = [
            asdict(decision) | {"starts": None if decision.starts is None else sorted(decision.starts)}
            for decision in decisions
        ]
        return self._append({"decisions": plain})

    def undo(self, number: str) -> str:
        """Note that an edit, or an undoing, was taken back. Returns the id of this undoing."""
        return self._append({"undoes": number})

    def standing(self, files: Callable[[], Mapping[str, FileState]]) -> dict[str, list[Decision]]:
        """The decisions that count, oldest first, by the path that their file has now.

        Args:
            files: gives the files of the library; asked only if there is a decision.

        Raises:
            LibraryError: the log is damaged.
        """
        edits = self._edits()
        undone: set[str] = set()
        for edit in reversed(edits):
            if "undoes" in edit and edit["id"] not in undone:
                undone.add(edit["undoes"])
        counting = [edit for edit in edits if "decisions" in edit and edit["id"] not in undone]
        if not counting:
            return {}
        known = files()
        of_content: dict[str, list[str]] = defaultdict(list)
        for path, state in known.items():
            of_content[state.hash].append(path)
        by_path: dict[str, list[Decision]] = defaultdict(list)
        for edit in counting:
            for plain in edit["decisions"]:
                starts = plain["starts"]
                decision = Decision(**(plain | {"starts": None if starts is None else frozenset(starts)}))
                for path in [decision.path] if decision.path in known else of_content.get(decision.hash, ()):
                    by_path[path].append(decision)
        return dict(by_path)

    def _append(self, edit: dict[str, Any]) -> str:
        number = uuid4().hex
        try:
            with open(self._file, "a+b") as log:
                _cut_torn_line(log)
                log.write(json.dumps({"id": number, **edit}, ensure_ascii=False).encode() + b"\n")
                log.flush()
                os.fsync(log.fileno())
        except OSError as error:
            raise LibraryError(f"cannot write the tags to {str(self._file)!r}: {error.strerror}") from None
        return number

    def _edits(self) -> list[dict[str, Any]]:
        if not self._file.exists():
            return []
        text = self._file.read_bytes()
        lines = text[: text.rfind(b"\n") + 1].splitlines()
        try:
            edits = [json.loads(line) for line in lines]
            if not all(isinstance(edit, dict) and isinstance(edit["id"], str) for edit in edits):
                raise InvalidArgumentError("an edit without an id")
        except (ValueError, KeyError) as error:
            raise LibraryError(
                f"the log of tags {str(self._file)!r} is damaged ({error}): repair or remove the line; "
                "the tags in the library are unharmed"
            ) from None
        return edits


def _cut_torn_line(log: BinaryIO) -> None:
    """Drop what a process left that was killed while it wrote: a line without its end."""
    end = log.seek(0, os.SEEK_END)
    if end:
        log.seek(end - 1)
        if log.read(1) != b"\n":
            log.seek(0)
            log.truncate(log.read().rfind(b"\n") + 1)
