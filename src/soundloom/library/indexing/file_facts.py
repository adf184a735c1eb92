"""Facts of a sound file that its header, its name and its metadata state: format, recording time, title, category.

Recording times come from the first of these that states one; `recorded_by` says which:

    name        20240501_053000, 2024-05-01 05-30-00, 20240501T053000, or a date alone
    bext        Broadcast Wave: OriginationDate and OriginationTime (EBU Tech 3285)
    ixml        the same, repeated in iXML: BWF_ORIGINATION_DATE and BWF_ORIGINATION_TIME
    audiomoth   the comment of an AudioMoth: "Recorded at 05:30:00 01/05/2024 (UTC+2) by AudioMoth ..."
    guano       the Timestamp of a chunk ``guan`` (guano-md.org)
    wamd        the time stamp of a chunk ``wamd`` of Wildlife Acoustics: entries of id, length and data
    file        the file's modification time: not when it was recorded, if it was edited or copied without its time

They are times of the recorder's clock: a zone that is stated is left off. The category is the first part of a name in
the Universal Category System: ``DOGBark`` of ``DOGBark_Big Dog_JD_MYLIB.wav``.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from soundloom import audio
from soundloom.errors import AudioError
from soundloom.file_names import os_path
from soundloom.file_pool import Failed, process
from soundloom.library.indexing.add_report import FileProgress
from soundloom.library.storage.facts_table import FileFacts, read_facts_table, update_facts
from soundloom.remote import file_status, is_there
from soundloom.tags.file_metadata import embedded_texts
from soundloom.tags.riff_chunks import chunks

__all__ = ["measure_levels", "read_facts", "recorded_in_name", "ucs_category"]

_DATE = r"(?<!\d)((?:19|20)\d\d)([-_.]?)(0[1-9]|1[0-2])\2(0[1-9]|[12]\d|3[01])"
_CLOCK = r"(?:[-_ T]+|(?<=\d)T)?([01]\d|2[0-3])[-_.:h]?([0-5]\d)[-_.:m]?([0-5]\d)(?!\d)"
_MOMENT = re.compile(_DATE + _CLOCK)
_DAY = re.compile(_DATE + r"(?!\d)")
_AUDIOMOTH = re.compile(
    r"Recorded at (\d\d):(\d\d):(\d\d)(?:\.\d+)? (\d\d)/(\d\d)/(\d{4})(?: \(UTC.*?\))? by AudioMoth"
)
_IXML_DATE = re.compile(r"<BWF_ORIGINATION_DATE>([^<]*)<")
_IXML_TIME = re.compile(r"<BWF_ORIGINATION_TIME>([^<]*)<")
_WAMD_TIME = 5
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


def measure_levels(
    folder: Path,
    hashes: Mapping[str, str],
    decoding: audio.DecodeOptions,
    workers: int,
    progress: Callable[[FileProgress], None] | None = None,
) -> int:
    """Decode the files whose levels are not known, and add these to the table of facts. Returns how many.

    Args:
        folder: the library's.
        hashes: path of every file -> hash of its content.
        decoding: how the library decodes files.
        workers: how many files at a time.
        progress: called after every file.

    Raises:
        ResourceError: the table cannot be written.
    """
    update_facts(folder, hashes, read_facts, workers=workers)
    table = read_facts_table(folder)
    rows = [] if table is None else table.select(["path", "hash", "peak"]).to_pylist()
    unknown = [row for row in rows if row["peak"] is None and is_there(row["path"])]
    levels: dict[str, tuple[float, float]] = {}
    seconds = 0.0

    def level(row: dict[str, Any], av: audio.AvProcess) -> tuple[tuple[float, float], float]:
        rate, energy = audio.info(row["path"], av).sample_rate, audio.Energy()
        samples = sum(map(len, audio.stream(row["path"], rate, av=av, options=decoding, energy=energy)))
        return energy.decibels, samples / rate

    results = process(unknown, level, workers=workers)
    for done, (row, result) in enumerate(zip(unknown, results, strict=True), start=1):
        if not isinstance(result, Failed):
            levels[row["hash"]] = result[0]
            seconds += result[1]
        if progress is not None:
            progress(FileProgress(done, len(unknown), seconds, row["path"]))
    update_facts(folder, hashes, read_facts, workers=workers, levels=levels)
    return len(levels)


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
        inside = chunks(os_path(path), {b"bext", b"iXML", b"guan", b"wamd"})
        modified = file_status(os_path(path)).mtime_ns // 10**9
    except OSError:
        return
    if (moment := _of_bext(inside.get(b"bext", b""))) is not None:
        yield moment, "bext"
    if (moment := _of_ixml(inside.get(b"iXML", b"").decode("utf-8", "replace"))) is not None:
        yield moment, "ixml"
    if (said := _AUDIOMOTH.search(title)) is not None:
        hour, minute, second, day, month, year = said.groups()
        if (moment := _valid(year, month, day, hour, minute, second)) is not None:
            yield moment, "audiomoth"
    stated = _GUANO.search(inside.get(b"guan", b"").decode("utf-8", "replace"))
    if stated is not None and (moment := _of_iso(stated[1])) is not None:
        yield moment, "guano"
    if (moment := _of_iso(_wamd_entry(inside.get(b"wamd", b""), _WAMD_TIME))) is not None:
        yield moment, "wamd"
    yield datetime.fromtimestamp(modified), "file"


def _of_bext(chunk: bytes) -> datetime | None:
    """OriginationDate (yyyy-mm-dd) and OriginationTime (hh:mm:ss), whose separators writers choose."""
    if len(chunk) < 338:
        return None
    date, clock = (part.decode("latin-1") for part in struct.unpack_from("10s8s", chunk, 320))
    return _of_date_and_clock(date, clock)


def _of_ixml(text: str) -> datetime | None:
    date, clock = _IXML_DATE.search(text), _IXML_TIME.search(text)
    return None if date is None else _of_date_and_clock(date[1], "" if clock is None else clock[1])


def _of_date_and_clock(date: str, clock: str) -> datetime | None:
    return _valid(*re.findall(r"\d+", date)[:3], *re.findall(r"\d+", clock)[:3])


def _wamd_entry(chunk: bytes, wanted: int) -> str:
    """The text of an entry of a chunk ``wamd``; empty if there is none."""
    place = 0
    while place + 6 <= len(chunk):
        kind, length = struct.unpack_from("<HI", chunk, place)
        if kind == wanted:
            return chunk[place + 6 : place + 6 + length].decode("utf-8", "replace").strip(" \0")
        place += 6 + length
    return ""


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
