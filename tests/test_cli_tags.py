"""The command ``soundloom tags``, and lists of files, on a library of made-up embeddings over tiny sounds."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner, Result

from helpers.library_factory import clustered, filled
from soundloom.cli import main
from soundloom.errors import FileTableError, LibraryError, QueryError
from soundloom.file_lists import ListedFile, read_file_list
from soundloom.library import Library, LibraryQuery, RowFilter

NAMES = ("birds/owl", "birds/robin", "city/bus", "city/dog barking")


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Library:
    """Four files of three seconds, a segment each second; the first is tagged crow in its first second."""
    monkeypatch.chdir(tmp_path)
    for name in NAMES:
        path = tmp_path / f"{name}.wav"
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, np.zeros(24), 8)
    library = filled(tmp_path / "l.loom", [f"{tmp_path}/{name}.wav" for name in NAMES], clustered(4, 3), segments=3)
    library.tags.add("crow", [(f"{tmp_path}/birds/owl.wav", 0.0, 1.0)])
    return library


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["tags", *map(str, arguments)])


def counts(library: Library) -> dict[str, int]:
    return Library.open(library.folder).tags.counts()


def test_a_folder_of_the_library_is_named_from_anywhere(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = library.folder.parent / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert "6 segments have the tag 'found' now" in run("add", "found", "birds", "-l", "../l.loom").stdout
    assert "no sound of that name" in run("add", "found", "bird.wav", "-l", "../l.loom").stderr


def test_tags_are_listed_with_how_often_they_are_given(library: Library) -> None:
    library.tags.add("rain", ["city/bus.wav"])
    shown = run("-l", "l.loom")
    assert shown.stdout.splitlines() == ["segments  tag", "       3  rain", "       1  crow"]
    assert json.loads(run("-l", "l.loom", "--json").stdout) == {"rain": 3, "crow": 1}
    library.tags.delete("rain")
    library.tags.delete("crow")
    assert "no sound has a tag yet" in run("-l", "l.loom").stdout


@pytest.mark.parametrize(
    ("sounds", "segments"),
    [
        (["birds/owl.wav"], 3),
        (["owl.wav", "bus.wav@0-2"], 5),
        (["birds"], 6),
        (["--text", "dogs"], 3),
        (["--folder", "city", "--text", "bus"], 3),
        (["--tag", "crow"], 1),
        (["--where", "start < 1"], 4),
        (["--longer", "0:02"], 12),
    ],
)
def test_sounds_are_tagged_by_name_region_folder_text_and_filter(
    library: Library, sounds: list[str], segments: int
) -> None:
    done = run("add", "new", *sounds, "-l", "l.loom")
    assert done.exit_code == 0, done.stderr
    assert done.stdout == f"{segments} segment{' has' if segments == 1 else 's have'} the tag 'new' now.\n"
    assert counts(library) == {"new": segments, "crow": 1} or counts(library) == {"crow": 1, "new": segments}
    assert "already" in run("add", "new", *sounds, "-l", "l.loom").stdout
    assert run("remove", "new", *sounds, "-l", "l.loom").exit_code == 0
    assert counts(library) == {"crow": 1}


def test_hits_of_a_search_are_tagged_by_its_table(library: Library) -> None:
    assert CliRunner().invoke(main, ["search", "--tag", "crow", "-l", "l.loom", "-o", "hits.csv"]).exit_code == 0
    assert run("add", "keeper", "--files", "hits.csv", "-l", "l.loom").exit_code == 0
    assert counts(library) == {"crow": 1, "keeper": 1}
    Path("list.txt").write_text("birds/owl.wav\ncity/dog barking.wav\n")
    assert run("add", "listed", "--files", "list.txt", "-l", "l.loom").exit_code == 0
    assert counts(library)["listed"] == 6
    done = CliRunner().invoke(main, ["tags", "add", "piped", "--files", "-", "-l", "l.loom"], input="city/bus.wav\n")
    assert done.exit_code == 0, done.stderr
    assert counts(library)["piped"] == 3


@pytest.mark.parametrize("form", ["csv", "json", "m3u8", "selections.txt", "parquet", "names"])
def test_standard_input_is_known_by_what_it_holds(library: Library, form: str) -> None:
    if form == "names":
        Path("a.names").write_text("path\nbirds/owl.wav\n")
    elif form == "json":
        shown = CliRunner().invoke(main, ["search", "--tag", "crow", "--every-segment", "-l", "l.loom", "--json"])
        Path("a.json").write_text(shown.stdout)
    else:
        search = ["search", "--tag", "crow", "--every-segment", "-l", "l.loom", "-o", f"a.{form}"]
        assert CliRunner().invoke(main, search).exit_code == 0
    content = Path(f"a.{form}").read_bytes()
    for source, given in (("-", content), ("list", b"")):
        Path("list").write_bytes(content)
        arguments = ["tags", "add", f"new {source}", "--files", source, "-l", "l.loom"]
        done = CliRunner().invoke(main, arguments, input=given)
        assert done.exit_code == 0, done.stderr
        assert counts(library)[f"new {source}"] == (3 if form == "names" else 1)


@pytest.mark.parametrize(
    "out",
    ["a.csv", "a.json", "a.parquet", "a.m3u8", "a.selections.txt", "a.birdnet.csv", "a.hoplite.csv",
     "a.kaleidoscope.csv", "owl.txt", "labels"],
)  # fmt: skip
def test_all_that_a_search_writes_is_read_with_its_regions(
    library: Library, monkeypatch: pytest.MonkeyPatch, out: str
) -> None:
    if "." not in out:
        library.tags.add("crow", [(str(Path("city/bus.wav").resolve()), 1.0, 2.0)])
    searched = CliRunner().invoke(main, ["search", "--tag", "crow", "--every-segment", "-l", "l.loom", "-o", out])
    assert searched.exit_code == 0, searched.stderr
    (library.folder.parent / "elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    done = run("add", "keeper", "--files", f"../{out}", "-l", "../l.loom")
    assert done.exit_code == 0, done.stderr
    assert counts(library)["keeper"] == counts(library)["crow"]


def test_lists_name_regions_and_sounds_of_the_library(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    Path("list.txt").write_text("owl.wav@1-2\nBUS.WAV\n../city/dog barking.wav@0:00-0:01\n")
    done = run("add", "listed", "--files", "list.txt", "-l", "../l.loom")
    assert done.exit_code == 0, done.stderr
    assert counts(library)["listed"] == 5
    Path("missing.txt").write_text("no such.wav\n")
    none = run("add", "other", "--files", "missing.txt", "-l", "../l.loom")
    assert (none.exit_code, "no file of the list is in the library" in none.stderr) == (1, True)
    Path("missing.txt").write_text("no such.wav\nowl.wav@1-2\n")
    rest = run("add", "other", "--files", "missing.txt", "-l", "../l.loom")
    assert (rest.exit_code, counts(library)["other"]) == (0, 1), rest.stderr
    assert "1 file of the list left out, for not being in the library:\n  no such.wav\n" in rest.stderr


def test_a_tag_that_differs_in_case_alone_is_another_one_and_is_named(library: Library) -> None:
    library.tags.add("Crow", ["city/bus.wav"])
    ask = run("remove", "CROW", "--everywhere", "-l", "l.loom")
    assert (ask.exit_code, "is written 'Crow' and 'crow' here: name one of them" in ask.stderr) == (1, True)
    removed = run("remove", "crow", "bus.wav", "-l", "l.loom")  # has it in that spelling alone
    assert removed.stdout == "3 segments no longer have the tag 'Crow'.\n"
    assert counts(library) == {"crow": 1}
    library.tags.add("Crow", ["city/bus.wav"])
    left = run("remove", "crow", "--everywhere", "-l", "l.loom")
    assert "the tag 'Crow' is another one, and still given: name it to take it away" in left.stderr
    assert counts(library) == {"Crow": 3}


def test_a_tag_is_renamed_and_removed_everywhere(library: Library) -> None:
    library.tags.add("corvid", ["city/bus.wav", (str(Path("birds/owl.wav").resolve()), 0.0, 2.0)])
    merged = run("rename", "crow", "corvid", "-l", "l.loom")  # one segment has both
    assert "which 5 segments had before: the two are one now" in merged.stdout
    assert counts(library) == {"corvid": 5}
    renamed = library.tags.rename("corvid", "carrion crow")
    assert counts(library) == {"carrion crow": 5}
    renamed.revert()
    assert counts(library) == {"corvid": 5}
    assert run("remove", "corvid", "--everywhere", "-l", "l.loom").exit_code == 0
    assert counts(library) == {}


def test_mistakes_name_the_remedy(library: Library) -> None:
    assert "say which sounds" in run("add", "x", "-l", "l.loom").stderr
    assert "not both" in run("add", "x", "owl.wav", "--text", "owl", "-l", "l.loom").stderr
    assert "did you mean 'crow'?" in run("rename", "crwo", "y", "-l", "l.loom").stderr
    assert "cannot be a tag" in run("add", "a,b", "owl.wav", "-l", "l.loom").stderr
    assert "end it in .csv" in run("-l", "l.loom", "-o", "tags.pdf").stderr
    with pytest.raises(LibraryError, match="is called so already"):
        library.tags.rename("crow", " crow ")
    with pytest.raises(QueryError, match=r"has the tag 'zebra' \(it has 1 tag\)"):
        library.tags.delete("zebra")
    with pytest.raises(QueryError, match="select by text"):
        library.select(LibraryQuery(words=("rain",)))


def test_tags_are_written_for_other_programs(library: Library) -> None:
    assert run("-l", "l.loom", "-o", "tags.csv").exit_code == 0
    with open("tags.csv", newline="", encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert (row["start"], row["end"], row["label"]) == ("0.0", "1.0", "crow")
    assert run("-l", "l.loom", "-o", "tags.selections.txt").exit_code == 0
    assert "\tcrow\t" in Path("tags.selections.txt").read_text()


def test_what_is_selected_is_files_and_the_segments_of_others(library: Library) -> None:
    assert library.select("robin") == [str(Path("birds/robin.wav").resolve())]
    (segment,) = library.select(LibraryQuery(filter=RowFilter(tags=("crow",))))
    assert not isinstance(segment, str)
    assert library.select("zebra") == []


def test_lists_of_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "beside.wav").touch()
    (tmp_path / "here.wav").touch()
    monkeypatch.chdir(tmp_path)
    here, beside = ListedFile(f"{tmp_path}/here.wav"), ListedFile(f"{tmp_path}/lists/beside.wav")
    for name, text in (
        ("a.txt", b"here.wav\n\nbeside.wav\n"),
        ("remarks.txt", b"# found in June\nhere.wav\nbeside.wav\n"),
        ("b", b"here.wav\0beside.wav\0"),
        ("bracket", b"[x] gone.wav@0-\nhere.wav\nbeside.wav\n"),
        ("c.m3u8", b"#EXTM3U\r\n#EXTINF:1,x\r\nhere.wav\r\nbeside.wav\r\n"),
        ("d.csv", b"file;note\nhere.wav;1\nbeside.wav;2\n"),
    ):
        (tmp_path / "lists" / name).write_bytes(text)
        assert read_file_list(tmp_path / "lists" / name)[-2:] == [here, beside]
    (tmp_path / "regions.csv").write_text("path,start,end\nhere.wav,1,2.5\n")
    assert read_file_list("regions.csv") == [ListedFile(here.path, (1.0, 2.5))]
    (tmp_path / "wrong.csv").write_text("path,start,end\nhere.wav,soon,2.5\n")
    (tmp_path / "empty.csv").write_text("path,start,end\n")
    (tmp_path / "broken.json").write_text('[{"path": "here.wav", ')
    (tmp_path / "page.html").write_text("<!doctype html>")
    (tmp_path / "sound.wav").write_bytes(b"RIFF\x24\x08\0\0WAVEfmt \x10\0\0\0")
    for name, message in (
        ("wrong.csv", "'soon' in line 2, column 'start'"),
        ("none.txt", "cannot be read"),
        ("empty.csv", "names no file"),
        ("broken.json", "is not JSON"),
        ("sound.wav", "is no list of files: give paths in lines"),
        ("page.html", "is a page to look at: write a table, such as .csv, instead"),
    ):
        with pytest.raises(FileTableError, match=message):
            read_file_list(name)
