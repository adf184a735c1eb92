"""Object storage of plans and libraries: get, put, create if absent, delete, list; in a folder, or an object store.

Plans and libraries need nothing else of the place where they lie. `ObjectStorage.create` is what exactly-once rests on:
of several processes that create one key, one succeeds: by a hard link, or by a conditional write.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Protocol
from uuid import uuid4

from soundloom.errors import InvalidArgumentError
from soundloom.local_path import local_path
from soundloom.system_errors import one_line_errors

__all__ = ["FolderStorage", "ObjectStorage", "get_many", "open_storage"]

_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://?(.*)")
_WRITING = ".writing"
_READERS = 16
"""Objects read at a time: the answer of an object store takes tens of milliseconds."""


class ObjectStorage(Protocol):
    """Objects by key; a key is a relative path with ``/`` between its parts.

    Every method raises `ResourceError` if the storage cannot be reached, read or written.
    """

    @property
    def address(self) -> str:
        """Where it is, as `open_storage` takes it."""

    def get(self, key: str) -> bytes | None:
        """The content of an object; None if there is none."""

    def put(self, key: str, content: bytes | Path) -> None:
        """Write or replace an object, whole or not at all, with some bytes or those of a file."""

    def create(self, key: str, content: bytes) -> bool:
        """Write an object if there is none; whether it was written. Of several callers one succeeds."""

    def delete(self, key: str) -> None:
        """Delete an object, if there is one."""

    def keys(self, prefix: str) -> list[str]:
        """The keys that begin with a prefix, which ends with ``/``; sorted."""


class FolderStorage:
    """Objects as files of a folder, on one machine or on a file system that machines share.

    Args:
        folder: where; made when something is written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()

    @property
    def address(self) -> str:
        """The folder's path."""
        return str(self._folder)

    def get(self, key: str) -> bytes | None:
        """See `ObjectStorage`."""
        with one_line_errors(self._folder / key):
            try:
                return (self._folder / key).read_bytes()
            except FileNotFoundError:
                return None

    def put(self, key: str, content: bytes | Path) -> None:
        """See `ObjectStorage`."""
        with one_line_errors(self._folder / key):
            whole = content.read_bytes() if isinstance(content, Path) else content
            self._written(key, whole).replace(self._folder / key)

    def create(self, key: str, content: bytes) -> bool:
        """See `ObjectStorage`. The complete file gets its name by a hard link, which fails if there is one."""
        with one_line_errors(self._folder / key):
            temporary = self._written(key, content)
            try:
                os.link(temporary, self._folder / key)
            except FileExistsError:
                return False
            finally:
                with suppress(FileNotFoundError):
                    temporary.unlink()
        return True

    def delete(self, key: str) -> None:
        """See `ObjectStorage`."""
        with one_line_errors(self._folder / key):
            (self._folder / key).unlink(missing_ok=True)

    def keys(self, prefix: str) -> list[str]:
        """See `ObjectStorage`."""
        with one_line_errors(self._folder / prefix):
            return sorted(
                os.path.relpath(os.path.join(place, name), self._folder).replace(os.sep, "/")
                for place, _, names in os.walk(self._folder / prefix)
                for name in names
                if not name.endswith(_WRITING)
            )

    def _written(self, key: str, content: bytes) -> Path:
        """A temporary file beside a key, complete and on the disk."""
        target = self._folder / key
        temporary = target.with_name(f".{target.name}.{uuid4().hex}{_WRITING}")
        target.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "xb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        return temporary


def open_storage(address: str | os.PathLike[str]) -> ObjectStorage:
    """The storage at an address; whether there is anything is not looked at.

    Args:
        address: a folder, or ``s3://BUCKET/PREFIX``; ``gs://`` and ``az://`` are not tested.

    Raises:
        InvalidArgumentError: another kind of address, or one without a bucket or prefix.
        MissingExtraError: the address is in an object store and obstore is not installed.
    """
    text = os.fspath(address)
    if not text:
        raise InvalidArgumentError("the address is empty: name a folder, or s3://BUCKET/PREFIX")
    found = _ADDRESS.fullmatch(text)
    if found is None:
        return FolderStorage(local_path(text))
    scheme, place = found[1].lower(), found[2].strip("/")
    if scheme in ("s3", "gs", "az"):
        from soundloom.remote.bucket_storage import BucketStorage

        return BucketStorage(scheme, place)
    raise InvalidArgumentError(f"nothing can be kept at {text!r}: name a folder that all see, or s3://BUCKET/PREFIX")


def get_many(storage: ObjectStorage, keys: Sequence[str]) -> Mapping[str, bytes]:
    """The contents of those of some objects that are there, several read at a time."""
    with ThreadPoolExecutor(_READERS, thread_name_prefix="soundloom-read") as pool:
        contents = pool.map(storage.get, keys)
        return {key: content for key, content in zip(keys, contents, strict=True) if content is not None}
