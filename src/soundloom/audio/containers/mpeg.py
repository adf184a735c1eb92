"""Lengths of MPEG audio and ADTS: frames walked from header to header, and the counts of Xing, Info and VBRI headers.

ISO 11172-3, ISO 13818-3 and ISO 13818-7 give a stream no length: it is as long as its frames. Encoders write counts of
frames and bytes into a first, silent frame (Xing, Info, VBRI). Where the bytes agree with the file they are believed.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from soundloom.audio.containers.layout import Layout, Missing, Part, Source, negligible
from soundloom.audio.file_view import FileView
from soundloom.audio.notices import Notice

__all__ = ["inspect_adts", "inspect_mpeg", "is_adts", "is_mpeg", "is_regular"]

# Kilobits a second by (version 1?, layer) and index.
BITRATES = {
    (True, 1): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
ADTS_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)
LONGEST_FRAME = 2881
# Frames a decoder is given before the region: reservoirs of bits and overlapping windows.
ENTRY_EVERY = 64
# Bytes that are searched for counts, and then walked, at once.
AT_ONCE = 1 << 15
# Where the first frame is looked for, and how far apart two frames of one stream may be.
MOST_JUNK = 1 << 16
# Bytes of tags that an encoder may count with the frames: ID3v1.
LARGEST_TAG = 128


def frame_header(head: bytes) -> tuple[int, int, int, tuple[int, int]] | None:
    """Of four bytes: length in bytes, samples, rate, and (version, layer); None: no header, or one of free format."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    version, layer = head[1] >> 3 & 3, 4 - (head[1] >> 1 & 3)
    index, rate_index, padding = head[2] >> 4, head[2] >> 2 & 3, head[2] >> 1 & 1
    if version == 1 or layer == 4 or index in (0, 15) or rate_index == 3:
        return None
    known = _LENGTHS.get((version, layer, index, rate_index))
    if known is None:
        return None
    length, samples, rate = known
    return length + (padding * 4 if layer == 1 else padding), samples, rate, (version, layer)


def _lengths() -> dict[tuple[int, int, int, int], tuple[int, int, int]]:
    """Length without padding, samples and rate of every header there may be."""
    table = {}
    for version, rates in RATES.items():
        for layer in (1, 2, 3):
            samples = 384 if layer == 1 else 576 if layer == 3 and version != 3 else 1152
            for index in range(1, 15):
                bits = BITRATES[version == 3, layer][index] * 1000
                for place, rate in enumerate(rates):
                    length = 12 * bits // rate * 4 if layer == 1 else samples // 8 * bits // rate
                    table[version, layer, index, place] = length, samples, rate
    return table


_LENGTHS = _lengths()


@dataclass
class _Walk:
    """What walking a stream found.

    Attributes:
        frames: how many, without those that hold counts.
        samples: by rate, in order of appearance.
        entries: (number, byte) of every 64th frame.
        headers: how many counting frames there are.
        promised: how many frames there are according to the counts, up to the end of the last stream that is counted.
        begin: where the first frame begins.
        end: where the last whole frame ends.
        packet: samples a frame.
        regular: whether every frame begins where the one before it ends.
    """

    frames: int = 0
    samples: dict[int, int] = field(default_factory=dict)
    entries: list[tuple[int, int]] = field(default_factory=list)
    headers: int = 0
    promised: int = 0
    begin: int = -1
    end: int = 0
    packet: int = 0
    regular: bool = True

    @property
    def seconds(self) -> float:
        return sum(count / rate for rate, count in self.samples.items())

    def add(self, place: int, length: int, samples: int, rate: int, counts: tuple[int, int | None] | None) -> None:
        """Take note of a frame: one of sound, or one that holds the counts of a stream that begins there."""
        self.begin = place if self.begin < 0 else self.begin
        self.end = place + length
        if counts is not None:
            self.headers += 1
            self.promised = self.frames + counts[0]
            return
        if self.frames % ENTRY_EVERY == 0:
            self.entries.append((self.frames, place))
        self.frames += 1
        self.packet = samples
        self.samples[rate] = self.samples.get(rate, 0) + samples


