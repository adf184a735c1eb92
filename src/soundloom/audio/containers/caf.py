"""Lengths in Core Audio files: chunks with 64-bit sizes, -1 for a last one that goes on to the end (Apple CAF 1.0)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from soundloom.audio.containers.data_size import Data, laid_out, true_size
from soundloom.audio.containers.layout import Layout, Missing, Source
from soundloom.audio.containers.samples import SampleFormat
from soundloom.audio.file_view import FileView

__all__ = ["caf_length", "inspect_caf"]

HEAD = 8
MOST_CHUNKS = 1000
NAMES = b"desc data free info pakt kuki chan mark strg regn inst midi ovvw peak edct umid uuid"
KNOWN = frozenset(NAMES.split())
OPEN = -1


@dataclass(frozen=True, kw_only=True)
class _Description:
    """What the description chunk says of the sound."""

    rate: float
    code: bytes
    flags: int
    packet: int
    channels: int
    bits: int

    def format(self) -> SampleFormat | None:
        """How samples lie in the file; None: they are compressed."""
        if self.code == b"lpcm" and self.bits:
            kind = "f" if self.flags & 1 else "i"
            width = self.packet // self.channels or 1
            return SampleFormat(kind, width, self.channels, big=not self.flags & 2)
        return SampleFormat("l", 1, self.channels) if self.code in (b"ulaw", b"alaw") else None


def _chunks(source: Source) -> dict[bytes, tuple[int, int]]:
    """The chunks of a file up to the sound: name -> where the content begins, and its length."""
    chunks: dict[bytes, tuple[int, int]] = {}
    place = HEAD
    while b"data" not in chunks and len(chunks) < MOST_CHUNKS:
        head = source.read(place, 12)
        if len(head) < 12:
            break
        name, length = struct.unpack(">4sq", head)
        chunks[name] = place + 12, length
        if length < 0:
            break
        place += 12 + length
    return chunks


def caf_length(source: Source) -> int | None:
    """The length of the file by its chunks, in bytes; None: the last one goes on to the end."""
    place = HEAD
    for _ in range(MOST_CHUNKS):
        head = source.read(place, 12)
        if len(head) < 12 or head[:4] not in KNOWN:
            return place
        length = struct.unpack(">q", head[4:])[0]
        if length < 0:
            return None
        place += 12 + length
    return None


def inspect_caf(source: Source) -> Layout:
    """Compare the size of the data chunk of a CAF file with its bytes."""
    chunks = _chunks(source)
    sound = _description(source, chunks)
    begin, length = chunks.get(b"data", (0, OPEN))
    if sound is None or length == OPEN:
        return Layout()
    # Four bytes that number the edits come before the sound.
    begin, claimed = begin + 4, max(0, length - 4)
    form = sound.format()
    if form is None:
        return _inspect_compressed(source, chunks, sound, begin + claimed)
    data = Data(
        begin=begin,
        claimed=claimed,
        declared_end=None,
        form=form,
        frame=form.frame,
        per_second=form.frame * sound.rate,
        big=True,
        wide=True,
    )
    if source.read(begin + claimed, 4) in KNOWN:
        return Layout()
    found = true_size(source, data)
    if found.kind in ("counted", "missing"):
        return laid_out(data, found, None, "CAF")
    patches = {begin - 12: struct.pack(">q", found.size + 4)}
    return laid_out(data, found, FileView.patched(begin + found.size, patches), "CAF")


def _description(source: Source, chunks: dict[bytes, tuple[int, int]]) -> _Description | None:
    """The description of the sound; None: it is missing or senseless."""
    content = source.read(chunks[b"desc"][0], 32) if b"desc" in chunks else b""
    if len(content) < 32:
        return None
    rate, code, flags, packet, _, channels, bits = struct.unpack(">d4sIIIII", content)
    if not (rate > 0 and channels):
        return None
    return _Description(rate=rate, code=code, flags=flags, packet=packet, channels=channels, bits=bits)


def _inspect_compressed(source: Source, chunks: dict[bytes, tuple[int, int]], sound: _Description, end: int) -> Layout:
    """Whether a compressed sound is all there; a packet table before it counts its frames."""
    if end <= source.size:
        return Layout()
    table = source.read(chunks[b"pakt"][0], 16) if b"pakt" in chunks else b""
    promised = struct.unpack(">qq", table)[1] / sound.rate if len(table) == 16 else None
    return Layout(missing=Missing(present=None, promised=promised))
