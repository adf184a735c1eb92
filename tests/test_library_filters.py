"""Filters: what they admit, and that no text in one, or in a condition of SQL, can be more than a value."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.library_factory import clustered, filled
from soundloom.errors import NothingFoundError, QueryError
from soundloom.letter_case import folded
from soundloom.library import Library, RowFilter
from soundloom.library.storage.sql import sql_text

HOSTILE = ("it's", "100%", "_", '"', "\\", "a') OR ('1'='1", "'; DROP TABLE segments; --")
PATHS = (
    "/birds/robin.wav",
    "/birds/night/owl.wav",
    "/birds of prey/kite.wav",
    "/100%/a.wav",
    "/1000/a.wav",
    "/it's/a.wav",
    "/a_b/a.wav",
    "/axb/a.wav",
)
TAG_OF = dict(zip(PATHS[1:], HOSTILE, strict=True))


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    """A file a path, each with the tag of its place in the hostile ones; the first has none at all."""
    tags = {path: [tag] for path, tag in TAG_OF.items()}
    return filled(tmp_path_factory.mktemp("filters") / "l.loom", PATHS, clustered(1, len(PATHS)), tags=tags)


def found(library: Library, where: RowFilter | str) -> set[str]:
    """The files that a search finds."""
    return {hit.path for hit in library.search_embedding(np.ones(16, np.float32), len(PATHS), where=where)}


def test_no_condition_admits_all(library: Library) -> None:
    assert not RowFilter()
    assert found(library, RowFilter()) == set(PATHS)


@pytest.mark.parametrize(
    ("folder", "files"),
    [
        ("/birds", {"/birds/robin.wav", "/birds/night/owl.wav"}),
        ("/birds/", {"/birds/robin.wav", "/birds/night/owl.wav"}),
        ("/birds/night", {"/birds/night/owl.wav"}),
        ("/birds/../birds of prey", {"/birds of prey/kite.wav"}),
        ("/100%", {"/100%/a.wav"}),
        ("/a_b", {"/a_b/a.wav"}),
        ("/it's", {"/it's/a.wav"}),
        ("/", set(PATHS)),
    ],
)
def test_a_folder_is_itself_and_what_is_below(library: Library, folder: str, files: set[str]) -> None:
    assert found(library, RowFilter(folder=folder)) == files


@pytest.mark.parametrize("folder", ["/bird", "/birds%", "/x' OR path <> '"])
def test_a_folder_that_is_not_there_is_refused(library: Library, folder: str) -> None:
    with pytest.raises(QueryError, match="lies in a folder"):
        found(library, RowFilter(folder=folder))


def in_store(library: Library, tag: str) -> set[str]:
    return set(library.rows(["path"], f"array_has(tags, {sql_text(tag)})")["path"].to_pylist())


def in_index(library: Library, tag: str) -> set[str]:
    return found(library, f"array_has(tags, {sql_text(tag)})")


@pytest.mark.parametrize("by_sql", [in_store, in_index])
def test_a_tag_is_taken_to_the_letter(library: Library, by_sql: Callable[[Library, str], set[str]]) -> None:
    for path, tag in TAG_OF.items():
        assert found(library, RowFilter(tags=(tag,))) == by_sql(library, tag) == {path}
    assert by_sql(library, "%") == set()
    assert found(library, RowFilter(tags=HOSTILE[:2])) == set()


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=20))
def test_no_text_is_more_than_a_value(library: Library, text: str) -> None:
    admitted = {path for path, tag in TAG_OF.items() if folded(tag) == folded(text)}
    assert in_index(library, text) == {path for path, tag in TAG_OF.items() if tag == text}
    if admitted:
        assert found(library, RowFilter(tags=(text,))) == admitted
    else:
        with pytest.raises(NothingFoundError, match="nobody has given the tag"):
            found(library, RowFilter(tags=(text,)))


def test_text_that_is_not_unicode_is_no_tag(library: Library) -> None:
    with pytest.raises(NothingFoundError, match="nobody has given the tag"):
        found(library, RowFilter(tags=(os.fsdecode(b"\xff"),)))


def test_durations_are_of_the_file_and_inclusive(tmp_path: Path) -> None:
    library = filled(tmp_path / "l.loom", ["/a.wav", "/b.wav"], clustered(1, 4), segments=2)
    assert found(library, RowFilter(longer=2)) == {"/a.wav", "/b.wav"}
    assert found(library, RowFilter(shorter=2.0, longer=0)) == {"/a.wav", "/b.wav"}
    assert found(library, RowFilter(shorter=1.9)) == set()


def test_conditions_hold_together(library: Library) -> None:
    assert found(library, RowFilter(folder="/birds", tags=(HOSTILE[0],))) == {"/birds/night/owl.wav"}
