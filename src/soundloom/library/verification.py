"""Verification of a library: every file that is damaged, and what to do about each.

The store, the log of tags, the list of roots and the settings are compared with their checksums and read whole. Caches
(search index, maps, facts of files) are compared with theirs; damage to them is harmless, because they are rebuilt.
Files that were deleted whole are known from an inventory that every commit takes. Nothing is written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Set
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from soundloom.errors import CacheDamagedError, LibraryError
from soundloom.library.library_files import (
    ANNOTATIONS_FILE,
    COLUMNS_FILE,
    DEPLOYMENTS_FILE,
    FACTS_FILE,
    INDEX_FOLDER,
    MAP_FOLDER,
    ROOTS_FILE,
    SETTINGS_FILE,
    TAGS_FILE,
    TAGS_SUM_FILE,
)
from soundloom.library.map.kept_map import check_maps
from soundloom.library.search.vector_index.index_files import check_index
from soundloom.library.storage.contents import CACHES
from soundloom.library.storage.facts_table import check_columns, check_facts
from soundloom.library.storage.integrity.store_checksums import StoreChecksums
from soundloom.library.storage.library_settings import LibrarySettings
from soundloom.library.storage.root_registry import RootRegistry
from soundloom.library.storage.store import Store, store_damages
from soundloom.library.storage.store_folders import store_folder
from soundloom.library.tags.edit_log import DecisionLog
from soundloom.system_errors import one_line_errors

__all__ = ["DamagedFile", "renew_checksums", "verify_library"]

_REBUILT = "a cache: rebuilt by the next search"
_MAP_REBUILT = "a cache: computed anew by the next map"
_FACTS_REBUILT = "a cache: read from the files again by the next index"
_COLUMNS_LOST = "restore it from a backup, or read the table again: soundloom index --columns-from FILE"
_DELETED = {
    SETTINGS_FILE: "restore it from a backup",
    ROOTS_FILE: "restore it from a backup, or name the folders when you index again",
    TAGS_FILE: "restore it from a backup; the tags in the store are unharmed",
    COLUMNS_FILE: _COLUMNS_LOST,
    TAGS_SUM_FILE: f"restore it from a backup, or edit a tag if {TAGS_FILE} is whole",
    ANNOTATIONS_FILE: "restore it from a backup, or import the annotations again",
    DEPLOYMENTS_FILE: "restore it from a backup, or give the table to soundloom annotations deploy again",
    INDEX_FOLDER: _REBUILT,
    MAP_FOLDER: _MAP_REBUILT,
    FACTS_FILE: _FACTS_REBUILT,
}
"""Name of a file or folder that was deleted -> the remedy."""
_ROOTS = 3
"""Folders that a remedy names."""


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
        durable = [*_settings(folder), *_store(folder), *_tags(folder), *_roots(folder), *_columns(folder)]
        found = [*durable, *_caches(folder)]
        return [*found, *_deleted(folder, {finding.path for finding in found})]


def renew_checksums(folder: Path) -> None:
    """Note the checksums of the store's files as they are now, damaged or not.

    Args:
        folder: the library's.

    Raises:
        LibraryError: there is no library.
        ResourceError: the folder cannot be written.
    """
    Store(store_folder(folder), LibrarySettings.read(folder).dim).renew_checksums()


def _settings(folder: Path) -> Iterator[DamagedFile]:
    try:
        LibrarySettings.read(folder)
        if not LibrarySettings.are_as_written(folder):
            yield DamagedFile(str(folder / SETTINGS_FILE), "differs from what was written", "restore it from a backup")
    except LibraryError as error:
        yield DamagedFile(
            str(folder / SETTINGS_FILE), _reason(error), "restore it from a backup, or index into a new library"
        )


def _reason(error: LibraryError) -> str:
    """What is wrong, without the remedy that the error ends with: a finding has its own."""
    return re.split(r"(?<=\)): ", str(error))[0]


def _store(folder: Path) -> Iterator[DamagedFile]:
    remedy = "restore it from a backup, or index the sounds into a new library"
    try:
        roots = RootRegistry(folder).paths()
    except LibraryError:
        roots = []
    if roots:
        named = ", ".join(map(repr, roots[:_ROOTS])) + (f" and {len(roots) - _ROOTS} more" if roots[_ROOTS:] else "")
        remedy = f"restore it from a backup, or index into a new library: {named}"
    for damage in store_damages(store_folder(folder)):
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
    file = folder / TAGS_FILE
    try:
        DecisionLog(file).check()
    except LibraryError as error:
        yield DamagedFile(str(file), _reason(error), "restore it from a backup; the tags in the store are unharmed")
        return
    text = file.read_bytes() if file.exists() else b""
    if text and not text.endswith(b"\n"):
        yield DamagedFile(
            str(file), "its last line has no end", "restore it from a backup; the next edit drops the line"
        )


def _roots(folder: Path) -> Iterator[DamagedFile]:
    try:
        RootRegistry(folder).check()
    except LibraryError as error:
        yield DamagedFile(
            str(folder / ROOTS_FILE), _reason(error), "remove it, and name the folders when you index again"
        )


def _columns(folder: Path) -> Iterator[DamagedFile]:
    try:
        check_columns(folder)
    except CacheDamagedError as damage:
        yield DamagedFile(str(folder / COLUMNS_FILE), str(damage), _COLUMNS_LOST)


def _caches(folder: Path) -> Iterator[DamagedFile]:
    try:
        check_index(folder / INDEX_FOLDER)
    except CacheDamagedError as damage:
        yield DamagedFile(str(folder / INDEX_FOLDER), str(damage), _REBUILT, cache=True)
    try:
        check_facts(folder)
    except CacheDamagedError as damage:
        yield DamagedFile(str(folder / FACTS_FILE), str(damage), _FACTS_REBUILT, cache=True)
    for file, error in check_maps(folder / MAP_FOLDER):
        yield DamagedFile(str(file), str(error), _MAP_REBUILT, cache=True)


def _deleted(folder: Path, named: Set[str]) -> Iterator[DamagedFile]:
    """Files that the library held and holds no more, without those that are named already."""
    checksums = StoreChecksums(store_folder(folder))
    if not checksums.file.exists() and _had_checksums(folder):
        renew = f"if the rest is whole, run: soundloom verify --renew -l {quote(str(folder))}"
        yield DamagedFile(str(checksums.file), "is missing", renew)
    for name in checksums.missing_contents():
        if (path := str(folder / name)) not in named:
            yield DamagedFile(path, "is missing", _DELETED[name.split("/")[0]], cache=name.split("/")[0] in CACHES)


def _had_checksums(folder: Path) -> bool:
    try:
        return LibrarySettings.read(folder).checksums
    except LibraryError:
        return False
