"""Append-only log of tag edits: JSON lines, by content hash, with a checksum file that notices truncation.

    {"id": "5f0c...", "decisions": [{"tag": "siren", "wanted": true, "path": "...", "hash": "...", "starts": null}]}
    {"id": "91ab...", "undoes": "5f0c...", "restore": [{"hash": "...", "starts": [0], "add": [], "remove": ["siren"]}]}
    {"id": "c2d3...", "changes": [{"path": "...", "from": "...", "to": "..."}]}
    {"id": "e4f5...", "gone": [{"hash": "...", "tags": {"siren": null, "loud": [0, 5]}}]}

A decision is about a content: it applies to every file with that hash, whatever its name. ``starts`` are the start
seconds of its segments, null for the whole file. When a file is edited in place, ``changes`` hands the decisions about
the old content on to the new one. An edit that is undone counts for nothing, nor does an undoing that is itself undone.
``gone`` are the tags that the rows of a content had by tables when they were removed: they are its first tags when it
is indexed again, and no decisions, so that a table can replace them then.

``tags.sum`` beside the log holds how many bytes of it the library's rows show, and their checksum. A log that is
shorter, or differs, is damaged and refused. Lines after them were written by a process that was killed before its
commit: they are `pending`, and applied next. A last line without its end is dropped.

Logs without ``tags.sum`` were written by earlier versions: their decisions hold for the path where the content is gone.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import blake2b
from pathlib import Path
from types import MappingProxyType
from typing import Any
from uuid import uuid4

from soundloom.atomic_file import append_durably, write_atomically
from soundloom.errors import InvalidArgumentError, LibraryError
from soundloom.library.storage.table_schema import FileState
from soundloom.system_errors import reason_of

__all__ = ["ContentChange", "Decision", "DecisionLog", "Decisions", "GoneTags", "Restoration"]

Tags = frozenset[str]


@dataclass(frozen=True)
class Decision:
    """A decision about one tag and one content.

    Attributes:
        tag: the tag.
        wanted: whether the segments shall have it.
        path: a file that had the content at the time.
        starts: the start seconds of the segments meant; None means the whole file.
        hash: of the content; empty in the oldest logs, which name files by path alone.
    """

    tag: str
    wanted: bool
    path: str
    starts: frozenset[float] | None
    hash: str = ""

    def of_content(self, digest: str) -> Decision:
        """The decision with the hash of the content that it is about."""
        return replace(self, hash=digest)


@dataclass(frozen=True)
class ContentChange:
    """A file that was edited in place: the hashes of its content before and after."""

    path: str
    before: str
    after: str


@dataclass(frozen=True)
class Restoration:
    """Tags that an undoing gives back to and takes from some segments of a content."""

    hash: str
    starts: frozenset[float]
    add: Tags
    remove: Tags


@dataclass(frozen=True)
class GoneTags:
    """The tags that tables gave to a content whose rows are removed.

    Attributes:
        hash: of the content.
        tags: tag -> the start seconds of the segments that had it; None means the whole file.
    """

    hash: str
    tags: Mapping[str, frozenset[float] | None]

    def at(self, start: float) -> Tags:
        """The tags of the segment that begins at a second."""
        return frozenset(tag for tag, starts in self.tags.items() if starts is None or start in starts)


class Decisions:
    """The decisions in force, by content.

    Args:
        by_hash: content hash -> decisions with their places in the log, oldest first.
        by_path: the same for decisions that are known by path alone.
        gone: content hash -> the tags that tables had given to it when its rows were removed.
    """

    def __init__(
        self,
        by_hash: Mapping[str, list[tuple[int, Decision]]],
        by_path: Mapping[str, list[tuple[int, Decision]]],
        gone: Mapping[str, GoneTags] = MappingProxyType({}),
    ) -> None:
        self._by_hash = by_hash
        self._by_path = by_path
        self._gone = gone

    def __bool__(self) -> bool:
        return bool(self._by_hash or self._by_path)

    def concern(self, path: str, digest: str) -> bool:
        """Whether some decision is about a file."""
        return digest in self._by_hash or path in self._by_path

    def when_gone(self, digest: str) -> GoneTags:
        """The tags that tables had given to a content when its rows were removed; none if they never were."""
        return self._gone.get(digest, GoneTags(digest, {}))

    def apply(self, tags: Tags, path: str, digest: str, start: float) -> Tags:
        """The tags of a segment after all decisions about it; of two about the same tag the later counts."""
        decided = self._by_hash.get(digest, [])
        if path in self._by_path:
            decided = sorted([*decided, *self._by_path[path]], key=lambda numbered: numbered[0])
        for _, decision in decided:
            if decision.starts is None or start in decision.starts:
                tags = tags | {decision.tag} if decision.wanted else tags - {decision.tag}
        return tags


class DecisionLog:
    """The log in one file. The caller makes sure that nobody else writes to it meanwhile.

    Args:
        file: the log; made by the first edit.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._sum = file.with_suffix(".sum")

    def append(self, decisions: Sequence[Decision]) -> str:
        """Write an edit; it is on the disk when this returns. Returns its id."""
        plain = [
            asdict(decision) | {"starts": None if decision.starts is None else sorted(decision.starts)}
            for decision in decisions
        ]
        return self._append({"decisions": plain})

    def undo(self, identity: str, restorations: Iterable[Restoration]) -> str:
        """Write that an edit, or an undoing, was taken back, and what that does to which rows. Returns its id."""
        restore = [
            {"hash": one.hash, "starts": sorted(one.starts), "add": sorted(one.add), "remove": sorted(one.remove)}
            for one in restorations
        ]
        return self._append({"undoes": identity, "restore": restore})

    def hand_on(self, changes: Iterable[ContentChange]) -> None:
        """Write that files were edited in place: decisions about the old content now hold for the new one."""
        plain = [{"path": change.path, "from": change.before, "to": change.after} for change in changes]
        if plain:
            self._append({"changes": plain})

    def keep_gone(self, gone: Iterable[GoneTags]) -> None:
        """Write which tags tables had given to contents whose rows are about to be removed; no row shows it."""
        plain = [
            {"hash": one.hash, "tags": {tag: starts and sorted(starts) for tag, starts in sorted(one.tags.items())}}
            for one in gone
        ]
        if plain:
            shown = not self.is_pending
            self._append({"gone": plain})
            if shown:
                self.mark_applied()

    def in_force(self, files: Mapping[str, FileState]) -> Decisions:
        """The decisions that count.

        Args:
            files: the files of the library, by path; needed for logs of earlier versions.

        Raises:
            LibraryError: the log is damaged.
        """
        edits, legacy = self._edits(), not self._sum.exists()
        undone: set[str] = set()
        for edit in reversed(edits):
            if "undoes" in edit and edit["id"] not in undone:
                undone.add(edit["undoes"])
        by_hash: dict[str, list[tuple[int, Decision]]] = defaultdict(list)
        by_path: dict[str, list[tuple[int, Decision]]] = defaultdict(list)
        gone: dict[str, GoneTags] = {}
        held = {state.hash for state in files.values()} if legacy else set()
        for number, edit in enumerate(edits):
            for plain in edit.get("decisions", []) if edit["id"] not in undone else []:
                starts = plain["starts"]
                decision = Decision(**(plain | {"starts": None if starts is None else frozenset(starts)}))
                if decision.hash:
                    by_hash[decision.hash].append((number, decision))
                if not decision.hash or (legacy and decision.hash not in held):
                    by_path[decision.path].append((number, decision))
            for change in edit.get("changes", []):
                # Without a hash before: a decision about a path is bound to a content, and leaves the path.
                before = by_hash.get(change["from"], []) if change["from"] else by_path.pop(change["path"], [])
                after = by_hash[change["to"]]
                after += [numbered for numbered in before if numbered not in after]
            for plain in edit.get("gone", []):
                tags = {tag: starts and frozenset(starts) for tag, starts in plain["tags"].items()}
                gone[plain["hash"]] = GoneTags(plain["hash"], tags)
        return Decisions({key: some for key, some in by_hash.items() if some}, dict(by_path), gone)

    def origins(self) -> dict[str, set[str]]:
        """For every content that a file got by being edited in place, the contents that it had before."""
        origins: dict[str, set[str]] = defaultdict(set)
        for edit in self._edits():
            for change in edit.get("changes", []):
                origins[change["to"]] |= {change["from"], *origins.get(change["from"], ())}
        return dict(origins)

    def pending(self) -> list[Restoration]:
        """What undoings that no commit has shown yet give back; see `is_pending`."""
        applied = self._applied()
        return [
            Restoration(one["hash"], frozenset(one["starts"]), frozenset(one["add"]), frozenset(one["remove"]))
            for edit in (self._edits(applied[0]) if applied is not None else [])
            for one in edit.get("restore", [])
        ]

    @property
    def is_pending(self) -> bool:
        """Whether the log ends with lines that the library's rows may not show."""
        applied = self._applied()
        return applied is not None and self.size > applied[0]

    @property
    def size(self) -> int:
        """The length of the log in bytes."""
        return self._file.stat().st_size if self._file.exists() else 0

    def mark_applied(self) -> None:
        """Write that the library's rows show the whole log."""
        text = self._read()
        facts = {"format": 1, "bytes": len(text), "checksum": _checksum(text)}
        write_atomically(self._sum, json.dumps(facts) + "\n")

    def adopt_paths(self, files: Mapping[str, FileState]) -> None:
        """Once for a log of an earlier version: bind decisions that hold for a path to the content that it has now."""
        if self._sum.exists() or not self._file.exists():
            return
        held = {state.hash for state in files.values()}
        changes = {
            ContentChange(plain["path"], plain.get("hash", ""), files[plain["path"]].hash): None
            for edit in self._edits()
            for plain in edit.get("decisions", [])
            if plain["path"] in files and plain.get("hash", "") not in held
        }
        self.hand_on(changes)
        self.mark_applied()

    def roll_back(self, size: int) -> None:
        """Shorten the log to an earlier length, after a commit that failed."""
        with open(self._file, "r+b") as log:
            log.truncate(size)

    def check(self) -> None:
        """Read the whole log.

        Raises:
            LibraryError: it is damaged.
        """
        self._edits()

    def _append(self, edit: dict[str, Any]) -> str:
        identity = uuid4().hex
        whole = len(self._read())  # also refuses a damaged log
        line = json.dumps({"id": identity, **edit}, ensure_ascii=False).encode() + b"\n"
        try:
            if not self._file.exists() and not self._sum.exists():
                self.mark_applied()  # from its first line on it is no log of an earlier version
            append_durably(self._file, line, after=whole)
        except OSError as error:
            raise LibraryError(f"cannot write the tags to {str(self._file)!r}: {reason_of(error)}") from None
        return identity

    def _applied(self) -> tuple[int, str] | None:
        """How many bytes the rows show, and their checksum; None for a log of an earlier version: all of it."""
        try:
            facts = json.loads(self._sum.read_text(encoding="utf-8"))
            return int(facts["bytes"]), str(facts["checksum"])
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise LibraryError(
                f"the checksum of the log of tags {str(self._sum)!r} is damaged ({error}): restore it, or remove it "
                "if the log itself is whole"
            ) from None

    def _read(self) -> bytes:
        """The whole lines of the log.

        Raises:
            LibraryError: it is shorter than it was, or differs from what was written.
        """
        applied = self._applied()  # before the text: others may append to it meanwhile
        text = self._file.read_bytes() if self._file.exists() else b""
        if applied is not None and (len(text) < applied[0] or _checksum(text[: applied[0]]) != applied[1]):
            state = f"{len(text)} of {applied[0]} bytes" if len(text) < applied[0] else "changed since it was written"
            raise LibraryError(
                f"the log of tags {str(self._file)!r} is damaged ({state}): restore it from a copy, or go on with "
                f"what is left by removing {str(self._sum)!r}; the tags in the library are unharmed"
            )
        return text[: text.rfind(b"\n") + 1]

    def _edits(self, first_byte: int = 0) -> list[dict[str, Any]]:
        try:
            edits = [json.loads(line) for line in self._read()[first_byte:].splitlines()]
            if not all(isinstance(edit, dict) and isinstance(edit["id"], str) for edit in edits):
                raise InvalidArgumentError("an edit without an id")
        except (ValueError, KeyError) as error:
            raise LibraryError(
                f"the log of tags {str(self._file)!r} is damaged ({error}): repair or remove the line; "
                "the tags in the library are unharmed"
            ) from None
        return edits


def _checksum(text: bytes) -> str:
    return blake2b(text, digest_size=16).hexdigest()
