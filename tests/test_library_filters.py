"""Conditions as SQL: what they admit, and that nothing typed into them can be more than a value."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.library_factory import clustered, filled
from soundloom.errors import QueryError
from soundloom.library import Filter, Library

HOSTILE = ("it's", "100%", "_", '"', "\\", "a') OR ('1'='1", "'; DROP TABLE segments; --", "日本", "")
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


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    """A file a path, each with the tag of its place in the hostile ones; the first has none at all."""
    tags = {path: [tag] for path, tag in zip(PATHS[1:], HOSTILE, strict=False)}
    return filled(tmp_path_factory.mktemp("filters") / "l.loom", PATHS, clustered(1, len(PATHS)), tags=tags)


def found(library: Library, condition: Filter) -> set[str]:
    return set(library.rows(["path"], condition.sql())["path"].to_pylist())


def test_no_condition_is_none(library: Library) -> None:
    assert Filter().sql() is None
    assert found(library, Filter()) == set(PATHS)


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
        ("/bird", set()),
        ("/birds%", set()),
        ("/x' OR path <> '", set()),
    ],
)
def test_a_folder_is_itself_and_what_is_below(library: Library, folder: str, files: set[str]) -> None:
    assert found(library, Filter(folder=folder)) == files


def test_a_tag_is_taken_to_the_letter(library: Library) -> None:
    for path, tag in zip(PATHS[1:], HOSTILE, strict=False):
        assert found(library, Filter(tags=(tag,))) == {path}
        assert found(library, Filter(without_tags=(tag,))) == set(PATHS) - {path}
        assert found(library, Filter(tags=(tag,), without_tags=(tag,))) == set()
    assert found(library, Filter(tags=("%",))) == set()
    assert found(library, Filter(tags=HOSTILE[:2])) == set()


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=20))
def test_no_text_is_more_than_a_value(library: Library, text: str) -> None:
    admitted = {path for path, tag in zip(PATHS[1:], HOSTILE, strict=False) if tag == text}
    assert found(library, Filter(tags=(text,))) == admitted
    assert found(library, Filter(without_tags=(text,))) == set(PATHS) - admitted


def test_text_that_is_not_unicode_is_refused() -> None:
    with pytest.raises(QueryError, match="not Unicode"):
        Filter(tags=(os.fsdecode(b"\xff"),)).sql()


def test_durations_are_of_the_file_and_inclusive(tmp_path: Path) -> None:
    library = filled(tmp_path / "l.loom", ["/a.wav", "/b.wav"], clustered(1, 4), segments=2)
    assert found(library, Filter(min_duration=2)) == {"/a.wav", "/b.wav"}
    assert found(library, Filter(max_duration=2.0, min_duration=0)) == {"/a.wav", "/b.wav"}
    assert found(library, Filter(max_duration=1.9)) == set()
    assert found(library, Filter(min_duration=1e-300, max_duration=1e300)) == {"/a.wav", "/b.wav"}
    for wrong in (float("nan"), float("inf")):
        with pytest.raises(QueryError, match="finite number of seconds"):
            Filter(min_duration=wrong).sql()


def test_dates(library: Library) -> None:
    moment = datetime.fromtimestamp(10**9, UTC)  # the files are of that second and the nanoseconds after it
    assert found(library, Filter(modified_after=moment)) == set(PATHS)
    assert found(library, Filter(modified_before=moment)) == set()
    assert found(library, Filter(modified_after=moment + timedelta(seconds=1))) == set()
    day = moment.astimezone().date()
    assert found(library, Filter(modified_after=day, modified_before=day + timedelta(days=1))) == set(PATHS)
    assert found(library, Filter(modified_before=day)) == set()
    assert found(library, Filter(modified_before=date(9999, 1, 1))) == set(PATHS)
    assert found(library, Filter(modified_after=date(1, 1, 2))) == set(PATHS)


def test_conditions_hold_together_and_steer_a_search(library: Library) -> None:
    condition = Filter(folder="/birds", without_tags=(HOSTILE[0],))
    assert found(library, condition) == {"/birds/robin.wav"}
    hits = library.search_embedding(np.ones(16, np.float32), where=condition.sql())
    assert [hit.path for hit in hits] == ["/birds/robin.wav"]
