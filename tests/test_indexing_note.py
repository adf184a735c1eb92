"""A library that is not indexed to the end: every command, Python and the server say so, until indexing has gone on."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import soundfile
from click.testing import CliRunner, Result
from filelock import FileLock

from helpers.library_factory import clustered, filled
from helpers.server import served
from soundloom import Library
from soundloom.cli import main
from soundloom.library import FileProgress, TagTable, library_merge
from soundloom.library.storage.indexing_note import IndexingNote
from soundloom.library.storage.store import Store

INTERRUPTED = r"not indexed to the end: it was interrupted at \d{4}-\d\d-\d\d \d\d:\d\d UTC, 4 files left; to go on: "


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    folder = tmp_path / "sounds"
    folder.mkdir()
    for number in range(6):
        noise = np.random.default_rng(number).uniform(-0.5, 0.5, 8000)
        soundfile.write(folder / f"{number}.wav", noise, 8000)
    return folder


def interrupt(after: int) -> Callable[[FileProgress], None]:
    def stop(progress: FileProgress) -> None:
        if progress.done == after:
            raise KeyboardInterrupt

    return stop


@pytest.fixture
def library(tmp_path: Path, sounds: Path) -> Library:
    """A library of which two files of six are indexed."""
    library = Library.create(tmp_path / "l.loom", "logmel")
    with pytest.raises(KeyboardInterrupt):
        library.add(sounds, workers=1, progress=interrupt(2))
    return library


def test_every_command_and_python_say_what_is_left(library: Library, tmp_path: Path) -> None:
    there = library.folder
    assert library.totals()[0] == 2
    first = library.notices()[0]
    assert (first.path, first.code, first.text) == (str(there), "unfinished", library.unfinished())
    assert re.search(INTERRUPTED + f"soundloom index -l {there}$", first.text)
    assert first.text in repr(library)
    for arguments in (
        ("search", "-l", there),
        ("search", "0", "--names", "-l", there),
        ("tag", "--examples", "--tag", "a", "--yes", tmp_path / "sounds" / "0.wav", "-l", there),
        ("duplicates", "-l", there),
        ("tags", "-o", tmp_path / "tags.csv", "-l", there),
        ("export", there, tmp_path / "all.npz"),
        ("export", "-l", there, "-o", tmp_path / "all.csv"),
    ):
        assert run(*arguments).stderr.count(first.text) == 1, arguments
    shown = run("info", there)
    assert shown.output.count(first.text) == 1
    assert json.loads(run("info", there, "--json").stdout)["notices"][0]["text"] == first.text


def test_going_on_takes_the_note_away(library: Library) -> None:
    assert "not indexed" not in run("index", "-l", library.folder).output
    assert library.unfinished() == ""
    assert library.notices() == []
    assert not (library.folder / "indexing.json").exists()
    assert "indexed" not in run("search", "-l", library.folder).stderr
    assert re.search(r"indexing +done\n", run("info", library.folder).output)


def test_an_upgrade_takes_the_note_away(library: Library) -> None:
    library.upgrade("mfcc")
    assert (len(library.files()), library.unfinished()) == (6, "")


@pytest.mark.parametrize("content", ["", "{", "[1]", '[{"roots": 1}]', '[{"since": ""}]'])
def test_a_damaged_note_stops_no_search(library: Library, content: str) -> None:
    (library.folder / "indexing.json").write_text(content)
    assert library.unfinished() == ""
    assert library.search(library.files()[0], 1)
    library.add()
    assert not (library.folder / "indexing.json").exists()


def test_while_another_process_indexes_that_is_said(library: Library) -> None:
    with FileLock(library.folder / "add.lock"):
        assert library.unfinished() == "the library is being indexed now, 4 files left"


def test_indexing_another_folder_leaves_the_note(library: Library, tmp_path: Path, sounds: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (sounds / "5.wav").rename(other / "a.wav")
    library.add(other)
    assert "4 files left" in library.unfinished()
    library.roots.forget(str(sounds))
    assert library.unfinished() == "", "no root of it is the library's any more"


def test_an_interrupted_merge_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = {"one": ["/s/a.wav"], "two": ["/t/b.wav", "/t/c.wav", "/t/d.wav"], "three": ["/u/e.wav"]}
    one, two, three = (
        filled(tmp_path / f"{name}.loom", paths, clustered(5, 1)[: len(paths)]) for name, paths in names.items()
    )
    monkeypatch.setattr(library_merge, "_FILES", 1)
    append, done = Store.append, 0

    def interrupted(self: Store, rows: pa.Table) -> None:
        nonlocal done
        done += 1
        if done == 2:
            raise KeyboardInterrupt
        append(self, rows)

    monkeypatch.setattr(Store, "append", interrupted)
    merge = f"soundloom merge {two.folder} {three.folder} -l {one.folder}"
    with pytest.raises(KeyboardInterrupt):
        library_merge.merge_libraries(one.folder, two.folder, following=[three.folder])
    said = one.unfinished()
    assert re.match(
        r"the library is not merged to the end: that was begun or interrupted at 20.* UTC, 2 files left; ", said
    )
    assert f"; to go on: {merge}; to leave it so: delete {one.folder / 'indexing.json'}" in said
    assert run("search", "-l", one.folder).stderr.count(said) == 1
    assert "indexing  the library is not merged" in run("info", one.folder).output
    with FileLock(one.folder / "add.lock"):
        assert one.unfinished() == "the library is being merged now, 2 files left"
    monkeypatch.setattr(library_merge, "_take_over_tags", lambda *_: pytest.fail("a stop after the rows"))
    with pytest.raises(pytest.fail.Exception):
        library_merge.merge_libraries(one.folder, two.folder, following=[three.folder])
    assert merge in one.unfinished()
    monkeypatch.undo()
    library_merge.merge_libraries(one.folder, two.folder, following=[three.folder])
    assert f"soundloom merge {three.folder} -l {one.folder}" in one.unfinished()
    assert run("merge", two.folder, three.folder, "-l", one.folder).exit_code == 0
    assert (one.unfinished(), len(Library.open(one.folder).files())) == ("", 5)


def test_indexing_leaves_the_note_of_a_merge(library: Library) -> None:
    note = IndexingNote(library.folder, merging=["/away.loom"])
    note.begin()
    assert "not indexed to the end" in library.unfinished()
    assert "soundloom merge /away.loom" in library.unfinished()
    library.add()
    assert library.unfinished().startswith("the library is not merged to the end")
    note.end()
    assert library.unfinished() == ""


def test_a_table_of_tags_is_to_be_given_again(tmp_path: Path, sounds: Path) -> None:
    (tmp_path / "tags.csv").write_text("path,tags\n0.wav,dog\n")
    library = Library.create(tmp_path / "l.loom", "logmel")
    with pytest.raises(KeyboardInterrupt):
        library.add(sounds, tags=TagTable(tmp_path / "tags.csv"), workers=1, progress=interrupt(1))
    assert library.unfinished().endswith("(give --tags to it once more)")


def test_a_killed_process_leaves_how_many_were_not_committed(tmp_path: Path, sounds: Path) -> None:
    library = Library.create(tmp_path / "l.loom", "logmel")
    script = f"""
import time
from soundloom import Library
from soundloom.library.indexing import file_rows
file_rows.FLUSH_ROWS = 2
library = Library.open({str(library.folder)!r})
library.add({str(sounds)!r}, workers=1, progress=lambda one: one.done == 5 and time.sleep(60))
"""
    process = subprocess.Popen([sys.executable, "-c", script])
    deadline = time.monotonic() + 60
    while "2 files left" not in library.unfinished() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert library.unfinished() == "the library is being indexed now, 2 files left"
    process.kill()
    process.wait()
    assert re.search(INTERRUPTED.replace("4 files", "2 files"), library.unfinished())
    assert library.add(sounds).new == 2


def test_the_server_says_so(library: Library, tmp_path: Path) -> None:
    library.index()
    with served(library, tmp_path / "cache") as client:
        assert re.search(INTERRUPTED, client.get("/api/v1/library").json()["unfinished"])
        assert client.get("/api/v1/notices").json()["notices"] == []
        library.add()
        assert client.get("/api/v1/library").json()["unfinished"] == ""
