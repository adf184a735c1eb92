"""Metadata of sound files: ID3, Vorbis comments, Broadcast Wave bext, RIFF INFO and iXML.

FFmpeg reads the first two; the chunks of a WAV are read here (`riff`), since FFmpeg knows nothing of iXML. Only
fields that describe the sound count: a title, a genre, keywords, a description, a comment; not who made it and when.

    ID3, Vorbis comments, MP4    by FFmpeg's names (`_FIELDS`)
    bext                         EBU Tech 3285: Description, the first 256 bytes
    INFO                         INAM, ISBJ, IKEY, IGNR, ICMT
    iXML                         gallery.co.uk/ixml: NOTE, and the sound effects people's CATEGORY, KEYWORDS, FXNAME ...

When not: files from recorders, whose comments are serial numbers and settings.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterator
from xml.etree import ElementTree

from soundloom.errors import AudioError
from soundloom.file_names import os_path
from soundloom.system_errors import reason_of
from soundloom.tags.riff_chunks import chunks

__all__ = ["embedded_texts"]

_WHAT_IS_HEARD = """
title genre keywords keyword tags tag subject description comment comments mood style instrument category subcategory
grouping
"""
_FIELDS = frozenset(_WHAT_IS_HEARD.split())
_INFO = (b"INAM", b"ISBJ", b"IKEY", b"IGNR", b"ICMT")
_IXML = frozenset({"NOTE", "CATEGORY", "SUBCATEGORY", "KEYWORDS", "FXNAME", "DESCRIPTION", "USERCATEGORY", "TITLE"})
_DECLARED = re.compile(rb"<!(DOCTYPE|ENTITY)", re.IGNORECASE)


def embedded_texts(path: str | os.PathLike[str]) -> tuple[str, ...]:
    """The texts in a file that describe its sound, unchanged; none for a file without any.

    Raises:
        AudioError: the file cannot be read.
    """
    name = os_path(path)
    try:
        inside = chunks(name, {b"bext", b"iXML", b"LIST"})
    except OSError as error:
        raise AudioError(path, f"cannot be read: {reason_of(error)}") from None
    texts = [*_from_ffmpeg(name), *_from_bext(inside), *_from_info(inside), *_from_ixml(inside)]
    return tuple(dict.fromkeys(text.strip() for text in texts if text.strip()))


def _from_ffmpeg(path: str) -> Iterator[str]:
    from soundloom.audio.decoders.av_container import open_container

    try:
        with open_container(path, None) as file:
            # Ogg keeps its comments with the track.
            about = [file.metadata, *(track.metadata for track in file.streams.audio)]
    except AudioError:
        return  # whether it can be decoded is for the decoder to say
    for fields in about:
        for field, text in fields.items():
            if field.lower() in _FIELDS:
                yield text


def _from_bext(inside: dict[bytes, bytes]) -> Iterator[str]:
    if b"bext" in inside:
        yield _text(inside[b"bext"][:256])


def _from_info(inside: dict[bytes, bytes]) -> Iterator[str]:
    block = inside.get(b"LIST", b"")
    place = 4
    while block[:4] == b"INFO" and place + 8 <= len(block):
        letters, length = struct.unpack_from("<4sI", block, place)
        if letters in _INFO:
            yield _text(block[place + 8 : place + 8 + length])
        place += 8 + length + length % 2


def _from_ixml(inside: dict[bytes, bytes]) -> Iterator[str]:
    block = inside.get(b"iXML", b"").rstrip(b"\0 \r\n\t")
    # A document that declares entities of its own is no iXML and may be made to grow without bound.
    if not block or _DECLARED.search(block):
        return
    try:
        root = ElementTree.fromstring(block)
    except (ElementTree.ParseError, ValueError, LookupError):
        return
    for element in root.iter():
        if element.tag.rpartition("}")[2].upper() in _IXML and element.text:
            yield element.text


def _text(field: bytes) -> str:
    field = field.split(b"\0", 1)[0]
    try:
        return field.decode("utf-8")
    except UnicodeDecodeError:
        return field.decode("latin-1")
