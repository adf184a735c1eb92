"""Inspection of containers: what a file holds against what its header says; a module a family, chosen by first bytes.

Inspecting costs a few hundred bytes of reading where header and data agree. It never decodes. Where they disagree it
gives the parts of the file that are sound, headers that count them, and notices; see :class:`Layout`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import replace

from soundloom.audio.containers.au import inspect_au
from soundloom.audio.containers.boxes import (
    ASF,
    inspect_asf,
    inspect_avi,
    inspect_flv,
    inspect_matroska,
    inspect_mp4,
    inspect_nut,
    inspect_rm,
    inspect_swf,
)
from soundloom.audio.containers.caf import inspect_caf
from soundloom.audio.containers.fixed_headers import inspect_fixed_header, inspect_mat, inspect_sized
from soundloom.audio.containers.flac import inspect_flac
from soundloom.audio.containers.iff import inspect_iff
from soundloom.audio.containers.joined_files import inspect_joined
from soundloom.audio.containers.layout import Layout, Missing, Part, Source
from soundloom.audio.containers.mpeg import inspect_adts, inspect_mpeg, is_adts, is_mpeg, is_regular
from soundloom.audio.containers.nist import inspect_nist
from soundloom.audio.containers.ogg import inspect_ogg
from soundloom.audio.containers.riff import RIFF, W64_RIFF, inspect_riff, inspect_w64
from soundloom.audio.containers.voc import VOC, inspect_voc
from soundloom.audio.file_view import FileView, Span

__all__ = ["Layout", "Missing", "Part", "inspect", "is_regular_mpeg"]

NUT = b"nut/multimedia container\0"
MP4_BOXES = (b"ftyp", b"moov", b"mdat", b"styp", b"wide", b"skip", b"free")
# M3U, PLS, FFmpeg's scripts, cue sheets, session descriptions, and XML (XSPF, SMIL, MPEG-DASH, ASX).
PLAYLIST = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:#EXTM3U|#EXTINF|ffconcat|\[playlist\]|\[Reference\]|FILE \"|REM [A-Z]+ |v=0\r?\n|"
    rb"(?:<\?xml[^>]*>\s*(?:<!--.*?-->\s*)*)?<(?:playlist|smil|MPD|asx|SmoothStreamingMedia|CompositionPlaylist)\b)",
    re.IGNORECASE | re.DOTALL,
)
LONGEST_WALK = 1 << 26
MPEG_SUFFIXES = (".mp1", ".mp2", ".mp3", ".mpa", ".mpga", ".m1a", ".m2a")


Starts = Callable[[bytes], bool]
"""Whether a file's first bytes are those of a container."""


def _has(*words: bytes, at: int = 0) -> Starts:
    return lambda head: head.startswith(words, at)


def _form(*kinds: bytes, of: tuple[bytes, ...]) -> Starts:
    """The name of a chunk's form stands behind its size."""
    return lambda head: head.startswith(of) and head.startswith(kinds, 8)


_AFTER_TAGS: tuple[tuple[Starts, Callable[[Source, int], Layout]], ...] = (
    (_form(b"WAVE", of=RIFF), inspect_riff),
    (_has(b"OggS"), inspect_ogg),
    (_has(b"fLaC"), inspect_flac),
    (_form(b"AIFF", b"AIFC", b"8SVX", b"16SV", of=(b"FORM",)), inspect_iff),
)
"""Containers that writers also put behind ID3v2 tags."""

_WHOLE: tuple[tuple[Starts, Callable[[Source], Layout | None]], ...] = (
    (_form(b"AVI ", of=(b"RIFF",)), inspect_avi),
    (_has(b".snd", b"dns."), inspect_au),
    (_has(b"caff"), inspect_caf),
    (_has(W64_RIFF), inspect_w64),
    (_has(VOC), inspect_voc),
    (_has(b"NIST_1A"), inspect_nist),
    (_has(*MP4_BOXES, at=4), inspect_mp4),
    (_has(b"\x1aE\xdf\xa3"), inspect_matroska),
    (_has(b".RMF"), inspect_rm),
    (_has(b"FLV\1"), inspect_flv),
    (_has(b"WS", at=1), inspect_swf),
    (_has(NUT), inspect_nut),
    (_has(ASF), inspect_asf),
)


def inspect(path: str) -> Layout:
    """Compare the header of a sound file with its bytes.

    Args:
        path: a file; one that is no sound file is left to the decoders.

    Raises:
        OSError: the file cannot be read.
    """
    with Source(path) as source:
        if PLAYLIST.match(source.head):
            return Layout(refused="this is a list of other files, and no sound: name the files in it")
        base = _tags_in_front(source)
        suffix = os.path.splitext(path)[1].lower()
        joined = inspect_joined(source, base, lambda one: _inspected(one, 0, suffix))
        if joined is not None:
            return joined
        layout = _inspected(source, base, suffix)
        if base and all(part.view is None for part in layout.parts):
            # Decoders look for tags in front of some containers only.
            magic = source.read(base, 4)
            if magic in (*RIFF, b"FORM", b".snd", b"caff", b"OggS"):
                view = FileView((Span(base, source.size - base),))
                return replace(layout, parts=(replace(layout.parts[0], view=view),))
        return layout


def is_regular_mpeg(path: str) -> bool:
    """Whether a stream of MPEG audio is nothing but frames and tags, so that libmpg123 prints nothing about them.

    A file of more than 64 MiB, whose frames take a while to walk, is taken for irregular.

    Raises:
        OSError: the file cannot be read.
    """
    with Source(path) as source:
        return source.size <= LONGEST_WALK and is_regular(source, _tags_in_front(source))


def _inspected(source: Source, base: int, suffix: str) -> Layout:
    """The layout by the container's first bytes."""
    head = source.head[:64] if base == 0 else source.read(base, 64)
    for starts, inspect_after_tags in _AFTER_TAGS:
        if starts(head):
            return inspect_after_tags(source, base)
    for starts, inspect_whole in _WHOLE if base == 0 else ():
        if starts(head) and (layout := inspect_whole(source)) is not None:
            return layout
    if is_adts(source, base):
        return inspect_adts(source, base)
    # libsndfile asks libmpg123, which may know frames that are not known here, or prints what it does not find.
    maybe_mpeg = head[:1] == b"\xff" or base > 0 or suffix in MPEG_SUFFIXES
    if maybe_mpeg:
        begin = is_mpeg(source, base)
        if begin is not None:
            return inspect_mpeg(source, begin)
    known = (inspect_mat(source) or inspect_fixed_header(source) or inspect_sized(source)) if base == 0 else None
    return known or Layout(parts=(Part(isolated=maybe_mpeg),))


def _tags_in_front(source: Source) -> int:
    """Bytes of ID3v2 tags before the sound."""
    base = 0
    for _ in range(16):
        head = source.head[:10] if base == 0 else source.read(base, 10)
        if head[:3] != b"ID3" or len(head) < 10 or max(head[6:10]) > 127:
            break
        base += 10 + (head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]) + (10 if head[5] & 16 else 0)
    # Some writers pad their tags with zeros that no size counts.
    if base:
        pad = source.read(base, 4096)
        zeros = len(pad) - len(pad.lstrip(b"\0"))
        base += zeros if zeros < len(pad) else 0
    return base
