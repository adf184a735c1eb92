"""Local copy of a library in an object store: fetched when it is opened, brought up to date, and sent after a change.

Everything that reads or changes a library works on a folder, so a library at ``s3://BUCKET/PREFIX`` is a folder in the
cache of this machine, compared with the latest snapshot (`soundloom.library.mirror.snapshots`) when it is opened and
every few seconds that it is used. A change takes the lock of writers, fetches the latest snapshot, works on the folder,
and publishes what it holds afterwards as the next one. Indexes and maps are computed on each machine.

A process that is killed while it changes the library leaves the folder ahead of the snapshot: the next change from this
machine publishes what was finished, unless another machine has changed the library meanwhile, whose state then counts.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from filelock import FileLock, Timeout

from soundloom.atomic_file import write_atomically
from soundloom.cache_folder import cache_home
from soundloom.errors import LibraryDamagedError, LibraryError, ResourceError
from soundloom.library.library_files import (
    FINGERPRINTS_FILE,
    INDEX_FOLDER,
    INDEXING_FILE,
    MAP_FOLDER,
    UNFINISHED_FOLDER,
    UNFINISHED_INDEX_FOLDER,
)
from soundloom.library.mirror import ABOUT, FOLDER
from soundloom.library.mirror.snapshots import Snapshot, Snapshots, StoredFile
from soundloom.library.mirror.writer_lock import WriterLock
from soundloom.remote.object_storage import ObjectStorage, open_storage
from soundloom.system_errors import one_line_errors

__all__ = ["Mirror", "library_folder", "mirror_of"]

_PATIENCE = 120.0
"""Seconds to wait for another writer."""
_FRESH_SECONDS = 2.0
"""Seconds for which the folder counts as up to date."""
_TRANSFERS = 8
_ATTEMPTS = 5
_LOCAL = frozenset(
    {INDEX_FOLDER, UNFINISHED_INDEX_FOLDER, MAP_FOLDER, FINGERPRINTS_FILE, UNFINISHED_FOLDER, INDEXING_FILE}
)
"""Files and folders of a library that each machine computes for itself."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _LocalState:
    """What the folder holds: the snapshot, and the modification time of every file when it was fetched or sent."""

    snapshot: Snapshot = field(default_factory=Snapshot)
    times: Mapping[str, int] = field(default_factory=dict)


