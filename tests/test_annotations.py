"""Annotations written for other programs and read back, by these programs' rules and by ours."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from soundloom.annotations import FORMATS, Annotation, check_annotation_file, read_annotations, write_annotations
from soundloom.errors import FileTableError, InvalidArgumentError, ResourceError

WRITTEN = [one.ending for one in FORMATS.values() if one.write is not None]

TWO = [
    Annotation("/s/a/owl.wav", 2.0, 3.5, "owl", 0.9, 10.0, {"tags": ("owl", "night")}),
    Annotation("/s/b/=ü <b>.wav", 0.0, 4.0, "=sum", None, 4.0, {"tags": ()}),
]


@pytest.mark.parametrize("ending", [ending for ending in WRITTEN if ending != ".txt"])
def test_every_ending_is_written_also_without_regions(tmp_path: Path, ending: str) -> None:
    for name, regions in (("some", TWO), ("none", TWO[:0])):
        write_annotations(regions, tmp_path / "new" / (name + ending))
        assert (tmp_path / "new" / (name + ending)).stat().st_size > 0
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [f"none{ending}", f"some{ending}"]


def test_tables_hold_every_value(tmp_path: Path) -> None:
    for ending in (".csv", ".json", ".parquet"):
        write_annotations(TWO, tmp_path / f"x{ending}")
    with open(tmp_path / "x.csv", encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert rows[0] == {
        "path": "/s/a/owl.wav", "start": "2.0", "end": "3.5", "label": "owl", "score": "0.9", "tags": "owl; night",
    }  # fmt: skip
    assert (rows[1]["label"], rows[1]["score"]) == ("'=sum", "")  # no formula for a spreadsheet
    for records in (
        json.loads((tmp_path / "x.json").read_text()),
        parquet.read_table(tmp_path / "x.parquet").to_pylist(),
    ):
        assert records[0] == {**TWO[0].record(), "tags": ["owl", "night"]}
        assert records[1]["score"] is None


def test_labels_for_audacity(tmp_path: Path) -> None:
    write_annotations(
        [Annotation("/s/x.wav", 2, 3, "b"), Annotation("/s/x.wav", 0, 1, "two\twords")], tmp_path / "x.txt"
    )
    assert (tmp_path / "x.txt").read_text() == "0.000000\t1.000000\ttwo\\x09words\n2.000000\t3.000000\tb\n"
    assert write_annotations(TWO, tmp_path / "y.txt") == tmp_path / "y"
    assert not (tmp_path / "y.txt").exists()
    assert (tmp_path / "y" / "a" / "owl.wav.txt").read_text() == "2.000000\t3.500000\towl\n"
    write_annotations(TWO, tmp_path / "tracks")
    assert (tmp_path / "tracks" / "a" / "owl.wav.txt").read_text() == "2.000000\t3.500000\towl\n"


def test_selections_for_raven_go_on_from_file_to_file(tmp_path: Path) -> None:
    write_annotations([*TWO, Annotation("/s/a/owl.wav", 8.0, 9.0, "owl", 0.5, 10.0)], tmp_path / "x.selections.txt")
    with open(tmp_path / "x.selections.txt", encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    assert [(row["Begin Time (s)"], row["File Offset (s)"]) for row in rows] == [
        ("2.000000", "2.000000"), ("10.000000", "0.000000"), ("8.000000", "8.000000"),
    ]  # fmt: skip
    assert [row["Begin Path"] for row in rows] == ["/s/a/owl.wav", "/s/b/=ü <b>.wav", "/s/a/owl.wav"]
    assert [row["Score"] for row in rows] == ["0.900000", "", "0.500000"]


def begins(file: Path) -> list[str]:
    with open(file, encoding="utf-8", newline="") as stream:
        return [row["Begin Time (s)"] for row in csv.DictReader(stream, delimiter="\t")]


def test_selections_for_raven_go_on_where_a_file_ends_and_not_its_last_region(tmp_path: Path) -> None:
    for name, seconds in (("a.wav", 12), ("b.flac", 3)):
        soundfile.write(tmp_path / name, np.zeros(seconds * 8000), 8000)
    regions = [Annotation(str(tmp_path / name), 1.0, 2.0, "owl") for name in ("a.wav", "b.flac", "gone.wav")]
    out = tmp_path / "x.selections.txt"
    write_annotations(regions, out)
    assert begins(out) == ["1.000000", "13.000000", "16.000000"]
    with pytest.warns(UserWarning, match=r"length of '.*gone\.wav' is not known"):
        write_annotations([regions[2], *regions[:2]], out)
    assert begins(out) == ["1.000000"] * 3
    assert [one.start for one in read_annotations(out).annotations] == [1.0] * 3
    write_annotations([], out)
    assert begins(out) == []


def test_playlists_hold_whole_files_and_regions(tmp_path: Path) -> None:
    twice = replace(TWO[0], label="another")
    odd = [Annotation(path, 0, 1) for path in ("/s/two\nlines.wav", r"/s/lat\xfcin.wav")]
    write_annotations([*TWO, twice, *odd], tmp_path / "x.m3u8")
    assert (tmp_path / "x.m3u8").read_text(encoding="utf-8").splitlines() == [
        "#EXTM3U",
        "#EXTINF:2,owl.wav", "#EXTVLCOPT:start-time=2", "#EXTVLCOPT:stop-time=3.5", "/s/a/owl.wav",
        "#EXTINF:4,=ü <b>.wav", "/s/b/=ü <b>.wav",
        "#EXTINF:1,two lines.wav", "file:///s/two%0Alines.wav",
        r"#EXTINF:1,lat\xfcin.wav", "file:///s/lat%FCin.wav",
    ]  # fmt: skip


def test_a_page_escapes_names(tmp_path: Path) -> None:
    write_annotations(TWO, tmp_path / "x.html")
    page = (tmp_path / "x.html").read_text(encoding="utf-8")
    assert "&lt;b&gt;" in page
    assert "<b>" not in page
    assert "file:///s/b/%3D%C3%BC%20%3Cb%3E.wav#t=0,4" in page


def test_endings_are_checked_first(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match=r"x\.pdf.*\.csv"):
        check_annotation_file(tmp_path / "x.pdf")
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError, match="cannot write"):
        write_annotations(TWO, tmp_path / "file" / "x.csv")


TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
NAMES = st.text("abcxyz", min_size=1, max_size=3).map(lambda name: f"Own {name}")
# Microseconds, and samples at 16 kHz.
SECONDS = st.integers(0, 10**11).map(lambda count: count / 10**6) | st.integers(0, 10**9).map(lambda n: n / 16_000)
HERTZ = st.none() | st.floats(0, 3e5, allow_nan=False)
EVERYTHING = {"label", "score", "low", "high", "annotator", "columns"}
KEPT = {
    "raven": EVERYTHING,
    "audacity": {"label", "low", "high"},
    "kaleidoscope": EVERYTHING,
    "birdnet": EVERYTHING,
    "hoplite": EVERYTHING,
    "csv": EVERYTHING,
    "json": EVERYTHING,
    "parquet": EVERYTHING,
}
"""What each format has room for, besides the file and the times."""


@st.composite
def annotations(draw: st.DrawFn, kept: set[str]) -> list[Annotation]:
    """Annotations of what a format has room for; of a label track one sound's, in order."""
    columns = draw(st.lists(NAMES, max_size=2, unique=True)) if "columns" in kept else []
    found = []
    for number in range(draw(st.integers(1, 4))):
        start, length = draw(SECONDS), draw(SECONDS)
        limits = sorted((draw(HERTZ), draw(HERTZ)), key=lambda hertz: (hertz is None, hertz))
        path = draw(st.sampled_from(["/s/a.wav", "/s/b c/ü.flac", "e.wav"])) if "columns" in kept else "/s/a.wav"
        texts = {name: draw(TEXT) for name in ("label", "annotator") if name in kept}
        score = draw(st.none() | st.floats(-1e6, 1e6)) if "score" in kept else None
        # A column in which nothing stands is none.
        cells = {name: draw(TEXT) + ("" if number else "x") for name in columns}
        end = round(start + length, 7)
        found.append(Annotation(path, start, end, **texts, score=score, low=limits[0], high=limits[1], columns=cells))
    return found if "columns" in kept else sorted(found, key=lambda one: (one.start, one.end, one.label))


