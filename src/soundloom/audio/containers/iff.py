"""Lengths in AIFF, AIFF-C, 8SVX, AU, CAF, NIST SPHERE and VOC (Apple AIFF-C 1991, CAF 1.0; Sun AU; EA IFF 85)."""

from __future__ import annotations

import re
import struct
from dataclasses import replace

from soundloom.audio.containers.data_size import Data, laid_out, true_size
from soundloom.audio.containers.layout import Layout, Missing, Part, Source
from soundloom.audio.containers.samples import SampleFormat
from soundloom.audio.file_view import FileView

__all__ = ["VOC", "inspect_au", "inspect_caf", "inspect_iff", "inspect_nist", "inspect_voc"]

MOST_CHUNKS = 1000
LITTLE = {b"sowt", b"42ni", b"23ni"}
FLOATS = {b"fl32": 4, b"FL32": 4, b"fl64": 8, b"FL64": 8}
# AU encodings: kind and bytes a sample.
AU = {1: ("l", 1), 2: ("i", 1), 3: ("i", 2), 4: ("i", 3), 5: ("i", 4), 6: ("f", 4), 7: ("f", 8), 27: ("l", 1)}
UNKNOWN = 0xFFFFFFFF
VOC = b"Creative Voice File\x1a"
# Blocks of a VOC file: where it ends, and those that hold sound.
VOC_END, VOC_SOUND = 0, (1, 2, 9)


def extended(content: bytes) -> float:
    """An 80-bit floating-point number, most significant byte first, as the rate of an AIFF file is written."""
    exponent, mantissa = struct.unpack(">HQ", content)
    shift = (exponent & 0x7FFF) - 16383 - 63
    return float(mantissa) * 2.0**shift if abs(shift) < 900 else 0.0


