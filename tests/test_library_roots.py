"""A library knows where its sounds came from: it is brought up to date without naming the folders again."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from helpers.server import API, served, write_sound
from soundloom.cli.index import command
from soundloom.errors import LibraryError
from soundloom.library import Library
from soundloom.library.indexing.roots import outermost, parents_of


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    for name in ("a/one.wav", "a/deep/two.wav", "b/three.wav"):
        write_sound(tmp_path / "sounds" / name, 300)
    return tmp_path / "sounds"


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library.create(tmp_path / "sounds.loom", "logmel")


def test_only_the_outermost_are_kept() -> None:
    named = ["/s/birds", "/s/birds of prey", "/s/birds/owls", "/s/birds-2/x.wav", "/t", "/s/birds"]
    assert outermost(map(Path, named)) == [
        Path("/s/birds"), Path("/s/birds of prey"), Path("/s/birds-2/x.wav"), Path("/t"),
    ]  # fmt: skip
    assert outermost([Path("/"), Path("/s")]) == [Path("/")]
    assert parents_of(["/s/a/1.wav", "/s/a/b/2.wav", "/s/c/3.wav"]) == [Path("/s/a"), Path("/s/c")]
    assert parents_of([]) == []


def test_a_new_folder_beside_the_others_is_found(library: Library, sounds: Path) -> None:
    library.add(sounds / "a")
    library.add(sounds)
    assert library.roots() == Library.open(library.folder).roots()
    assert [root.path for root in library.roots()] == [str(sounds)]
    write_sound(sounds / "new" / "four.wav", 400)
    report = library.add()
    assert (report.new, report.unchanged, report.absent) == (1, 3, [])


def test_what_is_not_there_is_told_and_kept(library: Library, sounds: Path) -> None:
    library.add([sounds / "a", sounds / "b"])
    (sounds / "b").rename(sounds / "elsewhere")
    report = library.add()
    assert (report.absent, report.deleted, report.unchanged) == ([str(sounds / "b")], 0, 2)
    assert len(library.files()) == 3
    (sounds / "a").rename(sounds / "gone")
    with pytest.raises(LibraryError, match=r"none of the folders of .* is there \(.*a, .*b\): name the folders"):
        library.add()


def test_a_library_without_the_list_looks_where_its_files_lie(library: Library, sounds: Path) -> None:
    library.add(sounds)
    (library.folder / "roots.json").unlink()
    assert [Path(root) for root in library.roots()] == [sounds / "a", sounds / "b"]
    assert library.add().unchanged == 3
    with pytest.raises(LibraryError, match="none is remembered"):
        Library.create(sounds.parent / "empty.loom", "logmel").add()


@pytest.mark.parametrize("text", ["", "[]", '{"roots": 3}', '{"roots": [3]}'])
def test_a_damaged_list_is_told(library: Library, sounds: Path, text: str) -> None:
    (library.folder / "roots.json").write_text(text)
    with pytest.raises(LibraryError, match=r"the list of folders .* is damaged"):
        library.add(sounds)


def test_the_command_needs_no_folder_again(sounds: Path, tmp_path: Path) -> None:
    folder = str(tmp_path / "l.loom")
    nothing = CliRunner().invoke(command, ["-l", folder])
    assert nothing.exit_code == 2
    assert "there is no library" in nothing.output
    assert (
        CliRunner().invoke(command, [str(sounds / "a"), str(sounds / "b"), "-l", folder, "-m", "logmel"]).exit_code == 0
    )
    write_sound(sounds / "b" / "four.wav", 400)
    (sounds / "a").rename(sounds / "gone")
    again = CliRunner().invoke(command, ["-l", folder])
    assert again.exit_code == 0, again.output
    assert "1 new, 1 unchanged" in again.stdout
    assert f"absent, kept as it was: {sounds / 'a'}. If it has moved: soundloom roots relocate" in again.stderr
    told = CliRunner().invoke(command, ["-l", folder, "--json"])
    assert json.loads(told.stdout)["absent"] == [str(sounds / "a")]


def test_the_page_looks_through_the_folders_that_were_indexed(library: Library, sounds: Path, tmp_path: Path) -> None:
    library.add(sounds)
    write_sound(sounds / "new" / "four.wav", 400)
    with served(library, tmp_path / "cache") as client:
        job = client.post(f"{API}/index", json={}).json()["job"]
        while (told := client.get(f"{API}/jobs/{job}").json())["state"] == "running":
            time.sleep(0.02)
    assert told["message"].startswith("1 new, 0 changed, 0 moved, 0 deleted, 3 unchanged")
