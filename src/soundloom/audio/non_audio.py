"""Recognition of files that are no audio, by their first bytes, for the messages of files that cannot be decoded.

Signatures after the specifications of the formats. A file is looked at only after every decoder has refused it, so no
signature keeps a sound from being decoded.
"""

from __future__ import annotations

import os
import re

from soundloom.remote import open_binary

__all__ = ["describe_non_audio"]

_HEAD = 4096
_HTML = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html|head|body)\b", re.I | re.S)
_JSON = re.compile(rb"(?:\xef\xbb\xbf)?\s*[\[{]\s*[\"{}\[\]\d-]")
_COPY = "copy or download it again from its source"
_CONTROL = re.compile(r"[\0-\x08\x0e-\x1a\x1c-\x1f\x7f]")

# What a file is, and what to do -> the bytes that it begins with.
_SIGNATURES: tuple[tuple[tuple[bytes, ...], str, str], ...] = (
    ((b"version https://git-lfs",), "a pointer of Git LFS", "fetch the file that it stands for with git lfs pull"),
    ((b"/annex/objects/",), "a pointer of git-annex", "fetch the file that it stands for with git annex get"),
    ((b"\0\5\x16\7", b"\0\5\x16\0"), "a companion file of macOS (AppleDouble)", "leave it out"),
    ((b"MThd",), "a MIDI file, which holds notes and no sound", "render it to a sound file"),
    ((b"PK\3\4", b"PK\5\6"), "a ZIP archive", "unpack it"),
    ((b"\x1f\x8b",), "data compressed by gzip", "unpack it"),
    ((b"7z\xbc\xaf\x27\x1c",), "a 7z archive", "unpack it"),
    ((b"Rar!\x1a\7",), "a RAR archive", "unpack it"),
    ((b"BZh",), "data compressed by bzip2", "unpack it"),
    ((b"\xfd7zXZ\0",), "data compressed by xz", "unpack it"),
    ((b"\x28\xb5\x2f\xfd",), "data compressed by zstd", "unpack it"),
    ((b"\xff\xd8\xff",), "a JPEG picture", _COPY),
    ((b"\x89PNG\r\n",), "a PNG picture", _COPY),
    ((b"GIF87a", b"GIF89a"), "a GIF picture", _COPY),
    ((b"II*\0", b"MM\0*"), "a TIFF picture", _COPY),
    ((b"%PDF-",), "a PDF document", _COPY),
    ((b"\x7fELF", b"MZ"), "a program", _COPY),
    ((b"SQLite format 3\0",), "an SQLite database", _COPY),
    ((b"\x93NUMPY",), "a NumPy array", "write it as a sound file, or give the array with its sample_rate"),
)
# What files of an ending begin with. Formats of other endings have no mark, or several.
_MARKS: dict[str, tuple[str, tuple[bytes, ...]]] = {
    ".wav": ("WAV", (b"RIFF", b"RIFX", b"RF64", b"BW64")),
    ".flac": ("FLAC", (b"fLaC",)),
    ".ogg": ("Ogg", (b"OggS",)),
    ".oga": ("Ogg", (b"OggS",)),
    ".opus": ("Ogg", (b"OggS",)),
    ".aif": ("AIFF", (b"FORM",)),
    ".aiff": ("AIFF", (b"FORM",)),
    ".caf": ("CAF", (b"caff",)),
    ".wma": ("Windows Media", (b"\x30\x26\xb2\x75",)),
    ".m4a": ("MP4", ()),
    ".aac": ("AAC", ()),
    ".mp3": ("MP3", ()),
}
_WITHOUT_HEADER = (".g726", ".g726le", ".raw", ".pcm")
_KNOWN_MARKS = (*(mark for _, marks in _MARKS.values() for mark in marks), b"ID3", b".snd", b"riff", b"\x1aE")


def describe_non_audio(path: str) -> str | None:
    """What a file is that no decoder can read, and what to do about it.

    Args:
        path: the file.

    Returns:
        The reason of an error; None: it looks like a sound file, a damaged one perhaps, or cannot be read.
    """
    try:
        with open_binary(path) as file:
            head = file.read(_HEAD) or b""
    except OSError:
        return None
    kind = _kind(head)
    if kind is not None:
        return f"this is {kind[0]}, not audio: {kind[1]}"
    ending = os.path.splitext(path)[1].lower()
    if not head.strip(b"\0"):
        return f"its first {len(head)} bytes are all zero: a copy or download that was not finished; {_COPY}"
    if ending in _WITHOUT_HEADER:
        return (
            f"files that end in {ending} hold samples without a header that gives rate and channels: convert it "
            "to WAV with a program in which you set them"
        )
    if ending in _MARKS and not head.startswith(_KNOWN_MARKS) and b"ftyp" not in head[:16] and head[:1] != b"\xff":
        return (
            f"its name ends in {ending}, but its bytes are not those of {_MARKS[ending][0]} or another sound: {_COPY}"
        )
    return None


def _kind(head: bytes) -> tuple[str, str] | None:
    """What bytes are that are no audio, and the remedy; None: they may be audio."""
    for signatures, name, remedy in _SIGNATURES:
        if head.startswith(signatures):
            return name, remedy
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "a WebP picture", _COPY
    if head[257:262] == b"ustar":
        return "a tar archive", "unpack it"
    if _HTML.match(head):
        return "an HTML page", f"servers send one where a file is missing; {_COPY}"
    if not _is_text(head):
        return None
    if _JSON.match(head):
        return "JSON text", _COPY
    return ("an XML document" if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<?xml") else "text"), _COPY


def _is_text(head: bytes) -> bool:
    """Whether bytes are text in UTF-8 or, with a mark, UTF-16."""
    encoding = "utf-16" if head[:2] in (b"\xff\xfe", b"\xfe\xff") and len(head) > 2 else "utf-8"
    try:
        # A character may be cut at the end of the head.
        text = head.decode(encoding) if len(head) < _HEAD else head[: _HEAD - 4].decode(encoding, "replace")
    except UnicodeDecodeError:
        return False
    return not _CONTROL.search(text) and text.count("\ufffd") <= 1
