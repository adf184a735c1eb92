"""Child process of :class:`soundloom.server.media.decode_pool.DecodePool`: tasks on sound files.

A request is a JSON object with the task, the path and the task's arguments, among them the options of decoding
(`DecodeOptions.to_data`); the answer is one too, with ``error`` where the task failed. Times are seconds of the file.
What is drawn and what is embedded is the sound at the speed that the options name; what is played keeps its own.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import soundfile
from jaxtyping import Float32

from soundloom import audio
from soundloom.audio import DecodeOptions
from soundloom.errors import AudioError, SoundloomError
from soundloom.file_names import os_path
from soundloom.pictures import Excerpt
from soundloom.server.media import region_picture as viewer
from soundloom.server.media.thumbnail import thumbnail
from soundloom.workers.child import Channel

__all__ = ["TASKS", "serve"]

_BIN = 256
"""Samples whose loudest is kept while the length of a sound is not known yet."""
_WHOLE_SECONDS = 300.0
_STRETCHES, _STRETCH_SECONDS = 100, 1.0


Options = Mapping[str, Any]


def codec(path: str, options: Options) -> dict[str, Any]:
    """Container and codec of a file, as `soundloom.audio.info` gives them."""
    about = _about(path, _played(options))
    return {"codec": about.codec, "sample_rate": about.sample_rate, "channels": about.channels}


def peaks(path: str, points: int, options: Options) -> dict[str, Any]:
    """The outline of a whole file: the loudest sample around each of some points, in [0, 1], and its seconds."""
    decoding = _played(options)
    rate = audio.info(path, options=decoding).sample_rate
    outline = _Outline()
    for block in audio.stream(path, rate, options=decoding):
        outline.add(block)
    return {"peaks": outline.reduced(points), "duration": outline.samples / rate}


def picture(
    path: str,
    out: str,
    start: float,
    end: float,
    sample_rate: int,
    width: int,
    height: int,
    theme: str,
    options: Options,
) -> dict[str, Any]:
    """Draw the spectrogram of a stretch to a WebP picture; a very long one is sampled."""
    decoding = DecodeOptions.from_data(options)
    if end - start <= _WHOLE_SECONDS * decoding.speed:
        samples = audio.read(path, sample_rate, start=start, end=end, options=decoding)
    else:
        seconds = _STRETCH_SECONDS * decoding.speed
        regions = [(at, at + seconds) for at in np.linspace(start, end - seconds, _STRETCHES).tolist()]
        samples = np.concatenate(audio.read_regions(path, sample_rate, regions, options=decoding))
    excerpt = Excerpt(title=path, samples=samples, sample_rate=sample_rate, start=start, end=end)
    with open(out, "wb") as file:
        file.write(thumbnail(excerpt, width, height, theme))
    return {}


def excerpts(path: str, out: str, start: float, end: float, excerpts: int, options: Options) -> dict[str, Any]:
    """Decode excerpts of a long stretch, to be drawn by `region_picture` in any scale."""
    decoding = _played(options)
    about = _about(path, decoding)
    viewer.write_stretches(viewer.region_samples(path, start, end, excerpts, about, decoding), out)
    return {}


def region_picture(
    path: str,
    out: str,
    start: float,
    end: float,
    gain: float,
    options: Options,
    decoded: str | None = None,
    **details: Any,
) -> dict[str, Any]:
    """Draw a tile of a viewer to a PNG.

    Details are those of `region_picture.spectrogram`, of which ``high`` may be 0 for half the file's rate; ``decoded``
    is what `excerpts` wrote of a long stretch.
    """
    decoding = _played(options)
    about = _about(path, decoding)
    if decoded is None:
        stretches = viewer.region_samples(path, start, end, 1, about, decoding)
    else:
        stretches = viewer.read_stretches(decoded)
    details["high"] = details["high"] or about.sample_rate / 2
    with open(out, "wb") as file:
        file.write(viewer.spectrogram(stretches, about.sample_rate, gain=gain, **details))
    return {}


def region_outline(path: str, start: float, end: float, points: int, options: Options) -> dict[str, Any]:
    """The least and the greatest sample of each of so many stretches of a region."""
    decoding = _played(options)
    rate = _about(path, decoding).sample_rate
    samples = audio.read(path, rate, start=start, end=end, options=decoding)
    least, greatest = viewer.least_and_greatest(samples, points)
    return {"least": least, "greatest": greatest}


def transcode(path: str, out: str, start: float, end: float | None, container: str, options: Options) -> dict[str, Any]:
    """Write a stretch as mono 16-bit WAV or FLAC at the file's own rate, at most 48 kHz."""
    decoding = _played(options)
    rate = min(audio.info(path, options=decoding).sample_rate, 48000)
    with soundfile.SoundFile(out, "w", rate, 1, "PCM_16", format=container) as file:
        for block in audio.stream(path, rate, start=start, end=end, options=decoding):
            file.write(block)
    return {}