class Mirror:
    """The local copy of one library. Safe to share between threads.

    Args:
        place: a folder of the cache, for the copy and what is known of it.
    """

    def __init__(self, place: Path) -> None:
        about = json.loads((place / ABOUT).read_text("utf-8"))
        self.address: str = about["address"]
        self.folder = place / about["name"]
        self._state_file = place / "state.json"
        self._storage: ObjectStorage = open_storage(self.address)
        self._snapshots = Snapshots(self._storage)
        self._lock = FileLock(place / "mirror.lock", thread_local=False)
        self._changing = Lock()
        self._depth = 0
        self._held = ExitStack()
        self._looked = -_FRESH_SECONDS

    def pull(self) -> None:
        """Make the folder the latest snapshot; the caller holds the lock of the folder.

        Raises:
            LibraryDamagedError: a content differs from what was written, or is missing.
            ResourceError: the store cannot be reached, or the folder not written.
        """
        for _ in range(_ATTEMPTS):
            state, number = self._state(), self._snapshots.latest()
            self._looked = time.monotonic()
            if number == state.snapshot.number:
                return
            snapshot = self._snapshots.read(number)
            if snapshot is not None and self._fetch(snapshot, state):
                return
        raise LibraryDamagedError(f"the library {self.address!r} lacks files of its snapshot: restore the bucket")

    def refresh(self) -> bool:
        """Look for a later snapshot, unless that was done some moments ago or the library is being changed here.

        Returns:
            Whether it was looked for.
        """
        if time.monotonic() - self._looked < _FRESH_SECONDS:
            return False
        try:
            return self.update(patience=0)
        except ResourceError as error:
            self._looked = time.monotonic()
            _log.warning("%s: used as it was when it was last reached: %s", self.address, error)
            return False

    def update(self, patience: float) -> bool:
        """Make the folder the latest snapshot, unless the library is being changed in it; whether it is that now.

        Args:
            patience: seconds to wait for another process of this machine.

        Raises:
            LibraryDamagedError, ResourceError: as `pull`.
        """
        if not self._changing.acquire(blocking=patience > 0):
            return False
        try:
            if self._depth:
                return False
            with self._lock.acquire(timeout=patience):
                self.pull()
            return True
        except Timeout:
            return False
        finally:
            self._changing.release()

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Surrounds a change. Changes within it, and those of other threads meanwhile, are published with it.

        Raises:
            LibraryError: another process changes the library.
            ResourceError: the store cannot be reached.
        """
        with self._changing:
            if self._depth == 0:
                self._begin()
            self._depth += 1
        try:
            yield
        finally:
            with self._changing:
                self._depth -= 1
                if self._depth == 0:
                    with self._held:
                        self.push()

    def push(self) -> None:
        """Publish the folder as the next snapshot, if it differs; the caller holds the lock of writers.

        Raises:
            LibraryError: another process has published meanwhile.
            ResourceError: the store cannot be written.
        """
        before = self._state()
        times = {name: (self.folder / name).stat().st_mtime_ns for name in _names(self.folder)}

        def stored(name: str) -> StoredFile:
            known = before.snapshot.files.get(name)
            if known is not None and before.times.get(name) == times[name]:
                return known
            return self._sent(name, known, before.snapshot.number + 1)

        with ThreadPoolExecutor(_TRANSFERS, thread_name_prefix="soundloom-send") as pool:
            files = dict(zip(times, pool.map(stored, times), strict=True))
        snapshot = before.snapshot
        if files != snapshot.files:
            snapshot = before.snapshot.followed_by(files)
            if not self._snapshots.publish(snapshot, before.snapshot):
                raise LibraryError(
                    f"the library {self.address!r} was changed by another process while this one had lost the right "
                    "to: open it again, and repeat the change"
                )
        self._write_state(_LocalState(snapshot, times))

    def _begin(self) -> None:
        with ExitStack() as held:
            try:
                held.enter_context(self._lock.acquire(timeout=_PATIENCE))
            except Timeout:
                raise LibraryError(f"another process of this machine changes {self.address!r}: wait for it") from None
            held.enter_context(WriterLock(self._storage).held(_PATIENCE))
            self.pull()
            self._held = held.pop_all()

    def _sent(self, name: str, known: StoredFile | None, number: int) -> StoredFile:
        """A file after its content was written for a snapshot, unless that is stored already."""
        with one_line_errors(self.folder / name), open(self.folder / name, "rb") as file:
            digest = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
        if known is not None and known.digest == digest:
            return known
        size = (self.folder / name).stat().st_size
        key = self._snapshots.content_key(number, digest)
        self._storage.put(key, self.folder / name)
        return StoredFile(key, size, digest)

    def _fetch(self, snapshot: Snapshot, state: _LocalState) -> bool:
        """Make the folder a snapshot; False if a content is gone, because later snapshots have followed."""
        here = _names(self.folder) if self.folder.is_dir() else {}

        def is_here(name: str) -> bool:
            same = state.snapshot.files.get(name) == snapshot.files[name]
            return same and name in here and here[name] == state.times.get(name)

        wanted = sorted((name for name in snapshot.files if not is_here(name)), key=_order)
        incoming = self.folder.with_name("incoming")
        incoming.mkdir(exist_ok=True)

        def fetch(name: str) -> bool:
            content = self._storage.get(snapshot.files[name].key)
            if content is None:
                return False
            if hashlib.blake2b(content, digest_size=16).hexdigest() != snapshot.files[name].digest:
                raise LibraryDamagedError(
                    f"{name!r} of the library {self.address!r} differs from what was written: restore the object "
                    f"{snapshot.files[name].key!r} from a backup"
                )
            (incoming / snapshot.files[name].key.rpartition("/")[2]).write_bytes(content)
            return True

        with one_line_errors(self.folder), ThreadPoolExecutor(_TRANSFERS, "soundloom-fetch") as pool:
            if not all(pool.map(fetch, wanted)):
                return False
            for name in wanted:
                target = self.folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                (incoming / snapshot.files[name].key.rpartition("/")[2]).replace(target)
            for name in here.keys() - snapshot.files.keys():
                (self.folder / name).unlink(missing_ok=True)
        self._write_state(_LocalState(snapshot, _names(self.folder)))
        return True

    def _state(self) -> _LocalState:
        with suppress(FileNotFoundError, ValueError, KeyError, TypeError):
            data = json.loads(self._state_file.read_text("utf-8"))
            files = {name: StoredFile(*stored) for name, stored in data["files"].items()}
            replaced = {int(since): keys for since, keys in data["replaced"].items()}
            return _LocalState(Snapshot(data["number"], files, replaced), data["times"])
        return _LocalState()

    def _write_state(self, state: _LocalState) -> None:
        one = state.snapshot
        data = {"number": one.number, "files": one.files, "replaced": one.replaced, "times": state.times}
        with one_line_errors(self._state_file):
            write_atomically(self._state_file, json.dumps(data))


def library_folder(address: str) -> Path:
    """The local copy of a library at an address, up to date; an empty folder if there is none yet.

    Args:
        address: ``s3://BUCKET/PREFIX``, or, not tested, ``gs://`` and ``az://``.

    Raises:
        InvalidArgumentError: no library can be there.
        LibraryDamagedError: it lacks files.
        ResourceError: the store cannot be reached.
    """
    address = open_storage(address).address
    place = cache_home().resolve() / FOLDER / hashlib.blake2b(address.encode(), digest_size=8).hexdigest()
    name = address.rpartition("/")[2]
    with one_line_errors(place):
        (place / name).mkdir(parents=True, exist_ok=True)
        write_atomically(place / ABOUT, json.dumps({"address": address, "name": name}))
    mirror_of(place / name).update(_PATIENCE)
    return place / name


_MIRRORS: dict[Path, Mirror] = {}
_OPENING = Lock()


def mirror_of(folder: Path) -> Mirror:
    """The mirror whose local copy is in a folder."""
    with _OPENING:
        if folder not in _MIRRORS:
            _MIRRORS[folder] = Mirror(folder.parent)
        return _MIRRORS[folder]


def _names(folder: Path) -> dict[str, int]:
    """The files of a library that are the same on every machine, by relative path, and their modification times."""
    found = {}
    for place, folders, files in os.walk(folder):
        if Path(place) == folder:
            folders[:] = [name for name in folders if name not in _LOCAL]
        for name in files:
            path = Path(place, name)
            relative = path.relative_to(folder).as_posix()
            if relative not in _LOCAL and not name.endswith((".lock", ".writing")):
                with suppress(FileNotFoundError):
                    found[relative] = path.stat().st_mtime_ns
    return found


def _order(name: str) -> int:
    """Files of the store first, then the manifests that name them, then what describes the store."""
    return 2 if "/" not in name else int("/_versions/" in name)
