"""Version of decoding: raised whenever some file decodes to other samples than before, with what changed.

A library keeps the version with each row. `changes_since` says which changes lie between, and `may_differ` whether one
of them can reach a file, by its header alone; whether it does, decoding shows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import soundfile

from soundloom.audio.containers import Layout, inspect

__all__ = ["DECODER_VERSION", "HISTORY", "Change", "changes_since", "may_differ"]

# Formats whose samples are integers: they never overshoot full scale.
INTEGER_SUBTYPES = frozenset(
    ("PCM_S8", "PCM_U8", "PCM_16", "PCM_24", "PCM_32", "ULAW", "ALAW", "ALAC_16", "ALAC_20", "ALAC_24", "ALAC_32")
)


@dataclass(frozen=True, kw_only=True)
class Change:
    """What one version of decoding changed.

    Attributes:
        version: the version that brought it.
        reach: the files that may decode to other samples: ``all``; ``not integers``, all but whole files of plain
            integer samples (WAV, AIFF, FLAC) that are not resampled (resampling, like lossy codecs, may overshoot full
            scale); or ``irregular``, those whose header does not describe all their bytes.
        text: what changed, for people.
    """

    version: int
    reach: Literal["all", "not integers", "irregular"]
    text: str


HISTORY = (
    Change(version=1, reach="all", text="the first"),
    Change(
        version=2,
        reach="not integers",
        text="values beyond full scale are kept; sounds whose header does not count them, or counts them wrongly, and "
        "joined streams are decoded to the end; of several tracks the first that is not silent is taken",
    ),
    Change(
        version=3,
        reach="irregular",
        text="files joined end to end are decoded through in every container that counts its bytes, and their headers "
        "do not become sound; G.721 in AU files of FFmpeg is decoded by FFmpeg",
    ),
)
"""The versions, in order."""

DECODER_VERSION = HISTORY[-1].version


def changes_since(version: int) -> tuple[Change, ...]:
    """What changed after a version."""
    return tuple(change for change in HISTORY if change.version > version)


def may_differ(path: str, version: int, sample_rate: int) -> bool:
    """Whether a file may decode to other samples than it did in a version of decoding, by its header alone.

    False is certain. True means that only decoding can show it.

    Args:
        path: a sound file.
        version: the version in which it was decoded before.
        sample_rate: the rate that it is decoded to, in hertz.
    """
    changes = changes_since(version)
    if not changes:
        return False
    reaches = {change.reach for change in changes}
    if "all" in reaches:
        return True
    try:
        if inspect(path) != Layout():
            return True
        if reaches == {"irregular"}:
            return False
        with soundfile.SoundFile(path) as file:
            return file.subtype not in INTEGER_SUBTYPES or file.samplerate != sample_rate
    except (OSError, ValueError, soundfile.SoundFileError):
        return True
