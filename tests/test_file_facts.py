"""Facts of sound files: formats, recording times from every place that states one, titles; and their table."""

from __future__ import annotations

import os
import struct
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import soundfile

from helpers.library_factory import clustered, filled
from soundloom.errors import LibraryError, QueryError
from soundloom.library import Library, LibraryQuery, RowFilter, verify_library
from soundloom.library.indexing.file_facts import read_facts, recorded_in_name, ucs_category
from soundloom.library.storage.facts_table import FileFacts, read_facts_table, update_facts

EMPTY = FileFacts(
    sample_rate=None, channels=None, bits=None, codec="", recorded="", recorded_by="", title="", category=""
)


def wav(path: Path, *chunks: tuple[bytes, bytes], rate: int = 48000) -> Path:
    """A WAV of a tenth of a second with further chunks before its samples."""
    samples = b"\0" * (rate // 10 * 4)
    form = struct.pack("<HHIIHH", 1, 2, rate, rate * 4, 4, 16)
    body = b"".join(
        name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)
        for name, data in ((b"fmt ", form), *chunks, (b"data", samples))
    )
    path.write_bytes(b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WAVE" + body)
    os.utime(path, (1e9, 1e9))
    return path


def bext(description: bytes, day: bytes, clock: bytes) -> tuple[bytes, bytes]:
    return b"bext", struct.pack("<256s32s32s10s8s", description, b"", b"", day, clock) + b"\0" * 264


def wamd(*entries: tuple[int, bytes]) -> tuple[bytes, bytes]:
    return b"wamd", b"".join(struct.pack("<HI", kind, len(data)) + data for kind, data in entries)


def info(comment: bytes) -> tuple[bytes, bytes]:
    return b"LIST", b"INFO" + b"ICMT" + struct.pack("<I", len(comment)) + comment


AUDIOMOTH = info(b"Recorded at 05:30:00 01/05/2024 (UTC+2) by AudioMoth 24F3190361CBCD52 at medium gain.\0")
MARKERS = (b"LIST", b"adtl" + b"labl" + struct.pack("<II", 6, 1) + b"a\0")
IXML_TIME = (
    b"iXML",
    b"<BWFXML><BEXT><BWF_ORIGINATION_DATE>2021-02-03</BWF_ORIGINATION_DATE>"
    b"<BWF_ORIGINATION_TIME>04:05:06</BWF_ORIGINATION_TIME></BEXT></BWFXML>",
)
# The first firmware states no zone, later ones half hours; what follows is left alone.
AUDIOMOTH_2017 = info(b"Recorded at 05:30:00 01/05/2017 by AudioMoth 0FE081F80FE081F0 at gain setting 2\0")
AUDIOMOTH_INDIA = info(b"Recorded at 05:30:00 01/05/2022 (UTC+5:30) by AudioMoth 24F319055FDF2902 at low gain.\0")
SONG_METER = wamd((0, b"\1\0"), (1, b"SM4BAT-FS"), (5, b"2020-04-02 22:59:14-05:00"), (10, b"Bat roost"))
ZOOM = bext(b"zSPEED=025.000-ND\r\nzTAKE=001\r\nzSCENE=owl\r\n", b"2023-04-05", b"06-07-08")
TASCAM = bext(b"", b"2019/11/08", b"10:04:26")
GUANO = (b"guan", b"GUANO|Version: 1.0\nTimestamp: 2023-06-07T08:09:10+02:00\nLoc Position: 1 2\n")


@pytest.mark.parametrize(
    ("name", "moment"),
    [
        ("20240501_053000.WAV", datetime(2024, 5, 1, 5, 30)),
        ("SITE-A_20240501T053001.wav", datetime(2024, 5, 1, 5, 30, 1)),
        ("2024-05-01 05-30-00 owl.wav", datetime(2024, 5, 1, 5, 30)),
        ("2024_05_01_05h30m00.flac", datetime(2024, 5, 1, 5, 30)),
        ("20240501053000.wav", datetime(2024, 5, 1, 5, 30)),
        ("240_20240501_a.wav", datetime(2024, 5, 1)),
        ("20240231_053000.wav", None),
        ("20241301.wav", None),
        ("dog_12345678_000000.wav", None),
        ("1202405011.wav", None),
    ],
)
def test_times_in_names(name: str, moment: datetime | None) -> None:
    assert recorded_in_name(name) == moment


def test_categories_of_names() -> None:
    assert ucs_category("AMBForst-Birds_Dawn Chorus_JD_LIB.wav") == "AMBForst"
    assert [ucs_category(name) for name in ("DOG_bark_a_b.wav", "Dog_a_b_c.wav", "AMBForst.wav")] == ["", "", ""]


def test_every_place_that_states_a_time_is_read_and_named(tmp_path: Path) -> None:
    stated = bext(b"Owl at dawn", b"2022-03-04", b"05:06:07")
    for name, chunks, recorded, by in (
        ("20240501_053000.wav", (stated,), "2024-05-01T05:30:00", "name"),
        ("a.wav", (GUANO, AUDIOMOTH, stated), "2022-03-04T05:06:07", "bext"),
        ("b.wav", (GUANO, AUDIOMOTH), "2024-05-01T05:30:00", "audiomoth"),
        ("c.wav", (GUANO,), "2023-06-07T08:09:10", "guano"),
        ("zoom.wav", (ZOOM,), "2023-04-05T06:07:08", "bext"),
        ("tascam.wav", (TASCAM,), "2019-11-08T10:04:26", "bext"),
        ("ixml.wav", (GUANO, IXML_TIME), "2021-02-03T04:05:06", "ixml"),
        ("2017.wav", (AUDIOMOTH_2017,), "2017-05-01T05:30:00", "audiomoth"),
        ("india.wav", (MARKERS, AUDIOMOTH_INDIA), "2022-05-01T05:30:00", "audiomoth"),
        ("bat.wav", (SONG_METER,), "2020-04-02T22:59:14", "wamd"),
        ("cut.wav", ((b"wamd", SONG_METER[1][:20]),), None, "file"),
        ("d.wav", (bext(b"", b"", b""),), datetime.fromtimestamp(1e9).isoformat(), "file"),
        ("e.wav", (bext(b"", b"0000:00:00", b"\xff" * 8), (b"guan", b"Timestamp: soon\n")), None, "file"),
    ):
        facts = read_facts(str(wav(tmp_path / name, *chunks)))
        assert facts.recorded_by == by, name
        assert recorded is None or facts.recorded == recorded
    assert read_facts(str(tmp_path / "a.wav")).title.startswith("Owl at dawn")


def test_formats_are_as_headers_say(tmp_path: Path) -> None:
    one = read_facts(str(wav(tmp_path / "a.wav", rate=96000)))
    assert (one.sample_rate, one.channels, one.bits, one.codec) == (96000, 2, 16, "WAV PCM_16")
    soundfile.write(tmp_path / "b.flac", np.zeros(1000), 44100, subtype="PCM_24")
    soundfile.write(tmp_path / "c.ogg", np.zeros(1000), 22050)
    assert [(read_facts(str(tmp_path / name)).sample_rate, read_facts(str(tmp_path / name)).bits)
            for name in ("b.flac", "c.ogg")] == [(44100, 24), (22050, None)]  # fmt: skip
    (tmp_path / "20240501 no sound.wav").write_bytes(b"nothing")
    no_sound = read_facts(str(tmp_path / "20240501 no sound.wav"))
    assert (no_sound.sample_rate, no_sound.recorded) == (None, "2024-05-01T00:00:00")
    assert read_facts(str(tmp_path / "gone.wav")) == EMPTY


def test_the_table_reads_what_is_new_and_forgets_what_is_gone(tmp_path: Path) -> None:
    read: list[str] = []

    def reader(path: str) -> FileFacts:
        read.append(Path(path).name)
        return replace(EMPTY, title=path)

    a, b = (str(wav(tmp_path / name)) for name in ("a.wav", "b.wav"))
    assert read_facts_table(tmp_path) is None
    assert update_facts(tmp_path, {a: "1", b: "2"}, reader, workers=2) == 2
    assert update_facts(tmp_path, {a: "1", b: "2"}, reader) == 0
    assert update_facts(tmp_path, {a: "1", b: "3"}, reader) == 1  # another content
    assert sorted(read) == ["a.wav", "b.wav", "b.wav"]
    os.remove(a)
    assert update_facts(tmp_path, {a: "1", b: "3"}, reader) == 0  # absent: kept
    table = read_facts_table(tmp_path)
    assert table is not None
    assert table["path"].to_pylist() == [a, b]
    update_facts(tmp_path, {b: "3"}, reader)
    table = read_facts_table(tmp_path)
    assert table is not None
    assert table["hash"].to_pylist() == ["3"]
    (tmp_path / "facts.arrow").write_bytes(b"damaged")
    assert read_facts_table(tmp_path) is None
    assert update_facts(tmp_path, {b: "3"}, reader) == 1


def test_a_library_gains_facts_when_it_is_indexed_and_filters_by_them(tmp_path: Path) -> None:
    sounds = tmp_path / "sounds"
    sounds.mkdir()
    wav(sounds / "20240501_053000.wav", bext(b"A nightingale sings", b"", b""), rate=96000)
    wav(sounds / "20240601_053000.wav")
    soundfile.write(sounds / "old.flac", np.zeros(2 * 16000), 16000)
    os.utime(sounds / "old.flac", (1e9, 1e9))
    library = Library.create(tmp_path / "l.loom", "mfcc")
    library.add(sounds, workers=1)
    os.remove(library.folder / "facts.arrow")
    with pytest.raises(QueryError, match="run soundloom index once"):
        library.find(LibraryQuery(filter=RowFilter(sample_rate=96000)))
    rows = library.rows(["embedding"])
    library.add(workers=1)  # as a library of an earlier version
    assert library.rows(["embedding"]).equals(rows)

    def stems(**asked: object) -> list[str]:
        return [Path(match.path).stem for match in library.find(LibraryQuery(filter=RowFilter(**asked)))]  # type: ignore[arg-type]

    assert stems(sample_rate=96000) == ["20240501_053000"]
    assert stems(after=date(2024, 5, 2)) == ["20240601_053000"]
    assert stems(after=date(2024, 5, 1), before=date(2024, 6, 1)) == ["20240501_053000"]
    assert stems(before=date(2010, 1, 1)) == ["old"]
    assert stems(longer=1) == ["old"]
    assert stems(shorter=1, sample_rate=48000) == ["20240601_053000"]
    found = library.find("nightingale")
    assert [(Path(match.path).stem, match.found_by) for match in found] == [("20240501_053000", ("title",))]


def test_rows_without_facts_are_not_found_by_them(tmp_path: Path) -> None:
    known = str(wav(tmp_path / "a.wav"))
    library = filled(tmp_path / "l.loom", [known, "/s/b.wav"], clustered(2, 1))
    update_facts(library.folder, {known: known}, lambda _: EMPTY)
    assert library.find(LibraryQuery(filter=RowFilter(before=date(2100, 1, 1)))) == []
    assert len(library.find(LibraryQuery(filter=RowFilter(longer=0)))) == 2


def test_levels_are_measured_as_files_are_indexed_and_of_earlier_libraries_by_decoding(tmp_path: Path) -> None:
    sounds = tmp_path / "s"
    sounds.mkdir()
    time = np.arange(16000) / 16000
    stereo = np.stack([0.5 * np.sin(2 * np.pi * 440 * time), np.zeros(16000)], axis=1)
    soundfile.write(sounds / "tone.wav", stereo, 16000, subtype="FLOAT")
    soundfile.write(sounds / "silent.wav", np.zeros(8000), 16000)
    library = Library.create(tmp_path / "l.loom", "mfcc")
    library.add(sounds, workers=1)

    def levels() -> dict[str, tuple[float, float]]:
        table = read_facts_table(library.folder)
        assert table is not None
        columns = table.select(["path", "peak", "rms"]).to_pydict().values()
        return {Path(path).stem: (peak, rms) for path, peak, rms in zip(*columns, strict=True)}

    # The mean of the channels has a quarter of full scale: 12.04 dB below it, and 3.01 more as root mean square.
    assert levels() == {
        "tone": pytest.approx((-12.04, -15.05), abs=0.01),
        "silent": (-200, -200),
    }
    before = levels()
    os.rename(sounds / "tone.wav", sounds / "moved.wav")
    library.add(workers=1)
    rows = library.rows(["embedding"])
    assert levels()["moved"] == before["tone"]
    os.remove(library.folder / "facts.arrow")
    library.add(workers=1)
    assert levels() == {"moved": (None, None), "silent": (None, None)}
    assert library.measure_levels(workers=1) == 2
    assert levels() == {"moved": before["tone"], "silent": before["silent"]}
    assert library.measure_levels(workers=1) == 0
    assert library.rows(["embedding"]).equals(rows)
    assert [Path(match.path).stem for match in library.find(LibraryQuery(where="peak < -100"))] == ["silent"]


def test_facts_of_an_earlier_version_are_used_until_they_are_read_again(tmp_path: Path) -> None:
    known = str(wav(tmp_path / "a.wav"))
    update_facts(tmp_path, {known: "1"}, lambda _: replace(EMPTY, title="as before"))
    table = read_facts_table(tmp_path)
    assert table is not None
    table = table.drop_columns(["peak", "rms"]).replace_schema_metadata({b"format": b"1"})
    with pa.OSFile(str(tmp_path / "facts.arrow"), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    kept = read_facts_table(tmp_path)
    assert kept is not None
    assert kept["title"].to_pylist() == ["as before"]
    assert update_facts(tmp_path, {known: "1"}, lambda _: replace(EMPTY, title="anew")) == 1


def test_columns_of_a_table_are_fields_and_follow_their_files(tmp_path: Path) -> None:
    sounds = tmp_path / "s"
    sounds.mkdir()
    for name, level in (("a", 0.1), ("b", 0.2), ("c", 0.3)):
        soundfile.write(sounds / f"{name}.wav", np.full(8000, level), 16000)
    library = Library.create(tmp_path / "l.loom", "mfcc")
    library.add(sounds, workers=1)
    table = tmp_path / "sites.csv"
    table.write_text("path;Site;depth m;duration;size\na.wav;pond;1.5;9;2\nb.wav;wood;;9;2\nlost.wav;wood;2;9;2\n")
    report = library.add_columns(table)
    assert (report.columns, report.files) == (["site", "depth_m"], 2)
    assert (report.unmatched, report.left_out) == (["lost.wav"], ["duration", "size"])

    def stems(**asked: object) -> list[str]:
        return [Path(match.path).stem for match in library.find(LibraryQuery(**asked))]  # type: ignore[arg-type]

    assert stems(where="site = 'wood'") == ["b"]
    assert stems(where="depth_m > 1") == ["a"]
    assert stems(where="size > 1000") == ["a", "b", "c"]
    with pytest.raises(QueryError, match="'size' is a field for conditions alone"):
        stems(sort=("size",))
    # What no row names keeps its site by its folder.
    assert stems(sort=("-site",)) == ["b", "c", "a"]
    assert library.facets(["site"]).counts == {"site": {"pond": 1, "s": 1, "wood": 1}}
    table.write_text("path,site,weather\nc.wav,3,rain\nb.wav,,sun\n")
    library.add_columns(table)
    os.rename(sounds / "b.wav", sounds / "moved.wav")
    library.add(workers=1)
    assert stems(where="site = 'wood' AND weather = 'sun'") == ["moved"]
    assert library.facets(["site"]).counts == {"site": {"3": 1, "pond": 1, "wood": 1}}
    for text, message in (
        ("path,duration\na.wav,1\n", "no column to add"),
        ("path,x\nz.wav,1\n", "names none of the library's files"),
        ("x,y\n1,2\n", "must be a CSV with a column 'path'"),
    ):
        table.write_text(text)
        with pytest.raises(LibraryError, match=message):
            library.add_columns(table)
    assert verify_library(library.folder) == []
    file = library.folder / "columns.arrow"
    file.write_bytes(file.read_bytes().replace(b"pond", b"pxnd"))
    assert [Path(damaged.path).name for damaged in verify_library(library.folder)] == ["columns.arrow"]
    assert len(library.find(LibraryQuery())) == 3  # without the columns
    file.unlink()
    assert [Path(damaged.path).name for damaged in verify_library(library.folder)] == ["columns.arrow"]
