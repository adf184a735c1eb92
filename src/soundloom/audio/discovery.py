"""Finding the sound files below a folder.

Goes by the suffix, not by the content: opening a million files to look at their first bytes takes minutes.
A file that is named outright is taken whatever its suffix.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from os import PathLike, fspath
from pathlib import Path

from soundloom.errors import AudioError, InvalidArgumentError
from soundloom.file_names import os_path

__all__ = ["AUDIO_SUFFIXES", "find"]

_SNDFILE = (
    "aif aifc aiff au avr caf flac ircam mp1 mp2 mp3 nist oga ogg opus paf pvf rf64 sf snd sph spx svx voc w64 wav "
    "wave wavex xi"
)
_FFMPEG_SOUND = "aac ac3 amr ape dff dsf dts eac3 m4a m4b m4r mka mlp mpc oma ra shn tak thd tta weba wma wv"
_FFMPEG_FILM = "3g2 3gp asf avi f4v flv m2ts m4v mkv mov mp4 mpeg mpg mts mxf ogv rm vob webm wmv"

AUDIO_SUFFIXES = frozenset(f".{suffix}" for suffix in f"{_SNDFILE} {_FFMPEG_SOUND} {_FFMPEG_FILM}".split())


def find(paths: Iterable[str | PathLike[str]], on_error: Callable[[Path, str], None] | None = None) -> Iterator[Path]:
    """The sound files among and below some files and folders, each once, in a fixed order.

    Folders are searched in the order given, each by name, depth first. Links are followed; what was met under one
    name (link or hard link) is passed over under another, which also ends every circle of links. Names
    that begin with a dot are skipped unless given outright, and with them the ``._*`` shadows that macOS leaves.

    Args:
        paths: files and folders.
        on_error: called with every place that cannot be searched, and why; None: the first one is raised.

    Raises:
        AudioError: a place cannot be searched and ``on_error`` is None.
        TypeError: ``paths`` is a single path.
    """
    if isinstance(paths, str | PathLike):
        raise InvalidArgumentError(
            f"find takes an iterable of paths, got the single path {fspath(paths)!r}: write [path]"
        )
    report = on_error or _refuse
    seen: set[tuple[int, int]] = set()
    for path in paths:
        # A stack, not recursion: folders may be nested deeper than Python calls may. It holds what is still to be
        # visited, the next one last, and whether a name was given outright.
        waiting = [(os_path(path), True)]
        while waiting:
            name, given = waiting.pop()
            wanted = given or os.path.splitext(name)[1].lower() in AUDIO_SUFFIXES
            try:
                status = os.stat(name)
                # Device and inode: the same for every name of a file or folder.
                identity = status.st_dev, status.st_ino
                if stat.S_ISDIR(status.st_mode):
                    if identity not in seen:
                        seen.add(identity)
                        inside = sorted(os.listdir(name), reverse=True)
                        waiting += [(os.path.join(name, entry), False) for entry in inside if entry[0] != "."]
                elif wanted and not stat.S_ISREG(status.st_mode):
                    report(Path(name), "not a regular file: leave it out")
                elif wanted and identity not in seen:
                    seen.add(identity)
                    yield Path(name)
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.ELOOP):
                    report(Path(name), f"cannot be searched ({error.strerror}): check its permissions")
                elif wanted:
                    report(Path(name), "no such file or folder: check the name, or where the link leads")


def _refuse(path: Path, reason: str) -> None:
    raise AudioError(path, reason)
