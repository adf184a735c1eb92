"""Playing of regions of sounds through a player of the system: ffplay, SoX, ALSA, PulseAudio or macOS."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from soundloom.cli.console import echo
from soundloom.errors import AudioError, ResourceError

if TYPE_CHECKING:
    from soundloom.library import Match

__all__ = ["find_player", "play_matches"]

_PLAYERS = (
    ("ffplay", "-nodisp", "-autoexit", "-loglevel", "error"),
    ("play", "-q"),
    ("afplay",),
    ("paplay",),
    ("aplay", "-q"),
)
"""Programs that play a WAV, the first that is installed; the file is their last argument."""
_RATE = 48_000


def find_player() -> list[str]:
    """The command of a player.

    Raises:
        ResourceError: none is installed.
    """
    for program, *options in _PLAYERS:
        if (path := shutil.which(program)) is not None:
            return [path, *options]
    raise ResourceError(f"no player is installed: install FFmpeg (ffplay) or SoX (play); known are {_known()}")


def play_matches(matches: Sequence[Match]) -> list[AudioError]:
    """Play the regions of matches one after another, mono, each named as it begins; Ctrl-C ends it.

    Returns:
        Why files could not be read, of those that could not.

    Raises:
        ResourceError: no player is installed, or it fails, as where there is no sound device.
    """
    import subprocess
    import tempfile
    import time

    import soundfile

    from soundloom import audio

    player, unreadable = find_player(), []
    with tempfile.TemporaryDirectory(prefix="soundloom-play-") as folder:
        file = Path(folder) / "region.wav"
        for rank, match in enumerate(matches, start=1):
            try:
                samples = audio.read(match.path, _RATE, start=match.start, end=match.end)
            except AudioError as error:
                unreadable.append(error)
                continue
            soundfile.write(file, samples, _RATE, subtype="PCM_16")
            echo(f"playing {rank}: {os.path.basename(match.path)} {match.start:g}-{match.end:g} s", err=True)
            began = time.monotonic()
            done = subprocess.run([*player, os.fspath(file)], capture_output=True, text=True, stdin=subprocess.DEVNULL)
            said = done.stderr.strip().splitlines()
            # Without a sound device ffplay complains, and ends at once with 0.
            cut_short = time.monotonic() - began < len(samples) / _RATE / 2
            if done.returncode or (said and cut_short):
                reason = (said or [f"exit code {done.returncode}"])[-1]
                raise ResourceError(f"{os.path.basename(player[0])} cannot play: {reason}")
    return unreadable


def _known() -> str:
    return ", ".join(program for program, *_ in _PLAYERS)
