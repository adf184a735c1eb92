"""Regions written for other programs, and read back as these would."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from pyarrow import parquet

from soundloom.errors import InvalidArgumentError, ResourceError
from soundloom.region_files import ENDINGS, Region, check_region_file, write_regions

TWO = [
    Region("/s/a/owl.wav", 2.0, 3.5, "owl", 0.9, 10.0, {"tags": ("owl", "night")}),
    Region("/s/b/=ü <b>.wav", 0.0, 4.0, "=sum", None, 4.0, {"tags": ()}),
]


@pytest.mark.parametrize("ending", [ending for ending in ENDINGS if ending != ".txt"])
def test_every_ending_is_written_also_without_regions(tmp_path: Path, ending: str) -> None:
    for name, regions in (("some", TWO), ("none", TWO[:0])):
        write_regions(regions, tmp_path / "new" / (name + ending))
        assert (tmp_path / "new" / (name + ending)).stat().st_size > 0
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [f"none{ending}", f"some{ending}"]


def test_tables_hold_every_value(tmp_path: Path) -> None:
    for ending in (".csv", ".json", ".parquet"):
        write_regions(TWO, tmp_path / f"x{ending}")
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
    write_regions([Region("/s/x.wav", 2, 3, "b"), Region("/s/x.wav", 0, 1, "two\twords")], tmp_path / "x.txt")
    assert (tmp_path / "x.txt").read_text() == "0.000000\t1.000000\ttwo words\n2.000000\t3.000000\tb\n"
    with pytest.raises(InvalidArgumentError, match="lie in 2 files"):
        write_regions(TWO, tmp_path / "y.txt")
    assert not (tmp_path / "y.txt").exists()
    write_regions(TWO, tmp_path / "tracks")
    assert (tmp_path / "tracks" / "a" / "owl.wav.txt").read_text() == "2.000000\t3.500000\towl\n"


def test_selections_for_raven_go_on_from_file_to_file(tmp_path: Path) -> None:
    write_regions([*TWO, Region("/s/a/owl.wav", 8.0, 9.0, "owl", 0.5, 10.0)], tmp_path / "x.selections.txt")
    with open(tmp_path / "x.selections.txt", encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    assert [(row["Begin Time (s)"], row["File Offset (s)"]) for row in rows] == [
        ("2.000000", "2.000000"), ("10.000000", "0.000000"), ("8.000000", "8.000000"),
    ]  # fmt: skip
    assert [row["Begin Path"] for row in rows] == ["/s/a/owl.wav", "/s/b/=ü <b>.wav", "/s/a/owl.wav"]
    assert [row["Score"] for row in rows] == ["0.900000", "", "0.500000"]


def test_playlists_hold_whole_files_and_regions(tmp_path: Path) -> None:
    write_regions([*TWO, Region("/s/two\nlines.wav", 0, 1)], tmp_path / "x.m3u8")
    assert (tmp_path / "x.m3u8").read_text(encoding="utf-8").splitlines() == [
        "#EXTM3U",
        "#EXTINF:2,owl.wav", "#EXTVLCOPT:start-time=2", "#EXTVLCOPT:stop-time=3.5", "/s/a/owl.wav",
        "#EXTINF:4,=ü <b>.wav", "/s/b/=ü <b>.wav",
        "#EXTINF:1,two lines.wav", "file:///s/two%0Alines.wav",
    ]  # fmt: skip


def test_a_page_escapes_names(tmp_path: Path) -> None:
    write_regions(TWO, tmp_path / "x.html")
    page = (tmp_path / "x.html").read_text(encoding="utf-8")
    assert "&lt;b&gt;" in page
    assert "<b>" not in page
    assert "file:///s/b/%3D%C3%BC%20%3Cb%3E.wav#t=0,4" in page


def test_endings_are_checked_first(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match=r"x\.pdf.*\.csv, \.json"):
        check_region_file(tmp_path / "x.pdf")
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError, match="cannot write"):
        write_regions(TWO, tmp_path / "file" / "x.csv")
