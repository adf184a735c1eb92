"""Lengths in Ogg: the pages of a file, the streams they belong to, and whether the last ones are there (RFC 3533).

Ogg counts no total. A stream is whole where its last page says that it is the last. Streams joined end to end
("chained") each begin with a page of their own.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from soundloom.audio.containers.layout import Layout, Missing, Part, Source
from soundloom.audio.file_view import FileView, Span
from soundloom.audio.notices import Notice

__all__ = ["inspect_ogg"]

HEAD = struct.Struct("<4sBBqIIIB")
FIRST, LAST = 2, 4
# Codecs that libsndfile reads in Ogg; FFmpeg reads the others and films.
SNDFILE = (b"\x01vorbis", b"OpusHead", b"\x7fFLAC", b"Speex   ")
# Files beyond this size are not walked from page to page.
LARGEST_WALK = 1 << 30


@dataclass
class _Link:
    """A stretch of a file whose streams begin together.

    Attributes:
        begin: its first byte.
        end: the byte after its last.
        codecs: the first bytes of each stream in it, by serial number.
        open: serial numbers of the streams whose last page has not come.
        position: the last position of the sound that a page gives.
        pages: how many there are.
    """

    begin: int
    end: int = 0
    codecs: dict[int, bytes] = field(default_factory=dict)
    open: set[int] = field(default_factory=set)
    position: int = 0
    pages: int = 0


def inspect_ogg(source: Source, base: int) -> Layout:
    """What an Ogg file holds from an offset (after tags) on."""
    if source.size > LARGEST_WALK:
        return Layout()
    links, cut = _walk(source, base)
    if not links:
        return Layout()
    last = links[-1]
    joined = len(links) > 1
    odd = any(_sounds(link) != 1 or len(link.codecs) != 1 for link in links)
    parts: tuple[Part, ...] = (Part(library="pyav" if odd else None),)
    notices: tuple[Notice, ...] = ()
    if joined:
        parts = tuple(
            Part(
                view=FileView((Span(link.begin, link.end - link.begin),)),
                library="pyav" if _sounds(link) != 1 or len(link.codecs) != 1 else None,
            )
            for link in links
            if _sounds(link)
        )
        text = f"Ogg: {len(parts)} streams joined end to end; decoded one after the other"
        notices = (Notice("joined", text),)
    if cut:
        # Whole pages are decoded; of the cut one nothing is.
        present = _seconds(last)
        return Layout(parts=parts, missing=Missing(present=present, promised=None), notices=notices)
    if last.open and last.pages > len(last.codecs):
        notices = (*notices, Notice("unclosed", "Ogg: the stream has no last page; it may have been cut there"))
    return Layout(parts=parts, notices=notices)


def _walk(source: Source, place: int) -> tuple[list[_Link], bool]:
    """The links of a file, and whether its last page is cut."""
    links: list[_Link] = []
    beginning = False
    size = source.size
    while place + 27 <= size:
        head = source.read(place, 27)
        mark, _, flags, position, serial, _, _, count = HEAD.unpack(head)
        if mark != b"OggS":
            # Tags and padding at the end, or damage: decoding will find that.
            following = source.find(b"OggS", place + 1)
            if following < 0:
                return links, False
            place = following
            continue
        lacing = source.read(place + 27, count)
        end = place + 27 + count + sum(lacing)
        if end > size or len(lacing) < count:
            return links, True
        if flags & FIRST:
            if not beginning:
                if links:
                    links[-1].end = place
                links.append(_Link(place))
            links[-1].codecs[serial] = source.read(place + 27 + count, 8)
            links[-1].open.add(serial)
        if not links:
            links.append(_Link(place))
        beginning = bool(flags & FIRST)
        link = links[-1]
        if flags & LAST:
            link.open.discard(serial)
        if position > 0 and link.codecs.get(serial, b"").startswith(SNDFILE):
            link.position = position
        link.pages += 1
        link.end = place = end
    return links, source.read(place, 4).startswith(b"OggS"[: max(1, size - place)]) and place < size


def _sounds(link: _Link) -> int:
    """How many streams of a link are sound that libsndfile reads."""
    return sum(codec.startswith(SNDFILE) for codec in link.codecs.values())


def _seconds(link: _Link) -> float | None:
    """The length of a link, where its codec counts at 48 kHz; None: decoding must find out."""
    codecs = list(link.codecs.values())
    return link.position / 48000 if codecs and codecs[0].startswith(b"OpusHead") and link.position else None
