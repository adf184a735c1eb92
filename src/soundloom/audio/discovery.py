"""Sound files in folders, found by their suffix in a depth-first walk.

The content is not looked at, because opening a million files takes minutes. A file that the caller names is accepted
with any suffix.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from os import PathLike, fspath
from pathlib import Path

from soundloom.audio.ignore_rules import IgnoreRules
from soundloom.audio.system_folders import system_devices
from soundloom.audio_suffixes import AUDIO_SUFFIXES
from soundloom.errors import AudioError, InvalidArgumentError
from soundloom.file_names import os_path

__all__ = ["AUDIO_SUFFIXES", "find", "is_hidden_sound"]


def find(
    paths: Iterable[str | PathLike[str]],
    on_error: Callable[[Path, str], None] | None = None,
    other_ending: Callable[[str], bool] | None = None,
    *,
    exclude: Sequence[str] = (),
    is_left_out: Callable[[str], bool] = lambda _path: False,
    on_system_folder: Callable[[str], None] = lambda _path: None,
    hidden: Callable[[str], None] = lambda _path: None,
    on_excluded: Callable[[str, bool], None] = lambda _path, _is_folder: None,
) -> Iterator[Path]:
    """Yield the sound files in some files and folders, each once, in a fixed order.

    Folders are searched in the order given, depth first, sorted by name. Links are followed. A file or folder that has
    several names (links or hard links) is visited once, so a loop of links ends. Unless they are in ``paths``, names
    that begin with a dot are skipped, and so are what patterns leave out (`soundloom.audio.ignore_rules`) and the
    folders of the operating system itself, such as ``/proc`` (`soundloom.audio.system_folders`).

    Args:
        paths: files and folders.
        on_error: called with every path that cannot be searched, and the reason; None: the first one is raised.
        other_ending: called with the path of every file whose ending is none of `AUDIO_SUFFIXES`; says whether it is
            taken all the same. None: no such file is taken unless it is one of ``paths``.
        exclude: patterns of what is left out below each of the folders in ``paths``.
        is_left_out: called with every path that is none of ``paths``; says whether it is left out.
        on_system_folder: called with every folder of the operating system that is not searched.
        hidden: called with the path of every sound file that is skipped because its name begins with a dot.
        on_excluded: called with every file and folder that a pattern leaves out, and whether it is a folder.

    Raises:
        AudioError: a path cannot be searched and ``on_error`` is None.
        InvalidArgumentError: a pattern is none, or ``paths`` is a single path.
    """
    if isinstance(paths, str | PathLike):
        raise InvalidArgumentError(
            f"find takes an iterable of paths, got the single path {fspath(paths)!r}: write [path]"
        )
    walk = _Walk(on_error or _refuse, other_ending, exclude, is_left_out, on_system_folder, hidden, on_excluded)
    for path in paths:
        yield from _search(os_path(path), walk)


@dataclass(frozen=True)
class _Walk:
    """How folders are searched, see `find`; and what was visited."""

    report: Callable[[Path, str], None]
    other_ending: Callable[[str], bool] | None
    exclude: Sequence[str]
    is_left_out: Callable[[str], bool]
    on_system_folder: Callable[[str], None]
    hidden: Callable[[str], None]
    on_excluded: Callable[[str, bool], None]
    devices: frozenset[int] = field(default_factory=system_devices)
    seen: set[tuple[int, int]] = field(default_factory=set)

    def excludes(self, name: str, rules: IgnoreRules, *, is_folder: bool) -> bool:
        """Whether a pattern leaves out a file or folder that the caller did not name."""
        excluded = rules.exclude(name, is_folder=is_folder)
        if excluded:
            self.on_excluded(name, is_folder)
        return excluded

    def enters(self, folder: str, status: os.stat_result, of: int | None) -> bool:
        """Whether a folder is new and of recordings; of the folder that the caller named, the device is ``of``."""
        if (status.st_dev, status.st_ino) in self.seen:
            return False
        self.seen.add((status.st_dev, status.st_ino))
        if status.st_dev != of and status.st_dev in self.devices:
            self.on_system_folder(folder)
            return False
        return True


def _search(root: str, walk: _Walk) -> Iterator[Path]:
    """The sound files of a file or below a folder that were not visited yet."""
    seen, report, other_ending = walk.seen, walk.report, walk.other_ending
    device: int | None = None
    # A stack, because folders may be nested deeper than Python's recursion limit: paths to visit, the next one
    # last, and whether the caller named the path.
    waiting = [(root, True, IgnoreRules().with_patterns(root, walk.exclude))]
    while waiting:
        name, given, rules = waiting.pop()
        if not given and walk.is_left_out(name):
            continue
        wanted = given or os.path.splitext(name)[1].lower() in AUDIO_SUFFIXES
        try:
            status = os.stat(name)
            # Device and inode are the same for all names of a file or folder.
            identity = status.st_dev, status.st_ino
            if stat.S_ISDIR(status.st_mode):
                device = status.st_dev if given else device
                if (given or not walk.excludes(name, rules, is_folder=True)) and walk.enters(name, status, device):
                    entries = sorted(os.listdir(name), reverse=True)
                    inside = rules.inside(name, entries)
                    waiting += [(os.path.join(name, entry), False, inside) for entry in entries if entry[0] != "."]
                    for entry in filter(is_hidden_sound, entries):
                        walk.hidden(os.path.join(name, entry))
                continue
            if not given and walk.excludes(name, rules, is_folder=False):
                continue
            if not wanted and other_ending is not None and stat.S_ISREG(status.st_mode):
                wanted = other_ending(name)
            if wanted and not stat.S_ISREG(status.st_mode):
                report(Path(name), "not a regular file: leave it out")
            elif wanted and identity not in seen:
                seen.add(identity)
                yield Path(name)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ELOOP):
                report(Path(name), f"cannot be searched ({error.strerror}): check its permissions")
            elif wanted:
                report(Path(name), "no such file or folder: check the name, or where the link leads")


def is_hidden_sound(name: str) -> bool:
    """Whether a name is a hidden sound's, and no companion that macOS writes beside a file."""
    return name[0] == "." and name[1:2] != "_" and os.path.splitext(name)[1].lower() in AUDIO_SUFFIXES


def _refuse(path: Path, reason: str) -> None:
    raise AudioError(path, reason)