def is_mpeg(source: Source, base: int) -> int | None:
    """Where MPEG audio begins at or after an offset; None: it does not."""
    if frame_header(source.read(base, 4)) is not None and _followed(source, base):
        return base
    junk = source.read(base, MOST_JUNK)
    place = junk.find(b"\xff")
    while place >= 0:
        if frame_header(junk[place : place + 4]) is not None and _followed(source, base + place, 3):
            return base + place
        place = junk.find(b"\xff", place + 1)
    return None


def _followed(source: Source, place: int, times: int = 2) -> bool:
    """Whether a frame is followed by others of its kind, or by the end of the file."""
    kind = None
    for number in range(times + 1):
        found = frame_header(source.read(place, 4))
        if found is None:
            return number > 0 and place >= source.size
        length, _, rate, layer = found
        if kind not in (None, (rate, layer)):
            return False
        kind = rate, layer
        place += length
    return True


def inspect_mpeg(source: Source, begin: int) -> Layout:
    """What a stream of MPEG audio holds, whose first frame begins at an offset."""
    first = frame_header(source.read(begin, 4))
    if first is None:
        return Layout(parts=(Part(isolated=True),))
    length, samples, rate, _ = first
    counts = counting_frame(source.read(begin, length))
    end = source.size - _tags_at_end(source)
    if counts is not None and _agrees(source, begin, end, counts, length):
        return Layout(parts=(Part(isolated=True),))
    walk = walked(source, begin, end)
    if not walk.frames:
        return Layout(parts=(Part(isolated=True),))
    notices: tuple[Notice, ...] = ()
    joined = walk.headers > 1 or len(walk.samples) > 1
    if joined:
        rates = ", ".join(f"{rate} Hz" for rate in walk.samples)
        notices = (Notice("joined", f"MPEG audio: streams joined end to end ({rates}); decoded one after the other"),)
    entries = tuple(walk.entries) if counts is None and not joined else ()
    part = Part(library="pyav", counted=False, seconds=walk.seconds, entries=entries, joined=joined)
    layout = Layout(parts=(part,), notices=notices)
    if joined and not negligible(walk.promised - walk.frames, 1, walk.promised):
        return replace(layout, missing=Missing(present=walk.seconds, promised=None))
    if counts is None or joined:
        return layout
    frames, size = counts
    promised, present = frames * samples / rate, walk.seconds
    # The counts of some encoders include the counting frame.
    if abs(frames - walk.frames) <= 1 or (frames - walk.frames > 0 and negligible(frames - walk.frames, 1, frames)):
        return layout
    # With the count that the frames have, decoders find the end, and trim what encoders add.
    view = _recounted(source, begin, length, walk)
    part = Part(view=view, seconds=present, isolated=True)
    short = frames > walk.frames and not _doubled(walk, frames) if size is None else begin + size - end > LARGEST_TAG
    if short and frames > walk.frames:
        return Layout(parts=(part,), missing=Missing(present=present, promised=promised))
    text = f"MPEG audio: its header counts {promised:.2f} s, its frames {present:.2f} s; decoded to the end"
    return Layout(parts=(part,), notices=(Notice("repaired", text),))


def is_regular(source: Source, base: int) -> bool:
    """Whether MPEG audio at an offset is nothing but frames, several of them, each where the one before it ends."""
    walk = walked(source, base, source.size - _tags_at_end(source)) if is_mpeg(source, base) == base else _Walk()
    return walk.regular and walk.frames > 1


def _recounted(source: Source, begin: int, length: int, walk: _Walk) -> FileView | None:
    """The file with the right counts in its Xing or Info header; None: it has another kind of header."""
    frame = source.read(begin, length)
    place = max(frame.find(b"Xing", 4, 64), frame.find(b"Info", 4, 64))
    if place < 0:
        return None
    patches = {begin + place + 8: walk.frames.to_bytes(4, "big")}
    if frame[place + 7] & 2:
        patches[begin + place + 12] = (walk.end - begin).to_bytes(4, "big")
    return FileView.patched(walk.end, patches)


