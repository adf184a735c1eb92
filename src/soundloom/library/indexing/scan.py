"""Search for audio files below the roots of a library: folders and files of this machine, and addresses."""

from __future__ import annotations

import os
import shlex
from collections import Counter
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from soundloom import audio
from soundloom.audio.ignore_rules import IGNORE_FILE, IgnoreRules
from soundloom.counted import counted
from soundloom.errors import LibraryError, RemoteFileError
from soundloom.file_names import os_path, text_path
from soundloom.library.indexing.diff import FileOnDisk
from soundloom.library.library_files import is_library
from soundloom.library.storage.root_paths import RootLookup
from soundloom.local_path import local_path
from soundloom.remote import absolute_location, is_address, open_binary
from soundloom.remote.locations import REQUESTS, check_location, inside, is_file_uri, remote_files
from soundloom.system_errors import reason_of

__all__ = ["FilesLeftOut", "files_below", "find_files", "roots_of"]

_ENDINGS_SHOWN = 3
_FOLDERS_SHOWN = 10


@dataclass
class FilesLeftOut:
    """Files in folders whose names are none of sounds, begin with a dot, or fit a pattern; and folders not opened.

    Attributes:
        system_folders: the folders of the operating system itself, such as ``/proc``, which are not searched.
        endings: ending, in lower case, empty for none -> how many files have it.
        example: the path of one, without an ending if there is such a file.
        hidden: the paths of sounds whose names begin with a dot.
        excluded: the sounds and folders that a pattern leaves out: path -> ``file`` or ``folder``.
    """

    endings: dict[str, int] = field(default_factory=dict)
    example: str = ""
    system_folders: list[str] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)
    excluded: dict[str, str] = field(default_factory=dict)

    def add(self, path: str) -> None:
        """Count a file."""
        ending = os.path.splitext(path)[1].lower()
        if not self.example or (not ending and "" not in self.endings):
            self.example = text_path(path)
        self.endings[ending] = self.endings.get(ending, 0) + 1

    def add_hidden(self, path: str) -> None:
        """Note a sound whose name begins with a dot."""
        self.hidden.append(text_path(path))

    def add_system_folder(self, path: str) -> None:
        """Note a folder that is not searched."""
        self.system_folders.append(text_path(path))

    def __str__(self) -> str:
        return self.described()

    def described(self, patterns: str = "") -> str:
        """A line for every kind of what was left out.

        Args:
            patterns: the file of the caller's patterns; empty if only those of ignore files count.
        """
        about = [*self._about_folders(), *self._about_files(), *self._about_hidden(), *self._about_excluded(patterns)]
        return "\n".join(about)

    def _about_folders(self) -> list[str]:
        if not self.system_folders:
            return []
        some = counted(len(self.system_folders), "folder")
        return [
            f"{some} of the operating system not searched: {', '.join(map(repr, self.system_folders[:_FOLDERS_SHOWN]))}"
            + (" and others" if len(self.system_folders) > _FOLDERS_SHOWN else "")
            + ". If sounds are in there, name the folder itself."
        ]

    def _about_hidden(self) -> list[str]:
        if not self.hidden:
            return []
        count, name = counted(len(self.hidden), "hidden sound"), min(self.hidden)
        return [f"{count} left out, whose names begin with a dot, {name!r} for instance: name the file itself."]

    def _about_excluded(self, patterns: str) -> list[str]:
        if not self.excluded:
            return []
        count = Counter(self.excluded.values())
        some = " and ".join(counted(count[kind], kind) for kind in ("file", "folder") if count[kind])
        listed = f"{patterns} or a file {IGNORE_FILE}" if patterns else f"a file {IGNORE_FILE}"
        return [
            f"{some} left out by patterns, {min(self.excluded)!r} for instance: to take a pattern back, delete its "
            f"line in {listed}."
        ]

    def _about_files(self) -> list[str]:
        if not self.endings:
            return []
        count = sum(self.endings.values())
        most = sorted(self.endings.items(), key=lambda item: (-item[1], item[0]))[:_ENDINGS_SHOWN]
        kinds = [f"{number} {ending or 'without an ending'}" for ending, number in most]
        if more := count - sum(number for _, number in most):
            kinds.append(f"{more} others")
        return [
            f"{counted(count, 'file')} left out, not named like audio files: {', '.join(kinds)}; {self.example!r} for "
            "instance. If one of them is audio, name the file itself, or rename it."
        ]


def find_files(
    sounds: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    failed: dict[str, str],
    left_out: FilesLeftOut | None = None,
) -> Iterator[FileOnDisk]:
    """The audio files below folders, files and addresses; see `files_below`.

    Raises:
        LibraryError, RemoteFileError: as `roots_of`.
    """
    return files_below(roots_of(sounds), failed, left_out)


