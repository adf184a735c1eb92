"""Inventory of a library's folder: the files beside its tables, so that a deleted one is noticed; and table versions.

The inventory is kept with the checksums of the store and taken after every commit. Files that cannot be computed again
stay in it until the checksums are renewed; caches are listed as they are.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

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

__all__ = ["CACHES", "inventory", "latest_manifest"]

_DURABLE = (*(SETTINGS_FILE, ROOTS_FILE, TAGS_FILE, TAGS_SUM_FILE, COLUMNS_FILE, ANNOTATIONS_FILE, DEPLOYMENTS_FILE),)
CACHES = (INDEX_FOLDER, MAP_FOLDER, FACTS_FILE)
"""Folders and a file whose content is computed again when it is missing."""
_LARGEST = 2**64 - 1
_REVERSED = 20
"""Digits of a file name that counts down from the largest number; older tables count up, without zeros in front."""


def inventory(folder: Path, known: Iterable[str] = ()) -> frozenset[str]:
    """Names of the files, relative to a library's folder, that it holds or held.

    Args:
        folder: the library's.
        known: an earlier inventory, whose files that cannot be computed again are taken over.
    """
    durable = {name for name in _DURABLE if (folder / name).is_file()} | set(_DURABLE).intersection(known)
    maps = {f"{MAP_FOLDER}/{file.name}" for file in (folder / MAP_FOLDER).glob("*.npz")}
    index = {INDEX_FOLDER} if (folder / INDEX_FOLDER).is_dir() else set()
    facts = {FACTS_FILE} if (folder / FACTS_FILE).is_file() else set()
    return frozenset(durable | maps | index | facts)


def latest_manifest(table: Path) -> tuple[int, Path] | None:
    """The latest version of a table and its manifest, which names all files of that version; found without LanceDB.

    LanceDB names the manifest of every version after its number, and opening a table takes a second of imports.

    Args:
        table: the table's folder.
    """
    manifests = [(_number(file), file) for file in (table / "_versions").glob("*.manifest") if file.stem.isdigit()]
    return max(manifests, default=None)


def _number(manifest: Path) -> int:
    number = int(manifest.stem)
    return _LARGEST - number if len(manifest.stem) == _REVERSED else number
