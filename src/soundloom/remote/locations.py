"""Locations of sounds as text: paths of this machine and addresses, behind one set of functions.

A location is written as libraries keep it: an absolute path (`soundloom.file_names`), or an address whose objects are
named ``s3://BUCKET/KEY``. Below an address of an object store lie all objects whose keys begin with it and a slash. An
address of HTTP is a file: servers list nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from soundloom.errors import RemoteFileError
from soundloom.file_names import os_path, text_path
from soundloom.remote.remote_files import FileStatus, file_status, is_address, list_objects

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

__all__ = [
    "REQUESTS", "absolute_location", "check_location", "common_folder", "existing", "inside", "is_file_uri", "is_there",
    "relative_name", "remote_files", "separator_of",
]  # fmt: skip

REQUESTS = 16
"""Requests at a time: the answer of a server takes tens of milliseconds."""


def _requests() -> ThreadPoolExecutor:
    from concurrent.futures import ThreadPoolExecutor  # when it is needed

    return ThreadPoolExecutor(REQUESTS, thread_name_prefix="soundloom-remote")


def absolute_location(location: str | os.PathLike[str]) -> str:
    """A location as libraries keep it; ``~`` is expanded, links are left as they are.

    >>> absolute_location("s3://bucket/birds/"), absolute_location("file:///data/a%20b.wav")
    ('s3://bucket/birds', '/data/a b.wav')
    """
    name = os.fspath(location)
    if is_address(name):
        return text_path(name.rstrip("/"))
    if is_file_uri(name):
        from urllib.request import url2pathname  # imports ssl and email, which every command would wait for

        name = url2pathname(urlsplit(name).path)
    return text_path(os_path(os.path.abspath(Path(name).expanduser())))


def is_file_uri(name: str | os.PathLike[str]) -> bool:
    """Whether a name is a path of this machine as a URI: ``file:///data/a.wav``."""
    return os.fspath(name).startswith("file:///")


def separator_of(location: str) -> str:
    """What stands between the parts of a location."""
    return "/" if is_address(location) else os.sep


def inside(folder: str) -> str:
    """What the locations of all files in a folder, or below an address, begin with."""
    separator = separator_of(folder)
    return folder.rstrip(separator) + separator


def common_folder(files: Iterable[str]) -> str:
    """The innermost folder or address that some files lie in; empty if they share none.

    >>> common_folder(["s3://bucket/birds/a.wav", "s3://bucket/dogs/b.wav"])
    's3://bucket'
    """
    separator = os.sep
    parts = []
    for file in files:
        separator = separator_of(file)
        parts.append(file.split(separator)[:-1])
    common = list(os.path.commonprefix(parts))  # noqa: RUF071 (of lists)
    if common == [""]:
        return os.sep
    return separator.join(common) if common[1:] != [""] else ""


def relative_name(location: str, folder: str) -> str:
    """The name of a location relative to a folder that it is or lies in; to none, a path without its root.

    >>> relative_name("s3://bucket/birds/a.wav", "s3://bucket"), relative_name("s3://bucket/a.wav", "")
    ('birds/a.wav', 's3/bucket/a.wav')
    """
    if not folder:
        return location.replace("://", "/").lstrip(os.sep)
    return location.removeprefix(inside(folder)) if location != folder else os.curdir


def is_there(location: str | os.PathLike[str]) -> bool:
    """Whether a file or folder is there; one at an address counts as there, and no server is asked."""
    return is_address(location) or os.path.exists(os_path(location))


def check_location(location: str) -> bool:
    """Whether there is a file, a folder, or an object at or below an address; its server is asked.

    Raises:
        RemoteFileError: the server cannot be reached, or refuses.
    """
    if not is_address(location):
        return os.path.exists(os_path(location))
    return next(_at_or_below(location), None) is not None


def existing(locations: Iterable[str]) -> set[str]:
    """Those of some locations that are there; of those at addresses, what cannot be found out counts as there."""

    def there(location: str) -> bool:
        try:
            return check_location(location)
        except RemoteFileError:
            return True

    every = list(locations)
    remote = [location for location in every if is_address(location)]
    with _requests() as pool:
        found = dict(zip(remote, pool.map(there, remote), strict=True))
    return {location for location in every if found.get(location, is_there(location))}


def remote_files(addresses: Iterable[str]) -> Iterator[tuple[str, list[tuple[str, FileStatus]] | RemoteFileError]]:
    """For every address the files at or below it, by address and sorted, or why they cannot be listed."""

    def listed(address: str) -> list[tuple[str, FileStatus]] | RemoteFileError:
        try:
            return sorted(_at_or_below(address), key=lambda file: file[0])
        except RemoteFileError as error:
            return error

    every = list(addresses)
    with _requests() as pool:
        yield from zip(every, pool.map(listed, every), strict=True)


def _at_or_below(address: str) -> Iterator[tuple[str, FileStatus]]:
    """The file at an address, or the objects below it."""
    name = os_path(address)
    try:
        yield address, file_status(name)
    except RemoteFileError as error:
        if not error.missing:
            raise
        for key, status in list_objects(name):
            yield text_path(key), status
