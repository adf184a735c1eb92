"""Import of annotations into a library: whose they are, what counts once, what is left out and named."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from helpers.marked_recordings import NAMES, marks, recorded_library, sound
from soundloom.annotations import UNMARKED, Annotation, read_annotations, write_annotations
from soundloom.cli import main
from soundloom.errors import FileTableError, QueryError
from soundloom.library import (
    AnnotationFilter,
    Library,
)
from soundloom.library.library_files import ANNOTATIONS_FILE


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return recorded_library(tmp_path)


@pytest.mark.parametrize("ending", [".selections.txt", ".kaleidoscope.csv", ".birdnet.csv", ".csv"])
def test_a_table_that_comes_back_adds_nothing(library: Library, tmp_path: Path, ending: str) -> None:
    path = str(tmp_path / "sounds" / NAMES[0])
    # A sample at 16 kHz, at 44.1 kHz, and a number that nobody writes in full.
    library.annotations.add(Annotation(path, start, start + 0.5, "crow") for start in (3 / 16_000, 1 / 44_100, 1 / 3))
    write_annotations(library.annotations.all(), tmp_path / f"back{ending}")
    report = library.annotations.import_table(tmp_path / f"back{ending}")
    assert (report.added, report.known) == (0, 3)


def test_the_same_call_of_tables_that_say_more_or_less_counts_once(library: Library, tmp_path: Path) -> None:
    path, annotations = str(tmp_path / "sounds" / NAMES[0]), library.annotations
    bare = Annotation(path, 0.25, 0.5, "crow", columns={"note": "far"})
    bounded = Annotation(path, 0.25, 0.5, "crow", low=500.0, high=2000.0, columns={"box": "1"})
    named = Annotation(path, 0.25, 0.5, "crow", annotator="ada", score=0.75)
    assert annotations.add([bare]) == 1
    assert annotations.add([bounded, named]) == 0
    whole = Annotation(
        path, 0.25, 0.5, "crow", 0.75, low=500.0, high=2000.0, annotator="ada", columns={"note": "far", "box": "1"}
    )
    assert annotations.all() == [whole]
    before = (library.folder / ANNOTATIONS_FILE).read_bytes()
    assert annotations.add([named, bounded, bare, whole]) == 0
    assert (library.folder / ANNOTATIONS_FILE).read_bytes() == before
    # What contradicts it is another annotation: another person, other limits, other times.
    others = [
        Annotation(path, 0.25, 0.5, "crow", annotator="eve"),
        Annotation(path, 0.25, 0.5, "crow", low=3000.0, high=4000.0, annotator="zoe"),
        Annotation(path, 0.25, 0.6, "crow"),
    ]
    assert annotations.add(others) == 3
    assert annotations.add([bare, *others]) == 0
    assert len(Library.open(library.folder).annotations.all()) == 4
    assert annotations.remove(AnnotationFilter(annotator="ada")) == 1


def test_label_tracks_in_folders_are_of_the_files_that_they_were_written_for(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder, seed in (("north", 21), ("south", 22)):
        sound(tmp_path / "sounds" / folder / "a.wav", seed)
    library.add(workers=1)
    paths = [str(tmp_path / "sounds" / folder / "a.wav") for folder in ("north", "south")]
    library.annotations.add(Annotation(path, 0.5, 1.0, Path(path).parent.name) for path in paths)
    monkeypatch.chdir(tmp_path)
    write_annotations(library.annotations.all(), "labels")
    for folder in ("north", "south"):
        report = library.annotations.import_table(Path("labels") / folder / "a.wav.txt")
        assert (report.added, report.known, report.elsewhere) == (0, 1, ())


def test_a_path_that_leads_to_another_file_is_not_taken_by_its_name(library: Library, tmp_path: Path) -> None:
    """Two cards of recorders with files of the same names."""
    sound(tmp_path / "cards/B" / NAMES[0], 77)
    (tmp_path / "cards/B" / NAMES[1]).write_bytes((tmp_path / "sounds" / NAMES[1]).read_bytes())
    table = tmp_path / "marks.csv"
    for folder in (tmp_path / "cards/B", Path("cards/B")):
        write_annotations(marks(folder), table)
        report = library.annotations.import_table(table)
        by_name = (NAMES[2], str(tmp_path / "sounds" / NAMES[2])) if folder.is_absolute() else ()
        unknown = (str(tmp_path / "cards/B" / NAMES[0]), *(() if by_name else (f"cards/B/{NAMES[2]}",)))
        assert (report.added, report.elsewhere) == (2 if by_name else 0, unknown)
        assert report.known == (0 if by_name else 1)
        assert all(name in report.said for name in (*by_name, "1 file taken by name alone") if by_name)
    assert [(Path(one.path).name, one.label) for one in library.annotations.all()] == [
        (NAMES[2], "crow"),
        (NAMES[1], "owl"),
    ]


@pytest.mark.parametrize(
    ("name", "lines", "said", "labels"),
    [
        ("marks.csv", ["path,start,end,label", "{0},1,0.5,owl", "{0},0,1,crow", "{0},soon,1,jay", "{0},0,1,a,b"],
         ["1 annotation added", "3 rows left out", "5 cells in line 5", "'soon' in line 4", "line 2: an"],
         ["crow"]),
        ("marks.txt", ["0\t1\tcrow", "x\t1\towl", "\\\t1\t2", "1\t2\tjay", "\\\t500\t400"],
         ["2 annotations added", "2 rows left out", "'x' in line 2", "line 5: the upper limit"], ["crow", "jay"]),
        ("marks.selections.txt", ["Selection\tBegin Time (s)\tEnd Time (s)\tSpecies", "1\t0\t1\tcrow", "2\t\t1\towl"],
         ["1 annotation added", "1 row left out", "no time in line 3"], ["crow"]),
        ("marks.json",
         ['[{{"path": "{0}", "start": 0, "end": 1, "label": "crow"}},', '{{"path": "{0}", "start": 2, "end": 1}}]'],
         ["1 annotation added", "1 row left out", "line 2: an annotation ends"], ["crow"]),
    ],
)  # fmt: skip
def test_rows_that_cannot_be_read_are_left_out_and_named(
    library: Library, tmp_path: Path, name: str, lines: list[str], said: list[str], labels: list[str]
) -> None:
    path, table = str(tmp_path / "sounds" / NAMES[0]), tmp_path / name
    table.write_text("\n".join(lines).format(path) + "\n")
    command = ["annotations", "import", str(table), "-l", str(library.folder), "--sound", path]
    told = CliRunner().invoke(main, command)
    assert told.exit_code == 0
    assert not [one for one in said if one not in told.output]
    assert [one.label for one in library.annotations.all()] == labels
    with pytest.raises(FileTableError, match=r"line [2-5]"):
        read_annotations(table)


def test_a_table_without_a_row_that_can_be_read_is_refused(library: Library, tmp_path: Path) -> None:
    (tmp_path / "marks.csv").write_text("path,start,end\na.wav,2,1\na.wav,,1\n")
    with pytest.raises(FileTableError, match=r"marks\.csv' has a row that cannot be, line 2"):
        library.annotations.import_table(tmp_path / "marks.csv")


def test_files_taken_by_their_names_alone_are_named(library: Library, tmp_path: Path) -> None:
    for number in range(6):
        sound(tmp_path / "sounds" / f"{number}.wav", 40 + number)
    library.add(workers=1)
    table = tmp_path / "table" / "marks.csv"
    table.parent.mkdir()
    names = [f"{number}.wav" for number in range(3)]
    write_annotations([Annotation(name, 0, 1, "owl") for name in (f"Sounds/{NAMES[0]}", *names)], table)
    told = library.annotations.import_table(table).said
    named = ", ".join(f"{name!r} for {str(tmp_path / 'sounds' / name)!r}" for name in names)
    assert told.endswith(f"; 3 files taken by name alone: {named}")
    names = [*(f"{number}.wav" for number in range(6)), NAMES[1]]
    write_annotations([Annotation(name, 0, 1, "crow") for name in names], table)
    told = library.annotations.import_table(table).said
    assert "7 files taken by name alone: '0.wav' for" in told
    assert "'4.wav' for" in told
    assert told.endswith(", and 2 more")


def test_a_copy_is_known_by_its_content_under_any_name_while_the_library_s_files_are_away(
    library: Library, tmp_path: Path
) -> None:
    away = (tmp_path / "sounds").rename(tmp_path / "moved")
    (away / NAMES[0]).rename(away / "renamed.wav")
    sound(away / NAMES[2], 99)
    named = [replace(one, path=str(away / name)) for one, name in
             zip(marks(away), ("renamed.wav", NAMES[1], NAMES[2]), strict=True)]  # fmt: skip
    write_annotations(named, tmp_path / "marks.csv")
    report = library.annotations.import_table(tmp_path / "marks.csv")
    assert (report.added, report.elsewhere) == (2, (str(away / NAMES[2]),))
    assert [Path(one.path).name for one in library.annotations.all()] == [NAMES[0], NAMES[1]]


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ("{}.selections.txt", "Selection\tBegin Time (s)\tEnd Time (s)\tLabel\n1\t1\t1.5\tcrow\n2\t1.5\t9\towl\n"),
        ("{}.txt", "1\t1.5\tcrow\n1.5\t9\towl\n"),
        ("{}.csv", "path,start,end,label\n{},1,1.5,crow\n{},1.5,9,owl\n"),
    ],
    ids=["raven", "audacity", "csv"],
)
def test_regions_beyond_the_end_of_a_file_are_named(library: Library, tmp_path: Path, table: str, text: str) -> None:
    file = tmp_path / "sounds" / table.format(NAMES[0].removesuffix(".wav"))
    file.write_text(text.replace("{}", NAMES[0]))
    said = CliRunner().invoke(main, ["annotations", "import", str(file), "-l", str(library.folder)])
    assert "2 annotations added" in said.stdout
    assert f"{NAMES[0]}: 1 region beyond its end at 2 s ('owl' at 1.5 to 9 s cut)" in said.stderr


def test_an_annotation_beyond_the_end_of_its_file_is_refused(library: Library, tmp_path: Path) -> None:
    path = str(tmp_path / "sounds" / NAMES[0])
    wanted = [Annotation(path, 0, 2.05, "fits"), Annotation(path, 1.5, 9, "owl")]
    with pytest.raises(QueryError, match=rf"{NAMES[0]}' lasts 2 s, and the region 'owl' at 1\.5 to 9 s reaches beyond"):
        library.annotations.add(wanted)
    assert library.annotations.add(wanted[:1]) == 1


def test_an_import_names_the_first_files_with_regions_beyond_their_ends(library: Library, tmp_path: Path) -> None:
    for number in range(5):
        sound(tmp_path / "sounds" / f"{number}.wav", 50 + number)
    library.add(workers=1)
    table = tmp_path / "many.csv"
    table.write_text("path,start,end,label\n" + "".join(f"{number}.wav,5,6,owl\n" for number in range(5)))
    said = library.annotations.import_table(table).said
    assert said.count("beyond its end") == 3
    assert said.endswith("; and 2 files more")


def test_an_import_counts_copies_and_what_nobody_has_marked(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sounds/copy.wav").write_bytes((tmp_path / "sounds" / NAMES[0]).read_bytes())
    library.add(workers=1)
    regions = [
        *(Annotation(str(tmp_path / "sounds" / name), 0.5, 1.0, "crow") for name in (NAMES[0], "copy.wav", NAMES[1])),
        Annotation(str(tmp_path / "sounds" / NAMES[0]), 1.0, 1.5, UNMARKED),
    ]
    write_annotations(regions, tmp_path / "marks.csv")
    monkeypatch.chdir(tmp_path)
    for known in ("2 annotations added", "0 annotations added, 2 known already"):
        told = CliRunner().invoke(main, ["annotations", "import", "marks.csv", "-l", "sounds.loom"])
        assert told.stdout == f"{known}, 1 more on copies of the same content\n"
        assert "1 region left out that nobody has marked yet (?)" in told.stderr
    assert len(library.annotations.all()) == 3
    told = CliRunner().invoke(main, ["annotations", "counts", "--of", "marks.csv", "-l", "sounds.loom", "--json"])
    assert sum(map(sum, json.loads(told.stdout)["sites"].values())) == 2
