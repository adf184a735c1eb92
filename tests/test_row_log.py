"""The log of changes of a search index: equal to an index built anew, whatever happened and in whichever process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from soundloom.errors import CacheDamagedError
from soundloom.library.row_log.change_log import CHANGES
from soundloom.library.row_log.merged_order import MergedOrder
from soundloom.library.row_log.stored_rows import sorted_rows
from soundloom.library.row_log.table_fragments import deleted_row_ids, read_fragments
from soundloom.library.search.search_index import SearchIndex
from soundloom.library.search.vector_index import index_extension
from soundloom.library.storage.store import Store
from soundloom.library.storage.table_schema import FileState, segment_rows

PARTS = {"left": slice(0, 6), "right": slice(6, 16)}
COLUMNS = ["path", "start", "end", "tags", "_rowid", "_content"]


def vector(number: int) -> np.ndarray:
    return np.random.default_rng(number).normal(size=(2, 16)).astype(np.float32)


def rows_of(number: int, copy: int = 0) -> pa.Table:
    state = FileState(f"/{number:04d}.wav", 1, 0, f"hash-{number // 3}-{copy}")
    return segment_rows(state, [0.0, 1.0], [1.0, 2.0], vector(number + 1000 * copy), [["t"]] * 2)


@pytest.mark.parametrize("seed", range(20))
def test_places_in_an_order_are_those_of_the_order(seed: int) -> None:
    rng = np.random.default_rng(seed)
    count = int(rng.integers(0, 12))
    removed = np.sort(rng.choice(count, rng.integers(0, count + 1), replace=False)).astype(np.int64)
    before = np.sort(rng.integers(0, count + 1, rng.integers(0, 6))).astype(np.int64)
    expected = [
        slot
        for place in range(count + 1)
        for slot in [*(count + np.flatnonzero(before == place)), *([place] if place < count else [])]
        if slot not in removed
    ]
    order = MergedOrder(count, removed, before)
    assert len(order) == len(expected)
    rows = np.arange(len(expected))
    assert order.slots(rows).tolist() == expected
    assert order.rows(np.array(expected, np.int64)).tolist() == rows.tolist()
    assert (order.rows(removed) == -1).all()
    assert order.merged(np.arange(count), count + np.arange(len(before))).tolist() == expected


def same_as_anew(index: SearchIndex, store: Store) -> None:
    """The rows are those of the store, one by one too, and every row has its vector."""
    expected = sorted_rows(store)
    assert index.rows.select(COLUMNS).equals(expected.select(COLUMNS).combine_chunks())
    rng = np.random.default_rng(0)
    some = rng.permutation(len(index))[:20]
    assert index._rows.at(some, COLUMNS).to_pylist() == expected.take(some).select(COLUMNS).to_pylist()
    row_ids = expected["_rowid"].to_numpy()
    assert np.array_equal(index.positions(row_ids), np.arange(len(index)))
    assert not len(index.positions(np.array([2**60], np.uint64)))
    paths = expected["path"].to_pylist()
    for path in {paths[row] for row in some}:
        assert index.rows_of_file(path).tolist() == [row for row, name in enumerate(paths) if name == path]
    assert not len(index.rows_of_file("/nowhere.wav"))
    for segment in index.segments.at(some[:4]):
        assert index.segments.find(segment.id) == segment
    digests = store.sorted_rows(["hash"])["hash"].to_pylist()
    some_digest = digests[int(some[0])]
    found = set(index.stored_ids("hash", [some_digest]).tolist())
    assert found == {row_ids[row] for row, digest in enumerate(digests) if digest == some_digest}
    where, raw = (np.concatenate(some) for some in zip(*index.stored_embeddings(), strict=True))
    np.testing.assert_array_equal(np.sort(where), np.arange(len(index)))
    for row, embedding in list(zip(where, raw, strict=True))[::20]:
        found_rows = index.search(embedding, 1, {"left": 1, "right": 1})
        assert found_rows.similarity[0] > 0.999
        assert index.cosines(embedding[None], np.array([row]))["left"][0, 0] > 0.999


def steps(store: Store, rng: np.random.Generator) -> list[Callable[[], None]]:
    """What may happen to a library."""
    files = store.files()
    present, absent = sorted(files), [number for number in range(120) if f"/{number:04d}.wav" not in files]

    def add() -> None:
        store.append(pa.concat_tables(rows_of(number) for number in rng.choice(absent, min(5, len(absent)), False)))

    def remove() -> None:
        store.remove([str(path) for path in rng.choice(present, 3, False)])

    def tag() -> None:
        store.write_tags({(str(path), 1.0): [f"new-{rng.integers(9)}"] for path in rng.choice(present, 4, False)})

    def replace() -> None:
        path = str(rng.choice(present))
        store.replace(rows_of(int(path[1:5]), copy=int(rng.integers(1, 5))), [path])

    return [*([add] if absent else []), remove, tag, tag, replace, store.compact]


@pytest.mark.parametrize("kind", ["exact", "cells", "lists"])
def test_the_log_follows_whatever_happens_in_two_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    rng = np.random.default_rng(7)
    stores = [Store(tmp_path / "store", 16) for _ in range(2)]
    stores[0].append(pa.concat_tables(rows_of(number) for number in range(0, 120, 2)))
    limits = {"exact_bytes": None if kind == "exact" else 0, "large_bytes": 0 if kind == "lists" else None}
    # Few rows: the table is written anew, and the index built anew, several times.
    monkeypatch.setattr(index_extension, "_FEWEST_LOGGED", 14)
    monkeypatch.setattr(index_extension, "_SHARE_LOGGED", 10**9)
    monkeypatch.setattr(index_extension, "_SHARE_FOLLOWED", 4)
    indexes: list[SearchIndex | None] = [None, None]
    kept = 0
    for _ in range(14):
        one = int(rng.integers(2))
        for _ in range(rng.integers(1, 3)):
            choices = steps(stores[one], rng)
            choices[rng.integers(len(choices))]()
        earlier = indexes[one]
        assert SearchIndex.open(tmp_path / "index", stores[one], earlier=earlier) is None
        if rng.integers(3) == 0 and (tmp_path / "index").exists():
            # A process that was killed while it wrote the log.
            (tmp_path / "index" / f"{CHANGES}.writing").write_bytes(b"PK")
        SearchIndex.build(tmp_path / "index", stores[one], PARTS, earlier=earlier, **limits)
        for number, store in enumerate(stores):
            opened = SearchIndex.open(tmp_path / "index", store, earlier=indexes[number])
            assert opened is not None
            kept += indexes[number] is not None and opened.base is indexes[number].base
            same_as_anew(opened, store)
            indexes[number] = opened
    assert kept > (4 if kind == "exact" else 10)


def test_a_damaged_log_is_noticed(tmp_path: Path) -> None:
    store = Store(tmp_path / "store", 16)
    store.append(pa.concat_tables(rows_of(number) for number in range(30)))
    SearchIndex.build(tmp_path / "index", store, PARTS)
    store.write_tags({("/0002.wav", 0.0): ["new"]})
    SearchIndex.build(tmp_path / "index", store, PARTS)
    file = tmp_path / "index" / CHANGES
    content = file.read_bytes()
    for place in range(0, len(content), 499):
        file.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(CacheDamagedError, match=r"changes\.npz"):
            SearchIndex.open(tmp_path / "index", store)
    for cut in (0, 3, len(content) - 1):
        file.write_bytes(content[:cut])
        with pytest.raises(CacheDamagedError, match=r"changes\.npz"):
            SearchIndex.open(tmp_path / "index", store)
    file.write_bytes(content)
    assert SearchIndex.open(tmp_path / "index", store) is not None


def test_fragments_are_read_from_the_manifest(tmp_path: Path) -> None:
    store = Store(tmp_path / "store", 16)
    store.append(pa.concat_tables(rows_of(number) for number in range(10)))
    store.append(rows_of(20))
    store.remove(["/0001.wav"])
    fragments = read_fragments(store.folder / "segments.lance", store.version)
    assert fragments is not None
    assert [(one.rows, one.deleted) for one in fragments.values()] == [(20, 2), (2, 0)]
    first = next(iter(fragments))
    deleted = deleted_row_ids(store.folder / "segments.lance", first, fragments[first])
    assert deleted is not None
    there = store.row_ids(0, 2**63)
    assert sorted({*deleted.tolist(), *there.tolist()}) == [first * 2**32 + place for place in range(20)] + [
        (first + 1) * 2**32 + place for place in range(2)
    ]
    assert read_fragments(store.folder / "segments.lance", 10**6) is None


def test_tags_go_to_the_segments_also_where_other_rows_have_their_row_ids(tmp_path: Path) -> None:
    store = Store(tmp_path / "store", 16)
    store.append(pa.concat_tables(rows_of(number) for number in range(10)))
    row_ids = store.rows_by_id(store.row_ids(0, 2**32), ["path"])["_rowid"].to_pylist()
    store.write_tags({("/0003.wav", 0.0): ["right"]}, [row_ids[6]])
    store.write_tags({("/0004.wav", 0.0): ["right"]}, [row_ids[0]])
    tagged = {path for path, tags in store.tags(sorted(store.files())).items() if "right" in tags[0.0]}
    assert tagged == {"/0003.wav", "/0004.wav"}
