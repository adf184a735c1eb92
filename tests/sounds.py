"""Small sounds and sound files for tests: tones, and files that only FFmpeg can write."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile


def tone(frequency: float, sample_rate: int, seconds: float, amplitude: float = 0.5) -> np.ndarray:
    """A sine, float32 [samples]."""
    times = np.arange(round(seconds * sample_rate)) / sample_rate
    return (amplitude * np.sin(2 * np.pi * frequency * times)).astype(np.float32)


def write_with_av(
    path: Path,
    channels: np.ndarray,
    sample_rate: int,
    codec: str,
    *,
    pictures: bool = False,
    container: str | None = None,
    options: dict[str, str] | None = None,
    bit_rate: int = 128_000,
) -> Path:
    """Encode float32 [channels, samples] with FFmpeg, with a black film beside it where pictures are wanted."""
    import av

    layout = {1: "mono", 2: "stereo", 6: "5.1"}[len(channels)]
    with av.open(str(path), "w", format=container, options=options or {}) as file:
        film = file.add_stream("mpeg4", rate=10) if pictures else None
        if film is not None:
            film.width = film.height = 32
            film.pix_fmt = "yuv420p"
        track = file.add_stream(codec, rate=sample_rate)
        track.layout = layout
        track.bit_rate = bit_rate
        if film is not None:
            for index in range(round(10 * channels.shape[1] / sample_rate)):
                picture = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), "rgb24")
                picture.pts = index
                file.mux(film.encode(picture))
            file.mux(film.encode(None))
        for begin in range(0, channels.shape[1], 1024):
            frame = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(channels[:, begin : begin + 1024]), format="fltp", layout=layout
            )
            frame.sample_rate, frame.pts = sample_rate, begin
            file.mux(track.encode(frame))
        file.mux(track.encode(None))
    return path


def write_silent_film(path: Path) -> Path:
    """A film without a sound track."""
    import av

    with av.open(str(path), "w") as file:
        film = file.add_stream("mpeg4", rate=10)
        film.width = film.height = 32
        film.pix_fmt = "yuv420p"
        picture = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), "rgb24")
        picture.pts = 0
        file.mux(film.encode(picture))
        file.mux(film.encode(None))
    return path


def written(path: Path, samples: np.ndarray, sample_rate: int, **how: str) -> Path:
    soundfile.write(path, samples, sample_rate, **how)
    return path
