"""Rows that come and go beside cells, codes and lists: searches as if each row were compared, by one scaling."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from helpers.exact_search import finds_the_best_rows
from helpers.library_factory import PARTS as COLUMNS
from helpers.library_factory import append, clustered, filled
from soundloom.errors import CacheDamagedError
from soundloom.library import Library
from soundloom.library.row_log.change_log import CHANGES
from soundloom.library.search.search_index import SearchIndex
from soundloom.library.search.vector_index import index_builder, index_extension, row_vectors
from soundloom.library.storage.store import Store
from soundloom.library.storage.table_schema import FileState, segment_rows

PARTS = {name: slice(*columns) for name, columns in COLUMNS.items()}
WEIGHTS = [({"left": 1, "right": 1}, 0.995), ({"left": 0, "right": 2}, 0.995), ({"left": 3, "right": -1}, 0.85)]
"""With the recall that an index without changes has of these vectors."""
VECTORS = clustered(40, 80, spread=0.1, seed=3) * np.logspace(-2, 2, 16, dtype=np.float32) - 30
BUILT = 3000
"""Of the vectors; the others are added."""


@pytest.fixture(params=["cells", "codes", "neither", "lists"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How every library is searched, however small it is."""
    monkeypatch.setattr(index_builder, "EXACT_BYTES", 0)
    if request.param == "lists":
        monkeypatch.setattr(index_builder, "LARGE_BYTES", 0)
    if request.param in ("codes", "neither"):
        monkeypatch.setattr(index_builder, "build_cells", lambda *_: None)
    if request.param == "neither":
        monkeypatch.setattr(index_builder, "build_codes", lambda *_: None)
    return str(request.param)


def path(number: int) -> str:
    return f"/{number * 7919 % 10000:05d}.wav"  # vectors of a cluster are no neighbours in the order of paths


def rows(numbers: range | list[int], offset: int = 0) -> pa.Table:
    return pa.concat_tables(
        segment_rows(FileState(path(number), 1, 0, f"{number}-{offset}"), [0.0], [1.0], vectors[None], [["t"]])
        for number, vectors in zip(numbers, VECTORS[[number + offset for number in numbers]], strict=True)
    )


@pytest.fixture
def store(tmp_path: Path, kind: str) -> Store:
    store = Store(tmp_path / "store", 16)
    store.append(rows(range(BUILT)))
    return store


def opened(store: Store, earlier: SearchIndex | None = None) -> SearchIndex:
    """The index of the store as it is."""
    folder = store.folder.parent / "index"
    index = SearchIndex.open(folder, store, earlier=earlier)
    return index or SearchIndex.build(folder, store, PARTS, earlier=earlier)


def finds_the_best(index: SearchIndex, store: Store, near: list[int]) -> None:
    """For sounds like some vectors and others, what is found is what comparing every row finds."""
    queries = VECTORS[[*near, *range(0, BUILT, 211)]] + 0.01 * VECTORS.std(0)
    finds_the_best_rows(index, store, queries, WEIGHTS)


def test_changes_in_turn_are_found_as_if_every_row_were_compared(store: Store, kind: str) -> None:
    first = opened(store)
    used = [first.has_cells, first.has_codes, first.has_lists]
    assert used == [kind == "cells", kind in ("cells", "codes"), kind == "lists"]
    reader = first
    added = [*range(BUILT, BUILT + 40)]

    def add_rows() -> None:
        store.append(rows(added))

    def remove_some_of_both() -> None:
        store.remove([path(number) for number in [*range(30), *range(BUILT, BUILT + 10)]])

    def add_others() -> None:
        store.append(rows([*range(BUILT + 40, BUILT + 60), *range(5)]))

    def tag_old_and_new() -> None:
        store.write_tags({(path(number), 0.0): ["new"] for number in (50, BUILT + 20)})

    def change_contents() -> None:
        for number in (60, BUILT + 21):
            store.replace(rows([number], offset=-50), [path(number)])

    for change in (add_rows, remove_some_of_both, tag_old_and_new, add_others, change_contents, store.compact):
        change()
        index = opened(store, first)
        assert index.base is first.base, f"built anew by {change.__name__}"
        near = [3, 20, 55, 60, BUILT + 5, BUILT + 21, BUILT + 45]
        finds_the_best(index, store, near)
        reader = opened(Store(store.folder, 16), reader)  # of another process, which writes nothing
        assert reader.base is first.base
        anew = opened(store)
        for one in (reader, anew):
            assert one.rows.equals(index.rows)
            assert np.array_equal(one.vectors, index.vectors)
    tagged = [path(number) for number in (50, BUILT + 20)]
    assert sorted(set(np.array(index.rows["path"])[index.mask("array_has(tags, 'new')")])) == sorted(tagged)
    some = index.segments.at([index.rows_of_file(path(number))[0] for number in (50, 60, BUILT + 20, BUILT + 21)])
    restored, stored = index.restored_embeddings(some), index.embeddings(some)
    assert restored.keys() == stored.keys()
    for key, embedding in stored.items():
        np.testing.assert_allclose(restored[key], embedding, rtol=1e-4, atol=1e-4)


