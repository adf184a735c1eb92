"""Append-only log of annotations, ``annotations.jsonl`` in a library's folder: JSON lines, by content hash.

    {"id": "3f0c9a...", "hash": "...", "path": "...", "start": 12.5, "end": 14.0, "label": "crow", ...}
    {"remove": ["3f0c9a..."]}

An annotation is about a content: it holds for every file with that hash, whatever its name. Its path is the last place
of the content that is known, and is written again when the files move: of lines with one id the last counts. The id
follows from what the annotation says, so one that is written twice counts once, and one that says more of a region
(limits in frequency, an annotator) than another with its label takes that one's place. A last line without its end, of
a process that was killed, is dropped.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

from soundloom.annotations import Annotation
from soundloom.atomic_file import append_durably
from soundloom.errors import LibraryError
from soundloom.library.library_files import ANNOTATIONS_FILE
from soundloom.library.storage.table_schema import FileState
from soundloom.system_errors import reason_of

__all__ = ["AnnotationLog", "KeptAnnotation"]


@dataclass(frozen=True)
class KeptAnnotation:
    """An annotation, and the content that it is about.

    Attributes:
        hash: of the content.
        annotation: with the last place of the content that is known.
    """

    hash: str
    annotation: Annotation

    @property
    def id(self) -> str:
        """What names it: the same for the same words about the same region, to the microsecond, of the same content."""
        one = self.annotation
        said = (self.hash, round(one.start, 6), round(one.end, 6), one.low, one.high, one.label, one.annotator)
        return blake2b(repr(said).encode(), digest_size=8).hexdigest()

    @property
    def region(self) -> tuple[str, float, float, str]:
        """The content, the seconds and the label; another annotation with the same may say more, or something else."""
        one = self.annotation
        return self.hash, round(one.start, 6), round(one.end, 6), one.label

    def joined(self, other: KeptAnnotation) -> KeptAnnotation | None:
        """What this and another of its region say together; None where they contradict each other."""
        one, two = self.annotation, other.annotation
        bounds = [(each.low, each.high) for each in (one, two) if (each.low, each.high) != (None, None)]
        annotators = {one.annotator, two.annotator} - {""}
        if len(set(bounds)) > 1 or len(annotators) > 1:
            return None
        low, high = bounds[0] if bounds else (None, None)
        said = replace(
            one, low=low, high=high, annotator="".join(annotators), columns={**two.columns, **one.columns},
            score=two.score if one.score is None else one.score,
        )  # fmt: skip
        return KeptAnnotation(self.hash, said)


class AnnotationLog:
    """The log in one file. The caller makes sure that nobody else writes to it meanwhile.

    Args:
        folder: the library's.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / ANNOTATIONS_FILE

    def add(self, annotations: Iterable[KeptAnnotation]) -> int:
        """Write annotations that are not there yet; returns how many these were.

        One that says more than one that is there is written in its place, and counts as known.

        Raises:
            LibraryError: the log is damaged, or cannot be written.
        """
        there = self.read()
        written = {kept.id: number for number, kept in there.items()}  # ids were of times in full once
        held = {kept.id: kept for kept in there.values()}
        of_region: dict[tuple[str, float, float, str], list[str]] = defaultdict(list)
        for number, kept in held.items():
            of_region[kept.region].append(number)
        new = 0
        for one in annotations:
            if one.id in held:
                continue
            beside = of_region[one.region]
            whole = one
            for number in beside:
                if joined := held[number].joined(one):
                    whole = joined
                    beside.remove(number)
                    del held[number]
                    break
            else:
                new += 1
            if whole.id not in held:
                held[whole.id] = whole
                beside.append(whole.id)
        gone = [{"remove": [number]} for identity, number in written.items() if identity not in held]
        self._append([*gone, *(_record(name, one) for name, one in held.items() if name not in written)])
        return new

    def note_places(self, files: Mapping[str, FileState], renamed: Callable[[str], str] = str) -> None:
        """Write where the contents are now, so that an annotation stays there when its content is gone.

        A damaged log is left as it is, for `read` to report.

        Args:
            files: the library's, by path.
            renamed: the path that a file or a folder has now, by the one that it had; for contents that are gone.

        Raises:
            LibraryError: the log cannot be written.
        """
        try:
            kept = self.read()
        except LibraryError:
            return
        places = {state.hash: path for path, state in sorted(files.items(), reverse=True)} if kept else {}
        said = []
        for name, one in kept.items():
            path = one.annotation.path
            if path in files and files[path].hash == one.hash:
                continue
            if (place := places.get(one.hash) or renamed(path)) != path:
                said.append(_record(name, KeptAnnotation(one.hash, replace(one.annotation, path=place))))
        self._append(said)

    def lost(self, files: Callable[[], Mapping[str, FileState]]) -> dict[str, Counter[str]]:
        """The annotations of contents that are gone: content -> last place known -> how many there are.

        A damaged log has none, and is left for `read` to report.

        Args:
            files: gives the library's files, by path; called if there are annotations.
        """
        found: dict[str, Counter[str]] = defaultdict(Counter)
        with suppress(LibraryError):
            kept = self.read().values()
            held = {state.hash for state in files().values()} if kept else set()
            for one in kept:
                if one.hash not in held:
                    found[one.hash][one.annotation.path] += 1
        return found

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
            append_durably(self._file, lines, after=whole)
        except OSError as error:
            raise LibraryError(f"cannot write the annotations {str(self._file)!r}: {reason_of(error)}") from None


def _record(name: str, kept: KeptAnnotation) -> dict[str, Any]:
    """The line of an annotation."""
    return {"id": name, "hash": kept.hash, **asdict(kept.annotation)}