def _doubled(walk: _Walk, frames: int) -> bool:
    """Whether a count is twice the frames there are: counted once a channel."""
    return abs(frames - 2 * walk.frames) <= 2


def counting_frame(frame: bytes) -> tuple[int, int | None] | None:
    """Frames and bytes that a Xing, Info or VBRI header counts; None: the frame is none of them."""
    for mark in (b"Xing", b"Info"):
        place = frame.find(mark, 4, 64)
        if place > 0 and len(frame) >= place + 16:
            flags = int.from_bytes(frame[place + 4 : place + 8], "big")
            if not flags & 1:
                return None
            frames = int.from_bytes(frame[place + 8 : place + 12], "big")
            size = int.from_bytes(frame[place + 12 : place + 16], "big") if flags & 2 else None
            return (frames, size or None) if frames else None
    if frame[36:40] == b"VBRI" and len(frame) >= 54:
        size, frames = (int.from_bytes(frame[at : at + 4], "big") for at in (46, 50))
        return (frames, size or None) if frames else None
    return None


def _agrees(source: Source, begin: int, end: int, counts: tuple[int, int | None], length: int) -> bool:
    """Whether the counts of bytes and frames fit the file."""
    frames, size = counts
    if size is None or abs(begin + size - end) > max(64, 2 * size / frames):
        return False
    # Frames as long on average as those in five places of the file, of which the longest are left out.
    seen = taken = 0
    for place in (0, 1, 2, 3, 4):
        offset = begin + length if place == 0 else begin + place * (end - begin) // 5
        walk = walked(source, offset, min(end, offset + 20 * LONGEST_FRAME), most=16)
        seen, taken = seen + walk.frames, taken + walk.end - walk.begin
    if not seen:
        return False
    guess = (end - begin - length) * seen / max(1, taken)
    close = abs(guess - frames) <= 2 + 0.01 * frames
    if close or (end - begin) > 1 << 22:
        return close or 0.7 < guess / frames < 1.4
    exact = walked(source, begin, end)
    return abs(exact.frames - frames) <= 1 and exact.headers == 1


def _tags_at_end(source: Source) -> int:
    """Bytes of ID3v1, Lyrics3 and APE tags after the sound."""
    tail = source.read(max(0, source.size - 160), 160)
    taken = 0
    if tail[-128:-125] == b"TAG":
        taken = 128
        tail = source.read(max(0, source.size - 160 - taken), 160)
    if tail[-32:-24] == b"APETAGEX":
        size = int.from_bytes(tail[-20:-16], "little")
        header = 32 if tail[-9] & 0x80 else 0
        taken += size + header
    return min(taken, source.size)


def walked(source: Source, begin: int, end: int, most: int = 1 << 62) -> _Walk:
    """Walk frames from header to header; bytes between that are none are passed over."""
    walk = _Walk()
    place, kind = begin, None
    content, base = b"", 0
    while place + 4 <= end and walk.frames < most:
        inside = place - base
        if not 0 <= inside <= len(content) - 64:
            base, inside = place, 0
            content = source.read(place, min(1 << 20, end - place))
        found = frame_header(content[inside : inside + 4])
        if found is None or (kind not in (None, found[2:]) and not _followed(source, place)):
            walk.regular = False
            place = _resynchronised(source, place + 1, end)
            if place < 0:
                break
            continue
        length, samples, rate, _ = found
        if place + length > end + 1:
            break
        if kind is None and not _followed(source, place):
            walk.regular = False
            place += 1
            continue
        counts = None
        if kind != found[2:] or counting(content, inside):
            counts = counting_frame(source.read(place, length))
        walk.add(place, length, samples, rate, counts)
        kind = found[2:]
        place += length
        if counts is None:
            usual = min(len(content) - 64, end - base)
            place += _walk_usual(walk, content, base, inside + length, usual, (kind, samples, most))
    return walk


