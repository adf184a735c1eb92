"""Registry of the roots of a library: the folders and files that it was filled from, in ``roots.json``.

    {"format": 2, "library": "...", "roots": [{"id": "...", "path": "...", "indexed": "...", "missing": [...],
     "pending": null}], "forgotten": ["..."], "checksum": "..."}

A root has an id of its own: its path changes when it is relocated. ``missing`` are the files that were not there when
the root was last indexed and whose rows were kept. ``pending`` is a change of the root that has begun, a relocation or
the removal of its rows: it is written before the rows change and finished by the process that opens the registry next,
so a process killed in between leaves nothing half done. ``forgotten`` are folders and files in roots that are left out
until they are named as roots. A root that lies in another one is dropped when that one has been indexed to the end,
unless a forgotten folder lies between them, or a search of that one passes it over (`Exclusions`): what was named is
wanted. A pattern that is given later leaves it out all the same.

The files of earlier versions, ``{"roots": ["..."]}``, are read as well.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import uuid4

from soundloom.atomic_file import write_atomically
from soundloom.errors import InvalidArgumentError, LibraryError
from soundloom.library.library_files import ROOTS_FILE
from soundloom.library.storage.exclusions import Exclusions, read_exclusions
from soundloom.library.storage.root_paths import RootLookup, by_components, is_below, is_empty, outermost, renamed
from soundloom.remote import is_there
from soundloom.system_errors import reason_of

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


class _Contents(NamedTuple):
    library: str | None = None
    entries: tuple[RootEntry, ...] = ()
    forgotten: tuple[str, ...] = ()


class RootRegistry:
    """The roots of one library. The caller holds the lock of adding while it changes them.

    Args:
        folder: the library's.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = folder / ROOTS_FILE
        self._last_read: tuple[bytes, _Contents] | None = None

    def entries(self) -> list[RootEntry]:
        """The roots, sorted by path.

        Raises:
            LibraryError: the file is damaged.
        """
        return list(self._read().entries)

    def paths(self) -> list[str]:
        """Where the roots are, sorted, without those whose removal has begun."""
        return [entry.path for entry in self.entries() if entry.pending != ""]

    def forgotten(self) -> list[str]:
        """The folders and files in roots that are left out, sorted."""
        return list(self._read().forgotten)

    def library_id(self) -> str | None:
        """An id that the library got when it was first filled; None before that."""
        return self._read().library

    def remember(self, roots: Iterable[str], *, replacing: bool = True) -> None:
        """Add roots, and take them back where they were forgotten; nothing is written if all of them are known.

        Args:
            roots: the roots.
            replacing: whether those that lie in others are dropped now; otherwise `record` drops those that were there,
                and the new ones are dropped that lie in a root that has been indexed, or is as new.
        """
        library, known, forgotten = self._read()
        by_path = {entry.path: entry for entry in known}
        named = list(roots)
        left = tuple(path for path in forgotten if path not in named)
        paths = sorted({*by_path, *named}, key=by_components)
        settled = [path for path in paths if path not in by_path or by_path[path].pending is None]
        dropped = _nested(settled, left, self._exclusions())
        if not replacing:
            whole = {path for path in paths if path not in by_path or by_path[path].indexed is not None}
            dropped = {path: outer for path, outer in dropped.items() if path not in by_path and outer in whole}
        every = tuple(by_path.get(path) or RootEntry.of(path) for path in paths if path not in dropped)
        if library is None or (every, left) != (known, forgotten):
            lost = [path for entry in known if entry not in every for path in entry.missing]
            entries = [replace(one, missing=_below(one, [*one.missing, *lost])) for one in every]
            self._write(library, entries, left)

    def drop_excluded(self, patterns: Sequence[str], named: Iterable[str]) -> set[str]:
        """Drop the roots that are there and that patterns leave out of those around them. Returns their paths.

        Args:
            patterns: those that are new.
            named: roots that are wanted all the same.
        """
        library, known, forgotten = self._read()
        paths = [entry.path for entry in known if entry.pending is None and not is_empty(entry.path)]
        every, reached = (_nested(paths, forgotten, Exclusions(some, alone=True)).keys() for some in ((), patterns))
        dropped = every - reached - set(named)
        if dropped:
            self._write(library, [entry for entry in known if entry.path not in dropped], forgotten)
        return dropped

    def record(self, scanned: Iterable[str], missing: Iterable[str]) -> dict[str, str]:
        """Note that roots were indexed just now, and which of their files were missing and kept.

        Returns:
            The roots that lie in these and are dropped, as they are there: path -> the root that they lie in.
        """
        now = datetime.now(UTC).isoformat(timespec="seconds")
        library, known, forgotten = self._read()
        just_scanned = RootLookup(scanned)
        replaced = {
            path: outer
            for path, outer in _nested([one.path for one in known], forgotten, self._exclusions()).items()
            if just_scanned.root_of(outer) is not None and not is_empty(path)
        }
        entries = [entry for entry in known if entry.path not in replaced]
        roots = RootLookup(entry.path for entry in entries)
        kept = [path for entry in known for path in entry.missing if just_scanned.root_of(path) is None]
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
        self._write(library, after, forgotten)
        return replaced

    def relocate(self, store: Store, old: str, new: str) -> None:
        """Give the rows below a path another one, and the root its new path."""
        library, entries, forgotten = self._read()
        below = [one for one in entries if is_below(one.path, [old])]
        if not below:
            below = [RootEntry.of(old)]
        moving = [replace(one, pending=new + one.path.removeprefix(old)) for one in below]
        self._write(library, [*(one for one in entries if one not in below), *moving], forgotten)
        self.finish_pending(store)

    def forget(self, store: Store, path: str) -> None:
        """Remove the rows below a root, but not those of roots in it, and the root; leave out what is in a root."""
        library, entries, forgotten = self._read()
        roots = [one.path for one in entries]
        if is_below(path, [root for root in roots if root != path]):
            forgotten = tuple(outermost([*forgotten, path]))
        others = [one for one in entries if one.path != path]
        self._write(library, [*others, replace(RootEntry.of(path), pending="")], forgotten)
        self.finish_pending(store)

    def finish_pending(self, store: Store) -> None:
        """Finish relocations and removals that have begun."""
        library, entries, forgotten = self._read()
        for entry in [one for one in entries if one.pending is not None]:
            old, new = entry.path, entry.pending
            others = [one for one in entries if one != entry]
            if new:
                store.rename_folder(old, new)
                moved = [renamed(path, old, new) for path in entry.missing]
                forgotten = tuple(renamed(path, old, new) for path in forgotten)
                # The relocated root takes the place of one that was registered under its new path.
                paths = {new, *(one.path for one in others)}
                at_new = [] if new in _nested(paths, forgotten, self._exclusions()) else [new]
                entries = (
                    *(one for one in others if not is_below(one.path, [new])),
                    *(replace(entry, path=path, missing=tuple(moved), pending=None) for path in at_new),
                )
            else:
                inner = [one.path for one in others if is_below(one.path, [old])]
                store.remove_folder(old, keep=inner)
                entries, covered = tuple(others), [one.path for one in others]
                forgotten = tuple(
                    one for one in forgotten if one == old or not is_below(one, [old]) or is_below(one, covered)
                )
            self._write(library, entries, forgotten)

    def check(self) -> None:
        """Read the whole file.

        Raises:
            LibraryError: it is damaged.
        """
        self._read()

    def _exclusions(self) -> Exclusions:
        """What searches pass over now."""
        return Exclusions(read_exclusions(self._folder))

    def _read(self) -> _Contents:
        """The library's id, its roots, and what is forgotten."""
        try:
            content = self._file.read_bytes()
            # Every commit asks which library this is, which of many thousand files named one by one takes a while.
            if self._last_read is None or self._last_read[0] != content:
                self._last_read = (content, self._parsed(content))
            return self._last_read[1]
        except FileNotFoundError:
            return _Contents()

    def _parsed(self, content: bytes) -> _Contents:
        try:
            data = json.loads(content)
            if "format" not in data:
                return _Contents(None, tuple(RootEntry.of(str(Path(path))) for path in data["roots"]))
            if data["format"] != _FORMAT:
                raise LibraryError(
                    f"the list of folders {str(self._file)!r} has format {data['format']}, this version reads "
                    f"{_FORMAT}: use the version of soundloom that wrote it"
                )
            if data.pop("checksum") != _checksum(data):
                raise InvalidArgumentError("its checksum does not fit")
            entries = tuple(RootEntry(**{**one, "missing": tuple(one["missing"])}) for one in data["roots"])
            return _Contents(data["library"], entries, tuple(data.get("forgotten", ())))
        except (ValueError, KeyError, TypeError) as error:
            raise LibraryError(
                f"the list of folders {str(self._file)!r} is damaged ({error}): remove it, and name the folders when "
                "you index again"
            ) from None

    def _write(self, library: str | None, entries: Iterable[RootEntry], forgotten: Iterable[str]) -> None:
        every = sorted(entries, key=lambda entry: by_components(entry.path))
        data: dict[str, Any] = {"format": _FORMAT, "library": library or uuid4().hex}
        data["roots"] = [asdict(entry) | {"missing": list(entry.missing)} for entry in every]
        data["forgotten"] = sorted(forgotten)
        try:
            write_atomically(self._file, json.dumps({**data, "checksum": _checksum(data)}, indent=2) + "\n")
        except OSError as error:
            raise LibraryError(f"cannot write {str(self._file)!r}: {reason_of(error)}") from None


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


def _nested(paths: Iterable[str], forgotten: Iterable[str], exclusions: Exclusions) -> dict[str, str]:
    """Those of some roots that searches of others come to, outside of forgotten folders: path -> the outermost one."""
    between, every = set(forgotten), sorted(paths, key=by_components)
    lookup = RootLookup([*every, *between])
    found: dict[str, str] = {}
    for path in every:
        name = path.rstrip(os.sep) or os.sep
        outer = lookup.root_of(os.path.dirname(name))
        if outer is None or outer == name or outer in between or exclusions.pass_over(path, outer):
            continue
        found[path] = found.get(outer, outer)
    return found


def _below(entry: RootEntry, paths: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({path for path in paths if is_below(path, [entry.path])}))


def _checksum(data: Mapping[str, Any]) -> str:
    return blake2b(json.dumps(data, sort_keys=True).encode(), digest_size=16).hexdigest()