@pytest.mark.filterwarnings("ignore:the length of .* is not known")
@pytest.mark.parametrize("name", KEPT)
@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_a_round_trip_loses_nothing(name: str, data: st.DataObject) -> None:
    written = data.draw(annotations(KEPT[name]))
    with TemporaryDirectory() as folder:
        file = Path(folder) / f"table{FORMATS[name].ending}"
        write_annotations(written, file)
        table = read_annotations(file, sound="/s/a.wav")
        assert table.format == name
        assert list(table.annotations) == written
        again = Path(folder) / f"again{FORMATS[name].ending}"
        write_annotations(table.annotations, again)
        assert again.read_bytes() == file.read_bytes()


def test_every_format_that_is_read_is_tried() -> None:
    assert set(KEPT) == {name for name, one in FORMATS.items() if one.read is not None}


def read(folder: Path, name: str, text: str, **options: Any) -> list[Annotation]:
    (folder / name).write_text(text, encoding="utf-8")
    return list(read_annotations(folder / name, **options).annotations)


def test_ravens_own_tables(tmp_path: Path) -> None:
    header = "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tHigh Freq (Hz)\tSpecies\n"
    row = "7\t{}\t2\t1.5\t2.25\t300.0\t4000.5\tCrow\n"
    (tmp_path / "dawn.wav").touch()
    views = header + row.format("Waveform 1") + row.format("Spectrogram 1")
    columns = {"Selection": "7", "Channel": "2"}
    assert read(tmp_path, "dawn.Table.1.selections.txt", views) == [
        Annotation(str(tmp_path / "dawn.wav"), 1.5, 2.25, "Crow", low=300, high=4000.5, columns=columns)
    ]


