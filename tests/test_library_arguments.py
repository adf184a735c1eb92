"""Arguments of a library's methods that are of another kind than they should be: each is refused in words."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from soundloom.errors import LibraryError, QueryError
from soundloom.library import Library, LibraryQuery, QuerySound

RATE = 16000


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    folder = tmp_path_factory.mktemp("arguments")
    (folder / "s").mkdir()
    for number in range(4):
        noise = np.random.default_rng(number).normal(scale=0.1, size=RATE)
        soundfile.write(folder / "s" / f"noise_{number}.wav", noise, RATE)
    library = Library.create(folder / "l.loom", "logmel+mfcc")
    library.add(folder / "s", workers=1)
    return library


def sound(library: Library) -> str:
    return library.files()[0]


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (
            lambda library: library.search(sound(library), k="3"),
            "at least 1, a whole number of hits; got '3'",
        ),
        (lambda library: library.search(sound(library), k=None), "got None"),
        (lambda library: library.search(sound(library), k=2.0), r"got 2\.0"),
        (lambda library: library.search(sound(library), weights="mfcc=0"), "such as {'logmel': 2}; got 'mfcc=0'"),
        (lambda library: library.search(sound(library), weights=["mfcc"]), r"got \['mfcc'\]"),
        (
            lambda library: library.search(sound(library), weights={"mfcc": "2"}),
            "must be a finite number, got '2'",
        ),
        (lambda library: library.search(sound(library), where={"duration": 5}), "where is an SQL condition"),
        (lambda library: library.search_embedding("dog"), "finite numbers, got shape"),
        (lambda library: library.search_embedding(["a"] * 248), "of <U1"),
        (lambda library: library.find(None), "a query is text, a file or a LibraryQuery, got NoneType"),
        (lambda library: library.find(np.zeros(RATE)), "Library.search takes waveforms"),
        (lambda library: library.find(LibraryQuery(like="a.wav")), r"write like=\(QuerySound\('a.wav'\),\)"),
        (lambda library: library.find(LibraryQuery(unlike=["b.wav"])), r"write unlike=\(QuerySound\('b.wav'\),\)"),
        (lambda library: library.find(LibraryQuery(words="dog")), r"write words=\('dog',\)"),
        (lambda library: library.find(LibraryQuery(text="noise", where=5)), "where is an SQL condition"),
        (lambda library: library.find(LibraryQuery(text="noise", weights={"pich": 1})), "no part 'pich'"),
        (lambda library: library.rows("path"), "columns are some of .*, as a list; got 'path'"),
        (lambda library: library.rows(["path", "nope"]), "columns are some of path, .*; got 'nope'"),
    ],
)
def test_another_kind_is_refused(library: Library, ask: Callable[[Library], Any], message: str) -> None:
    with pytest.raises(QueryError, match=message):
        ask(library)


def test_the_segments_in_the_place_of_the_tag_are_refused(library: Library) -> None:
    hits = library.search(sound(library), 2)
    with pytest.raises(LibraryError, match="a tag is text, got Hits: the tag comes first"):
        library.tags.add(hits, "alarm")  # type: ignore[arg-type]
    assert library.tags.add("alarm", sound(library)).changed == 1, "a single file is not taken for its letters"


def test_whole_numbers_are_an_embedding_too(library: Library) -> None:
    assert len(library.search_embedding([1] * 248, np.int64(2))) == 2  # type: ignore[arg-type]


def test_a_file_is_a_query(library: Library) -> None:
    by_path = library.find(Path(sound(library)), 2)
    assert by_path == library.find(LibraryQuery(like=(QuerySound(sound(library)),)), 2)
    assert by_path == library.find("noise_0.wav", 2)


def test_matches_are_shown_as_hits_are_and_so_is_a_part_of_them(library: Library) -> None:
    for found in (library.search(sound(library), 3), library.find("noise", 3)):
        assert type(found[:2]) is type(found)
        assert found[:2]._repr_html_().count("<tr>") == 3
        assert found[0] == next(iter(found))
    assert "<th>found by</th>" in library.find("noise")._repr_html_()
    assert "found by" not in library.search(sound(library))._repr_html_()


def test_a_library_travels_to_another_process_as_its_folder(library: Library) -> None:
    hits = library.search(sound(library), 2)  # its model is loaded now
    again = pickle.loads(pickle.dumps(library))
    assert again.folder == library.folder
    assert again.search(sound(library), 2) == hits
