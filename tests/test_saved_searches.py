"""Saved searches: kept in the library's folder, replaced by name, refused when damaged."""

from __future__ import annotations

from pathlib import Path

import pytest

from soundloom.errors import LibraryError, QueryError
from soundloom.library import SavedSearches


def test_searches_are_kept_in_their_order_and_replaced_by_name(tmp_path: Path) -> None:
    SavedSearches(tmp_path).save("marsh at dawn", "text=marsh&field=hour:5")
    SavedSearches(tmp_path).save(" kicks ", "folder=drums/kick")
    SavedSearches(tmp_path).save("marsh at dawn", "text=moor")
    assert list(SavedSearches(tmp_path).all().items()) == [
        ("kicks", "folder=drums/kick"),
        ("marsh at dawn", "text=moor"),
    ]
    SavedSearches(tmp_path).remove("kicks")
    assert SavedSearches(tmp_path).all() == {"marsh at dawn": "text=moor"}
    assert [file.name for file in tmp_path.iterdir()] == ["searches.json"]


@pytest.mark.parametrize(
    ("name", "query", "message"),
    [("  ", "x", "1 to 200"), ("n" * 201, "x", "1 to 200"), ("n", "q" * 20_001, "20000")],
)
def test_names_and_queries_have_limits(tmp_path: Path, name: str, query: str, message: str) -> None:
    with pytest.raises(QueryError, match=message):
        SavedSearches(tmp_path).save(name, query)


def test_what_is_not_there_cannot_be_removed(tmp_path: Path) -> None:
    with pytest.raises(QueryError, match="no saved search 'x': none is saved: save one in the page"):
        SavedSearches(tmp_path).remove("x")


@pytest.mark.parametrize("content", ["{", "[]", '{"a": 1}'])
def test_a_damaged_file_is_refused_and_not_overwritten(tmp_path: Path, content: str) -> None:
    (tmp_path / "searches.json").write_text(content)
    with pytest.raises(LibraryError, match=r"searches\.json"):
        SavedSearches(tmp_path).save("new", "text=x")
    assert (tmp_path / "searches.json").read_text() == content
