"""Names, folders and tags found by words: what counts as a word, what comes first, and what is not found."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence

import pyarrow as pa
import pytest

from soundloom.errors import QueryError
from soundloom.library.search.text_match import match_text, query_words

Tags = Mapping[str, Sequence[Sequence[str]]]


def table(*paths: str, tags: Tags | None = None) -> pa.Table:
    """A row a segment: two of each file; ``tags`` gives those of each segment of a file."""
    rows = [(path, list(some)) for path in sorted(paths) for some in (tags or {}).get(path, ([], []))]
    types = {"path": pa.string(), "tags": pa.list_(pa.string())}
    return pa.table([[path for path, _ in rows], [some for _, some in rows]], schema=pa.schema(types))


def found(rows: pa.Table, text: str) -> list[str]:
    return [match.path for match in match_text(rows, text)]


def test_better_matches_come_first() -> None:
    rows = table("/s/bulldog.wav", "/s/doghouse.wav", "/s/dog.wav", "/s/a dog far.wav", "/s/Dog/x1.wav", "/s/cat.wav")
    expected = ["/s/dog.wav", "/s/a dog far.wav", "/s/doghouse.wav", "/s/Dog/x1.wav", "/s/bulldog.wav"]
    assert found(rows, "dog") == expected
    by = {match.path: match.found_by for match in match_text(rows, "dog")}
    assert (by["/s/dog.wav"], by["/s/Dog/x1.wav"]) == (("name",), ("folder",))


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("dogs", "dog_bark-2"), ("dog", "Dogs barking"), ("dog bark", "DogBark"), ("dogbark", "dog_bark"),
        ("wolf", "wolves"), ("wolves", "wolf"), ("mouse", "two mice"), ("flies", "fly"), ("fly", "flies"),
        ("boxes", "box"), ("glass", "glass"), ("bus", "Bus 5"), ("48k", "tone_48kHz"), ("straße", "STRASSE"),
        ("über", unicodedata.normalize("NFD", "Über")), ("鳥", "森の鳥"), ("سلام", "سلام"), ("БАРАБАН", "барабан"),
        ("the dog in a barn", "barn dog"), ("vogel", "VÖGEL 3"), ("Vögel", "vogel"), ("café", "CAFE"), ("ガ", "ガ 1"),
    ],
)  # fmt: skip
def test_words_are_found_however_they_are_written(query: str, name: str) -> None:
    rows = table(f"/s/{name}.wav", "/s/other.wav")
    assert found(rows, query) == [f"/s/{name}.wav"]


def test_marks_that_make_other_letters_count() -> None:
    assert found(table("/s/カ.wav", "/s/ガ.wav"), "ガ") == ["/s/ガ.wav"]


def test_every_word_must_be_found_in_some_text() -> None:
    rows = table("/s/forest/dog.wav", "/s/city/dog.wav", "/s/forest/owl.wav")
    assert found(rows, "dog forest") == ["/s/forest/dog.wav"]
    assert found(rows, "dog sea") == []
    assert match_text(rows, "dog forest")[0].found_by == ("name", "folder")


def test_the_folder_that_all_share_says_nothing() -> None:
    rows = table("/home/birds/sounds/a.wav", "/home/birds/sounds/deep/b.wav")
    assert found(rows, "birds") == []
    assert found(rows, "deep") == ["/home/birds/sounds/deep/b.wav"]
    assert found(rows, "wav") == []  # nor does the ending


def test_a_tag_means_the_rows_that_have_it() -> None:
    rows = table("/s/a.wav", "/s/b.wav", tags={"/s/b.wav": (["Heavy rain"], []), "/s/a.wav": (["x"], ["rain", "owl"])})
    by_path = {match.path: match for match in match_text(rows, "rain")}
    assert (by_path["/s/a.wav"].rows, by_path["/s/b.wav"].rows) == ((1,), (2,))
    assert by_path["/s/b.wav"].found_by == ("tag",)
    assert found(rows, "rain owl") == ["/s/a.wav"]
    assert found(rows, "x owl") == []  # tags of different segments
    named = table("/s/rain.wav", tags={"/s/rain.wav": (["rain"], [])})
    assert match_text(named, "rain")[0].rows == (0, 1)  # the name alone is enough


def test_titles_are_searched() -> None:
    rows = table("/s/a.wav", "/s/b.wav")
    assert [match.path for match in match_text(rows, "ocean", {"/s/b.wav": "Waves of the Ocean"})] == ["/s/b.wav"]


def test_nothing_to_search_for() -> None:
    assert found(table(), "dog") == []
    assert query_words("in the") == ["in", "the"]
    with pytest.raises(QueryError, match="holds no word"):
        query_words(" -- ")
