"""Files joined end to end (``cat a.wav b.wav``): split where one ends, by its header, and another begins.

What programs append to a file (tags, markers, pictures) does not begin like a sound file and is not decoded. Streams of
MPEG audio, ADTS, Ogg and FLAC are split by modules of their own; formats that count nothing cannot be split.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace

from soundloom.audio.containers.au import au_length
from soundloom.audio.containers.boxes import ASF, asf_length, matroska_length
from soundloom.audio.containers.caf import caf_length
from soundloom.audio.containers.fixed_headers import fixed_header, mat_length
from soundloom.audio.containers.layout import Layout, Missing, Part, Slice, Source
from soundloom.audio.containers.nist import nist_length
from soundloom.audio.containers.riff import RIFF, W64_RIFF
from soundloom.audio.containers.voc import VOC, voc_length
from soundloom.audio.file_view import FileView, Span
from soundloom.audio.notices import Notice

__all__ = ["inspect_joined"]

MOST_FILES, MOST_BLOCKS = 100_000, 1_000_000
# Fewer bytes are no file with sound in it.
SMALLEST = 44
UNKNOWN = 0xFFFFFFFF


def inspect_joined(source: Source, base: int, inspect_one: Callable[[Source], Layout]) -> Layout | None:
    """The layout of several files in one; None: there is only one.

    Args:
        source: the file.
        base: where the first one begins, after tags.
        inspect_one: gives the layout of a whole file.
    """
    begins = _begins(source, base)
    if len(begins) == 1:
        return None
    parts: list[Part] = []
    notices: list[Notice] = []
    missing = None
    for begin, end in zip(begins, [*begins[1:], source.size], strict=True):
        layout = inspect_one(Slice(source, begin, end))
        if layout.refused:
            return Layout(refused=f"file {len(parts) + 1} of {len(begins)} joined end to end: {layout.refused}")
        parts += [_moved(part, begin, end) for part in layout.parts]
        notices += layout.notices
        if layout.missing is not None:
            missing = Missing(present=None, promised=None)
    text = f"{len(begins)} files joined end to end; decoded one after the other"
    return Layout(parts=tuple(parts), notices=(*notices, Notice("joined", text)), missing=missing)


def _moved(part: Part, begin: int, end: int) -> Part:
    """A part of a file as a part of the file that contains it."""
    if part.view is None:
        return replace(part, view=FileView((Span(begin, end - begin),)))
    spans = (span if span.given is not None else Span(span.offset + begin, span.length) for span in part.view.spans)
    return replace(part, view=FileView(tuple(spans)), entries=())


def _begins(source: Source, base: int) -> list[int]:
    """Where each file begins."""
    begins = [base]
    while len(begins) < MOST_FILES:
        here = Slice(source, begins[-1], source.size)
        kind = _kind(here)
        length = _length(here, kind)
        if length is None or not SMALLEST <= length < here.size - SMALLEST:
            break
        length += _tags(here, length)
        # Most files are padded to an even length.
        following = (begins[-1] + length + pad for pad in (0, 1))
        place = next((at for at in following if _follows(Slice(source, at, source.size), kind)), None)
        if place is None:
            break
        begins.append(place)
    return begins


def _tags(source: Source, place: int) -> int:
    """Bytes of APE and ID3v1 tags that begin at an offset."""
    head = source.read(place, 32)
    size = 32 + int.from_bytes(head[12:16], "little") if head[:8] == b"APETAGEX" else 0
    return size + (128 if source.read(place + size, 3) == b"TAG" else 0)


def _follows(source: Source, kind: str) -> bool:
    """Whether a file begins here that may follow one of a kind: one of the same, or one with a mark of its own."""
    found = _kind(source)
    return found != "" and (found == kind or found in LENGTHS)


def _kind(source: Source) -> str:
    """The kind of the file, by its first bytes; empty: none that says where it ends."""
    head = source.head[:16]
    magic, form = head[:4], head[8:12]
    if magic in RIFF and form in (b"WAVE", b"AVI "):
        return "WAV" if form == b"WAVE" else "AVI"
    if magic == b"FORM" and form in (b"AIFF", b"AIFC", b"8SVX", b"16SV"):
        return "IFF"
    if head in MAGIC:
        return MAGIC[head]
    if magic in MAGIC:
        return MAGIC[magic]
    if head[4:8] == b"ftyp":
        return "MP4"
    if head[:8] == ASF:
        return "ASF"
    if mat_length(source) is not None:
        return "MAT"
    header = fixed_header(source)
    return "" if header is None else header.name


MAGIC = {
    W64_RIFF: "W64",
    VOC[:16]: "VOC",
    b".snd": "AU",
    b"dns.": "AU",
    b"caff": "CAF",
    b"NIST": "NIST",
    b"TTA1": "TTA",
    b"wvpk": "WavPack",
    b"MAC ": "APE",
    b"\x1aE\xdf\xa3": "Matroska",
}


def _length(source: Source, kind: str) -> int | None:
    """How long the file is that begins here, by its header; None: it does not say."""
    if kind in LENGTHS:
        return LENGTHS[kind](source)
    header = fixed_header(source) if kind else None
    return None if header is None or not header.data.claimed else header.data.begin + header.data.claimed


def _riff_length(source: Source) -> int | None:
    """Of WAV, AIFF and 8SVX: the size after the first four bytes; of RF64 that in its ds64 chunk."""
    magic = source.head[:4]
    size = int.from_bytes(source.head[4:8], "little" if magic in (b"RIFF", b"RF64", b"BW64") else "big")
    if magic in (b"RF64", b"BW64") and size == UNKNOWN and source.head[12:16] == b"ds64":
        size = int.from_bytes(source.head[20:28], "little")
    return 8 + size


def _avi_length(source: Source) -> int | None:
    """Of AVI: its RIFF chunks of 1 GB, of which those after the first are named AVIX."""
    place = 8 + int.from_bytes(source.head[4:8], "little")
    while source.read(place, 12)[8:] == b"AVIX":
        place += 8 + int.from_bytes(source.read(place + 4, 4), "little")
    return place


def _w64_length(source: Source) -> int | None:
    return -(-int.from_bytes(source.head[16:24], "little") // 8) * 8


def _mp4_length(source: Source) -> int | None:
    """Of MP4: its boxes up to the next that names a file type."""
    place = 0
    for _ in range(MOST_BLOCKS):
        head = source.read(place, 16)
        if len(head) < 16 or (place and head[4:8] == b"ftyp"):
            return place
        size = int.from_bytes(head[:4], "big")
        size = int.from_bytes(head[8:], "big") if size == 1 else size
        if size < 8:
            return None
        place += size
    return None


def _tta_length(source: Source) -> int | None:
    """Of True Audio: header, table of the lengths of frames, frames of 256/245 s."""
    if len(source.head) < 22:
        return None
    rate, samples = struct.unpack_from("<II", source.head, 10)
    frames = -(-samples * 245 // (256 * rate)) if rate else 0
    table = source.read(22, 4 * frames) if frames < MOST_BLOCKS else b""
    return 26 + 4 * frames + sum(struct.unpack(f"<{frames}I", table)) if len(table) == 4 * frames else None


def _wavpack_length(source: Source) -> int | None:
    """Of WavPack: its blocks, up to the next that begins with sample 0 after others did not."""
    place, seen = 0, 0
    for _ in range(MOST_BLOCKS):
        head = source.read(place, 24)
        index = int.from_bytes(head[16:20], "little")
        if head[:4] != b"wvpk" or (index == 0 and seen):
            return place
        seen = max(seen, index)
        place += 8 + int.from_bytes(head[4:8], "little")
    return None


def _ape_length(source: Source) -> int | None:
    """Of Monkey's Audio from version 3.98 on: the sum of the lengths in its descriptor."""
    head = source.head
    if len(head) < 52 or int.from_bytes(head[4:6], "little") < 3980:
        return None
    descriptor, header, table, riff, low, high, tail = struct.unpack_from("<7I", head, 8)
    return int(descriptor + header + table + riff + low + (high << 32) + tail)


LENGTHS: dict[str, Callable[[Source], int | None]] = {
    "WAV": _riff_length,
    "IFF": _riff_length,
    "AVI": _avi_length,
    "W64": _w64_length,
    "AU": au_length,
    "CAF": caf_length,
    "VOC": voc_length,
    "NIST": nist_length,
    "MP4": _mp4_length,
    "ASF": asf_length,
    "Matroska": matroska_length,
    "TTA": _tta_length,
    "WavPack": _wavpack_length,
    "APE": _ape_length,
    "MAT": mat_length,
}
"""Kind of file -> what gives its length in bytes."""
