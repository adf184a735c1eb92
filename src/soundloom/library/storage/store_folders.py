"""Names of the folders that hold a library's rows: the one in use, and those that an upgrade fills or has replaced.

The settings name the store in use. An upgrade fills the store of the next generation, ``store-2-<fingerprint>``, and
then names it in the settings: that one write replaces all rows. A store of an earlier generation than the one in use
is left over, one of a later generation belongs to an upgrade that is not finished.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from soundloom.library.library_files import SETTINGS_FILE

__all__ = [
    "FIRST_STORE",
    "generation",
    "is_store_name",
    "next_store",
    "remove_replaced",
    "remove_stores",
    "store_folder",
    "upgraded_store",
]

FIRST_STORE = "store"

_NAME = re.compile(r"store(?:-(\d{1,6})-[0-9a-f]{12})?")


def is_store_name(name: object) -> bool:
    """Whether a value is the name of a store's folder."""
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def generation(name: str) -> int:
    """How many stores the library has had up to this one."""
    found = _NAME.fullmatch(name)
    return int(found[1] or 1) if found else 1


def next_store(current: str, fingerprint: str) -> str:
    """The name of the store that an upgrade fills.

    Args:
        current: the name of the store in use.
        fingerprint: of the model that fills it.
    """
    return f"store-{generation(current) + 1}-{fingerprint[:12]}"


def store_folder(folder: Path) -> Path:
    """The folder of the rows in use; where the settings cannot be read, the one of the earliest generation.

    Args:
        folder: the library's.
    """
    with suppress(OSError, ValueError, AttributeError, RecursionError):
        name = json.loads((folder / SETTINGS_FILE).read_text(encoding="utf-8")).get("store", FIRST_STORE)
        if is_store_name(name):
            return folder / str(name)
    return min(_stores(folder), key=lambda store: generation(store.name), default=folder / FIRST_STORE)


def upgraded_store(folder: Path) -> Path | None:
    """The store of an upgrade that has not come to its end, if there is one."""
    stores = _stores(folder)
    current = generation(store_folder(folder).name) if stores else 0
    return next((store for store in stores if generation(store.name) > current), None)


def remove_replaced(folder: Path) -> None:
    """Remove the stores that an upgrade has replaced, if a killed process has left one."""
    current = generation(store_folder(folder).name)
    remove_stores(folder, lambda name: generation(name) < current)


def remove_stores(folder: Path, unwanted: Callable[[str], bool]) -> None:
    """Remove stores with their checksums and locks; what cannot be removed stays.

    Args:
        folder: the library's.
        unwanted: whether the store of a name is removed.
    """
    with suppress(OSError):
        for store in _stores(folder):
            if unwanted(store.name):
                shutil.rmtree(store, ignore_errors=True)
                for ending in ("checksums.json", "lock"):
                    store.with_name(f"{store.name}.{ending}").unlink(missing_ok=True)


def _stores(folder: Path) -> list[Path]:
    with suppress(OSError):
        return [entry for entry in folder.iterdir() if is_store_name(entry.name) and entry.is_dir()]
    return []
