"""Counts in headers of fixed layout (AVR, HTK, MPC2000, SDS, SoX, WVE, XI, ADX) and in MATLAB files.

Layouts after Audio Visual Research, the HTK Book, Akai, the MIDI Sample Dump Standard, SoX, Psion, FastTracker II, CRI
and MathWorks. libsndfile reads AVR, MPC2000, WVE, XI and MATLAB files to their end, whatever their header counts, and
refuses HTK and SDS files that are too short.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, replace

from soundloom.audio.containers.data_size import Data, laid_out, true_size
from soundloom.audio.containers.layout import Layout, Missing, Part, Source
from soundloom.audio.containers.samples import SampleFormat, is_placeholder
from soundloom.audio.file_view import FileView

__all__ = ["fixed_header", "inspect_fixed_header", "inspect_mat", "inspect_sized", "mat_length"]

# The first bytes of a file, and of HTK, which has no mark, two bytes a sample and the kind 0: a waveform.
AVR, MPC2K, SDS, ADX = b"2BIT", b"\x01\x04", b"\xf0\x7e", b"\x80\x00"
WVE, XI, HTK = b"ALawSoundFile**\0", b"Extended Instrument: ", b"\0\2\0\0"
SDS_PACKET, SDS_DATA = 127, 120
XI_RATE = 44100
SLOWEST, FASTEST = 1000, 1_000_000
# MATLAB 4 writes the name of its first matrix here; bytes a value by the tens of a matrix's type.
MAT4_NAME, MAT4_FIRST, MAT4_WIDTHS = 20, b"samplerate", (8, 4, 4, 2, 2, 1)
MAT5_HEAD, MAT5_MATRIX = 128, 14
MOST_MATRICES = 100
# First bytes -> byte order of the size that follows them, and the bytes of the file that it does not count.
SIZED = {b"MMMD": (">", 8), b"RIFF": ("<", 8), b"FORM": (">", 8)}
# What writers count wrongly, or pad.
SLACK = 64


@dataclass(frozen=True)
class Header:
    """A header of fixed layout.

    Attributes:
        name: the format, for people.
        data: the sound that it counts.
        place: the offset of the count, in bytes.
        packed: encodes the count for a number of bytes of sound.
    """

    name: str
    data: Data
    place: int
    packed: Callable[[int], bytes]


def inspect_fixed_header(source: Source) -> Layout | None:
    """Compare the count in a header of fixed layout with the bytes; None: the file has no such header."""
    header = fixed_header(source)
    if header is None:
        return None
    data = header.data
    channels = 1 if data.form is None else data.form.channels
    if not data.claimed or data.claimed == channels * (source.size - data.begin):
        # Not counted, or every sample of a frame counted.
        return Layout()
    found = true_size(source, data)
    if found.kind in ("counted", "doubtful"):
        return Layout()
    size = found.size // data.frame * data.frame
    view = FileView.patched(data.begin + size, {header.place: header.packed(size)})
    return replace(laid_out(data, found, view, header.name), parts=(Part(view=view),))


def fixed_header(source: Source) -> Header | None:
    """The header of fixed layout that a file begins with, if it has one."""
    head = source.head
    if head[:4] == AVR:
        return _avr(head)
    if head[:2] == MPC2K:
        return _mpc2k(head)
    if head[: len(WVE)] == WVE:
        return _wve(head)
    if head[: len(XI)] == XI:
        return _xi(head)
    if head[:2] == SDS:
        return _sds(head)
    if head[:2] == ADX:
        return _adx(head)
    if head[:4] in (b".SoX", b"XoS."):
        return _sox(head)
    return _htk(head) if head[8:12] == HTK else None


def _header(
    name: str, begin: int, count: int, rate: float, form: SampleFormat, place: int, order: str, *, unit: int = 0
) -> Header | None:
    """A header that counts frames, or so many bytes at a time; None: it is senseless."""
    unit = unit or form.frame
    if not (form.frame and SLOWEST <= rate <= FASTEST):
        return None
    data = Data(
        begin=begin,
        claimed=count * unit,
        declared_end=None,
        form=form,
        frame=form.frame,
        per_second=form.frame * rate,
        chunks=False,
        wide=True,
    )
    return Header(name, data, place, lambda size: struct.pack(order + "I", size // unit))


def _avr(head: bytes) -> Header | None:
    if len(head) < 128:
        return None
    stereo, bits, signed = struct.unpack_from(">HHH", head, 12)
    rate, count = struct.unpack_from(">II", head, 22)
    form = SampleFormat("i" if signed else "u", bits // 8, 2 if stereo else 1, big=True)
    return _header("AVR", 128, count, rate & 0xFFFFFF, form, 26, ">")


def _mpc2k(head: bytes) -> Header | None:
    if len(head) < 42 or head[21] > 1:
        return None
    count, rate = struct.unpack_from("<I", head, 30)[0], struct.unpack_from("<H", head, 40)[0]
    return _header("MPC2000", 42, count, rate, SampleFormat("i", 2, 1 + head[21]), 30, "<")


def _wve(head: bytes) -> Header | None:
    if len(head) < 32:
        return None
    return _header("WVE", 32, struct.unpack_from(">I", head, 18)[0], 8000, SampleFormat("l", 1, 1), 18, ">")


def _xi(head: bytes) -> Header | None:
    if len(head) < 338 or head[296:298] != b"\1\0":
        return None
    width = 2 if head[312] & 16 else 1
    size = struct.unpack_from("<I", head, 298)[0]
    # The samples are differences: no waveform shows whether they go on.
    return _header("XI", 338, size, XI_RATE, SampleFormat("d", width, 1), 298, "<", unit=1)


def _htk(head: bytes) -> Header | None:
    count, period = struct.unpack_from(">II", head)
    return _header("HTK", 12, count, 1e7 / period if period else 0, SampleFormat("i", 2, 1, big=True), 0, ">")


def _sox(head: bytes) -> Header | None:
    order = "<" if head[:1] == b"." else ">"
    if len(head) < 32:
        return None
    begin, count, rate, channels = struct.unpack_from(order + "IQdI", head, 4)
    form = SampleFormat("i", 4, min(channels, 1024), big=order == ">")
    # The lower half of a count of 64 bits.
    place = 8 if order == "<" else 12
    return _header("SoX", 4 + begin, count, rate, form, place, order, unit=4)


def _sds(head: bytes) -> Header | None:
    """A sample dump: packets of 120 bytes of data, whose bytes and numbers have seven bits."""
    if len(head) < 21 or not (period := _seven(head[7:10])) or not (width := -(-head[6] // 7)):
        return None
    count, samples = _seven(head[10:13]), SDS_DATA // width
    data = Data(
        begin=21,
        claimed=-(-count // samples) * SDS_PACKET,
        declared_end=None,
        form=None,
        frame=SDS_PACKET,
        per_second=SDS_PACKET / samples * 1e9 / period,
        chunks=False,
        wide=True,
    )
    return Header("SDS", data, 10, lambda size: _as_seven(size // SDS_PACKET * samples))


def _seven(content: bytes) -> int:
    return content[0] | content[1] << 7 | content[2] << 14


def _as_seven(number: int) -> bytes:
    return bytes((number & 127, number >> 7 & 127, number >> 14 & 127))


def _adx(head: bytes) -> Header | None:
    """CRI's ADPCM: blocks of a scale and samples of four bits, for each channel in turn."""
    if len(head) < 16 or head[4] not in (2, 3, 4) or head[6] != 4 or head[5] < 3 or not head[7]:
        return None
    begin = 4 + struct.unpack_from(">H", head, 2)[0]
    rate, count = struct.unpack_from(">II", head, 8)
    samples, block = 2 * (head[5] - 2), head[5] * head[7]
    if head[begin - 6 : begin] != b"(c)CRI" or not rate:
        return None
    data = Data(
        begin=begin,
        claimed=-(-count // samples) * block,
        declared_end=None,
        form=None,
        frame=block,
        per_second=block / samples * rate,
        chunks=False,
        wide=True,
    )
    return Header("ADX", data, 12, lambda size: struct.pack(">I", size // block * samples))


def inspect_sized(source: Source) -> Layout | None:
    """Whether a SMAF file, or a rare one of RIFF or IFF, is as long as its header says; None: it is none of them."""
    if source.head[:4] not in SIZED:
        return None
    order, extra = SIZED[source.head[:4]]
    size = struct.unpack(order + "I", source.head[4:8].ljust(4, b"\0"))[0]
    if not size or is_placeholder(size) or size + extra <= source.size + SLACK:
        return Layout()
    return Layout(missing=Missing(present=None, promised=None))


def inspect_mat(source: Source) -> Layout | None:
    """Whether the matrices of a MATLAB file are all there; None: it is none."""
    length = mat_length(source)
    if length is None:
        return None
    return Layout(missing=Missing(present=None, promised=None)) if length > source.size else Layout()


def mat_length(source: Source) -> int | None:
    """The length of a MATLAB file by its matrices, in bytes; None: it is none."""
    head = source.head
    if head[MAT4_NAME : MAT4_NAME + len(MAT4_FIRST)] == MAT4_FIRST:
        return _mat4_length(source, "<" if head[16] else ">")
    if head[:6] == b"MATLAB" and head[124:128] in (b"\0\1IM", b"\1\0MI"):
        return _mat5_length(source, "<" if head[126:128] == b"IM" else ">")
    return None


def _mat4_length(source: Source, order: str) -> int:
    """Of MATLAB 4: the sum of its matrices, as long as they are not those of another file."""
    place = 0
    for _ in range(MOST_MATRICES):
        head = source.read(place, MAT4_NAME + len(MAT4_FIRST))
        if len(head) < MAT4_NAME or (place and head[MAT4_NAME:] == MAT4_FIRST):
            break
        kind, rows, columns, imaginary, name = struct.unpack_from(order + "5I", head)
        width = MAT4_WIDTHS[kind // 10 % 10] if kind < 5000 and kind // 10 % 10 < len(MAT4_WIDTHS) else 0
        place += 20 + name + rows * columns * width * (1 + (imaginary == 1))
    return place


def _mat5_length(source: Source, order: str) -> int:
    """Of MATLAB 5: the sum of its matrices."""
    place = MAT5_HEAD
    for _ in range(MOST_MATRICES):
        head = source.read(place, 8)
        if len(head) < 8 or struct.unpack(order + "I", head[:4])[0] != MAT5_MATRIX:
            # libsndfile counts eight bytes too many.
            short = place == source.size + 8 or source.read(place - 8, 6) == b"MATLAB"
            return place - 8 if short else place
        place += 8 + struct.unpack(order + "II", head)[1]
    return place
