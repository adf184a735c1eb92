"""Registry of the roots of a library: the folders and files that it was filled from, in ``roots.json``.

    {"format": 2, "library": "...", "roots": [{"id": "...", "path": "...", "indexed": "...", "missing": [...],
     "pending": null}], "checksum": "..."}

A root has an id of its own: its path changes when it is relocated. ``missing`` are the files that were not there when
the root was last indexed and whose rows were kept. ``pending`` is a change of the root that has begun, a relocation or
the removal of its rows: it is written before the rows change and finished by the process that opens the registry next,
so a process killed in between leaves nothing half done. A root that lies in another one is not listed.

The files of earlier versions, ``{"roots": ["..."]}``, are read as well.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from soundloom.atomic_file import write_atomically
from soundloom.errors import InvalidArgumentError, LibraryError
from soundloom.library.storage.root_paths import RootLookup, by_components, is_below, is_empty, outermost
from soundloom.remote import is_there

if TYPE_CHECKING:
    from soundloom.library.storage.store import Store

__all__ = ["Presence", "RootEntry", "RootRegistry"]

_FORMAT = 2


@dataclass(frozen=True)
class RootEntry:
    """What the registry keeps of a root; see the module."""

    path: str
    id: str
    indexed: str | None = None
    missing: tuple[str, ...] = ()
    pending: str | None = None

    @classmethod
    def of(cls, path: str) -> RootEntry:
        """A root that is new."""
        return cls(path, uuid4().hex)


class RootRegistry:
    """The roots of one library. The caller holds the lock of adding while it changes them.

    Args:
        folder: the library's.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / "roots.json"
        self._last_read: tuple[bytes, str | None, list[RootEntry]] | None = None

    def entries(self) -> list[RootEntry]:
        """The roots, sorted by path.

        Raises:
            LibraryError: the file is damaged.
        """
        return self._read()[1]

    def paths(self) -> list[str]:
        """Where the roots are, sorted."""
        return [entry.path for entry in self.entries()]

    def library_id(self) -> str | None:
        """An id that the library got when it was first filled; None before that."""
        return self._read()[0]

    def remember(self, roots: Iterable[str]) -> None:
        """Add roots; nothing is written if all of them are known."""
        library, known = self._read()
        by_path = {entry.path: entry for entry in known}
        every = [by_path.get(path) or RootEntry.of(path) for path in outermost([*by_path, *roots])]
        if library is None or every != known:
            lost = [path for entry in known if entry not in every for path in entry.missing]
            self._write(library, [replace(one, missing=_below(one, [*one.missing, *lost])) for one in every])

    def record(self, scanned: Iterable[str], missing: Iterable[str]) -> None:
        """Note that roots were indexed just now, and which of their files were missing and kept."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        library, entries = self._read()
        just_scanned, roots = RootLookup(scanned), RootLookup(entry.path for entry in entries)
        kept = [path for entry in entries for path in entry.missing if just_scanned.root_of(path) is None]
        by_root: dict[str | None, set[str]] = {}
        for path in [*kept, *missing]:
            by_root.setdefault(roots.root_of(path), set()).add(path)
        after = [
            replace(
                entry,
                missing=tuple(sorted(by_root.get(entry.path.rstrip(os.sep) or os.sep, ()))),
                indexed=entry.indexed if just_scanned.root_of(entry.path) is None else now,
            )
            for entry in entries
        ]
        self._write(library, after)

    def relocate(self, store: Store, old: str, new: str) -> None:
        """Give the rows below a path another one, and the root its new path."""
        library, entries = self._read()
        below = [one for one in entries if is_below(one.path, [old])]
        if not below:
            below = [RootEntry.of(old)]
        moving = [replace(one, pending=new + one.path.removeprefix(old)) for one in below]
        self._write(library, [*(one for one in entries if one not in below), *moving])
        self.finish_pending(store)

    def forget(self, store: Store, path: str) -> None:
        """Remove the rows below a root, and the root."""
        library, entries = self._read()
        if not any(entry.path == path for entry in entries):
            entries = [*entries, RootEntry.of(path)]
        self._write(library, [replace(one, pending="") if one.path == path else one for one in entries])
        self.finish_pending(store)

    def finish_pending(self, store: Store) -> None:
        """Finish relocations and removals that have begun."""
        library, entries = self._read()
        for entry in [one for one in entries if one.pending is not None]:
            others = [one for one in entries if one != entry]
            if entry.pending:
                store.rename_folder(entry.path, entry.pending)
                moved = [entry.pending + path.removeprefix(entry.path) for path in entry.missing]
                entries = [*others, replace(entry, path=entry.pending, missing=tuple(moved), pending=None)]
            else:
                store.remove_folder(entry.path)
                entries = others
            kept = set(outermost(one.path for one in entries))
            # The relocated root takes the place of one that was registered under its new path.
            entries = list({one.path: one for one in entries if one.path in kept}.values())
            self._write(library, entries)

    def check(self) -> None:
        """Read the whole file.

        Raises:
            LibraryError: it is damaged.
        """
        self._read()

    def _read(self) -> tuple[str | None, list[RootEntry]]:
        """The library's id and its roots."""
        try:
            content = self._file.read_bytes()
            # Every commit asks which library this is, which of many thousand files named one by one takes a while.
            if self._last_read is None or self._last_read[0] != content:
                self._last_read = (content, *self._parsed(content))
            _, library, entries = self._last_read
            return library, list(entries)
        except FileNotFoundError:
            return None, []

    def _parsed(self, content: bytes) -> tuple[str | None, list[RootEntry]]:
        try:
            data = json.loads(content)
            if "format" not in data:
                return None, [RootEntry.of(str(Path(path))) for path in data["roots"]]
            if data["format"] != _FORMAT:
                raise LibraryError(
                    f"the list of folders {str(self._file)!r} has format {data['format']}, this version reads "
                    f"{_FORMAT}: use the version of soundloom that wrote it"
                )
            if data.pop("checksum") != _checksum(data):
                raise InvalidArgumentError("its checksum does not fit")
            return data["library"], [RootEntry(**{**one, "missing": tuple(one["missing"])}) for one in data["roots"]]
        except (ValueError, KeyError, TypeError) as error:
            raise LibraryError(
                f"the list of folders {str(self._file)!r} is damaged ({error}): remove it, and name the folders when "
                "you index again"
            ) from None

    def _write(self, library: str | None, entries: Iterable[RootEntry]) -> None:
        every = sorted(entries, key=lambda entry: by_components(entry.path))
        data: dict[str, Any] = {"format": _FORMAT, "library": library or uuid4().hex}
        data["roots"] = [asdict(entry) | {"missing": list(entry.missing)} for entry in every]
        try:
            write_atomically(self._file, json.dumps({**data, "checksum": _checksum(data)}, indent=2) + "\n")
        except OSError as error:
            raise LibraryError(f"cannot write {str(self._file)!r}: {error.strerror}") from None


class Presence:
    """Finds which files of a library are not there now: their root is absent, or they are gone themselves.

    Args:
        registry: the library's roots.
    """

    def __init__(self, registry: RootRegistry) -> None:
        self._registry = registry

    def absent(self, paths: Iterable[str]) -> list[bool]:
        """For every path, whether the file is not there."""
        try:
            roots = RootLookup(self._registry.paths())
        except LibraryError:
            roots = RootLookup([])  # a damaged list is reported when it is changed
        gone: dict[str | None, bool] = {None: False}
        known: dict[str, bool] = {}
        every = list(paths)
        for path in every:
            root = roots.root_of(path)
            if root not in gone:
                gone[root] = root is not None and is_empty(root)
            if path not in known:
                known[path] = gone[root] or not is_there(path)
        return [known[path] for path in every]


def _below(entry: RootEntry, paths: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({path for path in paths if is_below(path, [entry.path])}))


def _checksum(data: Mapping[str, Any]) -> str:
    return blake2b(json.dumps(data, sort_keys=True).encode(), digest_size=16).hexdigest()
