"""Facts of a sound file that its header, its name and its metadata state: format, recording time, title, category.

Recording times come from the first of these that states one; `recorded_by` says which:

    name        20240501_053000, 2024-05-01 05-30-00, 20240501T053000, or a date alone
    bext        Broadcast Wave: OriginationDate and OriginationTime (EBU Tech 3285)
    audiomoth   the comment of an AudioMoth: "Recorded at 05:30:00 01/05/2024 (UTC+2) by AudioMoth ..."
    guano       the Timestamp of a chunk ``guan`` (guano-md.org)
    file        the file's modification time: not when it was recorded, if it was edited or copied without its time

They are times of the recorder's clock: a zone that is stated is left off. The category is the first part of a name in
the Universal Category System: ``DOGBark`` of ``DOGBark_Big Dog_JD_MYLIB.wav``.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterator
from datetime import datetime

from soundloom import audio
from soundloom.errors import AudioError
from soundloom.file_names import os_path
from soundloom.library.storage.facts_table import FileFacts
from soundloom.tags import embedded_texts
from soundloom.tags.riff_chunks import chunks

__all__ = ["read_facts", "recorded_in_name", "ucs_category"]

_DATE = r"(?<!\d)((?:19|20)\d\d)([-_.]?)(0[1-9]|1[0-2])\2(0[1-9]|[12]\d|3[01])"
_CLOCK = r"(?:[-_ T]+|(?<=\d)T)?([01]\d|2[0-3])[-_.:h]?([0-5]\d)[-_.:m]?([0-5]\d)(?!\d)"
_MOMENT = re.compile(_DATE + _CLOCK)
_DAY = re.compile(_DATE + r"(?!\d)")
_AUDIOMOTH = re.compile(r"Recorded at (\d\d):(\d\d):(\d\d)(?:\.\d+)? (\d\d)/(\d\d)/(\d{4}) \(UTC.*?\) by AudioMoth")
_GUANO = re.compile(r"^Timestamp:\s*(\S+)", re.MULTILINE)
_UCS = re.compile(r"([A-Z]{2,5}[A-Z][a-z]{1,6})(?:-[^_]+)?_[^_]+_[^_]+")
_BITS = {"PCM_U8": 8, "PCM_S8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32, "FLOAT": 32, "DOUBLE": 64}


def read_facts(path: str) -> FileFacts:
    """The facts of a file; of one that cannot be read, what its name says.

    Args:
        path: the file, as text (`soundloom.file_names`).
    """
    name = os.path.basename(path)
    try:
        about = audio.info(path)
        rate, channels, codec = about.sample_rate, about.channels, about.codec
    except AudioError:
        rate, channels, codec = None, None, ""
    try:
        title = " ".join(embedded_texts(path))
    except AudioError:
        title = ""
    moment, source = next(_moments(path, title), (None, ""))
    return FileFacts(
        sample_rate=rate,
        channels=channels,
        bits=next((bits for kind, bits in _BITS.items() if codec.endswith(kind)), None),
        codec=codec,
        recorded="" if moment is None else moment.isoformat(timespec="seconds"),
        recorded_by=source,
        title=title,
        category=ucs_category(name),
    )


def recorded_in_name(name: str) -> datetime | None:
    """The time that a file's name states; a date alone is its midnight.

    >>> recorded_in_name("SITE1_20240501_053000.wav")
    datetime.datetime(2024, 5, 1, 5, 30)
    >>> recorded_in_name("dog_12345678.wav") is None
    True
    """
    if (found := _MOMENT.search(name)) is not None:
        return _valid(found[1], found[3], found[4], found[5], found[6], found[7])
    found = _DAY.search(name)
    return None if found is None else _valid(found[1], found[3], found[4])


def ucs_category(name: str) -> str:
    """The category of a name in the Universal Category System; empty if it is none.

    >>> ucs_category("DOGBark_Big Dog_JD_MYLIB.wav"), ucs_category("dog_bark_1_2.wav")
    ('DOGBark', '')
    """
    found = _UCS.match(name)
    return "" if found is None else found[1]


def _moments(path: str, title: str) -> Iterator[tuple[datetime, str]]:
    """The recording times that a file states, and where, the most trusted first."""
    if (moment := recorded_in_name(os.path.basename(path))) is not None:
        yield moment, "name"
    try:
        inside = chunks(os_path(path), {b"bext", b"guan"})
        modified = os.stat(os_path(path)).st_mtime
    except OSError:
        return
    if (moment := _of_bext(inside.get(b"bext", b""))) is not None:
        yield moment, "bext"
    if (said := _AUDIOMOTH.search(title)) is not None:
        hour, minute, second, day, month, year = said.groups()
        if (moment := _valid(year, month, day, hour, minute, second)) is not None:
            yield moment, "audiomoth"
    stated = _GUANO.search(inside.get(b"guan", b"").decode("utf-8", "replace"))
    if stated is not None and (moment := _of_iso(stated[1])) is not None:
        yield moment, "guano"
    yield datetime.fromtimestamp(int(modified)), "file"


def _of_bext(chunk: bytes) -> datetime | None:
    """OriginationDate (yyyy-mm-dd) and OriginationTime (hh:mm:ss), whose separators writers choose."""
    if len(chunk) < 338:
        return None
    date, clock = (part.decode("latin-1") for part in struct.unpack_from("10s8s", chunk, 320))
    return _valid(*re.findall(r"\d+", date)[:3], *re.findall(r"\d+", clock)[:3])


def _of_iso(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=None)
    except ValueError:
        return None


def _valid(year: str = "", month: str = "", day: str = "", *clock: str) -> datetime | None:
    """A time of the recorder; None if it is none."""
    try:
        hour, minute, second = map(int, (*clock, "0", "0", "0")[:3])
        moment = datetime(int(year), int(month), int(day), hour, minute, second)
    except ValueError:
        return None
    return moment if moment.year >= 1900 else None
