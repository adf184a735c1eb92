"""Names, folders and tags found by words: what counts as a word, what comes first, and what is not found."""

from __future__ import annotations

import random
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pytest

from soundloom.errors import QueryError
from soundloom.library.search.fields.file_fields import FileFields
from soundloom.library.search.terms.query_words import query_words, word_forms

Tags = Mapping[str, Sequence[Sequence[str]]]


def table(*paths: str, tags: Tags | None = None) -> pa.Table:
    """A row a segment: two of each file; ``tags`` gives those of each segment of a file."""
    rows = [(path, list(some)) for path in sorted(paths) for some in (tags or {}).get(path, ([], []))]
    types = {"path": pa.string(), "tags": pa.list_(pa.string())}
    return pa.table([[path for path, _ in rows], [some for _, some in rows]], schema=pa.schema(types))


@dataclass(frozen=True)
class Found:
    path: str
    score: float
    found_by: tuple[str, ...]
    rows: tuple[int, ...]


def match_text(rows: pa.Table, text: str, titles: Mapping[str, str] | None = None) -> list[Found]:
    """What the text index finds, file by file; that of the files that may hold the words finds the same."""
    facts = {"path": list(titles), "title": list(titles.values()), "category": [""] * len(titles)} if titles else None
    fields = FileFields(rows, pa.table(facts) if facts else None)
    once = fields.match_text(text)
    matches = fields.text_index.match(text)
    for name in ("files", "scores", "rows", "_by"):
        assert np.array_equal(getattr(matches, name), getattr(once, name)), name
    return [
        Found(
            fields.paths[file].as_py(),
            float(matches.scores[place]),
            matches.found_by(place),
            tuple(row for row in fields.rows_of_file(file) if matches.rows[row]),
        )
        for place, file in enumerate(matches.files.tolist())
    ]


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
        ("voegel", "Vögel 2"), ("Vögel", "voegel"), ("frueh", unicodedata.normalize("NFD", "Früh")),
        ("smorrebrod", "Smørrebrød"), ("aal", "ål"), ("strasse", "Große Straße"),
    ],
)  # fmt: skip
def test_words_are_found_however_they_are_written(query: str, name: str) -> None:
    rows = table(f"/s/{name}.wav", "/s/other.wav")
    assert found(rows, query) == [f"/s/{name}.wav"]


def test_the_middle_of_a_word_is_no_word() -> None:
    rows = table("/s/thunder.wav", "/s/Schaferhund.wav", "/s/t_hunde.wav", "/s/大雨天.wav")
    assert found(rows, "hund") == ["/s/t_hunde.wav", "/s/Schaferhund.wav"]
    assert found(rows, "ferhun") == found(rows, "afer") == []
    assert found(rows, "thunde") == ["/s/thunder.wav", "/s/t_hunde.wav"]
    assert found(rows, "雨") == ["/s/大雨天.wav"]


def test_negations_are_no_beginnings() -> None:
    rows = table("/s/no rain.wav", "/s/noise of rain.wav", "/s/piano rain.wav", "/s/note rain.wav")
    assert found(rows, "no rain") == ["/s/no rain.wav"]
    assert len(found(rows, "rain")) == 4


def test_a_possessive_is_no_word() -> None:
    rows = table("/s/dog.wav", "/s/dogs.wav", "/s/dog's.wav", "/s/cat's.wav", "/s/haus & s/owl.wav")
    assert sorted(found(rows, "dog's")) == ["/s/dog's.wav", "/s/dog.wav", "/s/dogs.wav"]
    assert found(rows, "dog\u2019s") == found(rows, "dog's")


def test_umlauts_are_two_letters_only_where_they_are_meant() -> None:
    assert found(table("/s/blue.wav", "/s/blu.wav"), "blue") == ["/s/blue.wav"]
    assert found(table("/s/Vogel.wav", "/s/Voegel.wav"), "voegel") == ["/s/Voegel.wav"]


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
    assert match_text(rows, "desert", {"/s/b.wav": "Waves of the Ocean"}) == []


def merit(word: str, text: str) -> float:
    """How well a text in ASCII holds a word, by definition."""
    known = re.findall("[a-z]+|[0-9]+", re.sub("([a-z])([A-Z])", r"\1 \2", text).lower())
    if any(word_forms(word) & word_forms(each) for each in known):
        return 1.0
    if any(each.startswith(word) for each in known):
        return 0.8
    in_the_middle = any(word in each for each in known) and not any(each.endswith(word) for each in known)
    return 0.5 if word in "".join(known) and not in_the_middle else 0.0


def test_the_index_finds_what_a_comparison_of_every_text_finds() -> None:
    chance = random.Random(1)
    parts = ["dog", "Dogs", "house", "12", "wolf", "wolves", "a", "rain", "Rainy", "boxes", "box", "x9"]

    def name(most: int) -> str:
        return chance.choice(["", "_", " ", "-"]).join(chance.choice(parts) for _ in range(chance.randint(1, most)))

    paths = sorted({f"/all/{name(1)}/{name(3)}.wav" for _ in range(300)})
    rows = table(*paths, tags={path: ([name(2)] if chance.random() < 0.4 else [], [name(1)]) for path in paths})
    row_tags = rows["tags"].to_pylist()
    for query in ("dog", "rain box", "wolf 1", "hous", "x dog", "in", "og 2"):
        words = query_words(query)
        expected = {}
        for number, path in enumerate(paths):
            folder, stem = path.split("/")[2], path.split("/")[3][:-4]
            texts = {"name": (stem, 1.0), "folder": (folder, 0.6)}
            fixed = {word: {by: merit(word, text) * weight for by, (text, weight) in texts.items()} for word in words}
            tags = {
                word: [max((0.95 * merit(word, tag) for tag in row_tags[row]), default=0.0) for row in pair]
                for word in words
                for pair in [(2 * number, 2 * number + 1)]
            }
            meant = [row for row in (0, 1) if all(max(fixed[word].values()) or tags[word][row] for word in words)]
            if meant:
                best = [{**fixed[word], "tag": max(tags[word][row] for row in meant)} for word in words]
                expected[path] = (
                    {max(one, key=lambda by: one[by]) for one in best},
                    sum(max(one.values()) for one in best) / len(words),
                    tuple(2 * number + row for row in meant),
                )
        got = match_text(rows, query)
        assert {one.path: (set(one.found_by), one.rows) for one in got} == {
            path: (by, rows_) for path, (by, _, rows_) in expected.items()
        }
        assert all(0.95 * expected[one.path][1] <= one.score <= expected[one.path][1] + 1e-9 for one in got)
        assert [(-one.score, one.path) for one in got] == sorted((-one.score, one.path) for one in got)


def test_nothing_to_search_for() -> None:
    assert found(table(), "dog") == []
    assert query_words("in the") == ["in", "the"]
    with pytest.raises(QueryError, match="holds no word"):
        query_words(" -- ")
