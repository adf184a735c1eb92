"""A library of made-up embeddings that a test may damage, and damages of its files."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from helpers.library_factory import clustered, filled
from soundloom.library import Hit, Library

__all__ = ["DAMAGES", "PATHS", "VECTORS", "flip", "library_to_damage", "search"]

PATHS = [f"/s/{number:03d}.wav" for number in range(120)]
VECTORS = clustered(12, 10)


def library_to_damage(folder: Path) -> Library:
    """A file a path, one of them with a tag."""
    return filled(folder, PATHS, VECTORS, tags={PATHS[3]: ["dog"]})


def search(library: Library, where: str | None = None) -> list[Hit]:
    """Thirty hits."""
    return library.search_embedding(VECTORS[7] + 0.1, 30, where=where)


def flip(file: Path, position: float = 0.5) -> None:
    """Flip one bit, of the byte at this share of the file."""
    data = bytearray(file.read_bytes())
    data[int(position * (len(data) - 1))] ^= 0x10
    file.write_bytes(data)


DAMAGES: dict[str, Callable[[Path], None]] = {
    "flipped at the start": lambda file: flip(file, 0.0),
    "flipped in the middle": flip,
    "flipped at the end": lambda file: flip(file, 1.0),
    "cut": lambda file: os.truncate(file, file.stat().st_size // 2),
    "emptied": lambda file: os.truncate(file, 0),
    "zeroed": lambda file: file.write_bytes(bytes(file.stat().st_size)),
    "longer": lambda file: file.write_bytes(file.read_bytes() + b"more"),
    "deleted": lambda file: file.unlink(),
}
"""What is done to a file, in words -> the function that does it."""
