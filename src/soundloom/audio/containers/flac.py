"""Length of FLAC streams: the count in STREAMINFO against the number in the header of the last frame (RFC 9639).

Every frame says which sample it begins with, so that a few hundred bytes at the end of a file give its length. Numbers
that do not rise from the beginning of a file to its end mean several streams joined end to end.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from soundloom.audio.containers.layout import Layout, Missing, Part, Source, negligible
from soundloom.audio.file_view import FileView, Span
from soundloom.audio.notices import Notice

__all__ = ["inspect_flac"]

MARK = b"fLaC\0\0\0\x22"
# Where frame numbers are compared, as shares of the file; small files are searched instead.
PROBES = (0.23, 0.41, 0.59, 0.83)
SMALL = 1 << 16
MOST_BLOCKS = 1000
COUNT_BITS = 36
BLOCK_SIZES = {
    1: 192,
    **{code: 576 << (code - 2) for code in range(2, 6)},
    **{code: 1 << code for code in range(8, 16)},
}


def _table(polynomial: int, bits: int) -> list[int]:
    """The table of a cyclic redundancy check, most significant bit first."""
    table, top, mask = [], 1 << (bits - 1), (1 << bits) - 1
    for value in range(256):
        remainder = value << (bits - 8)
        for _ in range(8):
            remainder = (remainder << 1) ^ (polynomial if remainder & top else 0)
        table.append(remainder & mask)
    return table


CRC8, CRC16 = _table(0x07, 8), _table(0x8005, 16)


def crc8(content: bytes) -> int:
    """The check of a frame's header."""
    value = 0
    for byte in content:
        value = CRC8[value ^ byte]
    return value


def crc16(content: bytes) -> int:
    """The check of a frame."""
    value = 0
    for byte in content:
        value = ((value << 8) & 0xFFFF) ^ CRC16[(value >> 8) ^ byte]
    return value


@dataclass(frozen=True)
class _Stream:
    """A FLAC stream in a file: where it begins, where its frames do, where it ends, and what STREAMINFO says."""

    begin: int
    frames: int
    end: int
    rate: int
    block: int
    largest: int
    total: int
    variable: bool


@dataclass(frozen=True)
class _Frame:
    """A frame found in a file: its offset, its first sample, how many it has."""

    offset: int
    sample: int
    count: int


def inspect_flac(source: Source, base: int) -> Layout:
    """What a FLAC file holds from an offset (after tags) on."""
    stream = _stream(source, base, source.size)
    if stream is None:
        return Layout()
    last = _last_frame(source, stream)
    if last is None:
        return Layout()
    sound = last.sample + last.count == stream.total
    if sound and _rises(source, stream, last):
        return Layout()
    starts = [base, *_starts(source, stream.frames)]
    if len(starts) == 1:
        return _judged(source, stream, last)
    streams = [_stream(source, begin, end) for begin, end in pairwise([*starts, source.size])]
    layouts = []
    for part in filter(None, streams):
        final = _last_frame(source, part)
        layouts.append(_judged(source, part, final) if final else Layout())
    missing = next((layout.missing for layout in layouts if layout.missing), None)
    parts = tuple(
        layout.parts[0]
        if layout.parts[0].view is not None
        else Part(view=FileView((Span(part.begin, part.end - part.begin),)))
        for part, layout in zip(filter(None, streams), layouts, strict=True)
    )
    notice = Notice("joined", f"FLAC: {len(parts)} streams joined end to end; decoded one after the other")
    return Layout(parts=parts, missing=missing, notices=(notice, *(n for layout in layouts for n in layout.notices)))


def _stream(source: Source, begin: int, end: int) -> _Stream | None:
    """The stream that begins at an offset; None: there is none."""
    head = source.read(begin, 42)
    if len(head) < 42 or head[:4] != b"fLaC" or head[4] & 127:
        return None
    facts = int.from_bytes(head[18:26], "big")
    rate, total = facts >> 44, facts & ((1 << COUNT_BITS) - 1)
    place, final = begin + 4, False
    for _ in range(MOST_BLOCKS):
        if final:
            break
        block = source.read(place, 4)
        if len(block) < 4:
            return None
        final = block[0] >= 128
        place += 4 + int.from_bytes(block[1:], "big")
    first = source.read(place, 2)
    if len(first) < 2 or first[0] != 0xFF or first[1] & 0xFE != 0xF8 or rate == 0:
        return None
    return _Stream(
        begin=begin,
        frames=place,
        end=end,
        rate=rate,
        block=int.from_bytes(head[10:12], "big"),
        largest=int.from_bytes(head[15:18], "big"),
        total=total,
        variable=bool(first[1] & 1),
    )


def _starts(source: Source, begin: int) -> list[int]:
    """Where further streams begin."""
    starts = []
    place = source.find(MARK, begin)
    while place >= 0:
        starts.append(place)
        place = source.find(MARK, place + 42)
    # A mark whose last-block flag is set: a stream with no other metadata.
    place = source.find(b"fLaC\x80\0\0\x22", begin)
    while place >= 0:
        starts.append(place)
        place = source.find(b"fLaC\x80\0\0\x22", place + 42)
    return sorted(starts)


