"""Lengths in Creative Voice files: blocks with 24-bit sizes, closed by one of kind 0 (Creative Labs 1994)."""

from __future__ import annotations

from soundloom.audio.containers.layout import Layout, Missing, Part, Source

__all__ = ["VOC", "inspect_voc", "voc_length"]

VOC = b"Creative Voice File\x1a"
# Kinds of blocks: where the file ends, and those that hold sound.
END, SOUND = 0, (1, 2, 9)


def _walk(source: Source) -> tuple[int, int]:
    """Where the blocks end, in bytes, and how many of them hold sound."""
    place, sounds = int.from_bytes(source.head[20:22], "little"), 0
    while place < source.size:
        head = source.read(place, 4)
        if head[0] == END:
            return place + 1, sounds
        if len(head) < 4:
            break
        place += 4 + int.from_bytes(head[1:4], "little")
        sounds += head[0] in SOUND
    return place, sounds


def voc_length(source: Source) -> int:
    """The length of the file by its blocks, in bytes."""
    return _walk(source)[0]


def inspect_voc(source: Source) -> Layout:
    """Whether the blocks of a file are all there; libsndfile reads a single block of sound only."""
    end, sounds = _walk(source)
    missing = Missing(present=None, promised=None) if end > source.size else None
    return Layout(parts=(Part(library="pyav" if sounds > 1 else None),), missing=missing)
