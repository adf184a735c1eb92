"""Forty and more files that a folder of sounds may hold and that break careless programs.

Each is one row of `HOSTILE`: a name, what makes it, and what must become of it. "embedded": it is a sound, however
odd. "reported": it is none, or not a whole one, and must be named with a reason. "passed over": nobody wants to hear
of it.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import soundfile

from sounds import tone, write_silent_film, write_with_av

__all__ = ["GOOD", "HOSTILE", "Hostile", "write_folder"]

RATE = 16000
GOOD = ("good-1.wav", "good-2.flac", "zz-good-3.ogg")
"""The innocent bystanders, which must be embedded whatever stands beside them."""

Outcome = Literal["embedded", "reported", "passed over"]


@dataclass(frozen=True, kw_only=True)
class Hostile:
    """An input, and what must become of it.

    Attributes:
        name: the file's; bytes where it is not text.
        make: writes it, given its path.
        outcome: what becomes of it.
    """

    name: str | bytes
    make: Callable[[Path], object]
    outcome: Outcome

    @property
    def told(self) -> str:
        """The name as libraries tell it."""
        return self.name if isinstance(self.name, str) else self.name.decode("utf-8", "backslashreplace")

    def path(self, folder: Path) -> Path:
        """Where it lies."""
        return folder / os.fsdecode(self.name)


def write_folder(folder: Path) -> Path:
    """Write every hostile input and the good ones; returns the folder."""
    folder.mkdir()
    for number, name in enumerate(GOOD):
        soundfile.write(folder / name, tone(220 * (number + 1), RATE, 0.6), RATE)
    for hostile in HOSTILE:
        hostile.make(hostile.path(folder))
    return folder


def wav(
    path: Path,
    *,
    samples: np.ndarray | None = None,
    rate: int = RATE,
    subtype: str = "PCM_16",
    container: str = "WAV",
) -> None:
    """A tone, or the samples given, in any format of libsndfile, whatever the name says."""
    with open(path, "wb") as file:
        soundfile.write(file, tone(330, rate, 0.6) if samples is None else samples, rate, subtype, format=container)


def m4a(path: Path) -> None:
    write_with_av(path, tone(330, RATE, 0.6)[None], RATE, "aac", container="ipod")


WHOLE: dict[str, Callable[[Path], None]] = {
    "wav": wav,
    "flac": partial(wav, container="FLAC"),
    "mp3": partial(wav, container="MP3", subtype="MPEG_LAYER_III"),
    "ogg": partial(wav, container="OGG", subtype="VORBIS"),
    "m4a": m4a,
}


def cut(path: Path, share: float) -> None:
    """A file of the kind its suffix says, of which only the first share of the bytes is left."""
    WHOLE[path.suffix[1:]](path)
    whole = path.read_bytes()
    path.write_bytes(whole[: round(share * len(whole))])


def raw_wav(path: Path, *, rate: int = RATE, data_size: int | None = None, before_data: bytes = b"") -> None:
    """A mono 16-bit WAV by hand, whose header may lie."""
    data = (tone(330, RATE, 0.3) * 32767).astype("<i2").tobytes()
    claimed = len(data) if data_size is None else data_size
    fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate, min(2 * rate, 2**32 - 1), 2, 16)
    body = b"WAVE" + fmt + before_data + struct.pack("<4sI", b"data", claimed) + data
    path.write_bytes(struct.pack("<4sI", b"RIFF", min(len(body) + claimed - len(data), 2**32 - 1)) + body)


def without_index(path: Path) -> None:
    """An m4a as a recorder leaves it that died: no moov box."""
    m4a(path)
    whole, kept, place = path.read_bytes(), b"", 0
    while place < len(whole):
        size = struct.unpack_from(">I", whole, place)[0]
        if whole[place + 4 : place + 8] != b"moov":
            kept += whole[place : place + size]
        place += size
    path.write_bytes(kept)


def unreadable(path: Path) -> None:
    wav(path)
    path.chmod(0)


def folder_named_like_a_sound(path: Path) -> None:
    path.mkdir()


def film_with_sound(path: Path) -> None:
    write_with_av(path, tone(330, 44100, 0.6)[None], 44100, "aac", pictures=True)


def with_a(value: float) -> np.ndarray:
    samples = tone(330, RATE, 0.6)
    samples[5000] = value
    return samples


def _rows() -> Iterator[tuple[str | bytes, Callable[[Path], object], Outcome]]:
    for kind in WHOLE:
        yield f"cut-in-the-header.{kind}", partial(cut, share=0.001), "reported"
        yield f"cut-in-the-middle.{kind}", partial(cut, share=0.5), "reported"
        yield f"cut-near-the-end.{kind}", partial(cut, share=0.9), "reported"
    picture = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8

    yield "empty.wav", Path.touch, "reported"
    yield "zeros.wav", lambda path: path.write_bytes(bytes(4096)), "reported"
    yield "header-only.wav", partial(wav, samples=np.zeros(0, np.float32)), "reported"
    yield "text.wav", lambda path: path.write_text("this is not a sound\n" * 100), "reported"
    yield "picture.flac", lambda path: path.write_bytes(picture), "reported"
    yield "noise.mp3", lambda path: path.write_bytes(np.random.default_rng(0).bytes(20000)), "reported"
    yield "an-mp3.wav", WHOLE["mp3"], "embedded"
    yield "an-m4a.mp3", WHOLE["m4a"], "embedded"
    yield "a-wav.ogg", wav, "embedded"

    yield "nan.wav", partial(wav, samples=with_a(np.nan), subtype="FLOAT"), "reported"
    yield "infinity.wav", partial(wav, samples=with_a(-np.inf), subtype="FLOAT"), "reported"
    yield "unscaled-integers.wav", partial(wav, samples=32768 * tone(330, RATE, 0.6), subtype="FLOAT"), "reported"
    yield "one-hertz.wav", partial(wav, rate=1, samples=np.zeros(8000, np.float32)), "reported"
    yield "huge-number.wav", partial(wav, samples=with_a(1e30), subtype="FLOAT"), "reported"
    yield "beyond-full-scale.wav", partial(wav, samples=30 * tone(330, RATE, 0.6), subtype="FLOAT"), "embedded"
    yield "silence.wav", partial(wav, samples=np.zeros(8000, np.float32)), "embedded"
    yield "one-sample.wav", partial(wav, samples=np.full(1, 0.5, np.float32)), "embedded"
    yield "tenth-of-a-second.wav", partial(wav, samples=tone(330, RATE, 0.1)), "embedded"
    yield "8-kilohertz.wav", partial(wav, rate=8000), "embedded"
    yield "192-kilohertz.flac", partial(wav, rate=192_000, container="FLAC", subtype="PCM_24"), "embedded"
    yield "six-channels.wav", partial(wav, samples=np.stack([tone(330, RATE, 0.6)] * 6, axis=1)), "embedded"
    yield "unsigned-bytes.wav", partial(wav, subtype="PCM_U8"), "embedded"
    yield "doubles.wav", partial(wav, subtype="DOUBLE"), "embedded"

    yield "claims-4-gigabytes.wav", partial(raw_wav, data_size=2**32 - 1), "embedded"
    yield "odd-chunk.wav", partial(raw_wav, before_data=struct.pack("<4sI", b"LIST", 5) + b"INFOx\0"), "embedded"
    yield "never-finished.wav", partial(raw_wav, data_size=0), "embedded"
    yield "rate-0.wav", partial(raw_wav, rate=0), "reported"
    yield "rate-4-billion.wav", partial(raw_wav, rate=4_000_000_000), "reported"
    yield "without-index.m4a", without_index, "reported"
    yield "silent-film.mp4", write_silent_film, "reported"
    yield "film.mp4", film_with_sound, "embedded"

    # Root may read everything.
    yield "unreadable.wav", unreadable, "embedded" if os.geteuid() == 0 else "reported"
    yield "folder.wav", folder_named_like_a_sound, "passed over"
    yield "pipe.wav", os.mkfifo, "reported"
    yield "leads-nowhere.wav", lambda path: path.symlink_to("no such file"), "reported"
    yield "leads-to-itself.wav", lambda path: path.symlink_to(path.name), "reported"
    yield "circle", lambda path: path.symlink_to("."), "passed over"
    yield ".hidden.wav", wav, "passed over"
    yield "._shadow.wav", lambda path: path.write_bytes(b"\0\5\x16\7" + bytes(100)), "passed over"
    yield '#1 100% it\'s "quoted"; a\\b.wav', partial(wav, samples=tone(500, RATE, 0.5)), "embedded"
    yield "new\nline.wav", partial(wav, samples=tone(510, RATE, 0.5)), "embedded"
    yield "音声 🐕.wav", partial(wav, samples=tone(520, RATE, 0.5)), "embedded"
    yield "long" + "-" * 242 + ".wav", partial(wav, samples=tone(530, RATE, 0.5)), "embedded"
    yield "[bracket]*?.wav", partial(wav, samples=tone(540, RATE, 0.5)), "embedded"
    yield "http:host.m4a", m4a, "embedded"
    yield b"not-\xff-utf-8.wav", partial(wav, samples=tone(550, RATE, 0.5)), "embedded"


HOSTILE = tuple(Hostile(name=name, make=make, outcome=outcome) for name, make, outcome in _rows())