def _rises(source: Source, stream: _Stream, last: _Frame) -> bool:
    """Whether frame numbers rise from the beginning to the end, as they do in one stream."""
    length = stream.end - stream.frames
    if length < SMALL:
        return source.find(b"fLaC", stream.frames) < 0
    previous = -1
    for share in PROBES:
        offset = stream.frames + int(share * length)
        frame = _first_frame(source, stream, offset)
        if frame is None:
            continue
        if not previous < frame.sample <= last.sample:
            return False
        previous = frame.sample
    return True


def _window(stream: _Stream) -> int:
    """Bytes in which there certainly is a header of a frame."""
    return 2 * (stream.largest or 8 * stream.block) + 64


def _first_frame(source: Source, stream: _Stream, offset: int) -> _Frame | None:
    """The first frame that begins at or after an offset."""
    content = source.read(offset, min(_window(stream), stream.end - offset))
    sync = b"\xff\xf9" if stream.variable else b"\xff\xf8"
    place = content.find(sync)
    while place >= 0:
        frame = _frame(stream, content[place : place + 16], offset + place)
        if frame is not None:
            return frame
        place = content.find(sync, place + 1)
    return None


def _last_frame(source: Source, stream: _Stream) -> _Frame | None:
    """The last frame of a stream, whole or not."""
    begin = max(stream.frames, stream.end - _window(stream) - 256)
    content = source.read(begin, stream.end - begin)
    sync = b"\xff\xf9" if stream.variable else b"\xff\xf8"
    place = content.rfind(sync)
    while place >= 0:
        frame = _frame(stream, content[place : place + 16], begin + place)
        if frame is not None:
            return frame
        place = content.rfind(sync, 0, place + 1)
    return None


def _frame(stream: _Stream, head: bytes, offset: int) -> _Frame | None:
    """The frame whose header these bytes are; None: they are none."""
    if len(head) < 6 or head[3] & 1 or head[3] >> 4 > 10 or head[2] >> 4 == 0 or head[2] & 15 == 15:
        return None
    first = head[4]
    # The number is written as in UTF-8, in up to seven bytes.
    octets = 1 if first < 128 else 8 - (first ^ 0xFF).bit_length()
    if octets == 0 or (first >= 128 and octets < 2) or octets > 7 or len(head) < 4 + octets + 1:
        return None
    number = first if octets == 1 else first & (0x7F >> octets)
    for byte in head[5 : 4 + octets]:
        if byte >> 6 != 2:
            return None
        number = number << 6 | byte & 63
    end, code = 4 + octets, head[2] >> 4
    count = BLOCK_SIZES.get(code, 0)
    if code in (6, 7):
        count = int.from_bytes(head[end : end + code - 5], "big") + 1
        end += code - 5
    end += {12: 1, 13: 2, 14: 2}.get(head[2] & 15, 0)
    if len(head) <= end or crc8(head[:end]) != head[end]:
        return None
    sample = number if stream.variable else number * stream.block
    return _Frame(offset, sample, count)


def _judged(source: Source, stream: _Stream, last: _Frame) -> Layout:
    """The layout of one stream: its count as it is, repaired, or more than there is."""
    rate = stream.rate
    whole = _whole(source, stream, last)
    held = last.sample + (last.count if whole else 0)
    if held == stream.total or held == 0:
        return Layout()
    part = Part(view=_counted(source, stream, held), seconds=held / rate)
    if stream.total == 0:
        # Written to a pipe: nothing was promised.
        return Layout(parts=(part,))
    said = f"FLAC: its header counts {stream.total / rate:.2f} s, its frames {held / rate:.2f} s"
    notice = Notice("repaired", f"{said}; decoded to the end of the frames")
    if held > stream.total:
        return Layout(parts=(part,), notices=(notice,))
    # The last frame of a sound is mostly a short one; and some recorders count both of two channels.
    ended = whole and (last.count < stream.block or stream.total == 2 * held)
    if ended:
        return Layout(parts=(part,), notices=(notice,))
    if negligible(stream.total - held, stream.block, stream.total):
        return Layout(parts=(part,), notices=(Notice("truncated", f"{said}; the last frame is cut and left out"),))
    missing = Missing(present=held / rate, promised=stream.total / rate)
    return Layout(parts=(part,), missing=missing)


def _whole(source: Source, stream: _Stream, last: _Frame) -> bool:
    """Whether the last frame is all there: its check is right at the end of the file, or where tags or zeros begin."""
    content = source.read(last.offset, stream.end - last.offset)
    for tag in (b"TAG", b"APETAGEX"):
        place = content.rfind(tag)
        if place > 0 and crc16(content[: place - 2]) == int.from_bytes(content[place - 2 : place], "big"):
            return True
    return any(
        len(kept) > 2 and crc16(kept[:-2]) == int.from_bytes(kept[-2:], "big")
        for kept in (content, content.rstrip(b"\0"))
    )


def _counted(source: Source, stream: _Stream, count: int) -> FileView:
    """The stream with another count of samples in STREAMINFO, and without the check sum over all of them."""
    facts = int.from_bytes(source.read(stream.begin + 18, 8), "big")
    facts = facts >> COUNT_BITS << COUNT_BITS | count
    return FileView.patched(stream.end, {stream.begin + 18: facts.to_bytes(8, "big") + bytes(16)}, stream.begin)