def roots_of(sounds: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> list[str]:
    """The folders, files and addresses as libraries keep them (`soundloom.remote.locations`), links left as they are.

    Raises:
        LibraryError: none is given, or one does not exist.
        RemoteFileError: the server of an address cannot be reached.
    """
    listed = [sounds] if isinstance(sounds, str | os.PathLike) else list(sounds)
    roots = [absolute_location(root if is_address(root) or is_file_uri(root) else local_path(root)) for root in listed]
    if not roots:
        raise LibraryError("no folder or file of sounds is given")
    with ThreadPoolExecutor(REQUESTS, thread_name_prefix="soundloom-remote") as pool:
        for root, there in zip(roots, pool.map(check_location, roots), strict=True):
            if not there:
                listing = ": HTTP lists no folders, give a list of files" if root.startswith("http") else ""
                what = "nothing at" if is_address(root) else "no folder or file"
                raise LibraryError(f"there is {what} {root!r}{listing}")
            if not is_address(root) and is_library(os_path(root)):
                raise LibraryError(
                    f"{root!r} is a library, and sounds are expected: name folders of sounds, such as those that it "
                    f"was filled from, which soundloom roots -l {shlex.quote(root)} lists"
                )
    return roots


def files_below(
    roots: Sequence[str],
    failed: dict[str, str],
    left_out: FilesLeftOut | None = None,
    known: Container[str] = (),
    exclude: Sequence[str] = (),
    forgotten: Collection[str] = (),
) -> Iterator[FileOnDisk]:
    """The audio files below some roots, those of this machine first.

    Args:
        roots: as `roots_of` gives them.
        failed: takes what cannot be looked at: path -> reason.
        left_out: takes the files in folders that do not end like an audio file, and what patterns leave out.
        known: paths of files that are taken whatever their ending.
        exclude: patterns of what is left out; see `soundloom.audio.find`.
        forgotten: folders and files that are left out, unless a root is one or lies in one.
    """
    ignored = FilesLeftOut() if left_out is None else left_out
    is_forgotten, leave_out = _is_forgotten(roots, forgotten), _leaving_out(ignored, roots, known)

    def is_known(name: str) -> bool:
        if text_path(name) in known:
            return True
        ignored.add(name)
        return False

    def fail(path: Path, reason: str) -> None:
        failed[text_path(path)] = reason

    here = [root for root in roots if not is_address(root)]
    found = audio.find(
        here, fail, is_known, exclude=exclude, is_left_out=is_forgotten,
        on_system_folder=ignored.add_system_folder, hidden=ignored.add_hidden, on_excluded=leave_out,
    )  # fmt: skip
    for path in found:
        try:
            yield FileOnDisk.of(path)
        except OSError as error:
            failed[text_path(path)] = f"cannot be looked at: {reason_of(error)}"
    seen: set[str] = set()
    for root, listed in remote_files(root for root in roots if is_address(root)):
        if isinstance(listed, RemoteFileError):
            failed[root] = str(listed)
            continue
        try:
            rules = _ignore_rules(root, [name for name, _ in listed], exclude)
        except RemoteFileError as error:
            failed[root] = str(error)
            continue
        for name, status in listed:
            if (
                name not in seen
                and not is_forgotten(name)
                and (name == root or _is_wanted(name, root, rules, is_known, ignored.add_hidden, leave_out))
            ):
                seen.add(name)
                yield FileOnDisk(name, status.size, status.mtime_ns)


def _is_forgotten(roots: Sequence[str], forgotten: Collection[str]) -> Callable[[str], bool]:
    """Whether a path lies in a forgotten folder, without a root in between."""
    apart = set(forgotten) - set(roots)
    lookup = RootLookup([*roots, *apart])
    return lambda path: bool(apart) and lookup.root_of(text_path(path)) in apart


def _leaving_out(left_out: FilesLeftOut, roots: Sequence[str], known: Container[str]) -> Callable[[str, bool], None]:
    """Notes the folders and sounds that a pattern leaves out: given a path, and whether it is a folder's."""
    named = set(roots)

    def note(name: str, is_folder: bool) -> None:
        path = text_path(name)
        wanted = is_folder or os.path.splitext(name)[1].lower() in audio.AUDIO_SUFFIXES or path in known
        if wanted and path not in named:
            left_out.excluded[path] = "folder" if is_folder else "file"

    return note


def _ignore_rules(root: str, names: Sequence[str], exclude: Sequence[str]) -> Callable[[str], IgnoreRules]:
    """Gives the patterns that count in a folder below an address: the caller's, and those of its ignore files.

    Args:
        root: the address.
        names: of the objects below it.
        exclude: patterns of the caller.

    Raises:
        RemoteFileError: an ignore file cannot be read.
    """
    top = root.rstrip("/")
    lines: dict[str, list[str]] = {}
    for name in names:
        folder, _, base = name.rpartition("/")
        if base == IGNORE_FILE:
            with open_binary(os_path(name)) as file:
                lines[folder] = file.read().decode(errors="surrogateescape").splitlines()

    @cache
    def rules(folder: str) -> IgnoreRules:
        below = len(folder) > len(top)
        outer = rules(folder.rpartition("/")[0]) if below else IgnoreRules().with_patterns(top, exclude)
        return outer.with_patterns(folder, lines.get(folder, ()))

    return rules


def _is_wanted(
    name: str,
    root: str,
    rules: Callable[[str], IgnoreRules],
    other_ending: Callable[[str], bool],
    hide: Callable[[str], None],
    leave_out: Callable[[str, bool], None],
) -> bool:
    """Whether an object below an address is a sound that no pattern leaves out, as `audio.find` chooses files."""
    *folders, base = name.removeprefix(inside(root)).split("/")
    if any(part.startswith(".") for part in folders):
        return False
    if base.startswith("."):
        if audio.is_hidden_sound(base):
            hide(name)
        return False
    if rules(name.rpartition("/")[0]).exclude(name, is_folder=False):
        leave_out(name, False)
        return False
    return os.path.splitext(name)[1].lower() in audio.AUDIO_SUFFIXES or other_ending(name)
