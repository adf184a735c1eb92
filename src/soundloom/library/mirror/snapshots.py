"""Snapshots of a library in an object store: which files it consists of, under a number that one writer can take.

states/NUMBER.json  path of every file -> its object, size and hash; what earlier snapshots had and this one has not
files/...           contents of files, never changed; a name begins with the number of the snapshot that it was sent for
writer/...          who may write (`soundloom.library.mirror.writer_lock`)

A snapshot is created if its number is free (a conditional write), after the contents of its files. So a reader sees all
of a change or nothing, and of two writers one fails. Contents stay for some snapshots after the last one that names
them, so that readers can finish. Contents that were sent and never named, by a process that was killed or refused, go
once their number is taken.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from soundloom.errors import LibraryDamagedError
from soundloom.remote.object_storage import ObjectStorage

__all__ = ["Snapshot", "Snapshots", "StoredFile"]

_FORMAT = 1
_DIGITS = 10
_KEPT = 30
"""Snapshots that readers may still be fetching."""


class StoredFile(NamedTuple):
    """The object that holds a file's content, its bytes and their BLAKE2b."""

    key: str
    size: int
    digest: str


@dataclass(frozen=True)
class Snapshot:
    """The files of a library at one moment.

    Attributes:
        number: its number; 0 for the empty one before the first.
        files: path relative to the library's folder -> content.
        replaced: number of a snapshot -> objects that it no longer names.
    """

    number: int = 0
    files: Mapping[str, StoredFile] = field(default_factory=dict)
    replaced: Mapping[int, Sequence[str]] = field(default_factory=dict)

    def followed_by(self, files: Mapping[str, StoredFile]) -> Snapshot:
        """The next snapshot."""
        number = self.number + 1
        named = {file.key for file in files.values()}
        gone = sorted({file.key for file in self.files.values()} - named)
        kept = {since: keys for since, keys in self.replaced.items() if since > number - _KEPT}
        return Snapshot(number, files, kept | ({number: gone} if gone else {}))


class Snapshots:
    """The snapshots of one library.

    Args:
        storage: where they are.
    """

    def __init__(self, storage: ObjectStorage) -> None:
        self._storage = storage

    def latest(self) -> int:
        """The number of the latest snapshot; 0 if there is none."""
        keys = self._storage.keys("states/")
        return max((int(key.rpartition("/")[2].removesuffix(".json")) for key in keys), default=0)

    def read(self, number: int) -> Snapshot | None:
        """A snapshot; None if it has been removed.

        Raises:
            LibraryDamagedError: it is none.
        """
        if number == 0:
            return Snapshot()
        content = self._storage.get(_key(number))
        if content is None:
            return None
        try:
            data = json.loads(content)
            if data["format"] != _FORMAT:
                raise LibraryDamagedError(
                    f"the library {self._storage.address!r} has format {data['format']}, this version reads {_FORMAT}: "
                    "install the version of soundloom that wrote it"
                )
            files = {path: StoredFile(*stored) for path, stored in data["files"].items()}
            return Snapshot(number, files, {int(since): keys for since, keys in data["replaced"].items()})
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise LibraryDamagedError(
                f"{_key(number)!r} of the library {self._storage.address!r} is damaged ({error}): remove it, and the "
                "snapshot before it counts"
            ) from None

    def publish(self, snapshot: Snapshot, before: Snapshot) -> bool:
        """Create a snapshot after its contents were written; whether its number was free. Removes what is outdated.

        Args:
            snapshot: the new one.
            before: the one that it follows.
        """
        data = {"format": _FORMAT, "files": snapshot.files, "replaced": snapshot.replaced}
        if not self._storage.create(_key(snapshot.number), json.dumps(data).encode()):
            return False
        for since, keys in before.replaced.items():
            for key in keys if since not in snapshot.replaced else ():
                self._storage.delete(key)
        if snapshot.number > _KEPT:
            self._storage.delete(_key(snapshot.number - _KEPT))
        if snapshot.number % _KEPT == 0:
            self._remove_unnamed(snapshot)
        return True

    def content_key(self, number: int, digest: str) -> str:
        """A key for a content that is sent for a snapshot, which nothing else has."""
        return f"files/{number:0{_DIGITS}d}-{digest}-{os.urandom(6).hex()}"

    def _remove_unnamed(self, snapshot: Snapshot) -> None:
        """Remove contents that were sent for this snapshot or an earlier one and are in none that can be read."""
        named = {file.key for file in snapshot.files.values()}.union(*snapshot.replaced.values())
        for key in self._storage.keys("files/"):
            number = key.removeprefix("files/").partition("-")[0]
            if key not in named and len(number) == _DIGITS and int(number) <= snapshot.number:
                self._storage.delete(key)


def _key(number: int) -> str:
    return f"states/{number:0{_DIGITS}d}.json"
