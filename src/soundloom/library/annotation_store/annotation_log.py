"""Append-only log of annotations, ``annotations.jsonl`` in a library's folder: JSON lines, by content hash.

    {"id": "3f0c9a...", "hash": "...", "path": "...", "start": 12.5, "end": 14.0, "label": "crow", ...}
    {"remove": ["3f0c9a..."]}

An annotation is about a content: it holds for every file with that hash, whatever its name. Its id follows from what it
says, so one that is written twice counts once. A last line without its end, of a process that was killed, is dropped.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

from soundloom.annotations import Annotation
from soundloom.errors import LibraryError
from soundloom.system_errors import reason_of

__all__ = ["LOG", "AnnotationLog", "KeptAnnotation"]

LOG = "annotations.jsonl"


@dataclass(frozen=True)
class KeptAnnotation:
    """An annotation, and the content that it is about.

    Attributes:
        hash: of the content.
        annotation: with the path that the content had when it was written.
    """

    hash: str
    annotation: Annotation

    @property
    def id(self) -> str:
        """What names it: the same for the same words about the same region, to the microsecond, of the same content."""
        one = self.annotation
        said = (self.hash, round(one.start, 6), round(one.end, 6), one.low, one.high, one.label, one.annotator)
        return blake2b(repr(said).encode(), digest_size=8).hexdigest()


class AnnotationLog:
    """The log in one file. The caller makes sure that nobody else writes to it meanwhile.

    Args:
        folder: the library's.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / LOG

    def add(self, annotations: Iterable[KeptAnnotation]) -> int:
        """Write annotations that are not there yet; returns how many these were.

        Raises:
            LibraryError: the log is damaged, or cannot be written.
        """
        # Ids were of times in full once.
        known = {kept.id for kept in self.read().values()}
        new = {one.id: one for one in annotations if one.id not in known}
        self._append([{"id": number, "hash": one.hash, **asdict(one.annotation)} for number, one in new.items()])
        return len(new)

    def remove(self, ids: Sequence[str]) -> None:
        """Write that some no longer count; raises as `add`."""
        self._append([{"remove": list(ids)}] if ids else [])

    def read(self) -> dict[str, KeptAnnotation]:
        """The annotations that count, by id, in the order in which they were written.

        Raises:
            LibraryError: the log is damaged; says in which line.
        """
        found: dict[str, KeptAnnotation] = {}
        for number, line in enumerate(self._text().splitlines(), start=1):
            try:
                plain = json.loads(line)
                for gone in plain.get("remove", ()):
                    found.pop(gone, None)
                if "id" in plain:
                    name, digest = plain.pop("id"), plain.pop("hash")
                    found[name] = KeptAnnotation(digest, Annotation(**plain))
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                raise LibraryError(
                    f"line {number} of the annotations {str(self._file)!r} is damaged ({error}): repair or remove it"
                ) from None
        return found

    def _text(self) -> bytes:
        """The whole lines."""
        try:
            text = self._file.read_bytes()
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise LibraryError(f"cannot read {str(self._file)!r}: {reason_of(error)}") from None
        return text[: text.rfind(b"\n") + 1]

    def _append(self, records: Sequence[dict[str, Any]]) -> None:
        if not records:
            return
        whole = len(self._text())
        lines = b"".join(json.dumps(record, ensure_ascii=False).encode() + b"\n" for record in records)
        try:
            with open(self._file, "ab", buffering=0) as log:
                log.truncate(whole)
                try:
                    rest = memoryview(lines)
                    while rest:
                        rest = rest[log.write(rest) :]
                    os.fsync(log.fileno())
                except OSError:
                    log.truncate(whole)
                    raise
        except OSError as error:
            raise LibraryError(f"cannot write the annotations {str(self._file)!r}: {reason_of(error)}") from None
