"""Inspection of MP4, Matroska, NUT, FLV, SWF, RM, AVI and ASF: box sizes against the file (ISO 14496-12, RFC 9559).

What is inside them FFmpeg counts packet by packet; only what it does not say is looked at here.
"""

from __future__ import annotations

import struct

from soundloom.audio.containers.layout import Layout, Missing, Part, Source
from soundloom.audio.containers.samples import is_placeholder
from soundloom.audio.notices import Notice

__all__ = [
    "ASF",
    "asf_length",
    "inspect_asf",
    "inspect_avi",
    "inspect_flv",
    "inspect_matroska",
    "inspect_mp4",
    "inspect_nut",
    "inspect_rm",
    "inspect_swf",
    "matroska_length",
]

ASF = bytes.fromhex("3026b2758e66cf11")
MOST_BOXES = 100_000
CUT = Missing(present=None, promised=None)
UNCOUNTED = (Part(library="pyav", counted=False),)
SEGMENT = 0x18538067
ASF_FILE = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
# Writers that rename a file's last box, or pad it, leave so much of it behind.
SLACK = 64
# The size of a Flash film's tag whose true size follows in four bytes; marks of films compressed by zlib and LZMA.
LONG_TAG, COMPRESSED_FILMS = 63, (b"CWS", b"ZWS")
# A property of the metadata of FLV; its value is a number of 64 bits.
FLV_SIZE = b"filesize\0"
# The mark before the index of a NUT file, and how far from the end it is looked for.
NUT_INDEX, NUT_TAIL = b"NX\xddg/#\xe6N", 1 << 20


def inspect_mp4(source: Source) -> Layout:
    """Whether an MP4 file has its index, and, where it is in fragments, the last of them.

    A cut file whose index comes first needs no look: its packets are counted there.
    """
    place, names = 0, set()
    for _ in range(MOST_BOXES):
        head = source.read(place, 16)
        if len(head) < 8:
            break
        size, name = struct.unpack(">I4s", head[:8])
        if size == 1 and len(head) == 16:
            size = struct.unpack(">Q", head[8:])[0]
        if size == 0:
            names.add(name)
            break
        if size < 8:
            break
        names.add(name)
        place += size
        if place > source.size:
            if b"moof" in names and place > source.size + SLACK:
                return Layout(missing=CUT)
            break
    if b"mdat" in names and not names & {b"moov", b"moof"}:
        return Layout(
            refused="its index (the moov box) is missing: the recording was never finished, or the file is cut "
            "short; copy it again from its source, or rebuild the index from another file of the same recorder"
        )
    return Layout()


def inspect_matroska(source: Source) -> Layout:
    """Whether the segment of a Matroska or WebM file is all there; live ones do not say."""
    length = matroska_length(source)
    return Layout(parts=UNCOUNTED, missing=CUT if length is not None and length > source.size + SLACK else None)


def matroska_length(source: Source) -> int | None:
    """The length of a file by its segment, in bytes; None: it does not say."""
    place = 0
    for _ in range(4):
        name, width = _vint(source, place, keep=True)
        size, size_width = _vint(source, place + width)
        if not (width and size_width):
            return None
        place += width + size_width
        if name == SEGMENT:
            return None if size == (1 << 7 * size_width) - 1 else place + size
        place += size
    return None


def _vint(source: Source, place: int, *, keep: bool = False) -> tuple[int, int]:
    """A number of variable width, with its marker for names, and its width in bytes; 0 bytes: there is none."""
    head = source.read(place, 8)
    if not head or not head[0]:
        return 0, 0
    width = 9 - head[0].bit_length()
    value = int.from_bytes(head[:width], "big")
    return (value if keep else value & ~(1 << 7 * width)), width


def inspect_avi(source: Source) -> Layout:
    """Whether an AVI file is as long as its RIFF chunks say."""
    place = 0
    for _ in range(MOST_BOXES):
        head = source.read(place, 8)
        if len(head) < 8 or head[:4] != b"RIFF":
            return Layout(parts=UNCOUNTED)
        size = struct.unpack("<I", head[4:])[0]
        if size == 0 or is_placeholder(size):
            return Layout(parts=UNCOUNTED)
        place += 8 + size + size % 2
        if place > source.size + SLACK:
            return Layout(parts=UNCOUNTED, missing=CUT)
    return Layout()


def inspect_rm(source: Source) -> Layout:
    """Whether the chunks of a RealMedia file are all there."""
    place = 0
    for _ in range(MOST_BOXES):
        head = source.read(place, 8)
        size = int.from_bytes(head[4:], "big")
        if len(head) < 8 or size < 8:
            break
        place += size
    return Layout(missing=CUT) if place > source.size + SLACK else Layout()


def inspect_flv(source: Source) -> Layout:
    """Whether a Flash video is as long as its metadata say, where they do."""
    place = source.head.find(FLV_SIZE) + len(FLV_SIZE)
    if place < len(FLV_SIZE) or len(source.head) < place + 8:
        return Layout()
    size = struct.unpack_from(">d", source.head, place)[0]
    return Layout(missing=CUT) if size > source.size + SLACK else Layout()


def inspect_swf(source: Source) -> Layout | None:
    """Whether a Flash film is as long as it says, or its tags end with the tag of the end; None: it is none.

    The tags decide where the size does not, as in films that were written without going back to their beginning.
    """
    if source.head[:3] in COMPRESSED_FILMS:
        # FFmpeg gives up the last packets of these.
        return Layout(refused="it is a compressed Flash film, whose end cannot be decoded: save it uncompressed (FWS)")
    if source.head[:3] != b"FWS" or len(source.head) < 21:
        return None
    size = struct.unpack_from("<I", source.head, 4)[0]
    whole = size <= source.size + SLACK or _has_end_tag(source)
    return Layout(parts=UNCOUNTED, missing=None if whole else CUT)


def _has_end_tag(source: Source) -> bool:
    """Whether the tags of an uncompressed Flash film, two bytes of kind and size and a content each, reach the last."""
    bits = source.head[8] >> 3
    place = 8 + (5 + 4 * bits + 7) // 8 + 4
    while len(head := source.read(place, 6)) >= 2:
        kind, size = divmod(struct.unpack_from("<H", head)[0], 64)
        if kind == 0:
            return True
        place += 2 + size
        if size == LONG_TAG:
            place += 4 - size + struct.unpack("<I", head[2:].ljust(4, b"\0"))[0]
    return False


def inspect_nut(source: Source) -> Layout:
    """Whether a NUT file ends with its index, which live ones lack."""
    begin = max(0, source.size - NUT_TAIL)
    if NUT_INDEX in source.read(begin, source.size - begin):
        return Layout(parts=UNCOUNTED)
    text = "NUT: the file has no index at its end; it may have been cut there"
    return Layout(parts=UNCOUNTED, notices=(Notice("unclosed", text),))


def inspect_asf(source: Source) -> Layout:
    """Whether an ASF or WMA file is as long as its file properties say, which live ones do not."""
    length = asf_length(source)
    return Layout(parts=UNCOUNTED, missing=CUT if length is not None and length > source.size + SLACK else None)


def asf_length(source: Source) -> int | None:
    """The length of a file by its properties, in bytes; None: they do not say."""
    place = source.head.find(ASF_FILE)
    if place < 0 or len(source.head) < place + 104 or source.head[place + 88] & 1:
        return None
    return int(struct.unpack_from("<Q", source.head, place + 40)[0]) or None