def test_birdnets_own_tables(tmp_path: Path) -> None:
    text = "Start (s),End (s),Scientific name,Common name,Confidence,File\n3.0,6.0,Corvus corone,Crow,0.91,/s/a.wav\n"
    (one,) = read(tmp_path, "a.BirdNET.results.csv", text)
    assert one == Annotation("/s/a.wav", 3, 6, "Crow", 0.91, columns={"Scientific name": "Corvus corone"})


def test_kaleidoscopes_own_tables(tmp_path: Path) -> None:
    text = (
        "INDIR,FOLDER,IN FILE,CHANNEL,OFFSET,DURATION,Fmin,Fmax,TOP1MATCH,MANUAL ID\r\n"
        "/s,night,a.wav,0,12.5,0.25,20000,45000,PIPPIP,\r\n/s,night,a.wav,0,13,0.5,20000,45000,PIPPIP,NYCNOC\r\n"
    )
    one, two = read(tmp_path, "meta.csv", text)
    assert (one.path, one.start, one.end, one.low, one.label) == ("/s/night/a.wav", 12.5, 12.75, 20000, "PIPPIP")
    assert (two.label, two.columns["TOP1MATCH"]) == ("NYCNOC", "PIPPIP")


def test_hoplites_own_tables_of_two_versions(tmp_path: Path) -> None:
    new = "idx,project,filename,window_start,window_end,label,logits\n812,reef,a.wav,5.0,10.0,orca,1.16\n"
    old = "idx,dataset_name,source_id,offset,label,logits\n812,reef,a.wav,5.0,orca,1.16\n"
    for text in (new, old):
        (one,) = read(tmp_path, "found.csv", text)
        assert (one.path, one.start, one.end, one.label, one.score) == ("a.wav", 5, 10, "orca", 1.16)
        assert one.columns["idx"] == "812"
        assert "reef" in one.columns.values()


