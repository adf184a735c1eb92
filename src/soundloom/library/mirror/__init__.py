"""Libraries in object stores: a copy on each machine, snapshots in the store, one writer at a time.

What reads or changes a library calls the functions here, which do nothing for a library in a folder and import nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from soundloom.local_path import local_path
from soundloom.remote import absolute_location, is_address
from soundloom.remote.locations import is_file_uri

if TYPE_CHECKING:
    from soundloom.library.mirror.local_copy import Mirror

__all__ = ["ABOUT", "FOLDER", "changing", "library_path", "refresh", "shown"]

FOLDER, ABOUT = "libraries", "mirror.json"
"""Folder of the cache with the local copies, and the file beside each that says of what."""


def library_path(path: str | os.PathLike[str]) -> Path:
    """The folder of a library, with ``~`` expanded; of one at an address, its local copy.

    Raises:
        QueryError: it is another kind of address.
        SoundloomError: as `soundloom.library.mirror.local_copy.library_folder`.
    """
    if is_address(path) and not os.fspath(path).startswith("http"):
        from soundloom.library.mirror.local_copy import library_folder

        return library_folder(os.fspath(path))
    return Path(absolute_location(path)) if is_file_uri(path) else local_path(path)


@contextmanager
def changing(folder: Path) -> Iterator[None]:
    """Surrounds a change of a library; where its folder is the copy of one at an address, that is changed."""
    mirror = _mirror_of(folder)
    if mirror is None:
        yield
    else:
        with mirror.changing():
            yield


def refresh(folder: Path) -> bool:
    """Bring the folder of a library up to date, if it is the copy of one at an address; whether that was done."""
    mirror = _mirror_of(folder)
    return mirror is not None and mirror.refresh()


def shown(folder: Path) -> str:
    """The address that a folder is a copy of, or the folder, for messages."""
    mirror = _mirror_of(folder)
    return str(folder) if mirror is None else mirror.address


def _mirror_of(folder: Path) -> Mirror | None:
    """The mirror whose local copy is in a folder, if it is one."""
    if folder.parent.parent.name != FOLDER or not (folder.parent / ABOUT).is_file():
        return None
    from soundloom.library.mirror.local_copy import mirror_of

    return mirror_of(folder)
