"""Audio files of a folder, and which expected ones are missing.

Folders are listed, each once; files are not asked after one by one. Nothing is opened.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from soundloom.audio.discovery import AUDIO_SUFFIXES

__all__ = ["CHECKS", "absent_files", "audio_files", "names_in", "stem"]

CHECKS = ("full", "sample", "none")

_SAMPLE = 64  # files looked at one by one when check="sample"


def audio_files(root: Path, folder: str = ".") -> list[str]:
    """All audio files below a folder of the root, as sorted paths below the root, with forward slashes.

    Links are followed, except into a folder already entered. Two names of one file are two files here, unlike in
    a search for sounds to index, since lists may name both. Hidden names are passed over.

    Raises:
        OSError: a folder cannot be listed.
    """
    return sorted(_walk(root, root / folder)) if (root / folder).is_dir() else []


def absent_files(root: Path, files: Sequence[str], check: str) -> list[int]:
    """The places in ``files`` of those that are missing or empty, as far as ``check`` looks.

    Args:
        root: what the paths are relative to.
        files: paths with forward slashes.
        check: "sample": all names are compared with the listings and the size of a few files is asked for; "full":
            the size of every file; "none": nothing.
    """
    if check == "none":
        return []
    listings: dict[str, set[str]] = {}
    absent: list[int] = []
    present: list[int] = []
    for place, file in enumerate(files):
        folder, name = os.path.split(file)
        if folder not in listings:
            listings[folder] = names_in(root / folder)
        (present if name in listings[folder] else absent).append(place)
    step = 1 if check == "full" else max(1, len(present) // _SAMPLE)
    empty = [place for place in present[::step] if not _holds_bytes(root / files[place])]
    return sorted(absent + empty)


def names_in(folder: Path) -> set[str]:
    """The names in a folder; none when it does not exist."""
    try:
        return set(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return set()


def stem(path: str) -> str:
    """The file's name without folder and ending.

    >>> stem("genres/blues/blues.00029.wav")
    'blues.00029'
    """
    return PurePosixPath(path).stem


def _walk(root: Path, folder: Path) -> Iterator[str]:
    entered: set[str] = set()
    for place, folders, names in os.walk(folder, followlinks=True, onerror=_refuse):
        real = os.path.realpath(place)
        if real in entered:  # a link back up would be followed for ever
            folders.clear()
            continue
        entered.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        below = Path(place).relative_to(root).as_posix()
        for name in names:
            if os.path.splitext(name)[1].lower() in AUDIO_SUFFIXES and not name.startswith("."):
                yield name if below == "." else f"{below}/{name}"


def _refuse(error: OSError) -> None:
    raise error


def _holds_bytes(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0
