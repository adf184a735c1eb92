"""One query of text, sounds, words and filters: what it finds, by what, and in which order."""

from __future__ import annotations

import itertools
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from helpers.library_factory import DIM, PARTS, clustered, filled
from helpers.tagged_corpus import copy_trained
from soundloom.errors import ModelMismatchError, NothingFoundError, QueryError
from soundloom.library import Library, LibraryQuery, Match, QuerySound, RowFilter
from soundloom.library.search import finder, query_vectors
from soundloom.library.search.current_rows import current_rows
from soundloom.library.search.matches import merge_overlapping
from soundloom.library.search.query_vectors import combine_examples, nearest_rows
from soundloom.one_thread import one_thread
from soundloom.tags import aligned_tags

PATHS = [f"/s/{name}.wav" for name in ("birds/owl", "birds/robin", "city/bus", "city/dog", "dog park/rec1", "rec2")]
EVEN = dict.fromkeys(PARTS, 1.0)


@pytest.fixture(scope="module")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> Library:
    """Six files of four segments; rec2 is tagged."""
    folder = tmp_path_factory.mktemp("find") / "l.loom"
    return filled(folder, PATHS, clustered(6, 4), segments=4, tags={"/s/rec2.wav": ["Dog", "far"]})


@pytest.fixture(scope="module")
def worded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    """A library of beeps and hisses, whose model knows the words beep, hissing, noise, tone."""
    folder = tmp_path_factory.mktemp("worded")
    with pytest.MonkeyPatch.context() as patch, one_thread:
        patch.setenv("SOUNDLOOM_HOME", str(folder / "home"))
        copy_trained(folder, tmp_path_factory)
        library = Library.create(folder / "l.loom", f"{folder}/run", window=1.0)
        library.add(folder / "sounds", workers=1)
        yield library


def names(matches: list[Match]) -> list[str]:
    return [Path(match.path).stem for match in matches]


def test_text_finds_names_tags_and_folders_in_this_order(made_up: Library) -> None:
    found = made_up.find(LibraryQuery(text="dogs", names_only=True))
    assert [(Path(match.path).stem, match.found_by) for match in found] == [
        ("dog", ("name",)), ("rec2", ("tag",)), ("rec1", ("folder",)),
    ]  # fmt: skip
    assert all((match.start, match.end, match.similarity) == (0, 4, None) for match in found)
    assert all(match.absent for match in found)  # no such files here
    assert names(made_up.find("dog", k=2)) == ["dog", "rec2"]  # no model is asked: there is none


def test_filters_list_and_restrict(made_up: Library) -> None:
    birds = LibraryQuery(filter=RowFilter(folder="Birds"))
    assert names(made_up.find(birds)) == ["owl", "robin"]
    assert names(made_up.find(replace(birds, filter=RowFilter(folder="/s/city")))) == ["bus", "dog"]
    assert names(made_up.find(LibraryQuery(filter=RowFilter(tags=("DOG",))))) == ["rec2"]
    assert names(made_up.find(LibraryQuery(text="dog", where="path LIKE '%city%'", names_only=True))) == ["dog"]
    with pytest.raises(
        QueryError, match=r"nobody has given the tag 'dogg' .*did you mean 'Dog'.*LibraryQuery\(words=\('dogg',\)\)"
    ):
        made_up.find(LibraryQuery(filter=RowFilter(tags=("dogg",))))
    with pytest.raises(QueryError, match=r"lies in a folder 'bird': did you mean 'birds'\?"):
        made_up.find(LibraryQuery(filter=RowFilter(folder="bird")))


def test_a_tag_of_some_segments_means_these(tmp_path: Path) -> None:
    library = filled(tmp_path / "l.loom", ["/s/a.wav", "/s/b.wav"], clustered(2, 5), segments=5)
    library.tags.add("rain", [("/s/b.wav", 1.0, 3.0), ("/s/b.wav", 4.0, 5.0)])
    query = LibraryQuery(text="rain", names_only=True)
    assert [(match.path, match.start, match.end) for match in library.find(query)] == [("/s/b.wav", 1.0, 3.0)]
    every = library.find(replace(query, every_segment=True))
    assert [(match.start, match.end) for match in every] == [(1.0, 3.0), (4.0, 5.0)]


