"""Detection of sound after a counted sound: tags, chunks and padding, or a waveform that goes on."""

from __future__ import annotations

import re

import numpy as np
from jaxtyping import Float

from soundloom.audio.containers.layout import Source

__all__ = ["KNOWN", "PLACEHOLDERS", "SampleFormat", "chunks_to_end", "goes_on", "is_placeholder", "trailing_chunks"]

PROBE = 1 << 15
# Sizes that programs write before they know the true one: 0xFFFFFFFF (FFmpeg), 0x7FFFF000 (SoX, MPlayer), 0x7FFFFFFF,
# 0x80000000 (arecord), each perhaps less a header and rounded down to whole frames.
PLACEHOLDERS = (0xFFFFFFFF, 0x7FFFFFFF, 0x80000000, 0x7FFFF000)
SLACK = 8192

# What programs append after the sound of RIFF, IFF and their kin.
TRAILERS = (
    b"LIST id3  ID3  iXML bext cue  smpl _PMX JUNK junk PAD  FLLR afsp DISP inst INST acid fact plst note labl ltxt "
    b"adtl umid mext levl axml chna LGWV minf elm1 regn MARK COMT NAME AUTH (c)  ANNO APPL MIDI AESD CHAN peak PEAK "
    b"strc info edct uuid midi ovvw cart bwfx SAUR ResU SMED SNDM aXML wavl slnt tlst CSET IDIT ISFT TAG  ID3\x03 "
    b"ID3\x02 ID3\x04 free wide LYRI APET dbmd data pakt"
)
KNOWN = frozenset(TRAILERS[at : at + 4] for at in range(0, len(TRAILERS), 5))
TAGS = (b"TAG", b"ID3", b"APETAGEX", b"LYRICSBEGIN", b"RIFF", b"FORM", b"<?xml", b'{"', b"PK\x03\x04", b"\xff\xd8\xff")


class SampleFormat:
    """How uncompressed samples lie in a file.

    Args:
        kind: ``i`` for signed, ``u`` for unsigned integers, ``f`` for floating point, ``l`` for logarithmic bytes.
        width: bytes a sample.
        channels: samples a frame.
        big: whether the most significant byte comes first.
    """

    def __init__(self, kind: str, width: int, channels: int, *, big: bool = False) -> None:
        self.kind, self.width, self.channels, self.big = kind, width, channels, big

    @property
    def frame(self) -> int:
        """Bytes a frame."""
        return self.width * self.channels

    def waveform(self, content: bytes) -> Float[np.ndarray, "frames channels"] | None:
        """The samples in some bytes; None: fewer than 256 frames, or a format without waveform."""
        frames = len(content) // self.frame if self.frame else 0
        if frames < 256:
            return None
        raw = content[: frames * self.frame]
        order = ">" if self.big else "<"
        if self.kind == "i" and self.width == 3:
            octets = np.frombuffer(raw, np.uint8).reshape(-1, 3)
            high, middle = (octets[:, 0], octets[:, 1]) if self.big else (octets[:, 2], octets[:, 1])
            values = (high.astype(np.int8).astype(np.float64) * 256 + middle) / 32768
        elif self.kind == "l":
            # Sign and seven bits of logarithm: as good as a level for comparing neighbours.
            octets = np.frombuffer(raw, np.uint8)
            values = np.where(octets & 128, 1.0, -1.0) * ((octets & 127) ^ 127) / 127
        elif f"{self.kind}{self.width}" in {"i1", "u1", "i2", "i4", "i8", "f4", "f8"}:
            # Other bytes than samples may be no numbers.
            with np.errstate(invalid="ignore"):
                values = np.frombuffer(raw, f"{order}{self.kind}{self.width}").astype(np.float64)
            if self.kind != "f":
                values = (values - (128 if self.kind == "u" else 0)) / 2.0 ** (8 * self.width - 1)
        else:
            return None
        return values.reshape(frames, self.channels)


def is_placeholder(size: int) -> bool:
    """Whether a 32-bit size is one that programs write before they know the true one."""
    return any(known - SLACK <= size <= min(known + SLACK, 0xFFFFFFFF) for known in PLACEHOLDERS)


def chunks_to_end(source: Source, offset: int, *, big: bool = False) -> bool:
    """Whether chunks, tags or padding, and nothing else, lie between an offset and the end of the file."""
    while source.size - offset >= 8:
        head = source.read(offset, 12)
        if head.startswith(TAGS) and head[:4] not in KNOWN - {b"TAG "}:
            return True
        if head[:4] not in KNOWN and not re.fullmatch(rb"[A-Za-z_(\xa9][A-Za-z0-9_() ]{2}[A-Za-z0-9_() ]", head[:4]):
            rest = source.read(offset, PROBE)
            return not any(rest)
        size = int.from_bytes(head[4:8], "big" if big else "little")
        following = offset + 8 + size + size % 2
        # The last chunk may lack its padding; one that reaches far past the end is no chunk but sound.
        if following > source.size + 8:
            return head[:4] in KNOWN
        offset = following
    return True


def trailing_chunks(source: Source, start: int, *, big: bool = False) -> int:
    """Where chunks that programs append begin, looking no further back than 64 kB; the file's size: there are none."""
    begin = max(start, source.size - 65536)
    tail = source.read(begin, source.size - begin)
    places = sorted(match.start() for known in KNOWN for match in re.finditer(re.escape(known), tail))
    for place in places:
        if chunks_to_end(source, begin + place, big=big) and int.from_bytes(
            tail[place + 4 : place + 8], "big" if big else "little"
        ):
            return begin + place
    return source.size


def goes_on(source: Source, form: SampleFormat | None, begin: int, end: int) -> bool:
    """Whether the waveform before ``end`` (from ``begin``) evidently goes on after it.

    Compared are 32 kB on either side: the level, and how much neighbouring samples differ for that level, which is
    small for sound, large for other bytes, and alike on both sides of a cut within one recording. Text, pictures and
    other bytes read as samples are loud, not centred, and rough.
    """
    if form is None:
        return False
    frame = max(1, form.frame)
    length = max(frame, PROBE // frame * frame)
    end = begin + -(-(end - begin) // frame) * frame
    before = form.waveform(source.read(max(begin, end - length), min(length, end - begin)))
    after = form.waveform(source.read(end, min(length, source.size - end)))
    if after is None or not np.isfinite(after).all() or np.abs(after).max() > 64:
        return False
    level, roughness, offset = _texture(after)
    if before is None:
        return level > 0 and roughness < 1 and offset < 0.5 * level + 0.01
    known_level, known_roughness, known_offset = _texture(before)
    if level == 0 or known_level == 0:
        return False
    alike = abs(np.log(level / known_level)) < np.log(30) and roughness < 3 * known_roughness + 0.05
    return bool(alike and abs(offset - known_offset) < 3 * max(level, known_level))


def _texture(wave: Float[np.ndarray, "frames channels"]) -> tuple[float, float, float]:
    """Level, difference of neighbours relative to it, and mean."""
    centred = wave - wave.mean(axis=0)
    level = float(np.sqrt(np.mean(centred**2)))
    rough = float(np.sqrt(np.mean(np.diff(wave, axis=0) ** 2)))
    return level, rough / level if level else 0.0, float(np.abs(wave.mean()))