def samples(path: str, out: str, start: float, end: float | None, sample_rate: int, options: Options) -> dict[str, Any]:
    """Write a stretch as bare float samples at the model's rate."""
    with open(out, "wb") as file:
        for block in audio.stream(path, sample_rate, start=start, end=end, options=DecodeOptions.from_data(options)):
            file.write(block.tobytes())
    return {}


def decode_upload(
    path: str, out: str, sample_rate: int, longest: float, points: int, options: Options
) -> dict[str, Any]:
    """Decode an upload to samples that need no decoding any more: a float WAV at the model's rate.

    Returns:
        Its seconds, outline, codec and what was noticed of it; or ``too_long`` alone.
    """
    decoding = DecodeOptions.from_data(options)
    about = audio.info(path, options=decoding)
    if about.duration is not None and about.duration > longest:
        return {"too_long": True}
    outline = _Outline()
    notices: list[audio.Notice] = []
    with soundfile.SoundFile(out, "w", sample_rate, 1, "FLOAT", format="WAV") as file:
        for block in audio.stream(path, sample_rate, options=decoding, notices=notices):
            outline.add(block)
            if outline.samples * decoding.speed > longest * sample_rate:
                return {"too_long": True}
            file.write(block)
    return {
        "duration": outline.samples * decoding.speed / sample_rate,
        "peaks": outline.reduced(points),
        "codec": about.codec,
        "notices": [notice.text for notice in notices],
    }


def _played(options: Options) -> DecodeOptions:
    """The options for what is played: the channel and track of the library, at the file's own speed."""
    return replace(DecodeOptions.from_data(options), speed=1.0)


def _about(path: str, decoding: DecodeOptions) -> audio.AudioInfo:
    """What a file is; remembered while it stays the same, as the length of an MP3 takes a walk over its frames."""
    try:
        status = os.stat(os_path(path))
    except (OSError, ValueError):  # at an address
        return audio.info(path, options=decoding)
    return _about_of(path, status.st_size, status.st_mtime_ns, decoding)


@lru_cache(maxsize=64)
def _about_of(path: str, size: int, modified: int, decoding: DecodeOptions) -> audio.AudioInfo:  # noqa: ARG001
    return audio.info(path, options=decoding)


TASKS: dict[str, Callable[..., dict[str, Any]]] = {
    task.__name__: task
    for task in (codec, peaks, picture, excerpts, region_picture, region_outline, transcode, samples, decode_upload)
}


class _Outline:
    """The loudest of every few samples of a stream, whose length shows only at its end."""

    def __init__(self) -> None:
        self.samples = 0
        self._bins: list[np.ndarray] = []
        self._rest = np.zeros(0, np.float32)

    def add(self, block: Float32[np.ndarray, " samples"]) -> None:
        """Take the next samples."""
        self.samples += len(block)
        held = np.concatenate([self._rest, np.abs(block)])
        whole = len(held) // _BIN * _BIN
        self._bins.append(held[:whole].reshape(-1, _BIN).max(axis=1))
        self._rest = held[whole:]

    def reduced(self, points: int) -> list[float]:
        """The loudest of so many equal stretches; fewer for a sound of fewer bins."""
        every = np.concatenate([*self._bins, [self._rest.max()] if len(self._rest) else []])
        starts = np.unique(np.linspace(0, len(every), min(points, len(every)), endpoint=False).astype(int))
        return [round(float(value), 4) for value in np.minimum(np.maximum.reduceat(every, starts), 1.0)]


def serve(channel: Channel) -> None:
    """Do one task after another."""
    while True:
        request = json.loads(channel.receive()[1])
        try:
            answer = TASKS[request.pop("task")](**request)
        except AudioError as error:
            answer = {"error": error.reason}
        except SoundloomError as error:
            answer = {"error": str(error)}
        except MemoryError:
            answer = {"error": "it needs more memory than there is for one sound: use a shorter one"}
        except OSError as error:
            answer = {"error": f"the system refuses ({error.strerror or error})"}
        except Exception as error:
            answer = {"error": f"it cannot be decoded ({type(error).__name__}): the file is probably damaged"}
        channel.send(b"t", json.dumps(answer).encode())
