"""Tables of tags that ``soundloom index --tags`` reads: regions, labels that no tag can be, and what is said of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from helpers.command_line import run
from soundloom.errors import LibraryError
from soundloom.library import Library, TagTable


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Library:
    """Two files of three seconds, a segment each second."""
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate(("bus", "owl")):
        path = tmp_path / "sounds" / f"{name}.wav"
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, 0.1 * np.random.default_rng(seed).normal(size=24000), 8000)
    library = Library.create("l.loom", "logmel", window=1)
    library.add("sounds", workers=1)
    return library


def tags(library: Library) -> list[tuple[str, float, list[str]]]:
    rows = Library.open(library.folder).rows(["path", "start", "tags"]).to_pylist()
    return [(Path(row["path"]).name, row["start"], row["tags"]) for row in rows if row["tags"]]


def test_tags_come_back_from_the_table_that_they_were_written_to(library: Library) -> None:
    """Each to its region, and as the tag that it was; a second table replaces them by region, too."""
    library.tags.add("rain", ["sounds/bus.wav"])
    library.tags.add("owl call", [("sounds/owl.wav", 1.2, 1.8)])
    assert run("tags", "-o", "tags.csv", "-l", "l.loom").exit_code == 0
    other = Library.create("two.loom", "logmel", window=1)
    other.add("sounds", workers=1, tags=TagTable("tags.csv"))
    given = tags(library)
    assert tags(other) == given == [*(("bus.wav", start, ["rain"]) for start in range(3)), ("owl.wav", 1, ["owl call"])]
    Path("tags.csv").write_text("path,start,end,tags\nowl.wav,0,1,first\n")
    other.add(tags=TagTable("tags.csv", replace=True))
    assert tags(other)[3:] == [("owl.wav", 0, ["first"])]


def test_what_becomes_of_labels_and_regions_is_said(library: Library) -> None:
    Path("t.csv").write_text(
        'path,start,end,label\nowl.wav,1,2,"Waves, surf"\nowl.wav,7,9,late\nbus.wav,,1,first\nbus.wav,,,all\n'
    )
    done = run("index", "--tags", "t.csv", "-l", "l.loom")
    assert "4 rows matched, 0 not; 4 tags given, 0 removed, in 2 files" in done.stdout, done.output
    assert (
        "1 label of t.csv with commas, semicolons or |, which no tag can hold, became several tags each, as "
        "'Waves, surf' became 'Waves' and 'surf'." in done.stderr
    )
    assert "1 region of t.csv left out, as no segment lies there:" in done.stderr
    assert "owl.wav: 7 to 9 s" in done.stderr
    bus = [("bus.wav", start, ["all", "first"] if not start else ["all"]) for start in range(3)]
    assert tags(library) == [*bus, ("owl.wav", 1, ["Waves", "surf"])]


def test_what_a_table_cannot_hold_is_no_tag_but_can_be_taken_away(library: Library) -> None:
    refused = run("tags", "add", "c|d", "sounds/owl.wav", "-l", "l.loom")
    assert (refused.exit_code, "cannot be a tag" in refused.stderr, tags(library)) == (1, True, [])
    library._store.write_tags({(str(Path("sounds/owl.wav").resolve()), 0.0): ["c|d"]})
    assert tags(library) == [("owl.wav", 0, ["c|d"])]
    assert run("tags", "rename", "c|d", "c", "-l", "l.loom").exit_code == 0
    assert tags(library) == [("owl.wav", 0, ["c"])]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("path,start,end,tag\na.wav,dawn,2,owl\n", "has 'dawn' in line 2, column 'start': a number is needed there"),
        ("path,onset,offset,label\na.wav,2,1,owl\n", "from 2 to 1 s in line 2: it must end after it begins"),
    ],
)
def test_a_region_that_is_none_is_refused(tmp_path: Path, table: str, message: str) -> None:
    (tmp_path / "tags.csv").write_text(table)
    with pytest.raises(LibraryError, match=message):
        TagTable(tmp_path / "tags.csv")
