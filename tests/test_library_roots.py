"""A library knows where its sounds came from: it is brought up to date without naming the folders again."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from helpers.server import API, served, write_sound
from soundloom.cli import main
from soundloom.cli.index import command
from soundloom.errors import LibraryError
from soundloom.library import FileProgress, Library
from soundloom.library.storage.root_paths import outermost, parents_of
from soundloom.library.storage.root_registry import RootRegistry
from soundloom.library.storage.store import Store


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
    assert outermost(named) == ["/s/birds", "/s/birds of prey", "/s/birds-2/x.wav", "/t"]
    assert outermost(["/", "/s"]) == ["/"]
    assert parents_of(["/s/a/1.wav", "/s/a/b/2.wav", "/s/c/3.wav"]) == ["/s/a", "/s/c"]
    assert parents_of([]) == []


def test_a_new_folder_beside_the_others_is_found(library: Library, sounds: Path) -> None:
    library.add(sounds / "a")
    library.add(sounds)
    assert library.roots.all() == Library.open(library.folder).roots.all()
    assert [root.path for root in library.roots.all()] == [str(sounds)]
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
    assert [Path(root) for root in library.roots.all()] == [sounds / "a", sounds / "b"]
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
    assert f"absent, kept as it was: {sounds / 'a'}. If it has moved: soundloom roots -l " in again.stderr
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


# Roots that move, are absent or are partly missing


@pytest.fixture
def drive(tmp_path: Path) -> Path:
    for number in range(12):
        write_sound(tmp_path / "drive" / f"{number % 3}" / f"{number}.wav", 200 + 50 * number)
    return tmp_path / "drive"


@pytest.mark.parametrize("old", ["gone", "an empty mount point"])
def test_a_folder_that_is_mounted_elsewhere_is_relocated(library: Library, drive: Path, old: str) -> None:
    library.add(drive)
    library.tags.add("kept", [drive / "0" / "0.wav"])
    before = library.rows(["embedding", "tags", "start"]).to_pylist()
    elsewhere = drive.with_name("elsewhere")
    drive.rename(elsewhere)
    if old != "gone":
        drive.mkdir()
        report = library.add()
        assert (report.absent, report.deleted) == ([str(drive)], 0)
    report = library.add(elsewhere)
    assert (report.relocated, report.moved, report.segments) == ({str(drive): str(elsewhere)}, 12, 0)
    assert library.rows(["embedding", "tags", "start"]).to_pylist() == before
    assert [(root.path, root.files, root.absent) for root in library.roots.all()] == [(str(elsewhere), 12, False)]
    assert library.add().unchanged == 12


def test_a_moved_folder_that_was_changed_and_put_below_another(library: Library, drive: Path, tmp_path: Path) -> None:
    library.add(drive)
    parent = tmp_path / "parent"
    parent.mkdir()
    drive.rename(parent / "inner")
    (parent / "inner" / "0" / "0.wav").unlink()
    write_sound(parent / "inner" / "1" / "1.wav", 5000)
    report = library.add(parent)
    assert (report.relocated, report.changed, report.new) == ({str(drive): str(parent / "inner")}, 1, 0)
    assert [root.path for root in library.roots.all()] == [str(parent)]


def test_a_moved_folder_in_which_names_were_swapped_leaves_nothing_behind(library: Library, drive: Path) -> None:
    library.add(drive)
    elsewhere = drive.rename(drive.with_name("elsewhere"))
    for one, other in (("0/0.wav", "0/3.wav"), ("1/1.wav", "1/4.wav"), ("2/2.wav", "2/5.wav")):
        aside = (elsewhere / one).rename(elsewhere / "aside")
        (elsewhere / other).rename(elsewhere / one)
        aside.rename(elsewhere / other)
    for number in (6, 9):
        write_sound(elsewhere / f"{number % 3}" / f"{number}.wav", 5000 + number)
    report = library.add(elsewhere)
    assert (report.relocated, report.changed, report.new) == ({str(drive): str(elsewhere)}, 2, 0)
    assert all(path.startswith(str(elsewhere)) for path in library.files())


def test_a_file_of_a_moved_folder_is_counted_once(library: Library, drive: Path) -> None:
    (drive / "broken.wav").write_bytes(b"RIFF nothing")
    library.add(drive)
    moved = drive.with_name("moved")
    (drive / "0" / "0.wav").rename(drive / "spare")
    (drive / "1" / "1.wav").rename(drive / "0" / "0.wav")
    (drive / "spare").rename(drive / "1" / "1.wav")
    write_sound(drive / "2" / "2.wav", 3000)
    drive.rename(moved)
    report = library.add(moved)
    assert report.relocated == {str(drive): str(moved)}
    assert (report.moved, report.changed, report.new, report.unchanged, report.touched) == (11, 1, 0, 0, 0)
    assert report.failed_before == [str(moved / "broken.wav")]


def test_files_that_a_pattern_leaves_out_are_not_missing(library: Library, drive: Path) -> None:
    for number in range(12, 30):
        write_sound(drive / "3" / f"{number}.wav", 200 + 50 * number)
    library.add(drive)
    for number in (12, 13):
        (drive / "3" / f"{number}.wav").unlink()
    report = library.add(drive, exclude=["[01]/"])
    assert (report.excluded, report.deleted, report.missing, report.unchanged) == (8, 2, 0, 20)


def test_a_copy_is_no_move_while_the_original_is_there(library: Library, drive: Path) -> None:
    library.add(drive)
    copy = drive.with_name("copy")
    shutil.copytree(drive, copy)
    report = library.add(copy)
    assert (report.relocated, report.new, report.copied, report.segments) == ({}, 12, 12, 0)
    assert len(library.files()) == 24
    # Nor is a small part of it, when the original is unplugged.
    drive.rename(drive.with_name("unplugged"))
    part = drive.with_name("part")
    shutil.copytree(copy / "0", part)
    report = library.add(part)
    assert (report.new, report.moved) == (4, 0)
    assert len(library.files()) == 28


def test_hits_of_an_absent_root_are_marked(library: Library, drive: Path) -> None:
    library.add(drive)
    drive.rename(drive.with_name("unplugged"))
    query = drive.with_name("unplugged") / "0" / "0.wav"
    hits = library.search(query, 3)
    assert [hit.absent for hit in hits] == [True] * 3
    assert [segment.absent for segment in library.index().browse(shown=slice(2))[0]] == [True, True]
    searched = CliRunner().invoke(main, ["search", str(query), "-l", str(library.folder)])
    assert searched.stdout.count("(absent)") == 10
    assert json.loads(CliRunner().invoke(main, ["search", str(query), "-l", str(library.folder), "--json"]).stdout)[0][
        "absent"
    ]
    drive.with_name("unplugged").rename(drive)
    assert not any(hit.absent for hit in library.search(drive / "0" / "0.wav", 3))


def test_more_than_a_tenth_of_a_root_is_kept_until_pruned(library: Library, drive: Path, tmp_path: Path) -> None:
    for number in range(40):
        write_sound(tmp_path / "other" / f"{number}.wav", 3000 + 20 * number)
    library.add([drive, tmp_path / "other"])
    for number in range(2):  # of 12, while the library has 52 files
        (drive / f"{number}" / f"{number}.wav").unlink()
    (tmp_path / "other" / "0.wav").unlink()
    report = library.add()
    assert (report.deleted, report.missing) == (1, 2)
    assert report.missing_seconds == pytest.approx(1.2)
    shown = CliRunner().invoke(main, ["index", "-l", str(library.folder)])
    assert "missing: 2 files (1.2 s), more than a tenth" in shown.stderr
    assert "--prune" in shown.stderr
    assert [root.missing for root in library.roots.all()] == [2, 0]
    report = library.add(prune=True)
    assert (report.deleted, report.missing, len(library.files())) == (2, 0, 49)


def test_many_short_files_beside_a_long_one_are_more_than_a_tenth(library: Library, tmp_path: Path) -> None:
    folder = tmp_path / "mixed"
    write_sound(folder / "long.wav", 200000)
    for number in range(3):
        write_sound(folder / f"{number}.wav", 3000 + 20 * number)
    library.add(folder)
    held = len(library.files())
    for number in range(3):  # of four files, and a few hundredths of their seconds
        (folder / f"{number}.wav").unlink()
    report = library.add(folder)
    assert (report.deleted, report.missing, len(library.files())) == (0, 3, held)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root reads every folder")
def test_what_cannot_be_read_is_not_missing(library: Library, drive: Path) -> None:
    library.add(drive)
    (drive / "0").chmod(0)
    try:
        report = library.add(prune=True)
    finally:
        (drive / "0").chmod(0o755)
    assert (report.deleted, len(library.files())) == (0, 12)


def test_a_folder_that_cannot_be_listed_hides_nothing(
    library: Library, drive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.add(drive)
    scan = os.scandir

    def failing(path: str) -> object:
        if str(path) == str(drive / "0"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", failing)
    report = library.add(drive, prune=True)
    assert (report.deleted, report.missing, len(library.files())) == (0, 0, 12)


def test_roots_are_listed_relocated_and_forgotten(library: Library, drive: Path, tmp_path: Path) -> None:
    def run(*arguments: str) -> str:
        result = CliRunner().invoke(main, ["roots", "-l", str(library.folder), *arguments])
        assert result.exit_code == 0, result.output
        return result.stdout

    assert run() == "no sounds are indexed yet\n"
    write_sound(tmp_path / "single.wav", 900)
    (drive / "empty.wav").touch()
    library.add([drive, tmp_path / "single.wav"])
    elsewhere = tmp_path / "elsewhere"
    drive.rename(elsewhere)
    [first, second] = run().splitlines()
    assert first.split()[:3] == ["absent", "12", "files"]
    assert second.split()[:3] == ["present", "1", "files"]
    assert first.endswith(str(drive))
    assert json.loads(run("--json"))[0]["absent"] is True
    info = CliRunner().invoke(main, ["info", "-l", str(library.folder)]).stdout
    assert first in info
    assert f"{drive} is now {elsewhere}" in run("relocate", str(drive), str(elsewhere))
    report = Library.open(library.folder).add()
    assert (report.unchanged, report.failed_before) == (13, [str(elsewhere / "empty.wav")])
    assert "12 files" in run("forget", str(elsewhere))
    assert Library.open(library.folder).files() == [str(tmp_path / "single.wav")]
    assert Library.open(library.folder).failures() == []
    refused = CliRunner().invoke(main, ["roots", "-l", str(library.folder), "forget", "/nowhere"])
    assert refused.exit_code == 1
    assert "'/nowhere' is no root" in refused.output


def test_a_root_is_relocated_only_to_where_its_files_are(library: Library, drive: Path) -> None:
    library.add(drive)
    empty, wrong, partly = (drive.with_name(name) for name in ("empty", "wrong", "partly"))
    empty.mkdir()
    write_sound(wrong / "another.wav", 700)
    for elsewhere in (empty, wrong):
        with pytest.raises(LibraryError, match=r"none of its 12 files is there, such as .*0\.wav"):
            library.roots.relocate(drive, elsewhere)
    assert [root.path for root in library.roots.all()] == [str(drive)]
    shutil.copytree(drive, partly)
    (partly / "0" / "0.wav").unlink()
    said = CliRunner().invoke(main, ["roots", "-l", str(library.folder), "relocate", str(drive), str(partly)]).stdout
    assert f"not at {partly}, and kept: 1 file. If gone for good: soundloom index" in said


def test_what_is_known_of_files_moves_with_them(library: Library, drive: Path) -> None:
    table = drive.with_name("sites.csv")
    table.write_text("filename,site\n0.wav,hill\n")
    library.add(drive)
    library.add_columns(table)
    before = library.facets(["site", "sample_rate"])
    assert before.counts
    elsewhere = drive.with_name("elsewhere")
    drive.rename(elsewhere)
    library.roots.relocate(drive, elsewhere)
    assert library.facets(["site", "sample_rate"]).counts == before.counts


def test_relocating_over_rows_that_are_there_already(library: Library, drive: Path) -> None:
    """Both places were indexed, the old one is gone: the double rows and the dead path go."""
    library.add(drive)
    copy = drive.with_name("copy")
    shutil.copytree(drive, copy)
    library.add(copy)
    library.tags.add("kept", [drive / "0" / "0.wav"])
    shutil.rmtree(drive)
    root = library.roots.relocate(drive, copy)
    assert (root.path, root.files, len(library.files())) == (str(copy), 12, 12)
    assert library.tags.counts() == {"kept": 1}
    for old, new in ((drive, copy.with_name("none")), (copy.with_name("never"), copy), (copy, copy / "0")):
        with pytest.raises(LibraryError):
            library.roots.relocate(old, new)


@pytest.mark.parametrize("step", ["rename_folder", "_write"])
def test_a_relocation_that_was_killed_is_finished(
    library: Library, drive: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    library.add(drive)
    elsewhere = drive.with_name("elsewhere")
    drive.rename(elsewhere)
    calls = []

    def killed(*arguments: object) -> None:
        calls.append(arguments)
        if step == "rename_folder" or len(calls) == 2:
            raise KeyboardInterrupt
        write(*arguments)

    write = RootRegistry._write
    monkeypatch.setattr(*((Store, step) if step == "rename_folder" else (RootRegistry, step)), killed)
    with pytest.raises(KeyboardInterrupt):
        library.roots.relocate(drive, elsewhere)
    monkeypatch.undo()
    again = Library.open(library.folder)
    report = again.add(elsewhere)
    assert (report.unchanged, report.segments, len(again.files())) == (12, 0, 12)
    assert [root.path for root in again.roots.all()] == [str(elsewhere)]


def test_a_shortened_or_changed_list_is_noticed(library: Library, drive: Path) -> None:
    library.add(drive)
    file = library.folder / "roots.json"
    whole = file.read_text()
    for text in (whole[: len(whole) // 2], whole.replace("drive", "drove"), ""):
        file.write_text(text)
        for act in (library.add, library.roots.all):
            with pytest.raises(LibraryError, match=r"the list of folders .* is damaged"):
                act()
        assert library.search(drive / "0" / "0.wav", 1)
    file.write_text(json.dumps({"roots": [str(drive)]}))  # as earlier versions wrote it
    assert library.add().unchanged == 12


def test_a_library_that_is_moved_while_it_is_filled_ends_in_an_error(library: Library, drive: Path) -> None:
    library.add(drive / "0")
    moved = library.folder.with_name("moved.loom")

    def move(reached: FileProgress) -> None:
        if reached.done == 3:
            library.folder.rename(moved)

    with pytest.raises(LibraryError, match="is no longer there: it was moved or deleted while it was in use"):
        library.add(drive, progress=move, workers=1)
    assert not library.folder.exists()
    there = Library.open(moved)
    assert len(there.files()) == 4
    assert there.add(drive).new == 8
