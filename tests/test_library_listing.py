"""Fields of files: sorted lists, facet counts and SQL conditions, without the store or a model."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from helpers.library_factory import clustered, filled
from soundloom.errors import QueryError
from soundloom.library import Library, LibraryQuery, RowFilter
from soundloom.library.search.library_query import where_mask
from soundloom.library.storage.facts_table import FileFacts, update_facts
from soundloom.library.storage.store import Store

NONE = FileFacts(
    sample_rate=None, channels=None, bits=None, codec="", recorded="", recorded_by="", title="", category=""
)
FACTS = {
    "a/owl.wav": replace(
        NONE, sample_rate=96000, bits=24, codec="WAV PCM_24", recorded="2024-05-01T05:30:00", recorded_by="name"
    ),
    "a/robin.flac": replace(
        NONE, sample_rate=44100, bits=16, codec="FLAC PCM_16", recorded="2024-06-01T22:00:00", recorded_by="name"
    ),
    "b/c/bus.wav": replace(
        NONE, sample_rate=44100, bits=24, codec="WAV PCM_24", recorded="2024-05-31T05:00:00", recorded_by="name"
    ),
    "b/rain.ogg": replace(NONE, codec="OGG VORBIS", recorded="2024-04-01T05:10:00", recorded_by="file"),
    "b/dog's.wav": NONE,
}


@pytest.fixture
def library(tmp_path: Path) -> Library:
    """Five files, of two segments each; three have facts, two have tags."""
    sounds = tmp_path / "s"
    paths = [str(sounds / name) for name in sorted(FACTS)]
    for path in paths:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).touch()
    tags = {paths[0]: ["night", "bird"], paths[1]: ["bird"]}
    library = filled(tmp_path / "l.loom", paths, clustered(len(paths), 2), segments=2, tags=tags)
    facts = {str(sounds / name): facts for name, facts in FACTS.items()}
    update_facts(library.folder, {path: path for path in paths}, facts.__getitem__)
    return library


def names(library: Library, **asked: object) -> list[str]:
    return [Path(match.path).name for match in library.find(LibraryQuery(**asked))]  # type: ignore[arg-type]


def test_files_are_sorted_and_what_is_not_known_comes_last(library: Library) -> None:
    assert names(library, sort=("sample_rate", "-name")) == [
        "robin.flac",
        "bus.wav",
        "owl.wav",
        "rain.ogg",
        "dog's.wav",
    ]
    assert names(library, sort=("-rate",)) == ["owl.wav", "robin.flac", "bus.wav", "dog's.wav", "rain.ogg"]
    assert names(library, sort=("hour",), where="hour IS NOT NULL") == ["owl.wav", "bus.wav", "robin.flac"]
    assert names(library, sort=("-month",), filter=RowFilter(folder="a")) == ["robin.flac", "owl.wav"]
    assert names(library, text="a", sort=("name",), names_only=True)[0] == "owl.wav"
    with pytest.raises(QueryError, match="did you mean codec"):
        names(library, sort=("codecs",))


def test_the_hour_at_which_a_file_was_changed_is_none_of_recording(library: Library) -> None:
    assert names(library, where="hour = 5") == names(library, filter=RowFilter(hours=(5, 6))) == ["owl.wav", "bus.wav"]
    assert names(library, filter=RowFilter(before=date(2024, 5, 1))) == ["rain.ogg"]


def test_facets_count_files_among_those_admitted(library: Library) -> None:
    every = library.facets()
    assert every.files == 5
    assert every.counts["folder"] == {"a": 2, "b": 2, "b/c": 1}
    assert every.counts["tags"] == {"bird": 2, "night": 1}
    assert every.counts["sample_rate"] == {"44100": 2, "96000": 1}
    assert list(every.counts["hour"].items()) == [("5", 2), ("22", 1)]
    assert every.counts["month"] == {"2024-05": 2, "2024-06": 1, "2024-04": 1}
    assert every.counts["duration"] == {"1 to 5 s": 5}
    some = library.facets(["codec"], LibraryQuery(where="bits = 24", filter=RowFilter(folder="a")))
    assert (some.files, some.counts) == (1, {"codec": {"WAV PCM_24": 1}})
    assert library.facets(["folder"], "owl").files == 1
    with pytest.raises(QueryError, match="rank a library"):
        library.facets([], LibraryQuery(words=("dog",)))


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ("sample_rate >= 96000", ["owl"]),
        ("NOT sample_rate >= 96000", ["robin", "bus"]),  # unknown is neither
        ("rate != 44100 OR codec = 'OGG VORBIS'", ["owl", "rain"]),
        ("codec LIKE 'wav%'", []),
        ("codec ILIKE 'wav%' AND bits IN (16, 24)", ["owl", "bus"]),
        ("recorded BETWEEN '2024-05-01' AND '2024-06-01'", ["owl", "bus"]),
        ("recorded > '2024-05-31 05:01'", ["robin"]),  # as with a T
        ("recorded IS NULL", ["dog's"]),
        ("array_has(tags, 'bird') AND NOT array_has(tags, 'night')", ["robin"]),
        ("name = 'dog''s.wav'", ["dog's"]),
        ("starts_with(name, 'r') AND (duration > 1 OR start = 0)", ["robin", "rain"]),
        ("lower(codec) = 'flac pcm_16'", ["robin"]),
        ("folder NOT IN ('a', 'b')", ["bus"]),
        ("size = 100 AND duration > 1", ["owl", "robin", "bus", "dog's", "rain"]),  # a column of the store
        ("size = 100 AND array_has(tags, 'night')", ["owl"]),
        ("length(path) > 0", ["owl", "robin", "bus", "dog's", "rain"]),  # by the store
    ],
)
def test_conditions_are_those_of_sql(library: Library, where: str, found: list[str]) -> None:
    assert sorted(Path(name).stem for name in names(library, where=where)) == sorted(found)


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("samplerate = 1", "did you mean sample_rate"),
        ("codec > 5", "write '5' in quotes"),
        ("bits = '24'", "write 24 without quotes"),
        ("codec = FLAC", "Text stands in quotes: = 'FLAC'"),
        ("tags = 'bird'", "array_has"),
        ("duration => 1", "no sign '=>': write >="),
        ("duration ≥ 1", "write >="),
        ("!bits", "write NOT"),
        ("duration > 1:30", "'1:30' is no number"),
        ("duration > 3s", "'3s' is no number"),
        ("codec = 'FLAC", "is not closed"),
        ("name contains 'rain'", "cannot be read from 'contains' on"),
        ("duration > 1 AND", "ends too early"),
        ("bits = 24; DROP TABLE segments", "one condition"),
        ("bits = ", "cannot be evaluated"),
        (" ", "empty"),
        ("recorded > 'yesterday'", "'yesterday' is no time as recorded has it: write 2024,"),
        ("'2024-13' < recorded", "'2024-13' is no time"),
        ("recorded BETWEEN '2024' AND '31.12.2024'", "'31.12.2024' is no time"),
        ("recorded IN ('may')", "'may' is no time"),
        ("duration IN ('5')", "write 5 without quotes"),
        ("codec BETWEEN 1 AND 2", "write '1' in quotes"),
        ("tags IN ('bird')", "array_has"),
        ("count(*) > 1", r"count\(\) is of many sounds"),
        ("max(duration) > 1", r"max\(\) is of many sounds"),
        ("true", "it compares nothing"),
        ("duration", "it compares nothing"),
        ("length(name) > 3", "cannot be of name, but of decoder, duration"),
        ("foo(path) > 1", r"cannot be evaluated: Invalid function 'foo'\. Columns: path"),
        ("length(colour) > 1", r"cannot be evaluated: No field named colour\. Columns: path"),
    ],
)
def test_conditions_that_cannot_be_evaluated_say_why(library: Library, where: str, message: str) -> None:
    with pytest.raises(QueryError, match=message):
        names(library, where=where)


def test_a_condition_agrees_with_the_store(library: Library) -> None:
    index = library.index()
    for where in ("duration >= 1 AND start < 1", "array_has(tags, 'bird')", "path LIKE '%a/%' OR \"end\" > 1.5"):
        mask = where_mask(index.fields, where)
        assert mask is not None
        np.testing.assert_array_equal(mask, index.mask(where))


def test_conditions_are_the_same_in_every_search(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    query = np.ones(library.settings.dim)

    def found(where: str) -> list[str]:
        return sorted({Path(hit.path).name for hit in library.search_embedding(query, 10, where=where)})

    library.index()
    scans: list[object] = []
    scan = Store.scan
    monkeypatch.setattr(Store, "scan", lambda *given, **named: scans.append(given) or scan(*given, **named))
    assert found("sample_rate = 44100 AND bits = 24") == ["bus.wav"]
    assert found("array_has(tags, 'bird') AND start = 0") == ["owl.wav", "robin.flac"]
    assert not scans  # conditions on fields do not read the store
    assert found("size > 1 AND mtime_ns >= 0 AND bits = 16") == ["robin.flac"]
    assert found("size > 2 AND bits = 16") == ["robin.flac"]
    assert len(scans) == 2  # a column each
    # What is known of the files changes without the rows: nothing that was remembered holds then.
    facts = {path: replace(NONE, sample_rate=8000) for path in library.files()}
    update_facts(library.folder, dict.fromkeys(facts, "another content"), facts.__getitem__)
    assert found("sample_rate = 44100 AND bits = 24") == []
    assert len(found("sample_rate = 8000")) == 5


def test_fields_of_some_files(library: Library) -> None:
    fields = library.index().fields
    paths = [path for path in library.files() if path.endswith(("owl.wav", "dog's.wav"))]
    assert fields.of_files(paths, ["rate", "tags", "folder"]) == [
        {"rate": 96000, "tags": ["bird", "night"], "folder": "a"},
        {"rate": None, "tags": [], "folder": "b"},
    ]