def test_removed_rows_crowd_out_no_others(tmp_path: Path, kind: str) -> None:
    """A folder with 112 takes of one sound is deleted: a search for that sound finds its other neighbours."""
    takes = [path(number) for number in range(112)]
    vectors = VECTORS[:BUILT].copy()
    noise = np.random.default_rng(0).normal(size=(len(takes), 16))
    vectors[: len(takes)] = VECTORS[200] + 0.001 * VECTORS.std(0) * noise
    store = Store(tmp_path / "store", 16)
    append(store, [path(number) for number in range(BUILT)], vectors)
    first = opened(store)
    store.remove(takes)
    index = opened(store, first)
    assert index.base is first.base
    finds_the_best_rows(index, store, VECTORS[[200] * 3] + 0.01 * VECTORS.std(0), WEIGHTS[:2])


def test_all_vectors_are_copied_once_in_their_precision(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    first = opened(store)
    store.append(rows([BUILT]))
    index = opened(store, first)
    monkeypatch.setattr(row_vectors, "_BATCH", 100)
    tracemalloc.start()
    vectors = index.vectors
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert vectors.dtype == first.vectors.dtype
    assert most < 1.3 * vectors.nbytes
    assert np.array_equal(vectors, index._vectors.at(np.arange(len(index))))


def test_when_one_row_in_twenty_came_or_went_the_index_is_built_anew(store: Store, kind: str) -> None:
    first = opened(store)
    store.append(rows(range(BUILT, BUILT + 90)))
    store.remove([path(number) for number in range(60)])
    second = opened(store, first)
    assert second.base is first.base
    assert second.standardisation is first.standardisation
    store.append(rows([BUILT + 90]))
    third = opened(store, second)
    assert (third.base is first.base) == (kind == "lists")  # a gigabyte of vectors
    if kind != "lists":
        raw = np.stack(store.sorted_rows(["embedding"])["embedding"].to_numpy())
        np.testing.assert_allclose(third.standardisation.mean, raw.mean(axis=0, dtype=np.float64))
    finds_the_best(third, store, [100, BUILT + 80])


def test_the_log_is_missed_where_rows_would_be(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The table is written anew, with rows added to it in the log: this must not be lost unnoticed."""
    monkeypatch.setattr(index_extension, "_FEWEST_LOGGED", 20)
    first = opened(store)
    store.append(rows([BUILT]))
    store.write_tags({(path(number), 0.0): ["new"] for number in range(30)})
    index = opened(store, first)
    assert index.base is not first.base
    assert np.array_equal(index.standardisation.mean, first.standardisation.mean)
    finds_the_best(index, store, [3, BUILT])
    (store.folder.parent / "index" / CHANGES).unlink()
    with pytest.raises(CacheDamagedError, match=r"changes\.npz.* is missing"):
        SearchIndex.open(store.folder.parent / "index", store)
    finds_the_best(SearchIndex.build(store.folder.parent / "index", store, PARTS), store, [3, BUILT])


def test_a_replica_shows_what_came_and_went(tmp_path: Path, kind: str) -> None:
    first = [path(number) for number in range(BUILT)]
    library = filled(tmp_path / "l.loom", first, VECTORS[:BUILT])
    library.index()

    def copied() -> None:
        shutil.copytree(library.folder, tmp_path / "replica.loom", dirs_exist_ok=True)

    copied()
    replica = Library.open(tmp_path / "replica.loom")
    assert replica.search_embedding(VECTORS[BUILT], 1)[0].path in first
    base = replica.index().base
    append(library._store, [path(BUILT)], VECTORS[BUILT : BUILT + 1])
    assert library.search_embedding(VECTORS[BUILT], 1)[0].path == path(BUILT)
    library.tags.add("new", [path(BUILT)])
    copied()
    hit = replica.search_embedding(VECTORS[BUILT], 1)[0]
    assert (hit.path, hit.tags, hit.similarity) == (path(BUILT), ("new",), pytest.approx(1, abs=1e-3))
    assert np.array_equal(replica.index().base.standardisation.mean, base.standardisation.mean)
    # A copy that ended before it had the log.
    library._store.remove([path(BUILT)])
    library.index()
    shutil.copytree(library.folder / "store", replica.folder / "store", dirs_exist_ok=True)
    (replica.folder / "index" / CHANGES).unlink()
    assert replica.search_embedding(VECTORS[BUILT], 1)[0].path in first


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["cells", "lists"])
def test_processes_that_are_killed_while_they_change_a_library_leave_it_whole(tmp_path: Path, kind: str) -> None:
    script = Path(__file__).with_name("helpers") / "killed_changes.py"
    command = [sys.executable, str(script), str(tmp_path / "l.loom"), kind, "4"]
    environment = {**os.environ, "PYTHONPATH": str(script.parents[1])}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    result = json.loads(done.stdout)
    assert result["fault"] == "", done.stderr
    assert result["logs"] > result["kills"] // 4
