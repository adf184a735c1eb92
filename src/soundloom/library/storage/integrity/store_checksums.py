"""Checksums of the store's files, noted after every commit, by which damage to the store is found.

Lance writes its files once and never changes them, so a file that differs from its checksum is damaged. They are kept
beside the store:

    store.checksums.json    versions of the tables; file -> bytes, time of modification, CRC-32; the other files of
                            the library (`soundloom.library.storage.contents`); its own checksum

What is found, and when:

- A file whose size or time of modification has changed is compared with its checksum before it is read.
- Every file is compared before the search index is built, and by `soundloom verify`.
- A table that is older than the noted version has lost its last commits.

A process that is killed between a commit and the note leaves files that are not noted. The next commit notes them.
"""

from __future__ import annotations

import json
import logging
import os
import zlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from soundloom.errors import CacheDamagedError
from soundloom.library.storage.contents import inventory
from soundloom.library.storage.integrity.json_checksum import json_checksum
from soundloom.system_errors import reason_of

__all__ = ["Damage", "StoreChecksums"]

_log = logging.getLogger(__name__)

_FORMAT = 1
_CHUNK_BYTES = 2**20
_REWRITTEN = "latest_version_hint.json"
"""The only file that Lance overwrites: the number of a table's latest version, which it does not rely on. It is empty
after a full disk. Only `soundloom verify` compares it."""


@dataclass(frozen=True)
class Damage:
    """A file of a library that is not as it was written.

    Attributes:
        path: the file.
        reason: what is wrong with it.
    """

    path: str
    reason: str


@dataclass(frozen=True)
class _Noted:
    """What was noted of a file: length, time of modification in nanoseconds, CRC-32."""

    bytes: int
    mtime_ns: int
    crc32: int


