"""Sound files in every container and codec that FFmpeg writes, each with the samples that FFmpeg decodes from it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import av
import numpy as np
from jaxtyping import Float32

__all__ = ["Made", "make_files", "reference", "sound"]

SECONDS = 1.5
# Rate and channels; a codec that takes neither of the first three is left out.
SHAPES = (
    (44100, 2),
    (8000, 1),
    (48000, 2),
    (16000, 1),
    (22050, 2),
    (48000, 6),
    (96000, 1),
    (11025, 1),
    (192000, 2),
)
# Muxers that write no file of sound: lists, checksums, streams, pictures, and headerless samples.
NO_SOUND = re.compile(
    r"hls|dash|segment|stream_segment|ssegment|stream_segment,ssegment|hds|smoothstreaming|tee|fifo|null|crc|md5|hash|"
    r"frame.*|uncoded.*|streamhash|rtp.*|rtsp|sap|whip|image2.*|.*_pipe|mpjpeg|ffmetadata|webm_chunk|webm_dash.*|gif|apng|"
    r"alsa|oss|pulse|fbdev|v4l2|video4linux2,v4l2|xv|sdl.*|opengl|caca|chromaprint|data|rawvideo|bit|"
    r"[sfu](8|16|24|32|64)(le|be)?|alaw|mulaw|vidc|codec2raw|g72.*|g729|gsm|sln|sbc|aptx.*|ilbc|dfpwm|spdif|s337m|adx|"
    r"h26.*|hevc|vvc|evc|m4v|mjpeg|dnxhd|dirac|vc1.*|cavsvideo|avs.*|obu|ivf|yuv.*|mkvtimestamp.*|ass|srt|webvtt|lrc|"
    r"microdvd|jacosub|sup|ttml|mcc|scc|rcwt|filmstrip|mlp|truehd|mxf_d10|mxf_opatom|amv|swf|a64|flipper|ismv|iamf"
)
QUICK = frozenset(
    [
        "wav",
        "w64",
        "aiff",
        "au",
        "caf",
        "flac",
        "ogg",
        "opus",
        "mp3",
        "mp2",
        "adts",
        "ipod",
        "mp4",
        "mov",
        "matroska",
        "webm",
        "asf",
        "avi",
        "mpegts",
        "wv",
        "tta",
        "ac3",
    ]
)
LOSSLESS = re.compile(
    r"pcm_(?!alaw|mulaw|vidc).*|flac|alac|wavpack|tta|mlp|truehd|shorten|ape|s302m|pcm_alaw|pcm_mulaw"
)


@dataclass(frozen=True, kw_only=True)
class Made:
    """A file and what it holds.

    Attributes:
        path: the file.
        kind: whole, or its fault.
        container: the muxer.
        codec: the encoder.
        rate: hertz.
        channels: how many.
        truth: the mean of the channels, decoded by FFmpeg.
        frame: samples by which lengths may differ: a codec frame.
        lossless: whether samples must be equal.
        seam: the share of samples that may differ.
    """

    path: Path
    kind: str
    container: str
    codec: str
    rate: int
    channels: int
    truth: Float32[np.ndarray, " samples"]
    frame: int
    lossless: bool
    seam: float = 0.0


def sound(rate: int, channels: int, seconds: float = SECONDS) -> Float32[np.ndarray, "channels samples"]:
    """A sweep with some noise, other in each channel, which is like itself at no other lag."""
    times = np.arange(round(seconds * rate)) / rate
    rng = np.random.default_rng(0)
    rows = []
    for channel in range(channels):
        phase = 2 * np.pi * (200 + 60 * channel) * times * (1 + 0.8 * times)
        rows.append(0.3 * np.sin(phase) + 0.01 * rng.standard_normal(len(times)))
    return np.array(rows, np.float32)


def write(path: Path, container: str, codec: str, samples: Float32[np.ndarray, "channels samples"], rate: int) -> None:
    """Encode a sound.

    Raises:
        av.FFmpegError: the container, the codec, the rate and the channels do not go together.
        ValueError: likewise.
    """
    layout = {1: "mono", 2: "stereo", 6: "5.1"}[len(samples)]
    with av.open(str(path), "w", format=container, options={"strict": "-2"}) as file:
        track = file.add_stream(codec, rate=rate, options={"strict": "-2"})
        track.layout = layout
        formats = track.codec.audio_formats or []
        if formats:
            track.format = formats[0].name
        track.codec_context.open(strict=False)
        size = track.codec_context.frame_size or 1024
        resampler = av.AudioResampler(format=track.format, layout=layout, rate=rate, frame_size=size)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="fltp", layout=layout)
        frame.sample_rate, frame.pts = rate, 0
        for part in (*resampler.resample(frame), *resampler.resample(None)):
            file.mux(track.encode(part))
        file.mux(track.encode(None))


def reference(path: Path) -> tuple[Float32[np.ndarray, " samples"], int, int, int]:
    """What FFmpeg decodes from a file to its end: the mean of the channels, rate, channels and length of a frame.

    Raises:
        av.FFmpegError: it cannot.
        ValueError: there is no sound.
    """
    means, sizes, rate, channels = [], [1], 0, 0
    with av.open(str(path), metadata_errors="ignore") as file:
        if not file.streams.audio:
            raise ValueError("no audio track")
        for frame in _frames(file):
            rate, channels = rate or frame.sample_rate, frame.layout.nb_channels
            array = frame.to_ndarray()
            if not frame.format.is_planar:
                array = array.reshape(frame.samples, -1).T
            if array.dtype.kind != "f":
                scale = np.float32(2 ** (8 * array.itemsize - 1))
                array = array.astype(np.float32) / scale - (1 if array.dtype.kind == "u" else 0)
            means.append(array.mean(axis=0, dtype=np.float32))
            sizes.append(frame.samples)
    if not means:
        raise ValueError("no samples")
    return np.concatenate(means).astype(np.float32), int(rate), channels, max(sizes)


def _frames(file: av.container.InputContainer) -> Iterator[av.AudioFrame]:
    """Every frame that can be decoded."""
    for packet in file.demux(file.streams.audio[0]):
        try:
            yield from packet.decode()
        except av.FFmpegError:
            continue


def combinations(*, quick: bool) -> Iterator[tuple[str, str, str]]:
    """Muxers, encoders and the ending of a file's name."""
    encoders = []
    for name in sorted(av.codecs_available):
        try:
            codec = av.Codec(name, "w")
        except (ValueError, av.FFmpegError):
            continue
        if codec.type == "audio" and codec.name == name:
            encoders.append(name)
    for container in sorted(av.formats_available):
        if NO_SOUND.fullmatch(container) or (quick and container not in QUICK):
            continue
        try:
            muxer = av.ContainerFormat(container, "w")
        except ValueError:
            continue
        ending = sorted(muxer.extensions)[0] if muxer.extensions else container
        for encoder in encoders:
            yield container, encoder, ending


