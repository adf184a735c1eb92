"""Tags of a few segments, written without touching the others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from soundloom.library.storage.store import Store
from soundloom.library.storage.table_schema import FileState, segment_rows


@pytest.mark.parametrize("tags", [["one"], ["it's", 'a "b"', "c;d", "naïve\n"], []])
def test_tags_of_a_few_segments_are_written_without_reading_every_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tags: list[str]
) -> None:
    stores = [Store(tmp_path / name, 4) for name in ("a few", "merged")]
    for store, few in zip(stores, (64, 0), strict=True):
        monkeypatch.setattr("soundloom.library.storage.store._FEW", few)
        for name in ("/a.wav", "/b'c.wav"):
            state = FileState(name, 1, 0, "")
            store.append(
                segment_rows(state, [0.0, 0.1, 1e-7], [1.0, 1.1, 2.0], np.ones((3, 4), np.float32), [["before"]] * 3)
            )
        version = store.version
        store.write_tags({("/a.wav", 0.1): tags, ("/b'c.wav", 1e-7): tags, ("/gone.wav", 0.0): tags})
        assert store.version == version + 1
    tables = [pa.Table.from_batches(store.scan(["path", "start", "tags", "embedding"])) for store in stores]
    few, merged = (table.sort_by([("path", "ascending"), ("start", "ascending")]).to_pylist() for table in tables)
    assert few == merged
    assert [row["tags"] for row in few] == [["before"], ["before"], tags, ["before"], tags, ["before"]]


def test_tags_of_a_few_segments_are_not_merged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path, 4)
    store.append(segment_rows(FileState("/a.wav", 1, 0, ""), [0.0], [1.0], np.ones((1, 4), np.float32), [[]]))
    monkeypatch.setattr(type(store._segments), "merge_insert", None)
    store.write_tags({("/a.wav", 0.0): ["x"]})
