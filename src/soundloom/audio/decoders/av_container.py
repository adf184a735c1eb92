"""Opening containers with FFmpeg: one file and no other, whatever it says.

Three barriers keep a playlist from making FFmpeg read another file or address: its bytes come from a file that is open
already, no protocol is allowed, and demuxers of playlists, scripts, numbered pictures, streams and devices are not.
"""

from __future__ import annotations

import os
import re
from functools import cache

import av
from av.container import InputContainer

from soundloom.audio.file_view import FileView, ViewFile
from soundloom.errors import AudioError
from soundloom.system_errors import reason_of

__all__ = ["open_container", "reason"]

# Demuxers that read other files, addresses or devices, or that take any bytes for pictures, text or samples.
REFUSED = re.compile(
    r"concat.*|hls|applehttp|dash|webm_dash_manifest|imf|sdp|rtsp|rtp|sap|image2.*|.*_pipe|lavfi|vobsub|alias_pix|"
    r"brender_pix|alsa|oss|pulse|jack|sndio|x11grab|fbdev|kmsgrab|video4linux2.*|v4l2|xcbgrab|dshow|gdigrab|avfoundation|"
    r"tty|data|ffmetadata|rawvideo|yuv4mpegpipe|gif|apng|ass|srt|webvtt|microdvd|lrc|sami|ico|bin|idf|xbin|adf"
)


@cache
def allowed_demuxers() -> str:
    """The demuxers that may read a sound file, as FFmpeg's option wants them."""
    return ",".join(sorted(name for name in av.formats_available if not REFUSED.fullmatch(name)))


def open_container(path: str, view: FileView | None, demuxer: str | None = None) -> InputContainer:
    """Open a file, or a view of it, for demuxing.

    Args:
        path: the file.
        view: the stretches of it that are read; None: all.
        demuxer: the one to use; None: FFmpeg finds out.

    Raises:
        AudioError: the file cannot be opened, or FFmpeg cannot read it.
    """
    # The ending of the name helps FFmpeg to distinguish formats without a mark of their own. Its rest is left out,
    # so that no pattern or address in it means anything.
    ending = re.sub(r"[^.\w]", "", os.path.splitext(path)[1], flags=re.ASCII)
    try:
        file = ViewFile(path, view, f"sound{ending}")
    except OSError as error:
        raise AudioError(path, f"the system cannot open it ({reason_of(error)})") from error
    try:
        # Damaged titles and comments are nobody's concern here.
        container: InputContainer = av.open(
            file,
            format=demuxer,
            container_options={"protocol_whitelist": "none", "format_whitelist": allowed_demuxers()},
            metadata_errors="ignore",
        )
        return container
    except (av.FFmpegError, UnicodeError, ValueError) as error:
        file.close()
        raise AudioError(
            path,
            f"neither libsndfile nor FFmpeg can read it ({reason(error)}): is it a sound file, and a whole one?",
        ) from error


def reason(error: Exception) -> str:
    """What FFmpeg said, without its numbers."""
    return getattr(error, "strerror", None) or str(error)
