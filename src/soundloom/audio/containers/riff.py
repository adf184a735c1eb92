"""Lengths in WAV and its kin: RIFF, RIFX, RF64, BW64 and Sony Wave64 (EBU Tech 3306; ITU-R BS.2088; Sony 2002)."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from typing import Literal

from soundloom.audio.containers.data_size import Data, Found, laid_out, true_size
from soundloom.audio.containers.layout import Layout, Part, Source
from soundloom.audio.containers.samples import SampleFormat
from soundloom.audio.file_view import FileView, Span

__all__ = ["RIFF", "W64_RIFF", "inspect_riff", "inspect_w64"]

# Format tags whose bytes are samples; what WAVE_FORMAT_EXTENSIBLE names is in the first bytes of its GUID.
KINDS = {1: "i", 3: "f", 6: "l", 7: "l"}
EXTENSIBLE = 0xFFFE
# MPEG layers I and II, MPEG layer III, and AAC with ADTS headers: what they hold is counted by nobody.
MPEG_TAGS = {0x50, 0x55}
STREAM_TAGS = {*MPEG_TAGS, 0xFF, 0x1600, 0x1602, 0x2000, 0x2001, 0x704F, 0x674F, 0x6750, 0x6751, 0x676F, 0x6770, 0x6771}
MOST_CHUNKS = 1000
UNKNOWN = 0xFFFF_FFFF
W64_GUID = bytes.fromhex("f3acd3118cd100c04f8edb8a")
RIFF = (b"RIFF", b"RIFX", b"RF64", b"BW64")
W64_RIFF = bytes.fromhex("726966662e91cf11a5d628db04c10000")


@dataclass(frozen=True)
class _Chunk:
    name: bytes
    begin: int
    size: int


def _chunks(source: Source, start: int, order: str) -> list[_Chunk]:
    """The chunks up to and including the sound; none where there is no sound."""
    chunks: list[_Chunk] = []
    while len(chunks) < MOST_CHUNKS:
        head = source.read(start, 8)
        if len(head) < 8:
            return []
        name, size = struct.unpack(order + "4sI", head)
        chunks.append(_Chunk(name, start + 8, size))
        if name == b"data":
            return chunks
        start += 8 + size + size % 2
    return []


def sample_format(fmt: bytes, order: str) -> tuple[int, SampleFormat | None, int, float]:
    """Of a format chunk: the tag, how samples lie, the bytes of a block, and the bytes a second."""
    tag, channels, rate, per_second, block = struct.unpack_from(order + "HHIIH", fmt)
    if tag == EXTENSIBLE and len(fmt) >= 26:
        tag = struct.unpack_from(order + "H", fmt, 24)[0]
    kind = KINDS.get(tag)
    form = None
    if kind is not None and channels and block and block % channels == 0:
        width = block // channels
        form = SampleFormat("u" if kind == "i" and width == 1 else kind, width, channels, big=order == ">")
        per_second = block * rate
    return tag, form, block or 1, float(per_second or 1)


def inspect_riff(source: Source, base: int) -> Layout:
    """What a WAV file at an offset (after tags) holds."""
    name = source.read(base, 4)
    order = ">" if name == b"RIFX" else "<"
    chunks = _chunks(source, base + 12, order)
    by_name = {chunk.name: chunk for chunk in chunks}
    if b"fmt " not in by_name or by_name[b"fmt "].size < 16:
        return Layout()
    fmt = source.read(by_name[b"fmt "].begin, min(by_name[b"fmt "].size, 4096))
    if len(fmt) < 16:
        return Layout()
    tag, form, block, per_second = sample_format(fmt, order)
    sound = by_name[b"data"]
    claimed, riff = sound.size, struct.unpack(order + "I", source.read(base + 4, 4))[0]
    wide = name in (b"RF64", b"BW64")
    if wide and b"ds64" in by_name and by_name[b"ds64"].size >= 16:
        riff64, data64 = struct.unpack("<QQ", source.read(by_name[b"ds64"].begin, 16))
        riff = riff64 if riff == UNKNOWN else riff
        claimed = data64 if sound.size == UNKNOWN else claimed
    second = 0
    if b"fact" in by_name and form is None:
        frames = int.from_bytes(source.read(by_name[b"fact"].begin, 4), "little" if order == "<" else "big")
        second = int(frames * per_second / max(1, struct.unpack_from(order + "I", fmt, 4)[0]))
    data = Data(
        begin=sound.begin,
        claimed=claimed,
        declared_end=base + 8 + riff,
        form=form,
        frame=block,
        per_second=per_second,
        big=order == ">",
        wide=wide and claimed != UNKNOWN,
        second_count=second,
    )
    found = true_size(source, data)
    if tag in STREAM_TAGS:
        view = _view(source, by_name, data, found, fmt, order) if found.kind not in ("counted", "missing") else None
        layout = laid_out(data, found, view, "WAV")
        return replace(layout, parts=(Part(view=view, library="pyav", counted=False),))
    # libsndfile reads to the end of the file where the header promises more, and does not know BW64.
    believed = claimed > source.size - sound.begin and found.size == source.size - sound.begin
    if found.kind in ("counted", "missing", "doubtful"):
        return laid_out(data, found, None, "WAV")
    view = None if believed and not wide else _view(source, by_name, data, found, fmt, order)
    return laid_out(data, found, view, "WAV")


def _view(source: Source, chunks: dict[bytes, _Chunk], data: Data, found: Found, fmt: bytes, order: str) -> FileView:
    """The sound behind a header that counts it; RF64 where 32 bits are too few."""
    fact = chunks.get(b"fact")
    rest = struct.pack(order + "4sI", b"fmt ", len(fmt)) + fmt + bytes(len(fmt) % 2)
    if fact is not None and data.form is None:
        # A compressed sound is counted in frames as well; too many do no harm, for decoding ends with the data.
        per_block = source.read(fact.begin, 4)
        frames = int.from_bytes(per_block, "little") if data.claimed == 0 else 0
        frames = frames or int(found.size / data.per_second * struct.unpack_from(order + "I", fmt, 4)[0])
        rest += struct.pack(order + "4sII", b"fact", 4, min(frames, UNKNOWN))
    total = 4 + len(rest) + 8 + found.size
    if total < 0xFFFFFFF0:
        name = b"RIFX" if order == ">" else b"RIFF"
        head = struct.pack(order + "4sI4s", name, total, b"WAVE") + rest
        head += struct.pack(order + "4sI", b"data", found.size)
    else:
        frames = found.size // data.frame
        head = struct.pack("<4sI4s4sIQQQI", b"RF64", UNKNOWN, b"WAVE", b"ds64", 28, total + 36, found.size, frames, 0)
        head += rest + struct.pack("<4sI", b"data", UNKNOWN)
    return FileView((Span(0, len(head), head), Span(data.begin, found.size)))


def inspect_w64(source: Source) -> Layout:
    """What a Wave64 file holds: chunks named by GUIDs, with 64-bit sizes that count their own heads."""
    found = _w64_chunks(source)
    if found is None:
        return Layout()
    fmt_at, fmt, place, size = found
    tag, form, block, per_second = sample_format(fmt, "<")
    # libsndfile 1.2.2 takes what WAVE_FORMAT_EXTENSIBLE names for integers, whether it is that or not.
    named = tag not in (1, EXTENSIBLE) and struct.unpack_from("<H", fmt)[0] == EXTENSIBLE
    patches = {fmt_at: struct.pack("<H", tag)} if named and tag in KINDS else {}
    library: Literal["pyav"] | None = "pyav" if named and tag not in KINDS else None
    data = Data(
        begin=place + 24,
        # Zero, or as many ones as fit, until a program knows.
        claimed=max(0, size - 24) if size < 1 << 62 else UNKNOWN,
        declared_end=struct.unpack("<Q", source.read(16, 8))[0],
        form=form,
        frame=block,
        per_second=per_second,
        chunks=False,
        wide=size < 1 << 62,
    )
    as_it_is = FileView.patched(source.size, patches) if patches else None
    rest = source.read(data.begin + (data.claimed + 7) // 8 * 8, 24)
    if rest[4:16] == W64_GUID:
        return Layout(parts=(Part(view=as_it_is, library=library),))
    truth = true_size(source, data)
    if truth.kind == "counted" and source.size > data.begin + truth.size + 8:
        # libsndfile takes all that follows for sound.
        return Layout(parts=(Part(view=FileView.patched(data.begin + truth.size, patches), library=library),))
    if truth.kind in ("counted", "missing", "doubtful"):
        return replace(laid_out(data, truth, None, "W64"), parts=(Part(view=as_it_is, library=library),))
    patches |= {16: struct.pack("<Q", data.begin + truth.size), place + 16: struct.pack("<Q", 24 + truth.size)}
    view = FileView.patched(data.begin + truth.size, patches)
    return replace(laid_out(data, truth, view, "W64"), parts=(Part(view=view, library=library),))


def _w64_chunks(source: Source) -> tuple[int, bytes, int, int] | None:
    """Where the content of the format chunk begins, that content, where the sound's chunk begins, and its size."""
    place, fmt_at, fmt = 40, 0, b""
    for _ in range(MOST_CHUNKS):
        head = source.read(place, 24)
        if len(head) < 24:
            return None
        name, size = head[:4], struct.unpack("<Q", head[16:])[0]
        if name == b"fmt ":
            fmt_at, fmt = place + 24, source.read(place + 24, min(size, 4096))
            if len(fmt) < 16:
                return None
        if name == b"data":
            break
        if size < 24:
            return None
        place += (size + 7) // 8 * 8
    return (fmt_at, fmt, place, size) if fmt else None
