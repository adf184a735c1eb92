"""Search for audio files below the roots of a library."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from soundloom import audio
from soundloom.errors import LibraryError
from soundloom.file_names import os_path, text_path
from soundloom.library.indexing.diff import FileOnDisk
from soundloom.local_path import local_path

__all__ = ["find_files", "roots_of"]


def find_files(
    sounds: str | os.PathLike[str] | Iterable[str | os.PathLike[str]], failed: dict[str, str]
) -> Iterator[FileOnDisk]:
    """The audio files below folders and files; those that cannot be looked at go to ``failed``, path -> reason.

    Raises:
        LibraryError: no folder or file is given, or one does not exist.
    """
    return _below(roots_of(sounds), failed)


def roots_of(sounds: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> list[Path]:
    """The folders and files as absolute paths in text (`soundloom.file_names`), symbolic links left as they are.

    Raises:
        LibraryError: none is given, or one does not exist.
    """
    listed = [sounds] if isinstance(sounds, str | os.PathLike) else list(sounds)
    roots = [Path(text_path(os_path(os.path.abspath(local_path(root))))) for root in listed]
    if not roots:
        raise LibraryError("no folder or file of sounds is given")
    for root in roots:
        if not os.path.exists(os_path(root)):
            raise LibraryError(f"there is no folder or file {str(root)!r}")
    return roots


def _below(roots: Sequence[Path], failed: dict[str, str]) -> Iterator[FileOnDisk]:
    for path in audio.find(roots, on_error=lambda path, reason: failed.__setitem__(text_path(path), reason)):
        try:
            yield FileOnDisk.of(path, path.stat())
        except OSError as error:
            failed[text_path(path)] = f"cannot be looked at: {error.strerror}"
