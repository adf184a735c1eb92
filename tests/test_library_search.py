"""Search of a library by its sounds: what a query finds, filters, weights, and its errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from soundloom.errors import QueryError
from soundloom.library import Explanation, Library


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    folder = tmp_path_factory.mktemp("library")
    rng = np.random.default_rng(0)
    for number in range(30):
        hertz, times = 100 * 2 ** (number / 6), np.arange(24000) / 16000
        sound = np.sin(2 * np.pi * hertz * times) * np.exp(-times) + 0.01 * rng.normal(size=len(times))
        soundfile.write(folder / f"{number:02d}.wav", 0.5 * sound, 16000)
    library = Library.create(folder / "l.loom", "logmel+mfcc", window=1.0, hop=0.5)
    library.add(folder)
    return library


def test_a_query_finds_itself_only_when_asked(library: Library) -> None:
    query = library.files()[10]
    hits = library.search(query, 60)
    assert len(hits) == 58
    assert query not in {hit.path for hit in hits}
    first = library.search(query, 2, start=0.0, end=1.0, include_query=True)[0]
    assert (first.path, first.start, first.end) == (query, 0.0, 1.0)
    assert first.similarity == pytest.approx(1, abs=1e-3)
    elsewhere = library.search(query, 60, start=0.0, end=0.4)
    assert {(hit.start, hit.end) for hit in elsewhere if hit.path == query} == {(0.5, 1.5)}


def test_neighbours_in_pitch_are_neighbours_in_the_library(library: Library) -> None:
    query = library.files()[15]
    nearest = {Path(hit.path).stem for hit in library.search(query, 4, weights={"mfcc": 0})}
    assert nearest <= {"13", "14", "16", "17"}


def test_weights_decide_by_which_part(library: Library) -> None:
    query = library.files()[3]
    for part in ("logmel", "mfcc"):
        other = {"logmel": "mfcc", "mfcc": "logmel"}[part]
        hits = library.search(query, 20, weights={other: 0})
        np.testing.assert_allclose([hit.similarity for hit in hits], [hit.parts[part] for hit in hits], atol=1e-6)
    by_default = library.search(query, 20)
    assert by_default == library.search(query, 20, weights={"logmel": 2, "mfcc": 2})
    mean = [np.mean(list(hit.parts.values())) for hit in by_default]
    np.testing.assert_allclose([hit.similarity for hit in by_default], mean, atol=1e-6)


def test_filters_admit_what_they_say(library: Library) -> None:
    query = library.files()[0]
    hits = library.search(query, 100, where="start > 0.2 AND path LIKE '%/1%'")
    assert len(hits) == 10
    assert all(hit.start == 0.5 and Path(hit.path).name.startswith("1") for hit in hits)
    assert library.search(query, where="duration > 100") == []


def test_an_array_searches_like_its_file(library: Library) -> None:
    query = library.files()[20]
    samples, _ = soundfile.read(query, dtype="float32")
    from_file = library.search(query, 5, include_query=True)
    from_array = library.search(samples, 5)
    assert [hit.path for hit in from_array] == [hit.path for hit in from_file]


def test_an_empty_library_finds_nothing(tmp_path: Path) -> None:
    library = Library.create(tmp_path / "empty.loom", "logmel")
    assert library.search(np.ones(16000, np.float32)) == []
    assert library.search(np.ones(16000, np.float32), where="start = 0") == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights": {"pitch": 1}}, "no part 'pitch' in this library: its parts are logmel, mfcc"),
        ({"weights": {"logmel": 0, "mfcc": 0}}, "every part has weight 0"),
        ({"weights": {"logmel": float("nan")}}, "must be a finite number"),
        ({"k": 0}, "k must be at least 1"),
        ({"where": "colour = 'red'"}, r"no field 'colour'.*Fields: path, name"),
        ({"where": "not sql ("}, "cannot be evaluated"),
        ({"where": "path"}, "cannot be evaluated"),
    ],
)
def test_wrong_searches_are_explained(library: Library, options: dict[str, object], message: str) -> None:
    with pytest.raises(QueryError, match=message):
        library.search(library.files()[0], **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("sound", [(np.zeros(16000), 16000), ["a.wav", "b.wav"], [np.zeros(8), np.zeros(9)]])
def test_several_sounds_are_no_query(library: Library, sound: Any) -> None:
    with pytest.raises(QueryError, match=r"a search is by one sound.*got a (tuple|list) of 2.*sample_rate="):
        library.search(sound)


def test_wrong_embeddings_are_refused(library: Library) -> None:
    with pytest.raises(QueryError, match=r"248 finite numbers, got shape \[3\]"):
        library.search_embedding(np.zeros(3))
    with pytest.raises(QueryError, match="248 finite numbers"):
        library.search_embedding(np.full(248, np.nan))


def test_a_new_row_is_found_at_once(library: Library, tmp_path: Path) -> None:
    fresh = Library.create(tmp_path / "fresh.loom", "logmel")
    files = library.files()
    fresh.add(files[:5])
    assert len(fresh.search(files[0], 10, include_query=True)) == 5
    fresh.add(files[5])
    assert len(fresh.search(files[0], 10, include_query=True)) == 6


def test_a_part_without_weight_is_no_reason_and_one_below_zero_is_for_what_is_unlike() -> None:
    explanation = Explanation(percentiles={"a": 0.99, "b": 0.9, "c": 0.04})
    assert explanation.reasons == ("a", "b")
    weighed = explanation.weighed({"a": 0.0, "c": -1.0})
    assert weighed.reasons == ("unlike in c", "b")
    assert weighed.percentiles["unlike in c"] == pytest.approx(0.96)
