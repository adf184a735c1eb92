"""A long file whose indexing was killed: what was embedded is not embedded again, and the rows are the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

import soundloom
from soundloom.library import Library
from soundloom.library.indexing import file_rows
from soundloom.library.library_files import UNFINISHED_FOLDER
from soundloom.row_journal import RowJournal


def test_indexing_goes_on_within_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_rows, "_LONG_BYTES", 0)
    sound = tmp_path / "night.wav"
    soundfile.write(sound, np.random.default_rng(0).normal(0, 0.1, 20 * 16_000), 16_000)
    model = soundloom.load("mfcc")
    whole = Library.create(tmp_path / "whole.loom", model, window=1.0)
    whole.add(sound, workers=1)
    assert not (whole.folder / UNFINISHED_FOLDER).exists()
    embed, calls = model.embed_samples, 0

    def killed_after_18(samples: np.ndarray) -> np.ndarray:
        nonlocal calls
        calls += 1
        if calls == 19:
            raise KeyboardInterrupt
        return embed(samples)

    monkeypatch.setattr(model, "embed_samples", killed_after_18)
    library = Library.create(tmp_path / "killed.loom", model, window=1.0)
    with pytest.raises(KeyboardInterrupt):
        library.add(sound, workers=1)
    assert len(library) == 0
    (journal,) = (library.folder / UNFINISHED_FOLDER).iterdir()
    journal.write_bytes(journal.read_bytes()[:-3])  # a row that was written in part
    calls = 100
    library.add(sound, workers=1)
    assert calls == 100 + 20 - 17
    assert not (library.folder / UNFINISHED_FOLDER).exists()
    found, expected = (
        np.array(one.rows(["embedding"])["embedding"].to_pylist(), np.float32) for one in (library, whole)
    )
    np.testing.assert_array_equal(found, expected)


def test_a_journal_of_something_else_is_begun_anew(tmp_path: Path) -> None:
    rows = np.arange(6, dtype=np.float32).reshape(3, 2)
    with RowJournal(tmp_path, {"of": "a"}, 2) as journal:
        journal.append(rows)
    with RowJournal(tmp_path, {"of": "a"}, 2) as journal:
        np.testing.assert_array_equal(journal.done, rows)
    with RowJournal(tmp_path, {"of": "b"}, 2) as journal:
        assert len(journal.done) == 0
    with RowJournal(None, {"of": "a"}, 2) as journal:
        journal.append(rows)
        assert len(journal.done) == 0


def test_processes_that_compute_the_same_rows_at_once_keep_them_once(tmp_path: Path) -> None:
    rows = np.arange(12, dtype=np.float32).reshape(6, 2)
    with RowJournal(tmp_path, {"of": "a"}, 2) as one, RowJournal(tmp_path, {"of": "a"}, 2) as other:
        for row in rows:
            one.append(row[None])
            other.append(row[None])
    with RowJournal(tmp_path, {"of": "a"}, 2) as journal:
        np.testing.assert_array_equal(journal.done, rows)
