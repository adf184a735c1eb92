"""Damaged, missing and unwritable files of a library beside its store: caches are rebuilt, the rest is named."""

from __future__ import annotations

import errno
import json
import logging
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from helpers.damage import library_files
from helpers.damaged_library import DAMAGES, PATHS, VECTORS, flip, library_to_damage, search
from helpers.library_factory import append, clustered, filled
from helpers.quick_map import without_umap
from soundloom.errors import LibraryError, ResourceError
from soundloom.library import Library
from soundloom.library.row_log.change_log import CHANGES
from soundloom.library.search.vector_index import index_builder
from soundloom.library.storage.facts_table import FileFacts, read_facts_table, update_facts
from soundloom.library.storage.library_lock import library_lock, remove_unfinished
from soundloom.library.storage.store import store_damages
from soundloom.library.verification import verify_library

FACTS = FileFacts(
    sample_rate=8000, channels=1, bits=16, codec="", recorded="", recorded_by="", title="an owl " * 300, category=""
)
INDEX_FILES = ("index.json", "rows.arrow", "scaling.npz", "sample.npy", "vectors.npy", "cells.faiss")


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return library_to_damage(tmp_path / "l.loom")


@pytest.fixture
def cells(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every library is large enough for an inverted file."""
    monkeypatch.setattr(index_builder, "EXACT_BYTES", 0)


@pytest.mark.parametrize("name", INDEX_FILES)
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_index_is_rebuilt_with_a_notice(
    tmp_path: Path, cells: None, caplog: pytest.LogCaptureFixture, name: str, damage: str
) -> None:
    library = filled(tmp_path / "l.loom", PATHS, clustered(60, 20), segments=10)
    hits = search(library)
    assert library.index().has_cells
    intact = (library.folder / "index" / "vectors.npy").read_bytes()
    DAMAGES[damage](library.folder / "index" / name)
    again = Library.open(library.folder)
    assert search(again) == hits
    again.index().check()
    assert (library.folder / "index" / "vectors.npy").read_bytes() == intact
    assert [record.message for record in caplog.records if "rebuilt from the store" in record.message]
    caplog.clear()
    assert search(Library.open(library.folder)) == hits
    assert not caplog.records
    assert not list(library.folder.glob("*.building"))


def test_another_library_s_index_is_not_used(tmp_path: Path) -> None:
    one, two = (filled(tmp_path / name, PATHS, VECTORS + offset) for name, offset in (("1.loom", 0), ("2.loom", 1)))
    hits = search(one)
    search(two)
    shutil.rmtree(one.folder / "index")
    shutil.copytree(two.folder / "index", one.folder / "index")
    assert search(Library.open(one.folder)) == hits


def test_edits_of_tags_keep_the_index_checked(library: Library) -> None:
    search(library)
    library.tags.add("siren", [PATHS[5]])
    assert [hit.path for hit in search(library, "array_has(tags, 'siren')")] == [PATHS[5]]
    Library.open(library.folder).index().check()
    flip(library.folder / "index" / "index.json")
    library.tags.add("cat", [PATHS[6]])
    assert [hit.path for hit in search(library, "array_has(tags, 'cat')")] == [PATHS[6]]


def test_every_deleted_file_is_named(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    without_umap(monkeypatch)
    library._registry.remember(["/s"])
    library.tags.add("cat", [PATHS[6]])
    update_facts(library.folder, {__file__: "1"}, lambda _: FACTS)  # of any file that is there
    search(library)
    library.maps.get()
    folder = library.folder
    assert verify_library(folder) == []
    names = {file.relative_to(folder).as_posix() for file in library_files(folder)}
    assert {"library.json", "roots.json", "tags.jsonl", "tags.sum", "store.checksums.json", "index/index.json"} < names
    assert "facts.arrow" in names
    assert any(name.startswith("map/") for name in names)
    # Without its log an index shows an earlier state of the store, and is brought up to date.
    (folder / "index" / CHANGES).unlink()
    assert [hit.path for hit in search(Library.open(folder), "array_has(tags, 'cat')")] == [PATHS[6]]
    for name in sorted(names - {f"index/{CHANGES}"}):
        content = (folder / name).read_bytes()
        (folder / name).unlink()
        expected = folder / ("index" if name.startswith("index/") else name)
        assert str(expected) in [one.path for one in verify_library(folder)], name
        (folder / name).write_bytes(content)
    assert verify_library(folder) == []


@pytest.mark.parametrize("damage", DAMAGES)
def test_every_damage_of_the_facts_is_found_and_mended(
    library: Library, damage: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sound = tmp_path / "owl.wav"
    sound.touch()
    update_facts(library.folder, {str(sound): "1"}, lambda _: FACTS)
    search(library)  # takes the inventory
    assert verify_library(library.folder) == []
    file = library.folder / "facts.arrow"
    DAMAGES[damage](file)
    (found,) = verify_library(library.folder)
    assert (found.path, found.cache) == (str(file), True)
    assert "next index" in found.remedy
    with caplog.at_level(logging.WARNING, "soundloom"):
        assert read_facts_table(library.folder) is None
    assert damage == "deleted" or "facts.arrow is damaged" in caplog.text
    assert update_facts(library.folder, {str(sound): "1"}, lambda _: FACTS) == 1
    assert verify_library(library.folder) == []
    table = read_facts_table(library.folder)
    assert table is not None
    assert table["title"].to_pylist() == [FACTS.title]


@pytest.mark.parametrize("name", ["index", "map", "store", "store/segments.lance"])
def test_a_deleted_folder_is_named(library: Library, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    without_umap(monkeypatch)
    library.maps.get()
    shutil.rmtree(library.folder / name)
    found = verify_library(library.folder)
    assert all(one.path.startswith(str(library.folder / name)) for one in found)
    assert found
    assert all(one.cache for one in found) == (name in ("index", "map"))


def test_both_files_of_the_log_of_tags_deleted(library: Library) -> None:
    library.tags.add("cat", [PATHS[6]])
    for name in ("tags.jsonl", "tags.sum"):
        (library.folder / name).unlink()
    assert [Path(one.path).name for one in verify_library(library.folder)] == ["tags.jsonl", "tags.sum"]
    library._store.renew_checksums()
    assert verify_library(library.folder) == []


def test_settings_that_differ_from_what_was_written_are_found(library: Library) -> None:
    file = library.folder / "library.json"
    text = file.read_text()
    other = re.sub(r'"window": [^,]+', '"window": 7.5', text)
    assert verify_library(library.folder) == []
    file.write_text(other)
    with pytest.raises(LibraryError, match="differ from what was written"):
        Library.open(library.folder)
    for odd in (other, text.replace("\n", "\n ", 1)):
        file.write_text(odd)
        assert [one.path for one in verify_library(library.folder)] == [str(file)]
    earlier = json.loads(text)
    del earlier["checksum"]
    file.write_text(json.dumps(earlier))
    assert verify_library(library.folder) == []
    assert Library.open(library.folder).settings == library.settings


def test_another_file_in_place_of_the_manifest_is_damage(library: Library) -> None:
    hits = search(library)
    (library.folder / "index" / "index.json").write_text('{"format": 1, "checksum": "00000000"}')
    assert [one.path for one in verify_library(library.folder)] == [str(library.folder / "index")]
    assert search(Library.open(library.folder)) == hits


def test_unfinished_files_of_killed_processes_are_removed(library: Library) -> None:
    old, new = library.folder / "roots.json.writing", library.folder / "tags.jsonl.writing"
    unfinished = library.folder / "index.building"
    old.write_text("{")
    new.write_text("{")
    os.utime(old, (0, 0))
    unfinished.mkdir()
    with library_lock(library.folder, "index.lock"):
        remove_unfinished(library.folder)
        assert unfinished.exists(), "somebody is writing it"
    remove_unfinished(library.folder)
    assert not old.exists()
    assert new.exists()
    assert not unfinished.exists()


@pytest.fixture
def unwritable(library: Library, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Make everything below the library's folder refuse to be written, with the error given."""
    folder = os.fspath(library.folder)
    real_open, real_mkdir = os.open, os.mkdir

    def deny(number: int) -> None:
        def below(path: object) -> bool:
            return isinstance(path, str | bytes | os.PathLike) and os.fsdecode(path).startswith(folder)

        def guarded_open(path: object, flags: int, *args: object, **kwargs: object) -> int:
            if below(path) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                raise OSError(number, os.strerror(number), os.fsdecode(path))
            return real_open(path, flags, *args, **kwargs)

        def guarded_mkdir(path: object, *args: object, **kwargs: object) -> None:
            if below(path):
                raise OSError(number, os.strerror(number), os.fsdecode(path))
            real_mkdir(path, *args, **kwargs)

        monkeypatch.setattr(os, "open", guarded_open)
        monkeypatch.setattr(os, "mkdir", guarded_mkdir)

    return deny


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.ENOSPC])
@pytest.mark.parametrize("indexed", [True, False])
def test_reading_needs_no_permission_to_write(
    library: Library,
    unwritable: Callable[[int], None],
    number: int,
    indexed: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    hits = search(filled(tmp_path / "twin.loom", PATHS, VECTORS, tags={PATHS[3]: ["dog"]}))
    if indexed:
        search(library)
    before = {path: path.stat().st_mtime_ns for path in library.folder.rglob("*")}
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    unwritable(number)
    again = Library.open(library.folder)
    assert search(again) == hits
    assert again.totals() == (120, 120.0)
    assert len(again.index().explain(VECTORS[7], hits)) == len(hits)
    assert again.failures() == []
    assert store_damages(again.folder / "store") == []
    assert {path: path.stat().st_mtime_ns for path in library.folder.rglob("*")} == before
    assert bool(caplog.records) != indexed
    if not indexed:
        assert "built in" in caplog.text
    with pytest.raises(ResourceError, match=f"{library.folder}.*(read-only|permission|disk is full)"):
        append(again._store, ["/s/new.wav"], VECTORS[:1])


def test_no_space_for_vectors_is_an_error_and_leaves_nothing(
    library: Library, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    with caplog.at_level(logging.WARNING), pytest.raises(ResourceError, match="the disk is full"):
        search(library)
    assert sorted(path.name for path in library.folder.iterdir()) == [
        "index.lock", "library.json", "store", "store.checksums.json", "store.lock",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["library.json", "roots.json", "tags.jsonl"])
def test_a_finding_has_one_remedy(library: Library, name: str) -> None:
    (library.folder / name).write_text("{\n")
    found = next(one for one in verify_library(library.folder) if Path(one.path).name == name)
    assert found.reason.endswith(")")
    assert not re.search("restore|remove|repair|re-index", found.reason)
    assert re.search("restore|remove", found.remedy)
