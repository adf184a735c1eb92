"""Lengths in AIFF, AIFF-C and 8SVX, whose chunks are those of EA IFF 85 (Apple AIFF-C 1991; Commodore 8SVX 1985)."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from typing import Literal

from soundloom.audio.containers.data_size import Data, laid_out, true_size
from soundloom.audio.containers.layout import Layout, Part, Source
from soundloom.audio.containers.samples import SampleFormat
from soundloom.audio.file_view import FileView

__all__ = ["inspect_iff"]

MOST_CHUNKS = 1000
# Least significant byte first; libsndfile misspells the code of 24 bits.
LITTLE = {b"sowt", b"42ni", b"42n1", b"23ni"}
LOGARITHMIC = {b"ulaw", b"ULAW", b"alaw", b"ALAW"}
FLOATS = {b"fl32": 4, b"FL32": 4, b"fl64": 8, b"FL64": 8}
UNKNOWN = 0xFFFFFFFF


def extended(content: bytes) -> float:
    """An 80-bit floating-point number, most significant byte first, as the rate of an AIFF file is written."""
    exponent, mantissa = struct.unpack(">HQ", content)
    shift = (exponent & 0x7FFF) - 16383 - 63
    return float(mantissa) * 2.0**shift if abs(shift) < 900 else 0.0


@dataclass(frozen=True)
class _Form:
    """The chunks of an IFF file that matter: its kind, the description, and the one that holds the sound.

    Attributes:
        base: where the file begins, after tags.
        kind: AIFF, AIFC, 8SVX or 16SV.
        end: where the file ends according to its header.
        description: the content of COMM or VHDR.
        described_at: where that content begins.
        place: where the chunk of the sound begins.
        length: the length of that chunk as it is counted.
        voice: whether the chunk is a BODY, of 8SVX.
    """

    base: int
    kind: bytes
    end: int
    description: bytes
    described_at: int
    place: int
    length: int
    voice: bool


@dataclass(frozen=True)
class _Common:
    """The COMM chunk of AIFF: what the samples are, and how many."""

    channels: int
    frames: int
    bits: int
    rate: float
    code: bytes

    @property
    def plain(self) -> bool:
        """Whether samples are neither compressed nor logarithmic."""
        return self.code in {b"NONE", b"twos", b"raw ", b"in24", b"in32", *LITTLE, *FLOATS}

    def format(self) -> SampleFormat:
        """How the samples lie in the file; of a compressed one the channels alone are true."""
        width = FLOATS.get(self.code, (self.bits + 7) // 8) if self.plain else 1
        kind = "f" if self.code in FLOATS else "u" if self.code == b"raw " else "i" if self.plain else "l"
        return SampleFormat(kind, width, self.channels, big=self.code not in LITTLE)


def inspect_iff(source: Source, base: int) -> Layout:
    """What an AIFF, AIFF-C or 8SVX file at an offset (after tags) holds."""
    form = _iff_form(source, base)
    common = None if form is None or form.voice else _common(form)
    if form is None or (common is None and not form.voice):
        return Layout()
    if common is not None and not common.plain and common.code not in LOGARITHMIC:
        return _compressed_aiff(source, form, common)
    data = _voice_data(form) if common is None else _aiff_data(source, form, common)
    if data is None:
        return Layout()
    found = true_size(source, data)
    if found.kind in ("counted", "missing"):
        return laid_out(data, found, None, "AIFF")
    count = min(found.size // data.frame, UNKNOWN)
    total = data.begin + found.size
    frames = {} if common is None else {form.described_at + 2: struct.pack(">I", count)}
    view = FileView.patched(
        total,
        {
            base + 4: struct.pack(">I", min(total - base - 8, UNKNOWN)),
            **frames,
            form.place + 4: struct.pack(">I", min(total - form.place - 8, UNKNOWN)),
        },
        base,
    )
    return laid_out(data, found, view, "AIFF")


def _iff_form(source: Source, base: int) -> _Form | None:
    """The chunks up to the sound; None: there is no sound."""
    size, kind = struct.unpack(">I4s", source.read(base + 4, 8))
    place, description, described_at = base + 12, b"", 0
    for _ in range(MOST_CHUNKS):
        head = source.read(place, 8)
        if len(head) < 8:
            return None
        name, length = struct.unpack(">4sI", head)
        if name in (b"COMM", b"VHDR"):
            description, described_at = source.read(place + 8, min(length, 256)), place + 8
        elif name in (b"SSND", b"BODY"):
            return _Form(base, kind, base + 8 + size, description, described_at, place, length, name == b"BODY")
        place += 8 + length + length % 2
    return None


def _common(form: _Form) -> _Common | None:
    """What the COMM chunk says; None: it is missing or senseless."""
    content = form.description
    if len(content) < 18:
        return None
    channels, frames, bits = struct.unpack_from(">HIH", content)
    common = _Common(
        channels, frames, bits, extended(content[8:18]), content[18:22] if form.kind == b"AIFC" else b"NONE"
    )
    return common if channels and common.rate > 0 and common.format().width else None


def _voice_data(form: _Form) -> Data | None:
    """The samples of an 8SVX or 16SV file; None: they have no rate."""
    if len(form.description) < 20 or not (rate := struct.unpack_from(">H", form.description, 12)[0]):
        return None
    width = 2 if form.kind == b"16SV" else 1
    return Data(
        begin=form.place + 8,
        claimed=form.length,
        declared_end=form.end,
        form=SampleFormat("i", width, 1, big=True),
        frame=width,
        per_second=width * rate,
        big=True,
    )


def _aiff_data(source: Source, form: _Form, common: _Common) -> Data:
    """The samples of an AIFF file that is not compressed."""
    samples = common.format()
    skipped = struct.unpack(">I", source.read(form.place + 8, 4))[0]
    begin = form.place + 16 + (skipped if skipped < 1 << 16 else 0)
    claimed = max(0, form.length - (begin - form.place - 8))
    # Two counts: where they differ, one that agrees with the file is right.
    if common.frames * samples.frame < claimed and begin + claimed <= source.size:
        claimed = common.frames * samples.frame
    return Data(
        begin=begin,
        claimed=claimed if form.length != UNKNOWN else UNKNOWN,
        declared_end=form.end,
        form=samples,
        frame=samples.frame,
        per_second=samples.frame * common.rate,
        big=True,
    )


def _compressed_aiff(source: Source, form: _Form, common: _Common) -> Layout:
    """Whether the data of a compressed AIFF-C file are all there, and more. IMA counts packets of 64 samples."""
    packed = common.code == b"ima4"
    block = 34 * common.channels if packed else 1
    seconds = common.frames * (64 if packed else 1) / common.rate
    data = Data(
        begin=form.place + 16,
        claimed=max(0, form.length - 8),
        declared_end=form.end,
        form=None,
        frame=block,
        per_second=max(1.0, (common.frames * block if packed else form.length) / max(seconds, 1e-9)),
        big=True,
        second_count=common.frames * block if packed else 0,
    )
    found = true_size(source, data)
    library: Literal["pyav"] | None = "pyav" if packed else None
    if found.kind == "counted":
        return Layout(parts=(Part(library=library),))
    total = data.begin + found.size
    sizes = {
        form.base + 4: struct.pack(">I", total - form.base - 8),
        form.place + 4: struct.pack(">I", found.size + 8),
    }
    view = FileView.patched(total, sizes, form.base)
    layout = laid_out(data, found, view, "AIFF")
    return replace(layout, parts=tuple(replace(part, library=library, counted=False) for part in layout.parts))
