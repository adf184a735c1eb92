"""Folders that were indexed by mistake: roots in others, folders that are forgotten, folders of the system."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from helpers.server import write_sound
from soundloom.audio import find
from soundloom.cli import main
from soundloom.errors import LibraryError
from soundloom.library import FileProgress, Library
from soundloom.library.storage.root_registry import RootRegistry


@pytest.fixture
def parent(tmp_path: Path) -> Path:
    for number, name in enumerate(("kid/0.wav", "kid/1.wav", "other/2.wav", "other/deep/3.wav", "4.wav")):
        write_sound(tmp_path / "parent" / name, 300 + 100 * number)
    return tmp_path / "parent"


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library.create(tmp_path / "sounds.loom", "logmel")


def _paths(library: Library) -> list[str]:
    return [root.path for root in library.roots.all()]


def _names(library: Library, parent: Path) -> list[str]:
    return sorted(os.path.relpath(file, parent) for file in library.files())


def _run(*arguments: str) -> str:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    return result.output


def test_a_root_is_replaced_when_the_one_around_it_is_done(library: Library, parent: Path) -> None:
    kid = str(parent / "kid")
    library.add(kid)

    def interrupted(progress: FileProgress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        library.add(parent, progress=interrupted)
    assert _paths(library) == [str(parent), kid]
    library.roots.forget(parent)
    assert _paths(library) == [kid]
    assert _names(library, parent) == ["kid/0.wav", "kid/1.wav"]
    said = _run("index", str(parent), "-l", str(library.folder))
    assert f"{parent} takes the place of {kid}, which lies in it." in said
    [root] = Library.open(library.folder).roots.all()
    assert (root.path, root.files) == (str(parent), 5)


def test_an_absent_root_is_not_replaced(library: Library, parent: Path) -> None:
    kid = parent / "kid"
    library.add(kid)
    kid.rename(parent.with_name("away"))
    report = library.add(parent)
    assert (report.replaced, report.deleted, report.absent) == ({}, 0, [str(kid)])
    parent.with_name("away").rename(kid)
    assert library.add().replaced == {str(kid): str(parent)}
    assert len(library.files()) == 5


def test_a_folder_in_a_root_is_forgotten_until_it_is_named(library: Library, parent: Path) -> None:
    named = ("-l", str(library.folder))
    twin = write_sound(parent.with_name("twin") / "other" / "5.wav", 900)
    library.add([parent, parent.with_name("twin")])
    other = str(parent / "other")
    said = _run("roots", "forget", other, *named)
    assert f"{other} is forgotten: 2 files. It is left out of later runs" in said
    assert other in _run("roots", *named).splitlines()[-1]
    write_sound(parent / "other" / "6.wav", 1000)
    reopened = Library.open(library.folder)
    report = reopened.add(parent)
    assert (report.new, report.unchanged, report.deleted) == (0, 3, 0)
    assert str(twin) in reopened.files()  # a folder of the same name in another root
    reopened.add(parent / "other" / "deep")
    assert reopened.add().new == 0
    assert _paths(reopened) == [str(parent), str(parent / "other" / "deep"), str(twin.parent.parent)]
    assert reopened.add(other).new == 2
    assert reopened.add(parent).replaced == {str(parent / "other" / "deep"): str(parent)}
    assert (reopened.roots.forgotten(), len(reopened.files())) == ([], 7)


def test_a_root_in_a_forgotten_folder_stays_when_the_one_around_is_indexed(library: Library, parent: Path) -> None:
    library.add(parent)
    library.roots.forget(parent / "other")
    library.add(parent / "other" / "deep")
    report = library.add(parent)
    assert (report.excluded, report.deleted, report.absent) == (0, 0, [])
    assert _names(library, parent) == ["4.wav", "kid/0.wav", "kid/1.wav", "other/deep/3.wav"]


def test_what_is_forgotten_moves_with_its_root(library: Library, parent: Path) -> None:
    library.add(parent)
    library.roots.forget(parent / "other" / "deep" / "3.wav")
    moved = parent.with_name("moved")
    parent.rename(moved)
    library.roots.relocate(parent, moved)
    assert library.roots.forgotten() == [str(moved / "other" / "deep" / "3.wav")]
    assert library.add().new == 0
    assert library.roots.forget(moved) == 4
    assert (library.roots.forgotten(), _paths(library)) == ([], [])
    with pytest.raises(LibraryError, match=r"is no root .* nothing was indexed from it"):
        library.roots.forget(moved)


def test_a_removal_that_was_killed_is_finished(library: Library, parent: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library.add(parent)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(RootRegistry, "finish_pending", killed)
    with pytest.raises(KeyboardInterrupt):
        library.roots.forget(parent / "other")
    monkeypatch.undo()
    again = Library.open(library.folder)
    assert again.add().new == 0
    assert (_paths(again), again.roots.forgotten(), len(again.files())) == ([str(parent)], [str(parent / "other")], 3)


def test_folders_of_the_system_are_not_searched(library: Library, parent: Path) -> None:
    (parent / "devices").symlink_to("/dev")
    said = _run("index", str(parent), "-l", str(library.folder))
    assert f"1 folder of the operating system not searched: {str(parent / 'devices')!r}" in said
    assert len(Library.open(library.folder).files()) == 5
    passed: list[str] = []
    assert list(find(["/dev"], on_system_folder=passed.append, other_ending=lambda _: False)) == []
    assert passed != ["/dev"]  # a folder that the caller names is searched
