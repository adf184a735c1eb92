"""Inventory of a library's folder: the files beside its tables, so that a deleted one is noticed.

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

__all__ = ["CACHES", "inventory"]

_DURABLE = (SETTINGS_FILE, ROOTS_FILE, TAGS_FILE, TAGS_SUM_FILE, COLUMNS_FILE, ANNOTATIONS_FILE, DEPLOYMENTS_FILE)
CACHES = (INDEX_FOLDER, MAP_FOLDER, FACTS_FILE)
"""Folders and a file whose content is computed again when it is missing."""


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