def shapes_of(container: str, codec: str, most: int) -> list[tuple[int, int]]:
    """Rates and channels to try: the first, and others that take turns from one container and codec to the next."""
    others = list(SHAPES[1:])
    first = crc32(f"{container} {codec}".encode()) % len(others)
    turned = others[first:] + others[:first]
    return [SHAPES[0], *turned[: most - 1]] if most < len(SHAPES) else list(SHAPES)


def make_files(folder: Path, *, quick: bool, shapes: int = len(SHAPES)) -> Iterator[Made]:
    """Write every combination that FFmpeg takes, one after the other, each in so many rates and channels."""
    for container, codec, ending in combinations(quick=quick):
        taken = False
        for number, (rate, channels) in enumerate(shapes_of(container, codec, 1 if quick else shapes)):
            made = _made(folder, container, codec, ending, rate, channels)
            if made is not None:
                taken = True
                yield made
            elif number == 2 and not taken:
                break


def _made(folder: Path, container: str, codec: str, ending: str, rate: int, channels: int) -> Made | None:
    path = folder / f"{container}-{codec}-{rate}-{channels}.{ending}"
    try:
        write(path, container, codec, sound(rate, channels), rate)
        truth, native, found, frame = reference(path)
    except (av.FFmpegError, ValueError, OverflowError, RuntimeError, TypeError):
        path.unlink(missing_ok=True)
        return None
    if native != rate or len(truth) < 0.5 * SECONDS * rate:
        path.unlink(missing_ok=True)
        return None
    return Made(
        path=path,
        kind="whole",
        container=container,
        codec=codec,
        rate=rate,
        channels=found,
        truth=truth,
        frame=max(frame, 1152) if not LOSSLESS.fullmatch(codec) else frame,
        lossless=bool(LOSSLESS.fullmatch(codec)),
    )
