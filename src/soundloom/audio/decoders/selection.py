"""Choice of the decoder for a file from its first bytes: libsndfile where it can read the file, otherwise FFmpeg."""

from __future__ import annotations

import os
import re
import stat
from dataclasses import replace

import soundfile

from soundloom.audio.containers import Layout, Part, inspect, is_regular_mpeg
from soundloom.audio.decode_options import DecodeOptions
from soundloom.audio.decoders.av_process import AvProcess
from soundloom.audio.decoders.base import Decoder
from soundloom.audio.decoders.joined_decoder import JoinedDecoder
from soundloom.audio.decoders.sndfile_decoder import SndfileDecoder
from soundloom.audio.non_audio import describe_non_audio
from soundloom.audio.notices import Notice
from soundloom.errors import AudioError
from soundloom.remote import file_status, is_address

__all__ = ["open_decoder", "open_part"]

PLAIN = Layout()
# What libsndfile says of bytes that are no format, the second where libmpg123 finds no frame in them.
NOTHING_SAID = ("Format not recognised", "File does not exist or is not a regular file", "samplerate must")
ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def open_decoder(path: str, av: AvProcess | None, options: DecodeOptions, notices: list[Notice]) -> Decoder:
    """Open a sound file.

    Args:
        path: the file.
        av: the process in which FFmpeg runs; None: in this one.
        options: how it is decoded.
        notices: where what is noticed goes.

    Raises:
        AudioError: the file cannot be read, or holds no sound.
    """
    layout = _inspected(path)
    notices += layout.notices
    if any(part.isolated for part in layout.parts):
        if is_regular_mpeg(path):
            layout = replace(layout, parts=tuple(replace(part, isolated=False) for part in layout.parts))
        elif av is None:
            # libmpg123 would print into this program's output.
            av = AvProcess()
    try:
        if layout.parts[0] == PLAIN.parts[0] and len(layout.parts) == 1 and layout.missing is None:
            return open_part(path, layout.parts[0], av, options, notices)
        return JoinedDecoder(path, layout, options, notices, lambda part, how: open_part(path, part, av, how, notices))
    except AudioError as error:
        described = describe_non_audio(path)
        if described is None:
            raise
        raise AudioError(path, described) from error


def _inspected(path: str) -> Layout:
    """What the file holds, if it is one that can be read."""
    remote = is_address(path)
    try:
        if _file_size(path) == 0:
            raise AudioError(path, "the file is empty (0 bytes): copy it again from its source")
        layout = inspect(path)
    except FileNotFoundError as error:
        if ADDRESS.match(path):
            raise AudioError(
                path, "this is an address, and only http, https, s3, gs and az are read: download it first"
            ) from error
        raise AudioError(path, "no such file: check the name, and the folder it is relative to") from error
    except PermissionError as error:
        raise AudioError(path, "no permission to read it: change its mode or owner") from error
    except (OSError, ValueError) as error:
        said = getattr(error, "strerror", None) or error
        raise AudioError(path, f"{said}" if remote else f"the system cannot open it ({said})") from error
    if layout.refused is not None:
        raise AudioError(path, layout.refused)
    return layout


def _file_size(path: str) -> int:
    """Bytes of a regular file, or of one at an address."""
    if is_address(path):
        return file_status(path).size
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        kind = "a folder: name the files in it" if stat.S_ISDIR(status.st_mode) else "not a regular file"
        raise AudioError(path, f"this is {kind}")
    return status.st_size


def open_part(path: str, part: Part, av: AvProcess | None, options: DecodeOptions, notices: list[Notice]) -> Decoder:
    """Open a file, or one stream of it, with the first decoder that can.

    Args:
        path: the file.
        part: the stream.
        av: the process for what is not decoded here; None: all is, by the child of an `AvProcess` for one.
        options: how it is decoded.
        notices: the list that notices are added to.

    Raises:
        AudioError: no decoder can read it, or it holds no sound.
    """
    if part.isolated and av is not None:
        return av.open(path, options, notices, part)
    refused = ""
    if part.library != "pyav":
        try:
            decoder = SndfileDecoder(path, options, notices, part.view)
        except (soundfile.SoundFileError, ValueError, TypeError) as error:  # TypeError: for the ending .raw
            refused = str(error).rpartition(": ")[2].strip(" .")
        else:
            if decoder.frames == 0:
                decoder.close()
                raise AudioError(path, "it is a sound file with no sound in it (zero samples): leave it out")
            return decoder
    try:
        ffmpeg = replace(part, library="pyav")
        return _open_here(path, ffmpeg, options, notices) if av is None else av.open(path, options, notices, ffmpeg)
    except AudioError as error:
        # A format that libsndfile knows, yet cannot read: its complaint is the more precise one.
        if refused == "" or refused.startswith(NOTHING_SAID):
            raise
        raise AudioError(path, f"{error.reason} (libsndfile: {refused})") from error


def _open_here(path: str, part: Part, options: DecodeOptions, notices: list[Notice]) -> Decoder:
    """Open a file with FFmpeg in this process."""
    # FFmpeg costs a fifth of a second to load, which most collections never need.
    from soundloom.audio.decoders.av_decoder import AvDecoder

    return AvDecoder(path, options, notices, part)