def inspect_iff(source: Source, base: int) -> Layout:
    """What an AIFF, AIFF-C or 8SVX file at an offset (after tags) holds."""
    size, kind = struct.unpack(">I4s", source.read(base + 4, 8))
    place, common, header, frames_at = base + 12, b"", b"", 0
    for _ in range(MOST_CHUNKS):
        head = source.read(place, 8)
        if len(head) < 8:
            return Layout()
        name, length = struct.unpack(">4sI", head)
        if name == b"COMM":
            common, frames_at = source.read(place + 8, min(length, 256)), place + 10
        elif name == b"VHDR":
            header = source.read(place + 8, 20)
        elif name in (b"SSND", b"BODY"):
            break
        place += 8 + length + length % 2
    else:
        return Layout()
    end = base + 8 + size
    if name == b"BODY":
        if len(header) < 20 or not (rate := struct.unpack_from(">H", header, 12)[0]):
            return Layout()
        width = 2 if kind == b"16SV" else 1
        form = SampleFormat("i", width, 1, big=True)
        data = Data(
            begin=place + 8, claimed=length, declared_end=end, form=form, frame=width, per_second=width * rate, big=True
        )
        patches = {}
    else:
        if len(common) < 18:
            return Layout()
        channels, frames, bits = struct.unpack_from(">HIH", common)
        rate = extended(common[8:18])
        code = common[18:22] if kind == b"AIFC" else b"NONE"
        plain = code in {b"NONE", b"twos", b"raw ", *LITTLE, *FLOATS}
        width = FLOATS.get(code, (bits + 7) // 8) if plain else 1
        if not (channels and rate > 0 and width):
            return Layout()
        sample_kind = "f" if code in FLOATS else "u" if code == b"raw " else "i" if plain else "l"
        form = SampleFormat(sample_kind, width, channels, big=code not in LITTLE)
        if not plain and code not in {b"ulaw", b"ULAW", b"alaw", b"ALAW"}:
            return _compressed_aiff(source, base, place, length, (channels, frames, rate, code), end)
        skipped = struct.unpack(">I", source.read(place + 8, 4))[0]
        begin = place + 16 + (skipped if skipped < 1 << 16 else 0)
        claimed = max(0, length - (begin - place - 8))
        # Two counts: where they differ, one that agrees with the file is right.
        if frames * form.frame < claimed and begin + claimed <= source.size:
            claimed = frames * form.frame
        data = Data(
            begin=begin,
            claimed=claimed if length != UNKNOWN else UNKNOWN,
            declared_end=end,
            form=form,
            frame=form.frame,
            per_second=form.frame * rate,
            big=True,
        )
        patches = {frames_at: b"frames"}
    found = true_size(source, data)
    if found.kind in ("counted", "missing"):
        return laid_out(data, found, None, "AIFF")
    count = min(found.size // data.frame, UNKNOWN)
    total = data.begin + found.size
    view = FileView.patched(
        total,
        {
            base + 4: struct.pack(">I", min(total - base - 8, UNKNOWN)),
            **({frames_at: struct.pack(">I", count)} if patches else {}),
            place + 4: struct.pack(">I", min(total - place - 8, UNKNOWN)),
        },
        base,
    )
    return laid_out(data, found, view, "AIFF")


def _compressed_aiff(
    source: Source, base: int, place: int, length: int, common: tuple[int, int, float, bytes], end: int
) -> Layout:
    """A compressed AIFF-C file, for FFmpeg: whether its data are all there, and more.

    Args:
        source: the file.
        base: where it begins, after tags.
        place: where the chunk of the sound begins.
        length: its length as the header counts it.
        common: channels, frames, rate and name of the compression; IMA counts packets of 64 samples as frames.
        end: where the file ends according to the header.
    """
    channels, frames, rate, code = common
    block = 34 * channels if code == b"ima4" else 1
    seconds = frames * (64 if code == b"ima4" else 1) / rate
    data = Data(
        begin=place + 16,
        claimed=max(0, length - 8),
        declared_end=end,
        form=None,
        frame=block,
        per_second=max(1.0, (frames * block if code == b"ima4" else length) / max(seconds, 1e-9)),
        big=True,
        second_count=frames * block if code == b"ima4" else 0,
    )
    found = true_size(source, data)
    if found.kind == "counted":
        return Layout(parts=(Part(library="pyav"),))
    total = data.begin + found.size
    sizes = {base + 4: struct.pack(">I", total - base - 8), place + 4: struct.pack(">I", found.size + 8)}
    view = FileView.patched(total, sizes, base)
    layout = laid_out(data, found, view, "AIFF")
    return replace(layout, parts=tuple(replace(part, library="pyav", counted=False) for part in layout.parts))


def inspect_au(source: Source) -> Layout:
    """What a Sun or NeXT AU file holds."""
    big = source.head[:4] == b".snd"
    order = ">" if big else "<"
    if len(source.head) < 24:
        return Layout()
    begin, size, encoding, rate, channels = struct.unpack_from(order + "5I", source.head, 4)
    if encoding not in AU or not (0 < channels <= 1024 and rate and 24 <= begin <= source.size):
        return Layout()
    kind, width = AU[encoding]
    form = SampleFormat(kind, width, channels, big=big)
    data = Data(
        begin=begin,
        claimed=size,
        declared_end=None,
        form=form,
        frame=form.frame,
        per_second=form.frame * rate,
        chunks=False,
        big=big,
    )
    if size == UNKNOWN:
        # The specified way to leave the length open.
        return Layout()
    found = true_size(source, data)
    if found.kind in ("counted", "missing"):
        return laid_out(data, found, None, "AU")
    patches = {8: struct.pack(order + "I", min(found.size, UNKNOWN))}
    return laid_out(data, found, FileView.patched(begin + found.size, patches), "AU")


def inspect_caf(source: Source) -> Layout:
    """What a Core Audio file holds: chunks with 64-bit sizes, -1 for a last one that goes on to the end."""
    place, description, counted = 8, b"", None
    for _ in range(MOST_CHUNKS):
        head = source.read(place, 12)
        if len(head) < 12:
            return Layout()
        name, length = struct.unpack(">4sq", head)
        if name == b"desc":
            description = source.read(place + 12, 32)
        elif name == b"pakt":
            counted = struct.unpack(">qq", source.read(place + 12, 16))
        elif name == b"data":
            break
        if length < 0:
            return Layout()
        place += 12 + length
    if len(description) < 32:
        return Layout()
    rate, code, flags, packet, _, channels, bits = struct.unpack(">d4sIIIII", description)
    available = source.size - place - 16
    if not (rate > 0 and channels) or length == -1:
        return Layout()
    claimed = length - 4
    if code == b"lpcm" and bits:
        kind = "f" if flags & 1 else "i"
        form = SampleFormat(kind, packet // channels or 1, channels, big=not flags & 2)
    elif code in (b"ulaw", b"alaw"):
        form = SampleFormat("l", 1, channels)
    else:
        if claimed > available and counted:
            return Layout(missing=Missing(present=None, promised=counted[1] / rate))
        if claimed > available:
            return Layout(missing=Missing(present=None, promised=None))
        return Layout()
    data = Data(
        begin=place + 16,
        claimed=max(0, claimed),
        declared_end=None,
        form=form,
        frame=form.frame,
        per_second=form.frame * rate,
        big=True,
        wide=True,
    )
    if source.read(data.begin + data.claimed, 4) in CAF_CHUNKS:
        return Layout()
    found = true_size(source, data)
    if found.kind in ("counted", "missing"):
        return laid_out(data, found, None, "CAF")
    patches = {place + 4: struct.pack(">q", found.size + 4)}
    return laid_out(data, found, FileView.patched(data.begin + found.size, patches), "CAF")


CAF_CHUNKS = {
    b"free",
    b"info",
    b"pakt",
    b"kuki",
    b"chan",
    b"mark",
    b"strg",
    b"regn",
    b"inst",
    b"midi",
    b"ovvw",
    b"peak",
}
CAF_CHUNKS |= {b"edct", b"umid", b"uuid"}


def inspect_nist(source: Source) -> Layout:
    """What a NIST SPHERE file holds: a header of text, with a count of samples."""
    lines = source.head[:1024].decode("latin-1")
    facts = dict(re.findall(r"^(\w+) -i (\d+)", lines, re.MULTILINE))
    head = re.match(r"NIST_1A\s+(\d+)", lines)
    needed = ("sample_count", "sample_n_bytes", "sample_rate")
    if head is None or any(not int(facts.get(name, 0)) for name in needed):
        return Layout()
    count, width, rate = (int(facts[name]) for name in needed)
    channels = int(facts.get("channel_count", 1)) or 1
    plain = "shorten" not in lines
    big = "sample_byte_format -s2 10" in lines
    form = SampleFormat("i" if width > 1 else "l", width, channels, big=big)
    if not plain:
        return Layout()
    data = Data(
        begin=int(head[1]),
        claimed=count * form.frame,
        declared_end=None,
        form=form,
        frame=form.frame,
        per_second=form.frame * rate,
        chunks=False,
        wide=True,
    )
    found = true_size(source, data)
    return laid_out(data, found, None, "NIST SPHERE") if found.kind == "missing" else Layout()


def inspect_voc(source: Source) -> Layout:
    """Whether the blocks of a Creative Voice file are all there; libsndfile reads a single block of sound only."""
    place, sounds = int.from_bytes(source.head[20:22], "little"), 0
    while place < source.size:
        head = source.read(place, 4)
        if head[0] == VOC_END or len(head) < 4:
            break
        place += 4 + int.from_bytes(head[1:4], "little")
        sounds += head[0] in VOC_SOUND
    parts = (Part(library="pyav" if sounds > 1 else None),)
    missing = Missing(present=None, promised=None) if place > source.size else None
    return Layout(parts=parts, missing=missing)
