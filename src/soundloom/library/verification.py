"""Verification of a library: every file that is damaged, and what to do about each.

The store, the log of tags, the list of roots and the settings are compared with their checksums and read whole. Caches
(search index, maps) are compared with theirs; damage to them is harmless, because they are rebuilt when they are next
used. Nothing is written.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from soundloom.errors import CacheDamagedError, LibraryError
from soundloom.library.indexing.roots import RootRegistry
from soundloom.library.map.library_map import check_maps
from soundloom.library.search.index_files import check_index
from soundloom.library.storage.library_settings import LibrarySettings
from soundloom.library.storage.store import store_damages
from soundloom.library.tags.edit_log import DecisionLog
from soundloom.system_errors import one_line_errors

__all__ = ["DamagedFile", "verify_library"]

_REBUILT = "a cache: rebuilt by the next search"
_MAP_REBUILT = "a cache: computed anew by the next map"


@dataclass(frozen=True)
class DamagedFile:
    """A damaged file of a library.

    Attributes:
        path: the file.
        reason: what is wrong with it.
        remedy: what to do.
        cache: whether it belongs to a cache, which is rebuilt without loss.
    """

    path: str
    reason: str
    remedy: str
    cache: bool = False


def verify_library(folder: Path) -> list[DamagedFile]:
    """Read everything in a library and report what is damaged.

    Args:
        folder: the library's.

    Raises:
        LibraryError: there is no library.
        ResourceError: the folder cannot be read.
    """
    if not folder.is_dir():
        LibrarySettings.read(folder)  # says that there is none
    with one_line_errors(folder):
        return [*_settings(folder), *_store(folder), *_tags(folder), *_roots(folder), *_caches(folder)]


def _settings(folder: Path) -> Iterator[DamagedFile]:
    try:
        LibrarySettings.read(folder)
        if not LibrarySettings.are_as_written(folder):
            yield DamagedFile(str(folder / "library.json"), "differs from what was written", "restore it from a backup")
    except LibraryError as error:
        yield DamagedFile(
            str(folder / "library.json"), str(error), "restore it from a backup, or index into a new library"
        )


def _store(folder: Path) -> Iterator[DamagedFile]:
    remedy = "restore it from a backup, or index the sounds into a new library"
    try:
        roots = [str(root) for root in RootRegistry(folder).paths()]
    except LibraryError:
        roots = []
    if roots:
        remedy = f"restore it from a backup, or index into a new library: {', '.join(map(repr, roots))}"
    for damage in store_damages(folder / "store"):
        if damage.path.endswith(".checksums.json"):
            renew = f"if the rest is whole, run: soundloom verify --renew -l {quote(str(folder))}"
            yield DamagedFile(damage.path, damage.reason, renew)
        elif damage.path.endswith("latest_version_hint.json"):
            yield DamagedFile(
                damage.path, damage.reason, "harmless: written anew by the next soundloom index", cache=True
            )
        else:
            yield DamagedFile(damage.path, damage.reason, remedy)


def _tags(folder: Path) -> Iterator[DamagedFile]:
    file = folder / "tags.jsonl"
    if not file.exists():
        return
    try:
        DecisionLog(file).check()
    except LibraryError as error:
        yield DamagedFile(str(file), str(error), "restore it from a backup; the tags in the store are unharmed")
        return
    text = file.read_bytes()
    if text and not text.endswith(b"\n"):
        yield DamagedFile(
            str(file), "its last line has no end", "restore it from a backup; the next edit drops the line"
        )


def _roots(folder: Path) -> Iterator[DamagedFile]:
    try:
        RootRegistry(folder).check()
    except LibraryError as error:
        yield DamagedFile(
            str(folder / "roots.json"), str(error), "remove it, and name the folders when you index again"
        )


def _caches(folder: Path) -> Iterator[DamagedFile]:
    try:
        check_index(folder / "index")
    except CacheDamagedError as damage:
        yield DamagedFile(str(folder / "index"), str(damage), _REBUILT, cache=True)
    for file, error in check_maps(folder / "map"):
        yield DamagedFile(str(file), str(error), _MAP_REBUILT, cache=True)
