"""Searching while files are being added: from a whole index, built now and then, and exactly afterwards."""

from __future__ import annotations

import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from helpers.library_factory import append, clustered, filled
from soundloom.library import Hit, Library
from soundloom.library.search import index_cache
from soundloom.library.search.search_index import SearchIndex

EMBEDDINGS = clustered(30, 2)


def paths(first: int, stop: int) -> list[str]:
    return [f"/s/{number:02d}.wav" for number in range(first, stop)]


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return filled(tmp_path / "l.loom", paths(0, 30), EMBEDDINGS[:30], tags={"/s/03.wav": ["dog"]})


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The versions that an index was built of."""
    versions: list[int] = []
    build = SearchIndex.build.__func__

    def counted(cls: type[SearchIndex], *args: object, **kwargs: object) -> SearchIndex:
        index: SearchIndex = build(cls, *args, **kwargs)
        versions.append(index.version)
        return index

    monkeypatch.setattr(SearchIndex, "build", classmethod(counted))
    return versions


def search(library: Library, where: str | None = None) -> list[Hit]:
    return library.search_embedding(EMBEDDINGS[3] + 0.1, 20, weights={"left": 2}, where=where)


def grow(library: Library, number: int) -> None:
    append(library._store, paths(number, number + 1), EMBEDDINGS[number : number + 1])


def test_the_index_rests_while_files_are_added_and_is_whole_afterwards(
    library: Library, built: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = search(library)
    assert len(built) == 1
    monkeypatch.setattr(index_cache, "_REST", 1e9)
    with FileLock(library.folder / "add.lock"):
        monkeypatch.setattr(library._index_cache, "_rest_until", 0.0)
        grow(library, 30)
        search(library)
        assert len(built) == 2
        for number in range(31, 50):
            grow(library, number)
            search(library)
            assert len(search(library, "path < '/s/40.wav'")) == 20
        assert len(built) == 2
        known = library.index().browse()[0]
        assert [segment.path for segment in known] == paths(0, 31)
        # A filter sees what is indexed, whatever the numbers of rows have become; in other SQL, what is still there.
        library._store.remove(["/s/04.wav"])
        library._store.compact()
        assert [segment.path for segment in library.index().browse("path < '/s/05.wav'")[0]] == paths(0, 5)
        assert library.index().browse("length(path) > 0 AND path < '/s/05.wav'") == ([], 0)
        monkeypatch.setattr(library._index_cache, "_rest_until", 0.0)
        assert [segment.path for segment in library.index().browse("path < '/s/05.wav'")[0]] == [*paths(0, 4)]
        assert len(built) == 3
        append(library._store, ["/s/04.wav"], EMBEDDINGS[4:5])
    after = search(library)
    assert len(built) == 4
    assert after != before
    fresh = filled(library.folder.with_name("fresh.loom"), paths(0, 50), EMBEDDINGS[:50], tags={"/s/03.wav": ["dog"]})
    assert after == search(fresh)
    assert np.array_equal(library.index().vectors, fresh.index().vectors)


def test_nobody_waits_for_an_index_that_another_builds(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    before = search(library)
    monkeypatch.setattr(library._index_cache, "_rest_until", 0.0)
    with FileLock(library.folder / "add.lock"), FileLock(library.folder / "index.lock"):
        grow(library, 30)
        assert search(library) == before


def test_another_library_object_sees_the_same(library: Library) -> None:
    with FileLock(library.folder / "add.lock"):
        search(library)
        grow(library, 30)
        other = Library.open(library.folder)
        assert len(other.index().browse()[0]) == 31
        assert search(other) == search(Library.open(library.folder))


def test_searching_does_not_keep_anybody_from_adding(library: Library, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    search(library)
    library._library_model._model = type("Model", (), {"min_samples": 1, "sample_rate": 16000})()

    stop = threading.Event()
    versions: list[int] = []

    def ask() -> None:
        for number in itertools.count():
            append(library._store, [f"/t/{number}.wav"], EMBEDDINGS[:1])
            versions.append(library.index().version)
            if stop.is_set():
                break

    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(ask)
        try:
            end = time.monotonic() + 60
            added = 0
            while (added < 10 or len(versions) < 10) and time.monotonic() < end:
                # Fails if a search holds the lock for longer than adding waits for it.
                assert library.add(tmp_path / "empty").failed == []
                added += 1
        finally:
            stop.set()
        asking.result()
    assert added >= 10
    assert len(versions) >= 10
    assert versions == sorted(versions)
