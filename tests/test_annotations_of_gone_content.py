"""Annotations whose content is gone: kept, named and listed, and never given to the new content of their file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from helpers.marked_recordings import NAMES, marks, recorded_library, sound
from soundloom.cli import main
from soundloom.cli.detector_examples import table_marks
from soundloom.library import AnnotationFilter, Library
from soundloom.library.library_merge import merge_libraries

EDITED, *OTHERS = NAMES


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Library:
    """A library with marks, one of whose recordings was edited in place after it was indexed."""
    monkeypatch.chdir(tmp_path)
    made = recorded_library(tmp_path)
    made.annotations.add(marks(tmp_path / "sounds"))
    sound(tmp_path / "sounds" / EDITED, 9)
    return made


@pytest.fixture
def other(library: Library, tmp_path: Path) -> Library:
    """A library of the recordings as they are now."""
    made = Library.create(tmp_path / "other.loom", "mfcc", window=1.0)
    made.add(tmp_path / "sounds", workers=1)
    return made


def run(*words: str) -> Result:
    return CliRunner().invoke(main, words, catch_exceptions=False)


def names(library: Library, *, gone: bool) -> list[str]:
    return sorted({Path(one.path).name for one in library.annotations.all(AnnotationFilter(gone=gone))})


def test_a_merge_gives_annotations_to_their_content_alone(library: Library, other: Library, tmp_path: Path) -> None:
    done = run("merge", "sounds.loom", "-l", "other.loom")
    assert done.exit_code == 0, done.output
    assert "1 annotation of content that no file of other.loom has: kept, until it is indexed" in done.stderr
    assert (names(other, gone=False), names(other, gone=True)) == (sorted(OTHERS), [EDITED])
    assert merge_libraries(other.folder, library.folder).lost_annotations == 1
    sound(tmp_path / "sounds" / "again.wav", 0)
    other.add(workers=1)
    assert (names(other, gone=False), names(other, gone=True)) == (sorted([*OTHERS, "again.wav"]), [])


@pytest.mark.parametrize("ending", ["csv", "json", "parquet"])
def test_a_table_says_of_which_content_they_are(library: Library, other: Library, tmp_path: Path, ending: str) -> None:
    library.add(workers=1)
    table = f"marks.{ending}"
    exported = run("annotations", "export", "-l", "sounds.loom", table)
    assert exported.stderr.endswith("; 1 of content that is gone, at the last place known\n")
    back = run("annotations", "import", table, "-l", "sounds.loom")
    assert "0 annotations added, 3 known already" in back.stdout
    first = run("annotations", "import", table, "-l", "other.loom")
    assert "2 annotations added" in first.stdout
    assert f"{EDITED}: 1 region left out, of another content than it has now: index the sound" in first.stderr
    assert names(other, gone=False) == sorted(OTHERS)
    sound(tmp_path / "sounds" / "again.wav", 0)
    other.add(workers=1)
    run("annotations", "import", table, "-l", "other.loom")
    found = other.annotations.all(AnnotationFilter(gone=False))
    assert {Path(one.path).name for one in found} == {*OTHERS, "again.wav"}
    assert not any("content_hash" in one.columns for one in found)


def test_tables_of_programs_leave_them_out(library: Library) -> None:
    library.add(workers=1)
    exported = run("annotations", "export", "-l", "sounds.loom", "marks.selections.txt")
    assert exported.stderr.startswith("2 annotations written to marks.selections.txt; 1 left out, of content that is")
    assert EDITED not in Path("marks.selections.txt").read_text()
    assert "content_hash" not in Path("marks.selections.txt").read_text()


def test_indexing_names_them_and_says_what_to_do(library: Library, tmp_path: Path) -> None:
    edited = tmp_path / "sounds" / EDITED
    first = run("index", "-l", "sounds.loom", "-j", "1").stderr
    assert "1 annotation of content that is gone now. They are kept" in first
    assert f"\n  {edited} (1)\n" in first
    listed = f"soundloom annotations list --gone -l {library.folder}"
    assert listed in first
    assert f"1 annotation of content that was gone before: {listed}\n" in run("index", "-l", "sounds.loom").stderr
    report = json.loads(run("index", "-l", "sounds.loom", "--json").stdout)
    assert (report["lost_annotations"], report["gone_annotations"]) == ({}, 1)
    assert EDITED in run("annotations", "list", "--gone", "-l", "sounds.loom").stdout
    assert "1 annotation removed" in run("annotations", "remove", "--gone", "-l", "sounds.loom").stdout
    assert "gone" not in run("index", "-l", "sounds.loom").stderr
    assert names(library, gone=False) == sorted(OTHERS)


def test_nobody_learns_from_them(library: Library, capsys: pytest.CaptureFixture[str]) -> None:
    library.add(workers=1)
    assert {Path(one.path).name for one in table_marks((library.folder,))} == set(OTHERS)
    assert (
        "1 annotation left out, of content that is gone: soundloom annotations list --gone" in capsys.readouterr().err
    )
    path = next(file for file in library.files() if file.endswith(EDITED))
    assert library.annotations.with_ids(path=path) == []
