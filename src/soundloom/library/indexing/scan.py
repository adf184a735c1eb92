"""Search for audio files below the roots of a library."""

from __future__ import annotations

import os
import shlex
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from soundloom import audio
from soundloom.counted import counted
from soundloom.errors import LibraryError
from soundloom.file_names import os_path, text_path
from soundloom.library.indexing.diff import FileOnDisk
from soundloom.local_path import local_path

__all__ = ["FilesLeftOut", "find_files", "roots_of"]

_ENDINGS_SHOWN = 3


@dataclass
class FilesLeftOut:
    """Files in folders whose names do not end like those of audio files, which are not opened.

    Attributes:
        endings: ending, in lower case, empty for none -> how many files have it.
        example: the path of one, without an ending if there is such a file.
    """

    endings: dict[str, int] = field(default_factory=dict)
    example: str = ""

    def add(self, path: str) -> None:
        """Count a file."""
        ending = os.path.splitext(path)[1].lower()
        if not self.example or (not ending and "" not in self.endings):
            self.example = text_path(path)
        self.endings[ending] = self.endings.get(ending, 0) + 1

    def __str__(self) -> str:
        count = sum(self.endings.values())
        most = sorted(self.endings.items(), key=lambda item: (-item[1], item[0]))[:_ENDINGS_SHOWN]
        kinds = [f"{number} {ending or 'without an ending'}" for ending, number in most]
        if more := count - sum(number for _, number in most):
            kinds.append(f"{more} others")
        return (
            f"{counted(count, 'file')} left out, not named like audio files: {', '.join(kinds)}; {self.example!r} for "
            "instance. If one of them is audio, name the file itself, or rename it."
        )


def find_files(
    sounds: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    failed: dict[str, str],
    left_out: FilesLeftOut | None = None,
    known: Container[str] = (),
    exclude: Sequence[str] = (),
) -> Iterator[FileOnDisk]:
    """The audio files below folders and files.

    Args:
        sounds: the folders and files.
        failed: takes what cannot be looked at: path -> reason.
        left_out: takes the files in folders that do not end like an audio file.
        known: paths of files that are taken whatever their ending.
        exclude: patterns of what is left out; see `soundloom.audio.find`.

    Raises:
        LibraryError: no folder or file is given, or one does not exist.
    """
    return _below(roots_of(sounds), failed, left_out or FilesLeftOut(), known, exclude)


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
        if os.path.isfile(os.path.join(os_path(root), "library.json")):
            raise LibraryError(
                f"{str(root)!r} is a library, and sounds are expected: name folders of sounds, such as those that it "
                f"was filled from, which soundloom roots -l {shlex.quote(str(root))} lists"
            )
    return roots


def _below(
    roots: Sequence[Path],
    failed: dict[str, str],
    left_out: FilesLeftOut,
    known: Container[str],
    exclude: Sequence[str],
) -> Iterator[FileOnDisk]:
    def is_known(name: str) -> bool:
        if text_path(name) in known:
            return True
        left_out.add(name)
        return False

    def fail(path: Path, reason: str) -> None:
        failed[text_path(path)] = reason

    for path in audio.find(roots, on_error=fail, other_ending=is_known, exclude=exclude):
        try:
            yield FileOnDisk.of(path, path.stat())
        except OSError as error:
            failed[text_path(path)] = f"cannot be looked at: {error.strerror}"