def test_columns_of_a_plain_table_are_guessed_and_said(tmp_path: Path) -> None:
    text = "Recording;Onset;Duration;Species;Min Freq;Mood\na.wav;1:02,5;0,5;owl;300;calm\n"
    (tmp_path / "notes.csv").write_text(text)
    table = read_annotations(tmp_path / "notes.csv")
    assert table.annotations == (Annotation("a.wav", 62.5, 63.0, "owl", low=300, columns={"Mood": "calm"}),)
    assert "'Onset' for the start" in table.said
    assert "'Species' for the label" in table.said
    german = read(tmp_path, "mein.csv", "Datei;Beginn;Ende;Art\na.wav;1,5;2;owl\n")
    assert german == [Annotation("a.wav", 1.5, 2, "owl")]
    # Raven's users name the column of labels as they like.
    header = "Selection\tBegin Time (s)\tEnd Time (s)\tBegin Path\t{}\n1\t1\t2\ta.wav\towl\n"
    (tmp_path / "a.selections.txt").write_text(header.format("Species code"))
    table = read_annotations(tmp_path / "a.selections.txt")
    assert [one.label for one in table.annotations] == ["owl"]
    assert table.said.endswith("taking 'Species code' for the label")
    (tmp_path / "a.selections.txt").write_text(header.format("Remark"))
    assert (
        "nothing in it has a label, its columns are ['Selection'"
        in read_annotations(tmp_path / "a.selections.txt").said
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("odd.csv", "path,start,end,label\na.wav,1,2,crow\n,1,2,crow\n"),
        ("odd.selections.txt", "Selection\tBegin Time (s)\tEnd Time (s)\tBegin Path\n1\t1\t2\ta.wav\n2\t1\t2\t\n"),
        ("odd.json", '[{"path": "a.wav", "start": 1, "end": 2}, {"start": 1, "end": 2}]'),
    ],
)
def test_a_row_without_a_path_among_others_says_which(tmp_path: Path, name: str, text: str) -> None:
    with pytest.raises(FileTableError, match=r"odd.* has no (path|Begin Path) in line [23]: name the file"):
        read(tmp_path, name, text)
    assert [one.path for one in read(tmp_path, name, text, sound="/s/b.wav")] == ["a.wav", "/s/b.wav"]
    assert [one.path for one in read(tmp_path, name, text.replace("a.wav", ""))] == [str(tmp_path / "odd")] * 2


def test_names_stand_for_files(tmp_path: Path) -> None:
    (tmp_path / "a.wav").touch()
    text = "path,start,end,label\na.wav,0,1,owl\nD:\\field\\b.wav,0,1,owl\n"
    found = read(tmp_path, "t.csv", text, sounds=["/s/field/b.wav", "/s/c.wav"])
    assert [one.path for one in found] == [str(tmp_path / "a.wav"), "/s/field/b.wav"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("path,start,end\na.wav,1,x\n", "'x' in line 2"),
        ("path,start,end\na.wav,,2\n", "no start in line 2"),
        ("path,start,end\na.wav,3,2\n", "line 2.*ends after its start"),
        ("path,start,end,low,high\na.wav,1,2,900,100\n", "line 2.*upper limit"),
        ("path,mood\na.wav,calm\n", "is of no format that is known"),
        (
            "file,begin,label\na.wav,5,crow\n",
            r"no column for the end of a region.*'file' for the path, 'begin' for the start, 'label' for the label",
        ),
        ("file,stop,label\na.wav,5,crow\n", "no column for the start of a region"),
        ("", "is empty"),
    ],
)
def test_a_table_that_cannot_be_read_says_where(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(FileTableError, match=rf"t\.csv.*{why}"):
        read(tmp_path, "t.csv", text)