def test_sounds_find_one_match_a_file(worded: Library) -> None:
    query = worded.files()[0]
    found = worded.find(LibraryQuery(like=(QuerySound(query),)), k=8)
    assert len(set(names(found))) == 8
    assert query not in {match.path for match in found}
    similarities = [match.similarity or 0 for match in found]
    assert similarities == sorted(similarities, reverse=True)
    hits = worded.search(query, k=200)
    best = {path: max(hit.similarity for hit in hits if hit.path == path) for path in {hit.path for hit in hits}}
    np.testing.assert_allclose(similarities, sorted(best.values(), reverse=True)[:8], atol=1e-6)
    assert all(match.found_by == ("sound",) and 0 <= (match.percentile or 0) <= 1 for match in found)
    shares = [match.percentile or 0 for match in found]
    for one, other in itertools.combinations(range(8), 2):  # none is more similar than itself
        if similarities[one] > similarities[other] + 0.002:
            assert shares[one] > shares[other]
    assert (len(worded) - 1) * shares[1] <= len(worded) - 2
    with_itself = worded.find(LibraryQuery(like=(QuerySound(query),), include_query=True), k=1)
    assert with_itself[0].path == query


def test_words_of_the_model_fill_what_text_does_not_find(worded: Library) -> None:
    remarks: list[str] = []
    found = worded.find("beeps far", k=20, remarks=remarks)  # no name has both
    assert {match.found_by for match in found} == {("word",)}
    assert np.mean([name.startswith("beep") for name in names(found)[:8]]) > 0.8
    assert remarks == ["the model does not know 'far': searched by the rest"]
    mixed = worded.find("beep", k=14)
    assert [match.found_by for match in mixed] == [("name",)] * 12 + [("word",)] * 2
    assert len(set(names(mixed))) == 14
    with pytest.raises(QueryError, match=r"no name, tag, title or folder .* 'beepp', .* did you mean 'beep'"):
        worded.find("beepp")
    assert worded.find(LibraryQuery(text="beepp", names_only=True)) == []


def test_words_of_an_earlier_version_are_refused_with_the_remedy(worded: Library, tmp_path: Path) -> None:
    folder = tmp_path / "earlier.loom"
    shutil.copytree(worded.folder, folder)
    replace(worded.settings, fingerprint="0" * 64).write(folder)
    earlier = Library.open(folder)
    with pytest.raises(QueryError, match=r"another version of .*soundloom index --upgrade"):
        earlier.find("hissing tone")
    remarks: list[str] = []
    assert {match.found_by for match in earlier.find("beep", k=20, remarks=remarks)} == {("name",)}
    assert "soundloom index --upgrade" in remarks[0]
    assert earlier.tags.vocabulary() == ()


