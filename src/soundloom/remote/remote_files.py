"""Files by path or address, opened alike; a remote file is kept for half a minute, so that it is asked for once.

What the server says of a file's state, its time to the second and its strong ETag, is one number, which is compared
wherever the time of a local file is: the second, and below it a checksum of the ETag. By that, objects of one size that
are written within a second differ, and files of a server that states no time.
"""

from __future__ import annotations

import io
import os
import re
import time
import zlib
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, cast

from soundloom.errors import RemoteFileError, ResourceError
from soundloom.remote.object_stores import obstore_api, open_object_store, resource_errors
from soundloom.remote.ranged_file import ByteRanges, RangedBytes, RangedFile

if TYPE_CHECKING:
    from soundloom.remote.http_ranges import HttpRanges

__all__ = ["FileStatus", "file_status", "is_address", "list_objects", "open_binary"]

_ADDRESS = re.compile(r"(https?|s3|gs|az)://([^/]+)(?:/(.*))?", re.DOTALL)
_KEPT_SECONDS = 30.0
_KEPT_FILES = 16


@dataclass(frozen=True)
class FileStatus:
    """Size in bytes and modification time of a file; of a remote one its state (see the module)."""

    size: int
    mtime_ns: int


def is_address(path: str | os.PathLike[str]) -> bool:
    """Whether a path is an address whose files can be read by ranges.

    >>> is_address("https://example.org/day.flac"), is_address("day.flac"), is_address("ftp://example.org/day.flac")
    (True, False, False)
    """
    return _ADDRESS.fullmatch(os.fspath(path)) is not None


def open_binary(path: str) -> io.RawIOBase:
    """A file for reading, without a buffer.

    Args:
        path: a path of this machine, or an address.

    Raises:
        OSError: it cannot be opened.
    """
    if not is_address(path):
        return open(path, "rb", buffering=0)
    return RangedFile(*_REMOTE.opened(path))


def file_status(path: str | os.PathLike[str]) -> FileStatus:
    """Size and time of a file.

    Args:
        path: a path of this machine, or an address.

    Raises:
        OSError: it cannot be looked at.
    """
    if not is_address(path):
        status = os.stat(path)
        return FileStatus(status.st_size, status.st_mtime_ns)
    content, state = _REMOTE.opened(os.fspath(path))
    return FileStatus(content.size, state)


def list_objects(address: str) -> Iterator[tuple[str, FileStatus]]:
    """The objects below an address of an object store, by address; none for HTTP, which lists nothing.

    Raises:
        RemoteFileError: the store cannot be reached, or refuses.
    """
    scheme, bucket, prefix = _parts(address)
    if scheme in ("http", "https"):
        return
    api = obstore_api("sounds in an object store")
    with _as_remote_errors(address):
        for page in api.list(open_object_store(scheme, bucket), prefix.rstrip("/") or None, chunk_size=1000):
            for found in page:
                state = _state(found["last_modified"].timestamp(), found["e_tag"] or "")
                status = FileStatus(found["size"], state)
                yield f"{scheme}://{bucket}/{found['path']}", status


def _state(modified: float, tag: str) -> int:
    """A number for the state of a remote file."""
    below = zlib.crc32(tag.encode()) % 10**9 if tag and not tag.startswith("W/") else 0
    return int(modified) * 10**9 + below


def _parts(address: str) -> tuple[str, str, str]:
    """Scheme, host or bucket, and the rest of an address."""
    scheme, host, rest = cast("re.Match[str]", _ADDRESS.fullmatch(address)).groups()
    return scheme, host, rest or ""


@contextmanager
def _as_remote_errors(address: str) -> Iterator[None]:
    """Give the errors of obstore as `RemoteFileError`."""
    errors = obstore_api("sounds in an object store").exceptions
    try:
        with resource_errors(address):
            yield
    except RemoteFileError:
        raise
    except ResourceError as error:
        if isinstance(error.__cause__, errors.NotFoundError | FileNotFoundError):
            raise RemoteFileError("no such object in the bucket: check the address", missing=True) from None
        if isinstance(error.__cause__, errors.PreconditionError):
            raise RemoteFileError("the object was changed while it was read") from None
        raise RemoteFileError(str(error)) from None


class _ObjectRanges:
    """An object of a store."""

    def __init__(self, scheme: str, bucket: str, key: str) -> None:
        self._api = obstore_api("sounds in an object store")
        self._address, self._key = f"{scheme}://{bucket}/{key}", key
        if not key:
            raise RemoteFileError("this names a whole bucket: name an object in it", missing=True)
        self._store = open_object_store(scheme, bucket)
        with _as_remote_errors(self._address):
            about = self._api.head(self._store, key)
        self.size: int = about["size"]
        self.modified: float = about["last_modified"].timestamp()
        self.tag: str = about["e_tag"] or ""

    def fetch(self, begin: int, end: int) -> bytes:
        """See `soundloom.remote.ranged_file.ByteRanges`."""
        options = {"range": (begin, end), **({"if_match": self.tag} if self.tag else {})}
        with _as_remote_errors(self._address):
            return bytes(self._api.get(self._store, self._key, options=options).bytes())


def _http_ranges(address: str) -> HttpRanges:
    from soundloom.remote.http_ranges import HttpRanges  # when it is needed: it imports ssl and email

    return HttpRanges(address)


class _RemoteFiles:
    """The remote files that were opened last: address -> their blocks, and their state."""

    def __init__(self) -> None:
        self._files: OrderedDict[str, tuple[float, RangedBytes, int]] = OrderedDict()
        self._lock = Lock()

    def opened(self, address: str) -> tuple[RangedBytes, int]:
        """The blocks of a file, and its state."""
        with self._lock:
            kept = self._files.get(address)
            if kept is not None and time.monotonic() - kept[0] < _KEPT_SECONDS:
                return kept[1:]
        scheme, host, key = _parts(address)
        file = _http_ranges(address) if scheme in ("http", "https") else _ObjectRanges(scheme, host, key)
        content = RangedBytes(cast(ByteRanges, file))
        state = _state(file.modified, file.tag)
        with self._lock:
            self._files[address] = time.monotonic(), content, state
            while len(self._files) > _KEPT_FILES:
                self._files.popitem(last=False)
        return content, state


_REMOTE = _RemoteFiles()
