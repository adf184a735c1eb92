"""Spectrograms as pictures without axes: WebP for cards and lists, PNG with a palette for the tiles of a viewer.

A card's picture is lossy (VP8, RFC 6386), a fifth of the size of a PNG: the noise of a recording is what a lossless
format spends its bytes on. Tiles are enlarged and compared, so they are exact: a PNG of one byte a pixel (colour type
3 of the PNG specification, section 11.2.1).
"""

from __future__ import annotations

import struct
import zlib
from fractions import Fraction

import av
import numpy as np
from jaxtyping import Float, UInt8

from soundloom.pictures import Excerpt
from soundloom.pictures.excerpt import RANGE, mel_decibels

__all__ = ["THEMES", "levels_png", "thumbnail"]

_TOP = 16_000.0
_LEVELS = 64
"""Steps of 1.3 dB: more cannot be seen at this size, and noise takes a third less room than in 256."""
_QUALITY = 45
"""Of WebP, 0 to 100: about 2 kB a picture of 240 by 96, without blocks that could be seen."""

# Silence is the page's own ground; loudness goes through the hues of magma, away from it.
THEMES = {
    "light": (
        *((0.0, "#ffffff"), (0.3, "#fff1e0"), (0.5, "#fdbd8b")),
        *((0.66, "#ee6a67"), (0.82, "#8f2c80"), (1.0, "#0a0626")),
    ),
    "dark": (
        *((0.0, "#0b0d13"), (0.3, "#1c1440"), (0.5, "#571b74")),
        *((0.66, "#b5367a"), (0.82, "#fb8861"), (1.0, "#fcf5c4")),
    ),
}
"""Theme -> (level, colour) of a palette."""


def thumbnail(excerpt: Excerpt, width: int, height: int, theme: str) -> bytes:
    """A spectrogram as a lossy WebP picture.

    Args:
        excerpt: the stretch; the picture reaches up to half its sample rate, at most 16 kHz, on a mel axis.
        width: pixels.
        height: pixels.
        theme: one of `THEMES`.
    """
    decibels = mel_decibels(excerpt, min(_TOP, excerpt.sample_rate / 2), width)
    # Nearest rows and columns: bands are narrow, and a short sound has fewer columns than the picture.
    rows = np.linspace(decibels.shape[0] - 1, 0, height).round().astype(int)
    columns = np.linspace(0, decibels.shape[1], width, endpoint=False).astype(int)
    return _webp(_palette(theme)[_levels(1 + decibels[rows][:, columns] / RANGE)])


def levels_png(shares: Float[np.ndarray, "height width"], theme: str) -> bytes:
    """A picture of levels from 0 to 1 in the colours of a theme; what is beyond is cut off."""
    return _png(_levels(shares), _palette(theme))


def _levels(shares: Float[np.ndarray, "height width"]) -> UInt8[np.ndarray, "height width"]:
    levels: UInt8[np.ndarray, "height width"] = np.clip(np.rint((_LEVELS - 1) * shares), 0, _LEVELS - 1).astype(
        np.uint8
    )
    return levels


def _palette(theme: str) -> UInt8[np.ndarray, "levels 3"]:
    """The colours of the levels."""
    places = [place for place, _ in THEMES[theme]]
    colours = np.array([[int(colour[n : n + 2], 16) for n in (1, 3, 5)] for _, colour in THEMES[theme]])
    levels = np.linspace(0, 1, _LEVELS)
    return np.stack([np.interp(levels, places, channel) for channel in colours.T], axis=1).round().astype(np.uint8)


def _webp(colours: UInt8[np.ndarray, "height width 3"]) -> bytes:
    """A picture in true colours, compressed with loss."""
    encoder = av.CodecContext.create("libwebp", "w")
    encoder.height, encoder.width = colours.shape[:2]
    encoder.pix_fmt, encoder.time_base = "yuv420p", Fraction(1)
    encoder.options = {"quality": str(_QUALITY)}
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(colours), format="rgb24")
    return b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])


def _png(levels: UInt8[np.ndarray, "height width"], palette: UInt8[np.ndarray, "levels 3"]) -> bytes:
    """A picture with a palette, compressed."""
    height, width = levels.shape
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    # Every line is preceded by the number of its filter; 0, none, suits a palette.
    lines = np.pad(levels, ((0, 0), (1, 0))).tobytes()
    chunks = ((b"IHDR", header), (b"PLTE", palette.tobytes()), (b"IDAT", zlib.compress(lines, 6)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