def test_words_say_how_probable_they_are_and_what_is_a_guess(worded: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    remarks: list[str] = []
    found = worded.find(LibraryQuery(words=("beep", "hissing")), k=3, remarks=remarks)
    aligned = aligned_tags(worded.settings.source or worded.settings.model)
    assert aligned is not None
    columns = [aligned.vocabulary.tags.index(word) for word in ("beep", "hissing")]
    for match in found:
        table = worded.rows(["embedding"], where=f"path = '{match.path}' AND start = {match.start}")
        embedding = np.stack(table["embedding"].to_numpy())
        scores = aligned.suggestion_scores(torch.from_numpy(embedding))[0, columns]
        assert match.probability == pytest.approx(scores.min().item(), abs=1e-6)
    assert worded.find(LibraryQuery(like=(QuerySound(found[0].path),)), k=1)[0].probability is None
    monkeypatch.setattr(finder, "GUESS", 1.1)
    worded.find(LibraryQuery(words=("beep",)), k=3, remarks=remarks)
    assert remarks[-1].startswith("these are guesses: as a whole none has a probability of more than ")


def test_a_tag_that_cannot_be_given_is_not_offered(made_up: Library) -> None:
    for tag, offered in (("surf", True), ("Waves, surf", False)):
        with pytest.raises(NothingFoundError, match="nobody has given the tag") as caught:
            made_up.find(LibraryQuery(filter=RowFilter(tags=(tag,))))
        assert ("soundloom tags add" in str(caught.value)) == offered


def test_a_text_that_rules_something_out_is_not_searched_for_it(worded: Library) -> None:
    for text, remedy in (
        ("beep without hissing", "LibraryQuery(words=('beep',), not_words=('hissing',))"),
        ("no hissing", "LibraryQuery(not_words=('hissing',))"),
    ):
        with pytest.raises(QueryError, match=re.escape(f"would look for 'hissing': write {remedy}")):
            worded.find(LibraryQuery(text=text))
    sound = QuerySound(next(path for path in worded.files() if "beep" in path))
    with pytest.raises(QueryError, match="would look for 'hissing'"):
        worded.find(LibraryQuery(text="not hissing", like=(sound,)))
    both = re.escape("would look for 'hissing' and 'beep': write LibraryQuery(not_words=('hissing', 'beep'))")
    with pytest.raises(QueryError, match=both):
        worded.find(LibraryQuery(text="neither hissing nor a beep"))
    with pytest.raises(QueryError, match="text is what to look for, in letters, got 5"):
        worded.find(LibraryQuery(text=5))  # type: ignore[arg-type]


def test_text_beside_what_is_ruled_out_is_a_word_of_the_model(worded: Library) -> None:
    remarks: list[str] = []
    found = worded.find(LibraryQuery(text="beep", not_words=("hissing",)), k=20, remarks=remarks)
    assert found == worded.find(LibraryQuery(words=("beep",), not_words=("hissing",)), k=20)
    assert (found.answered.text, found.answered.words) == ("", ("beep",))
    assert remarks == ["'beep' stands for what the model takes for it, not for what is called so"]
    number = next(word for path in worded.files() for word in Path(path).stem.split("_") if word.isdigit())
    among = worded.find(LibraryQuery(text=number, not_words=("hissing",)), k=20)
    assert among.answered.text == number
    assert all(number in name for name in names(among))


def test_or_is_said_to_be_no_operator(worded: Library) -> None:
    said = "all words of a text are searched for, here 'beep' and 'hissing' at once: for one or the other search twice"
    other = next(word for word in worded.tags.vocabulary() if word not in ("beep", "hissing"))
    for query in (LibraryQuery(text="beep or hissing"), LibraryQuery(text="beep or hissing", not_words=(other,))):
        remarks: list[str] = []
        worded.find(query, remarks=remarks)
        assert said in remarks
    remarks = []
    worded.find("beep and hissing", remarks=remarks)
    assert said not in remarks


def test_a_word_of_several_is_as_probable_as_the_least_of_them(worded: Library) -> None:
    one = worded.find(LibraryQuery(words=("beep hissing",)), k=5)
    two = worded.find(LibraryQuery(words=("beep", "hissing")), k=5)
    assert [match.probability for match in one] == [match.probability for match in two]


def test_text_beside_a_sound_says_among_which_files(worded: Library) -> None:
    query = LibraryQuery(text="hiss", like=(QuerySound(next(path for path in worded.files() if "beep" in path)),))
    assert all(name.startswith("hiss") for name in names(worded.find(query, k=24)))
    with pytest.raises(NothingFoundError, match="no name, tag, title or folder in this library has 'zebra'"):
        worded.find(replace(query, text="zebra"))


def test_text_beside_a_sound_that_nothing_is_called_is_a_word_of_the_model(worded: Library) -> None:
    sound = QuerySound(next(path for path in worded.files() if "hiss" in path))
    called = {word for path in worded.files() for word in Path(path).stem.split("_")}
    word = next(one for one in worded.tags.vocabulary() if not any(one in each for each in called))
    remarks: list[str] = []
    found = worded.find(LibraryQuery(text=word, like=(sound,)), k=6, remarks=remarks)
    assert found == worded.find(LibraryQuery(words=(word,), like=(sound,)), k=6)
    assert {match.found_by for match in found} == {("sound", "word")}
    assert f"nothing here is called {word!r}: what the model takes for it counts beside the rest" in remarks[0]


def test_examples_attract_and_repel(worded: Library) -> None:
    beeps = [QuerySound(path) for path in worded.files() if "beep" in path]
    hisses = [QuerySound(path) for path in worded.files() if "hiss" in path]
    for like, unlike, prefix in ((beeps[:2], hisses[:2], "beep"), ((), beeps[:3], "hiss"), (hisses[:2], (), "hiss")):
        found = worded.find(LibraryQuery(like=tuple(like), unlike=tuple(unlike)), k=6)
        assert np.mean([name.startswith(prefix) for name in names(found)]) > 0.8


def test_an_example_counts_by_its_weight(worded: Library) -> None:
    beep, hiss = (QuerySound(next(path for path in worded.files() if kind in path)) for kind in ("beep", "hiss"))

    def found(*like: QuerySound) -> list[tuple[str, float | None]]:
        query = LibraryQuery(like=like, include_query=True)
        return [(match.path, round(match.similarity or 0, 4)) for match in worded.find(query, k=6)]

    assert found(replace(beep, weight=2), hiss) == found(beep, beep, hiss)
    assert found(replace(beep, weight=2), replace(hiss, weight=2)) == found(beep, hiss)
    assert found(replace(beep, weight=2), hiss) != found(beep, hiss)
    with pytest.raises(QueryError, match="the weight of an example must be above 0, got -1"):
        found(replace(beep, weight=-1), hiss)


def test_a_long_sound_is_searched_by_its_parts(worded: Library, tmp_path: Path) -> None:
    beep, hiss = (next(path for path in worded.files() if kind in path) for kind in ("beep", "hiss"))
    sounds = [soundfile.read(path) for path in (hiss, beep, hiss)]
    rate = sounds[0][1]
    soundfile.write(tmp_path / "long.wav", np.concatenate([samples for samples, _ in sounds]), rate)
    remarks: list[str] = []
    found = worded.find(LibraryQuery(like=(QuerySound(tmp_path / "long.wav"),)), k=3, remarks=remarks)
    assert "longer than the library's window of 1 s: searched by its" in remarks[0]
    assert {match.path for match in found} <= {*worded.files()}
    assert worded.find(LibraryQuery(like=(QuerySound(beep, end=0.5),)), remarks=remarks)
    assert len(remarks) == 1
    worded.find(LibraryQuery(like=(QuerySound(tmp_path / "long.wav"), QuerySound(beep, end=0.5))), remarks=remarks)
    assert "1 sound longer than the library's window of 1 s: the mean of its parts counts" in remarks[1]


def test_parts_are_blended_as_the_module_says(made_up: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against every row compared with every piece, one by one."""
    index = made_up.index()
    pieces = clustered(6, 4)[[0, 5, 9]]
    near = nearest_rows(index, pieces, 24, EVEN)
    each = np.array([[dict(zip(hits.rows, hits.similarity, strict=True))[row] for row in range(24)]
                     for hits in (index.search(piece, 24, EVEN) for piece in pieces)])  # fmt: skip
    expected = (each.max(axis=0) + each.mean(axis=0)) / 2
    assert near.rows.tolist() == np.lexsort((np.arange(24), -expected)).tolist()
    np.testing.assert_allclose(near.similarity, np.sort(expected)[::-1], atol=1e-5)
    np.testing.assert_allclose(np.mean(list(near.parts.values()), axis=0), near.similarity, atol=1e-5)
    # Of more pieces some are searched by, and all are compared with what these find.
    monkeypatch.setattr(query_vectors, "_SEARCHED", 2)
    np.testing.assert_array_equal(nearest_rows(index, pieces, 24, EVEN).similarity, near.similarity)
    one = combine_examples(index, [pieces[:1]])
    plain, combined = index.search(pieces[0], 24, EVEN), index.search(one, 24, EVEN)
    assert plain.rows.tolist() == combined.rows.tolist()
    assert one.shape == (DIM,)


def test_overlapping_regions_are_one() -> None:
    def region(start: float, end: float, path: str = "/a") -> Match:
        return Match(path, start, end, 20.0, (str(start),), similarity=-start)

    merged = merge_overlapping([region(0, 4), region(10, 12), region(2, 6), region(4, 11), region(1, 2, "/b")])
    assert [(match.path, match.start, match.end) for match in merged] == [("/a", 0, 12), ("/b", 1, 2)]
    assert merged[0].tags == ("0", "10", "2", "4")
    assert merged[0].similarity == 0
    apart = [region(0, 4), region(4, 8)]
    assert merge_overlapping(apart) == apart


def test_what_cannot_be_answered_is_refused_first(made_up: Library) -> None:
    for query, message in (
        (LibraryQuery(share=2), "from 0 to 1"),
        (LibraryQuery(like=(QuerySound("x.wav", start=2, end=1),)), "end after it begins"),
    ):
        with pytest.raises(QueryError, match=message):
            made_up.find(query)
    with pytest.raises(QueryError, match="k must be at least 1"):
        made_up.find("dog", k=0)


def test_rows_are_read_without_the_store_while_the_index_is_current(tmp_path: Path) -> None:
    library = filled(tmp_path / "l.loom", ["/s/a.wav", "/s/b.wav"], clustered(2, 1))
    assert current_rows(library.folder) is None  # no index yet
    built = library.index().rows
    rows = current_rows(library.folder)
    assert rows is not None
    assert rows.equals(built)
    library.tags.add("rain", ["/s/a.wav"])
    tagged = current_rows(library.folder)
    assert tagged is not None
    assert tagged["tags"].to_pylist() == [["rain"], []]
    library._store.remove(["/s/a.wav"])
    assert current_rows(library.folder) is None
    library.index()
    (library.folder / "index" / "rows.arrow").write_bytes(b"damaged")
    assert current_rows(library.folder) is None
    assert current_rows(tmp_path / "nothing") is None


def test_one_word_may_be_given_as_it_is(worded: Library) -> None:
    assert worded.search_tags("beep", k=3) == worded.search_tags(["beep"], k=3)


def test_a_library_of_another_version_of_the_model_is_searched_by_what_it_holds(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    (tmp_path / "sounds").mkdir()
    for name in "abc":
        soundfile.write(tmp_path / "sounds" / f"{name}.wav", 0.1 * generator.normal(size=16_000), 16_000)
    library = Library.create(tmp_path / "l.loom", "logmel", window=None)
    library.add(tmp_path / "sounds", workers=1)
    query = LibraryQuery(like=(QuerySound(tmp_path / "sounds" / "a.wav"),))
    before = library.find(query)

    replace(library.settings, fingerprint="0" * 64).write(tmp_path / "l.loom")
    remarks: list[str] = []
    later = Library.open(tmp_path / "l.loom")
    assert [(match.path, match.similarity) for match in later.find(query, remarks=remarks)] == [
        (match.path, pytest.approx(match.similarity, abs=1e-6)) for match in before
    ]
    assert len(before) == 2
    assert "the embeddings that the library holds of this sound" in remarks[0]
    soundfile.write(tmp_path / "new.wav", 0.1 * generator.normal(size=16_000), 16_000)
    with pytest.raises(ModelMismatchError, match="another version of 'logmel'"):
        later.find(LibraryQuery(like=(QuerySound(tmp_path / "new.wav"),)))


def test_a_long_sound_is_searched_by_its_parts_in_every_way_to_search(tmp_path: Path) -> None:
    rate, seconds = 16_000, np.arange(16_000) / 16_000
    tones = {name: 0.5 * np.sin(2 * np.pi * hertz * seconds) for name, hertz in (("low", 200.0), ("high", 3000.0))}
    generator = np.random.default_rng(0)
    (tmp_path / "s").mkdir()
    for name, tone in tones.items():
        soundfile.write(tmp_path / "s" / f"{name}.wav", tone, rate)
    for number in range(3):
        soundfile.write(tmp_path / "s" / f"noise{number}.wav", 0.1 * generator.normal(size=rate), rate)
    library = Library.create(tmp_path / "l.loom", "logmel", window=1.0)
    library.add(tmp_path / "s", workers=1)
    long = np.concatenate([tones["low"], tones["high"]]).astype(np.float32)
    hits = library.search(long, 2, sample_rate=rate)
    assert {Path(hit.path).stem for hit in hits} == {"low", "high"}
    by_find = library.find(LibraryQuery(like=(QuerySound(long, sample_rate=rate),)), 2)
    assert [(hit.path, hit.similarity) for hit in hits] == [
        (hit.path, pytest.approx(hit.similarity)) for hit in by_find
    ]
    # The best and the mean of its two parts, and not the embedding of the whole.
    pieces = np.stack([library.model.embed(tone.astype(np.float32), rate) for tone in tones.values()])
    each = {Path(hit.path).stem: hit.similarity for hit in library.search_embedding(pieces[0], 5)}
    other = {Path(hit.path).stem: hit.similarity for hit in library.search_embedding(pieces[1], 5)}
    expected = (max(each["low"], other["low"]) + (each["low"] + other["low"]) / 2) / 2
    assert next(hit.similarity for hit in hits if Path(hit.path).stem == "low") == pytest.approx(expected, abs=1e-5)
    assert library.search_embedding(pieces, 2) == hits
    with pytest.raises(QueryError, match="finite numbers, got shape"):
        library.search_embedding(pieces[:, 1:], 2)
    soundfile.write(tmp_path / "s" / "long.wav", long, rate)
    library.add(tmp_path / "s", workers=1)
    assert "long" not in {Path(hit.path).stem for hit in library.search(tmp_path / "s" / "long.wav", 5)}
    few = library.search(tmp_path / "s" / "long.wav", 5, where="path LIKE '%noise%'")
    assert {Path(hit.path).stem for hit in few} == {"noise0", "noise1", "noise2"}
