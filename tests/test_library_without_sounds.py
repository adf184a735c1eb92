"""A library of folders without sounds: its roots are there, and nothing is drawn or compared."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from soundloom.cli import main
from soundloom.library import Library


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library.create(tmp_path / "sounds.loom", "logmel")


def test_a_folder_that_never_held_a_sound_is_present(library: Library, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    library.add(empty)
    assert [root.absent for root in library.roots.all()] == [False]
    assert library.roots.absent() == ()
    empty.rmdir()
    assert [root.absent for root in library.roots.all()] == [True]
    assert library.roots.absent() == (str(empty),)


@pytest.mark.parametrize("command", ["map", "clusters", "duplicates", "distances"])
def test_nothing_is_drawn_or_compared_of_a_library_without_sounds(
    library: Library, tmp_path: Path, command: str
) -> None:
    out = tmp_path / ("out.png" if command == "map" else "out.csv")
    result = CliRunner().invoke(main, [command, "-l", str(library.folder), "-o", str(out)])
    assert (result.exit_code, out.exists()) == (1, False)
    assert "holds no sounds: add some with soundloom index" in result.output
