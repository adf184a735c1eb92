"""Appending to a file so that it holds all of what was appended or nothing of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from soundloom.atomic_file import append_durably


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
