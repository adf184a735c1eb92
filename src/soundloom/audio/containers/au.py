"""Lengths in AU, the sound files of Sun and NeXT: one header that counts bytes, or leaves the length open."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import Literal

from soundloom.audio.containers.data_size import Data, laid_out, true_size
from soundloom.audio.containers.layout import Layout, Part, Source
from soundloom.audio.containers.samples import SampleFormat
from soundloom.audio.file_view import FileView

__all__ = ["au_length", "inspect_au"]

# Encoding -> kind and bytes of a plain sample.
PLAIN = {1: ("l", 1), 2: ("i", 1), 3: ("i", 2), 4: ("i", 3), 5: ("i", 4), 6: ("f", 4), 7: ("f", 8), 27: ("l", 1)}
# Encoding -> bits of a compressed sample: G.721, G.722, and G.723 with 3 and 5 bits.
COMPRESSED = {23: 4, 24: 4, 25: 3, 26: 5}
G721 = 23
UNKNOWN = 0xFFFFFFFF


def _order(source: Source) -> str:
    return ">" if source.head[:1] == b"." else "<"


def au_length(source: Source) -> int | None:
    """The length of the file by its header, in bytes; None: it does not say."""
    if len(source.head) < 24:
        return None
    begin, size = struct.unpack_from(_order(source) + "2I", source.head, 4)
    return None if size == UNKNOWN else int(begin + size)


def inspect_au(source: Source) -> Layout:
    """Compare the size in the header of an AU file with its bytes."""
    order = _order(source)
    if len(source.head) < 24:
        return Layout()
    begin, size, encoding, rate, channels = struct.unpack_from(order + "5I", source.head, 4)
    sound = 0 < channels <= 1024 and rate and 24 <= begin <= source.size
    if not sound or encoding not in PLAIN.keys() | COMPRESSED.keys() or size == UNKNOWN:
        return Layout()
    form = SampleFormat(*PLAIN[encoding], channels, big=order == ">") if encoding in PLAIN else None
    data = Data(
        begin=begin,
        claimed=size,
        declared_end=None,
        form=form,
        frame=1 if form is None else form.frame,
        per_second=rate * (channels * COMPRESSED[encoding] / 8 if form is None else form.frame),
        chunks=False,
        big=order == ">",
    )
    found = true_size(source, data)
    library: Literal["pyav"] | None = "pyav" if encoding == G721 and _is_of_ffmpeg(source.head[24:begin]) else None
    view = None
    if found.kind not in ("counted", "missing", "doubtful"):
        patches = {8: struct.pack(order + "I", min(found.size, UNKNOWN))}
        view = FileView.patched(begin + found.size, patches)
    return replace(laid_out(data, found, view, "AU"), parts=(Part(view=view, library=library),))


def _is_of_ffmpeg(annotation: bytes) -> bool:
    """Whether FFmpeg wrote a file, by its annotation: eight zeros or more, or lines of "key=value", padded to eight.

    The G.721 of FFmpeg and that of libsndfile, which is Sun's, round differently. Their predictors drift apart: each
    decodes what the other encoded with an error of a tenth of the level.
    """
    text = annotation.rstrip(b"\0")
    return len(annotation) >= 8 and len(annotation) % 8 == 0 and (not text or b"=" in text)
