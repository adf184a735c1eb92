"""Writing of files so that they are whole or as they were: replaced at once, or appended to."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from soundloom.atomic_file import append_durably, replacing


def test_a_file_is_as_it_was_until_the_new_one_is_whole(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("old")
    with pytest.raises(KeyError), replacing(file) as fresh:
        fresh.write_text({}["text"])
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [("file", "old")]
    with replacing(file) as fresh:
        fresh.write_text("new")
        assert file.read_text() == "old"
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [("file", "new")]


def test_processes_that_write_one_file_do_not_meet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    with replacing(file, shared=True) as mine:
        mine.write_text("mine")
        monkeypatch.setattr(os, "getpid", lambda: 0)
        with replacing(file, shared=True) as another:
            another.write_text("another's")
        assert file.read_text() == "another's"
    assert file.read_text() == "mine"


def test_what_a_killed_writer_left_is_cut_off(tmp_path: Path) -> None:
    log = tmp_path / "log"
    append_durably(log, b"one\n", after=0)
    log.write_bytes(b"one\nha")
    append_durably(log, b"two\n", after=4)
    assert log.read_bytes() == b"one\ntwo\n"


def test_a_disk_that_is_full_leaves_what_was_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"one\n")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        append_durably(log, b"two\n", after=4)
    assert log.read_bytes() == b"one\n"
