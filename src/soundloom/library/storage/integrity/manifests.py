"""Manifests of the versions of a Lance table, which name all files of a version; found and read without LanceDB.

LanceDB names the manifest of a version after its number, and opening a table takes a second of imports.
"""

from __future__ import annotations

import zlib
from pathlib import Path

__all__ = ["latest_manifest", "manifest_checksum", "manifest_of"]

_LARGEST = 2**64 - 1
_REVERSED = 20
"""Digits of a file name that counts down from the largest number; older tables count up, without zeros in front."""


def latest_manifest(table: Path) -> tuple[int, Path] | None:
    """The latest version of a table and its manifest; None if there is none.

    Args:
        table: the table's folder.
    """
    manifests = [(_number(file), file) for file in (table / "_versions").glob("*.manifest") if file.stem.isdigit()]
    return max(manifests, default=None)


def manifest_of(table: Path, version: int) -> Path | None:
    """The manifest of a version of a table; None if there is none.

    Args:
        table: the table's folder.
        version: its number.
    """
    names = (f"{_LARGEST - version:0{_REVERSED}d}", f"{version}")
    files = (table / "_versions" / f"{name}.manifest" for name in names)
    return next((file for file in files if file.is_file()), None)


def manifest_checksum(manifest: Path) -> str:
    """CRC-32 of a manifest: it differs between tables also where their versions are the same."""
    return f"{zlib.crc32(manifest.read_bytes()):08x}"


def _number(manifest: Path) -> int:
    number = int(manifest.stem)
    return _LARGEST - number if len(manifest.stem) == _REVERSED else number
