"""Media types: files that browsers play as they are, and the format that others are transcoded to."""

from __future__ import annotations

__all__ = ["TRANSCODED", "playable"]

TRANSCODED = "audio/flac"
"""What a file becomes that browsers do not all play: exact, half the size of WAV, and played by all of them."""

# By what is in the file, for names lie. Left out is what only some browsers play (AAC, 32-bit integers) and what they
# cannot seek in (the WebM of a recorder, which has no index).
_PLAYED = {
    **{f"{wav} {samples}": "audio/wav" for wav in ("WAV", "WAVEX") for samples in ("PCM_U8", "PCM_16", "PCM_24")},
    **{f"FLAC {samples}": "audio/flac" for samples in ("PCM_16", "PCM_24")},
    "OGG VORBIS": "audio/ogg",
    "OGG OPUS": "audio/ogg",
    "MP3 MPEG_LAYER_III": "audio/mpeg",
}


def playable(codec: str) -> str | None:
    """The media type under which every current browser plays a file; None if some do not.

    Args:
        codec: container and codec, as `soundloom.audio.info` gives them.

    >>> playable("OGG VORBIS"), playable("AIFF PCM_16")
    ('audio/ogg', None)
    """
    return _PLAYED.get(codec)