def _walk_usual(
    walk: _Walk, content: bytes, base: int, first: int, last: int, stream: tuple[tuple[int, tuple[int, int]], int, int]
) -> int:
    """Walk on over frames like those before, which is most of a file, as fast as Python can; returns their bytes.

    Args:
        walk: what was found so far.
        content: bytes of the file.
        base: where they lie in it.
        first: where the next frame begins in them.
        last: where the last frame must end.
        stream: rate, version and layer of the frames before; samples a frame; the most frames to walk.
    """
    kind, samples, most = stream
    lengths: dict[bytes, int] = {}
    inside, frames, entries = first, walk.frames, walk.entries
    # Frames that may hold counts are left to `walked`.
    stop = min(last, first + AT_ONCE)
    marks = (content.find(mark, first + 4, stop + 44) for mark in (b"Xing", b"Info", b"VBRI"))
    stop = min([stop, *(at - 44 for at in marks if at >= 0)])
    while inside < stop and frames < most:
        head = content[inside : inside + 4]
        length = lengths.get(head)
        if length is None:
            found = frame_header(head)
            length = lengths[head] = found[0] if found is not None and found[2:] == kind else 0
        if not length or inside + length > last:
            break
        if frames % ENTRY_EVERY == 0:
            entries.append((frames, base + inside))
        frames += 1
        inside += length
    if frames > walk.frames:
        rate = kind[0]
        walk.samples[rate] = walk.samples.get(rate, 0) + samples * (frames - walk.frames)
        walk.frames, walk.end = frames, base + inside
    return inside - first


def counting(content: bytes, inside: int) -> bool:
    """Whether a frame may hold counts: one whose side information is empty."""
    head = content[inside + 4 : inside + 44]
    return b"Xing" in head or b"Info" in head or b"VBRI" in head


def _resynchronised(source: Source, place: int, end: int) -> int:
    """Where the next frame begins that others follow; -1: nowhere."""
    while place + 4 <= end:
        place = source.find(b"\xff", place)
        if place < 0:
            return -1
        if frame_header(source.read(place, 4)) is not None and _followed(source, place):
            return place
        place += 1
    return -1


def is_adts(source: Source, base: int) -> bool:
    """Whether AAC with ADTS headers begins at an offset: two headers in a row."""
    head = source.read(base, 7)
    length = _adts(head)
    following = source.read(base + length, 7)
    return length > 0 and (_adts(following) > 0 or base + length >= source.size)


def _adts(head: bytes) -> int:
    """The length of the ADTS frame with this header; 0: it is none."""
    if len(head) < 7 or head[0] != 0xFF or head[1] & 0xF6 != 0xF0 or head[2] >> 2 & 15 > 12:
        return 0
    length = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
    return length if length >= 7 else 0


def inspect_adts(source: Source, base: int) -> Layout:
    """What AAC with ADTS headers holds: frames of 1024 samples at the rate of the core codec."""
    place, frames, seconds = base, 0, 0.0
    rates: list[int] = []
    entries: list[tuple[int, int]] = []
    while place + 7 <= source.size:
        head = source.read(place, 7)
        length = _adts(head)
        if not length:
            following = source.find(b"\xff", place + 1)
            while following >= 0 and not is_adts(source, following):
                following = source.find(b"\xff", following + 1)
            if following < 0:
                break
            place = following
            continue
        rate = ADTS_RATES[head[2] >> 2 & 15]
        if not rates or rates[-1] != rate:
            rates.append(rate)
        if frames % ENTRY_EVERY == 0:
            entries.append((frames, place))
        blocks = 1 + (head[6] & 3)
        seconds += blocks * 1024 / rate
        frames += 1
        place += length
    notices: tuple[Notice, ...] = ()
    if len(rates) > 1:
        text = f"ADTS: streams joined end to end ({', '.join(f'{rate} Hz' for rate in rates)}); decoded in order"
        notices = (Notice("joined", text),)
    part = Part(
        library="pyav", counted=False, seconds=seconds, entries=() if notices else tuple(entries), joined=bool(notices)
    )
    return Layout(parts=(part,), notices=notices)
