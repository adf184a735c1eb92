"""Damage to the store of a library: every damaged, missing or lost file is found, and nothing is built from it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from helpers.damaged_library import DAMAGES, PATHS, VECTORS, flip, library_to_damage, search
from helpers.library_factory import append
from soundloom.errors import LibraryDamagedError
from soundloom.library import Library
from soundloom.library.storage.store import store_damages
from soundloom.library.storage.table_schema import Failure


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return library_to_damage(tmp_path / "l.loom")


def store_files(library: Library) -> list[Path]:
    return sorted(path for path in (library.folder / "store").rglob("*") if path.is_file())


@pytest.mark.parametrize("damage", DAMAGES)
def test_every_damage_of_the_store_is_found(library: Library, damage: str) -> None:
    library._store.remove(PATHS[:3])
    library._store.write_tags({(PATHS[5], 0.0): ["x"]})
    search(library)
    assert store_damages(library.folder / "store") == []
    for file in store_files(library):
        intact, times = file.read_bytes(), file.stat()
        DAMAGES[damage](file)
        if file.exists():
            os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
        try:
            found = [one.path for one in store_damages(library.folder / "store")]
            assert str(file) in found or file.name == "latest_version_hint.json", file
        finally:
            file.write_bytes(intact)
            os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert store_damages(library.folder / "store") == []


@pytest.mark.parametrize("damage", ["emptied", "deleted"])
def test_a_full_disk_that_emptied_the_number_of_the_latest_version_costs_nothing(library: Library, damage: str) -> None:
    hints = list((library.folder / "store").rglob("latest_version_hint.json"))
    assert hints
    for hint in hints:
        DAMAGES[damage](hint)
    again = Library.open(library.folder)
    assert len(search(again)) == 30
    again.tags.add("cat", [PATHS[6]])
    assert [hit.path for hit in search(again, "array_has(tags, 'cat')")] == [PATHS[6]]


def test_a_damaged_table_of_failures_is_one_line(library: Library) -> None:
    library._store.set_failures([Failure("/s/broken.wav", "no sound")])
    again = Library.open(library.folder)
    for file in (library.folder / "store" / "failures.lance" / "data").iterdir():
        file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(LibraryDamagedError, match=r"[Ll]ance"):
        again._store.failures()


def test_no_index_is_built_from_a_damaged_store(library: Library) -> None:
    (data,) = (library.folder / "store" / "segments.lance" / "data").iterdir()
    times = data.stat()
    flip(data)
    os.utime(data, ns=(times.st_atime_ns, times.st_mtime_ns))
    with pytest.raises(LibraryDamagedError, match=f"{data.name}' differs.*soundloom verify"):
        search(Library.open(library.folder))
    assert not (library.folder / "index").exists()


def test_a_damaged_store_is_not_read_once_its_times_tell(library: Library) -> None:
    (data,) = (library.folder / "store" / "segments.lance" / "data").iterdir()
    flip(data)
    with pytest.raises(LibraryDamagedError, match="differs"):
        Library.open(library.folder).totals()


def test_a_lost_commit_is_found(library: Library) -> None:
    versions = library.folder / "store" / "segments.lance" / "_versions"
    before = set(versions.iterdir())
    append(library._store, ["/s/new.wav"], VECTORS[:1])
    (new,) = set(versions.glob("*.manifest")) - before
    new.unlink()
    with pytest.raises(LibraryDamagedError, match="missing"):
        Library.open(library.folder)


@pytest.mark.parametrize("lost", ["store", "store/segments.lance", "store/failures.lance"])
def test_a_lost_table_is_no_empty_library(library: Library, lost: str) -> None:
    shutil.rmtree(library.folder / lost)
    with pytest.raises(LibraryDamagedError, match="is missing"):
        Library.open(library.folder)


def test_a_copied_library_is_whole(library: Library) -> None:
    hits = search(library)
    copy = library.folder.with_name("copy.loom")
    shutil.copytree(library.folder, copy, copy_function=shutil.copyfile)
    assert search(Library.open(copy)) == hits
    assert store_damages(copy / "store") == []


def test_a_library_without_checksums_is_read_and_gets_them(library: Library) -> None:
    hits = search(library)
    sums = library.folder / "store.checksums.json"
    sums.unlink()
    again = Library.open(library.folder)
    assert search(again) == hits
    assert not sums.exists()
    again.tags.add("cat", [PATHS[6]])
    assert sums.exists()
    assert store_damages(library.folder / "store") == []


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"[" * 10**5, b'{"checksum": 1}', b"\xff"])
def test_damaged_checksums_are_reported(library: Library, text: bytes, caplog: pytest.LogCaptureFixture) -> None:
    sums = library.folder / "store.checksums.json"
    sums.write_bytes(text)
    again = Library.open(library.folder)
    assert "cannot be read" in caplog.text
    assert [one.path for one in store_damages(library.folder / "store")] == [
        str(library.folder / "store.checksums.json")
    ]
    again._store.renew_checksums()
    assert store_damages(library.folder / "store") == []