class StoreChecksums:
    """The checksums of one store.

    Args:
        folder: the store's.

    Attributes:
        file: where they are kept.
        versions: table name -> its version when checksums were last noted; empty if they never were.
        contents: the inventory of the library's folder when it was last taken.
        unreadable: why the noted checksums cannot be used; None if they can, or if there are none.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.file = folder.with_name(f"{folder.name}.checksums.json")
        self._verified: dict[str, tuple[int, int]] = {}
        self.versions: dict[str, int] = {}
        self.contents: frozenset[str] = frozenset()
        self.unreadable: str | None = None
        self._noted: dict[str, _Noted] = {}
        self._stamp: tuple[int, int] | None = None
        self.reload()

    @property
    def known(self) -> bool:
        """Whether there are checksums to compare with; libraries of earlier versions have none until they change."""
        return bool(self._noted)

    def reload(self) -> None:
        """Read what was noted last, by whatever process."""
        try:
            status = self.file.stat()
            if self._stamp == (status.st_ino, status.st_mtime_ns):
                return
            data = json.loads(self.file.read_bytes())
            if data.pop("checksum") != json_checksum(data):
                raise CacheDamagedError("it is not as it was written")
            self.versions = {str(name): int(version) for name, version in data["versions"].items()}
            self._noted = {str(name): _Noted(*map(int, values)) for name, values in data["files"].items()}
            self.contents = frozenset(map(str, data.get("contents", ())))  # earlier versions listed none
            self._stamp, self.unreadable = (status.st_ino, status.st_mtime_ns), None
        except FileNotFoundError:
            self.versions, self._noted, self._stamp, self.contents = {}, {}, None, frozenset()
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, CacheDamagedError) as error:
            self.versions, self._noted, self._stamp, self.contents = {}, {}, None, frozenset()
            self.unreadable = str(error)
            _log.warning("the checksums %s cannot be read (%s): damage to the store is not noticed", self.file, error)

    def note(self, versions: Mapping[str, int], *, removed: bool = False) -> None:
        """Note the files as a commit has left them. The caller holds the lock of commits.

        Args:
            versions: table name -> its version now.
            removed: whether the commit removes files of earlier versions.

        Raises:
            OSError: a new file cannot be read, or the checksums cannot be written.
        """
        self.reload()
        noted = {} if removed else dict(self._noted)
        for name, status in self._files():
            stamp = (status.st_size, status.st_mtime_ns)
            known = self._noted.get(name)
            if known is None or name.endswith(_REWRITTEN):
                noted[name] = _Noted(*stamp, _crc32(self._folder / name))
                self._verified[name] = stamp
            elif self._verified.get(name) == stamp:
                noted[name] = _Noted(*stamp, known.crc32)
            else:
                noted[name] = known
        self._write(versions, noted, inventory(self._folder.parent, self.contents))

    def note_contents(self) -> None:
        """Take the inventory of the library's folder anew. The caller holds the lock of commits.

        Raises:
            OSError: it cannot be written.
        """
        self.reload()
        contents = inventory(self._folder.parent, self.contents)
        if self.known and contents != self.contents:
            self._write(self.versions, self._noted, contents)

    def missing_contents(self) -> list[str]:
        """Names of the files of the inventory that are not there."""
        return sorted(name for name in self.contents if not (self._folder.parent / name).exists())

    def renew(self, versions: Mapping[str, int]) -> None:
        """Note the files as they are now, damaged or not."""
        self._noted, self._verified = {}, {}
        self._stamp = None
        noted = {
            name: _Noted(status.st_size, status.st_mtime_ns, _crc32(self._folder / name))
            for name, status in self._files()
        }
        self._write(versions, noted, inventory(self._folder.parent))

    def damages(self, *, everything: bool, only: Collection[str] = (), trusted: bool = False) -> list[Damage]:
        """The files that are missing or differ from what was noted.

        Args:
            everything: read every file; otherwise only those whose size or time has changed.
            only: look at files whose path holds one of these; at all of them if not given.
            trusted: leave out files that this process has read before and that have not been touched since.
        """
        found = []
        for name, noted in sorted(self._noted.items()):
            if only and not any(sign in name for sign in only):
                continue
            if name.endswith(_REWRITTEN) and (trusted or not everything):
                continue
            path = self._folder / name
            try:
                status = path.stat()
                stamp = (status.st_size, status.st_mtime_ns)
                if not everything and stamp == (noted.bytes, noted.mtime_ns):
                    continue
                if (trusted or not everything) and self._verified.get(name) == stamp:
                    continue
                if status.st_size != noted.bytes:
                    found.append(Damage(str(path), f"has {status.st_size:,} bytes instead of {noted.bytes:,}"))
                elif _crc32(path) != noted.crc32:
                    found.append(Damage(str(path), "differs from what was written"))
                else:
                    self._verified[name] = stamp
            except FileNotFoundError:
                found.append(Damage(str(path), "is missing"))
            except OSError as error:
                found.append(Damage(str(path), f"cannot be read: {reason_of(error)}"))
        return found

    def _files(self) -> Iterator[tuple[str, os.stat_result]]:
        for place, _, names in os.walk(self._folder):
            for name in names:
                path = Path(place, name)
                relative = path.relative_to(self._folder).as_posix()
                if ".lance/" in relative:
                    try:
                        yield relative, path.stat()
                    except FileNotFoundError:
                        # Removed by another process since the folder was listed.
                        continue

    def _write(self, versions: Mapping[str, int], noted: Mapping[str, _Noted], contents: frozenset[str]) -> None:
        data: dict[str, Any] = {
            "format": _FORMAT,
            "versions": dict(versions),
            "files": {name: [one.bytes, one.mtime_ns, one.crc32] for name, one in sorted(noted.items())},
            "contents": sorted(contents),
        }
        temporary = self.file.with_name(f"{self.file.name}.writing")
        try:
            with open(temporary, "w", encoding="utf-8") as file:
                json.dump({**data, "checksum": json_checksum(data)}, file, separators=(",", ":"))
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self.file)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        status = self.file.stat()
        self._stamp = (status.st_ino, status.st_mtime_ns)
        self.versions, self._noted, self.contents, self.unreadable = dict(versions), dict(noted), contents, None


def _crc32(path: Path) -> int:
    value = 0
    with open(path, "rb", buffering=0) as file:
        while chunk := file.read(_CHUNK_BYTES):
            value = zlib.crc32(chunk, value)
    return value
