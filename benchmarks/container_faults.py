"""Faults of sound files: cut, never finished, counted wrongly, joined, with tags and junk before or after the sound."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import replace

import av
import numpy as np

from benchmarks.container_files import Made, reference

__all__ = ["faults"]

FAULTY_RATE, FAULTY_CHANNELS = 44100, 2
# Streams that may be joined end to end and are one sound then.
STREAMS = ("mp3", "mp2", "flac", "ogg", "oga", "opus", "adts", "ac3", "eac3", "spx")
# Containers that count neither frames nor bytes.
UNCOUNTED = (
    *("ac3", "eac3", "adts", "mp2", "mpegts", "dts", "latm", "loas", "amr", "mpeg", "vob", "svcd", "vcd", "dvd"),
    *("alp", "ircam"),
)
# Of streams chained in Ogg FFmpeg does not trim the first.
OGG = ("ogg", "oga", "opus", "spx")
# A seam of two streams, and the silent frame that holds the counts of the second.
SEAM = 0.06
ID3V1 = b"TAG" + b"title".ljust(125, b"\0")
ID3V2 = b"ID3\x03\0\0\0\0\x01\x00" + bytes(128)
LIST = b"LIST" + struct.pack("<I", 26) + b"INFOISFT" + struct.pack("<I", 14) + b"Lavf58.29.100\0"


def faults(made: Made) -> Iterator[Made]:
    """Damaged copies of a whole file, one after the other; each is to be deleted before the next."""
    if (made.rate, made.channels) != (FAULTY_RATE, FAULTY_CHANNELS):
        return
    content = made.path.read_bytes()
    rng = np.random.default_rng(len(content))
    for share in (0.2, 0.5, 0.8, 0.95):
        place = int(len(content) * (share + 0.04 * rng.random()))
        yield _cut(made, content[:place])
    yield _written(made, "ID3v1 after", content + ID3V1)
    yield _written(made, "zeros after", content + bytes(4096))
    yield _written(made, "junk after", content + rng.bytes(3000))
    if made.container in ("mp3", "mp2", "flac", "adts", "wav", "aiff", "ogg"):
        yield _written(made, "ID3v2 in front", ID3V2 + content)
    if made.container in STREAMS:
        twice = np.concatenate([made.truth, made.truth])
        joined = replace(made, truth=twice, seam=0.0 if made.lossless else SEAM, frame=2 * made.frame + 2400)
        if made.lossless:
            joined = replace(joined, frame=0)
        yield _joined(joined, content + content)
        if made.container not in UNCOUNTED:
            yield _written(joined, "joined and cut", content + content[: 2 * len(content) // 3])
    for kind, damage in HEADERS.get(made.container, {}).items():
        damaged = damage(bytearray(content))
        if damaged is not None:
            yield _written(made, kind, bytes(damaged))


def _joined(made: Made, content: bytes) -> Made:
    """Two streams in one file. What a lossy decoder makes of the seam, and of noise it draws, FFmpeg says."""
    damaged = _written(made, "joined", content)
    if made.lossless or made.container in OGG:
        return damaged
    truth = reference(damaged.path)[0]
    return replace(damaged, truth=truth) if len(truth) > 0.95 * len(made.truth) else damaged


def _cut(made: Made, content: bytes) -> Made:
    """A file that is cut. Where no container counts, what FFmpeg decodes of it is the truth."""
    damaged = _written(made, "cut", content)
    if made.container in UNCOUNTED:
        try:
            truth = reference(damaged.path)[0]
        except (av.FFmpegError, ValueError):
            return damaged
        return replace(damaged, truth=truth)
    # One packet is never missed, whatever stands in its place.
    return replace(damaged, frame=2 * made.frame, seam=2 * made.frame / len(made.truth))


def _written(made: Made, kind: str, content: bytes) -> Made:
    path = made.path.with_name(f"{made.path.stem}-{kind.replace(' ', '-').replace(',', '')}{made.path.suffix}")
    path.write_bytes(content)
    return replace(made, path=path, kind=kind)


Damage = Callable[[bytearray], bytearray | None]


def _sized(mark: bytes, form: str, at: int, change: Callable[[int], int], container: int | None = None) -> Damage:
    """Change the size after a mark, and, if an offset is given, that of the container."""

    def damage(content: bytearray) -> bytearray | None:
        place = content.find(mark)
        if place < 0:
            return None
        most = (1 << 8 * struct.calcsize(form)) - 1
        for offset in (place + at,) if container is None else (place + at, container):
            size = struct.unpack_from(form, content, offset)[0]
            struct.pack_into(form, content, offset, change(size) & most)
        return content

    return damage


def _changes(mark: bytes, form: str, at: int, container: int | None) -> dict[str, Damage]:
    """The ways in which a size goes wrong."""
    ways: dict[str, Callable[[int], int]] = {
        "size 0": lambda _: 0,
        "size all ones": lambda _: -1,
        "size 2 GB": lambda _: 0x7FFFFFFF,
        "size doubled": lambda size: 2 * size,
        "size halved": lambda size: size // 2 // 8 * 8,
    }
    changed = {}
    for kind, way in ways.items():
        changed[kind] = _sized(mark, form, at, way)
        if container is not None:
            changed[f"{kind}, container too"] = _sized(mark, form, at, way, container)
    return changed


def _flac_total(change: Callable[[int], int]) -> Damage:
    def damage(content: bytearray) -> bytearray:
        facts = int.from_bytes(content[18:26], "big")
        total = facts & ((1 << 36) - 1)
        content[18:26] = (facts - total + change(total)).to_bytes(8, "big")
        return content

    return damage


def _list_after(content: bytearray) -> bytearray:
    struct.pack_into("<I", content, 4, struct.unpack_from("<I", content, 4)[0] + len(LIST))
    return content + LIST


def _short_before_list(content: bytearray) -> bytearray | None:
    """The sound counted short, the container right, and a chunk after the sound."""
    place = content.find(b"data")
    whole = struct.unpack_from("<I", content, place + 4)[0]
    struct.pack_into("<I", content, place + 4, whole // 3 // 8 * 8)
    return _list_after(content)


RIFF = {
    **_changes(b"data", "<I", 4, 4),
    "LIST after": _list_after,
    "size a third, LIST after": _short_before_list,
}
HEADERS: dict[str, dict[str, Damage]] = {
    "wav": RIFF,
    "aiff": _changes(b"SSND", ">I", 4, 4),
    "w64": _changes(b"data\xf3\xac\xd3\x11", "<Q", 16, 16),
    "au": _changes(b".snd", ">I", 8, None),
    "caf": _changes(b"data", ">Q", 4, None),
    "flac": {
        "size 0": _flac_total(lambda _: 0),
        "size doubled": _flac_total(lambda total: 2 * total),
        "size halved": _flac_total(lambda total: total // 2),
    },
    "mp3": {
        "size doubled": _sized(b"Xing", ">I", 8, lambda frames: 2 * frames),
        "size halved": _sized(b"Xing", ">I", 8, lambda frames: frames // 2),
        "Info doubled": _sized(b"Info", ">I", 8, lambda frames: 2 * frames),
        "Info halved": _sized(b"Info", ">I", 8, lambda frames: frames // 2),
    },
}
