"""Inventory of a library's folder: which files it holds beside its tables, so that a deleted one is noticed.

The inventory is kept with the checksums of the store and taken after every commit. Files that cannot be computed again
stay in it until the checksums are renewed; caches are listed as they are.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

__all__ = ["CACHES", "inventory"]

_DURABLE = ("library.json", "roots.json", "tags.jsonl", "tags.sum")
CACHES = ("index", "map", "facts.arrow")
"""Folders and a file whose content is computed again when it is missing."""


def inventory(folder: Path, known: Iterable[str] = ()) -> frozenset[str]:
    """Names of the files, relative to a library's folder, that it holds or held.

    Args:
        folder: the library's.
        known: an earlier inventory, whose files that cannot be computed again are taken over.
    """
    durable = {name for name in _DURABLE if (folder / name).is_file()} | set(_DURABLE).intersection(known)
    maps = {f"map/{file.name}" for file in (folder / "map").glob("*.npz")}
    index = {"index"} if (folder / "index").is_dir() else set()
    facts = {"facts.arrow"} if (folder / "facts.arrow").is_file() else set()
    return frozenset(durable | maps | index | facts)
