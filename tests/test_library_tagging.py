"""Tags that a person gives: one commit, undo, survival, identity of segments, and their export."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from filelock import FileLock

from helpers.library_factory import append, clustered, filled
from soundloom.errors import InvalidArgumentError, LibraryError, QueryError, ResourceError
from soundloom.library import Library, TagTable, segment_id
from soundloom.library.search.search_index import SearchIndex
from soundloom.library.segments import Segments
from soundloom.library.tags import editor
from soundloom.library.tags.editor import TagEditor

PATHS = ["/s/a.wav", "/s/b.wav", "/s/deep/it's.wav"]


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return filled(tmp_path / "l.loom", PATHS, clustered(3, 4), segments=4, tags={PATHS[0]: ["old"]})


def tags(library: Library) -> dict[tuple[str, float], tuple[str, ...]]:
    """The tags of every segment that has some, as the store has them."""
    rows = library.rows(["path", "start", "tags"]).to_pydict()
    return {(path, start): tuple(some) for path, start, some in zip(*rows.values(), strict=True) if some}


def everywhere(path: str, *words: str) -> dict[tuple[str, float], tuple[str, ...]]:
    return {(path, float(start)): words for start in range(4)}


def test_an_id_names_a_segment_for_good(library: Library) -> None:
    segments = library.index().segments
    ids = segments.ids(slice(None))
    assert len(set(ids)) == len(library) == 12
    assert ids[5] == segment_id(PATHS[1], 1.0, 2.0)
    segment = library.index().segments.find(ids[5])
    assert (segment.path, segment.start, segment.end, segment.duration, segment.id) == (PATHS[1], 1.0, 2.0, 4.0, ids[5])
    assert Library.open(library.folder).index().segments.find(ids[5]) == segment
    assert segments.rows_of_ids([ids[7], "f" * 16, "nonsense", ids[0]]).tolist() == [7, -1, -1, 0]
    hit = library.search_embedding(np.ones(16, np.float32), 1)[0]
    assert library.index().segments.find(hit.id).path == hit.path
    with pytest.raises(QueryError, match="no segment of this library has the id 'nonsense'"):
        library.index().segments.find("nonsense")


def test_an_embedding_is_found_by_its_id(library: Library) -> None:
    rows = library.rows(["embedding"])["embedding"].to_pylist()
    for place, one in enumerate(library.index().segments.ids(slice(None))):
        embedding = library.index().embedding(one)
        assert embedding.dtype == np.float32
        assert embedding.tolist() == rows[place]
    with pytest.raises(QueryError, match="no segment of this library has the id 'nonsense'"):
        library.index().embedding("nonsense")
    gone = library.index().segments.ids([8])[0]
    library._store.remove([PATHS[2]])
    with pytest.raises(QueryError, match="may have gone, moved or changed"):
        library.index().embedding(gone)


def test_ids_tell_apart_what_differs_in_anything() -> None:
    names = [("a", 0.0, 1.0), ("a", 0.0, 2.0), ("a", 1.0, 1.0), ("b", 0.0, 1.0), ("a0", 0.0, 1.0), ("", 0.0, 1.0)]
    assert len({segment_id(*name) for name in names}) == len(names)


def test_a_mark_is_an_id_a_segment_a_file_or_a_region(library: Library) -> None:
    segments = library.index().segments
    [id_] = segments.ids([6])
    assert segments.rows_of([id_, library.index().segments.find(id_)]).tolist() == [6]
    assert segments.rows_of([PATHS[1], Path(PATHS[1])]).tolist() == [4, 5, 6, 7]
    assert segments.rows_of([(PATHS[1], 1.5, 3.5)]).tolist() == [5, 6, 7]
    assert segments.rows_of([(PATHS[1], 1.2, 1.3)]).tolist() == [5]
    assert segments.rows_of([(PATHS[1], 1.6, 3.4)]).tolist() == [6]
    assert segments.rows_of([]).tolist() == []
    for mark, message in (
        ("/s/none.wav", "neither a file nor the id"),
        ((PATHS[0], 7.0, 9.0), "no segment of '/s/a.wav' lies at 7 to 9 s: its last ends at "),
        ((PATHS[0], 2.0, 2.0), "must end after it begins"),
    ):
        with pytest.raises(QueryError, match=message):
            segments.rows_of([mark])


def test_an_empty_library_has_no_segments(tmp_path: Path) -> None:
    library = filled(tmp_path / "l.loom", PATHS[:1], clustered(1, 1))
    library._store.remove(PATHS[:1])
    assert (len(library.index().segments), library.index().segments.rows_of_ids(["0" * 16]).tolist()) == (0, [-1])
    assert library.tags.counts() == {}


def test_tags_of_files_and_segments(library: Library) -> None:
    library.tags.add("siren", [PATHS[1], (PATHS[2], 1.0, 3.0)])
    siren = {(PATHS[2], 1.0): ("siren",), (PATHS[2], 2.0): ("siren",)}
    assert tags(library) == everywhere(PATHS[0], "old") | everywhere(PATHS[1], "siren") | siren
    assert library.tags.counts() == {"siren": 6, "old": 4}
    library.tags.remove("old", library.index().segments.ids([0, 1]))
    assert library.tags.counts() == {"siren": 6, "old": 2}
    library.tags.set(PATHS[0], ["z", " a "])
    assert tags(library) == everywhere(PATHS[0], "a", "z") | everywhere(PATHS[1], "siren") | siren
    library.tags.set((PATHS[0], 0.0, 1.0), [])
    assert (PATHS[0], 0.0) not in tags(library)


def test_an_edit_is_one_commit_and_counts_what_changed(library: Library) -> None:
    version = library._store.version
    edit = library.tags.edit("siren", add=PATHS[:2], remove=[PATHS[2]])
    assert (edit.changed, library._store.version) == (8, version + 1)
    again = library.tags.edit("siren", add=PATHS[:2])
    assert (again.changed, library._store.version) == (0, version + 1)


def test_undo_takes_back_that_edit_and_no_other(library: Library) -> None:
    before = tags(library)
    one = library.tags.add("one", PATHS)
    after_one = tags(library)
    two = library.tags.add("two", [PATHS[0]])
    undone = one.revert()
    assert undone.changed == 12
    assert tags(library) == everywhere(PATHS[0], "old", "two")
    redone = undone.revert()
    assert (redone.changed, tags(library)[(PATHS[0], 0.0)]) == (12, ("old", "one", "two"))
    two.revert()
    assert tags(library) == after_one
    redone.revert()
    assert tags(library) == before
    # What had the tag before keeps it when the edit is undone.
    library.tags.add("old", PATHS).revert()
    assert tags(library) == before


def test_tagging_does_not_build_the_index_again(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    query = np.arange(16, dtype=np.float32)
    hits = library.search_embedding(query, 12)
    assert library.search_embedding(query, where="array_has(tags, 'siren')") == []
    monkeypatch.setattr(SearchIndex, "build", lambda *_, **__: pytest.fail("the index was built"))
    edit = library.tags.add("siren", [hits[3]])
    found = library.search_embedding(query, 12, where="array_has(tags, 'siren')")
    assert [(hit.id, hit.tags) for hit in found] == [(hits[3].id, tuple(sorted({*hits[3].tags, "siren"})))]
    assert [hit.similarity for hit in library.search_embedding(query, 12)] == [hit.similarity for hit in hits]
    edit.revert()
    assert library.search_embedding(query, 12) == hits
    assert Library.open(library.folder).search_embedding(query, 12) == hits


def test_an_index_that_misses_more_than_tags_is_built(library: Library) -> None:
    library.index()
    append(library._store, ["/s/new.wav"], clustered(1, 4), segments=4)
    library.tags.add("siren", [PATHS[0]])
    assert (len(library.index()), library.tags.counts()["siren"]) == (16, 4)


@pytest.mark.parametrize("tag", ["", "  ", "a;b", "a,b", "a\nb", "a\tb", "x" * 201])
def test_what_is_no_tag_is_refused(library: Library, tag: str) -> None:
    with pytest.raises(LibraryError, match="cannot be a tag"):
        library.tags.add(tag, PATHS)
    assert not (library.folder / "tags.jsonl").exists()


def test_both_to_have_and_not_is_refused(library: Library) -> None:
    with pytest.raises(LibraryError, match="both to have the tag 'siren' and not"):
        library.tags.edit("siren", add=[PATHS[0]], remove=[(PATHS[0], 0.0, 1.0)])


# The following need real files, for `add` looks at the disk.


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    folder = tmp_path / "sounds"
    folder.mkdir()
    for number in range(3):
        write(folder / f"{number}.wav", number)
    return folder


def write(path: Path, seed: int, seconds: float = 3.0) -> None:
    soundfile.write(path, 0.1 * np.random.default_rng(seed).normal(size=round(16000 * seconds)), 16000)


@pytest.fixture
def heard(tmp_path: Path, sounds: Path) -> Library:
    library = Library.create(tmp_path / "heard.loom", "mfcc", window=1.0)
    library.add(sounds)
    return library


def test_what_a_person_decided_outlives_tables_and_changes(heard: Library, sounds: Path) -> None:
    zero, one, two = (str(sounds / f"{number}.wav") for number in range(3))
    heard.tags.add("mine", [zero, (one, 1.0, 2.0)])
    (sounds / "tags.csv").write_text("path,tags\n0.wav,theirs\n1.wav,theirs\n2.wav,theirs\n")
    heard.add(sounds, tags=TagTable(sounds / "tags.csv"))
    assert heard.tags.counts() == {"theirs": 9, "mine": 4}
    heard.tags.remove("theirs", [zero])
    write(sounds / "0.wav", 7, seconds=5.0)
    heard.add(sounds, tags=TagTable(sounds / "tags.csv"))
    assert tags(heard) == (
        {(zero, float(start)): ("mine",) for start in range(5)}
        | {(one, float(start)): ("mine", "theirs") if start == 1 else ("theirs",) for start in range(3)}
        | {(two, float(start)): ("theirs",) for start in range(3)}
    )


def test_what_a_person_decided_follows_a_file_that_moves(heard: Library, sounds: Path) -> None:
    heard.tags.add("mine", [str(sounds / "0.wav")])
    (sounds / "0.wav").rename(sounds / "moved.wav")
    heard.add(sounds)
    (sounds / "tags.csv").write_text("path,tags\nmoved.wav,theirs\n")
    heard.add(sounds, tags=TagTable(sounds / "tags.csv"))
    assert tags(heard) == {(str(sounds / "moved.wav"), float(start)): ("mine", "theirs") for start in range(3)}


def test_what_was_undone_does_not_come_back(heard: Library, sounds: Path) -> None:
    edit = heard.tags.add("mine", [str(sounds / "0.wav")])
    undone = edit.revert()
    heard.add(sounds)
    assert tags(heard) == {}
    undone.revert()
    write(sounds / "0.wav", 9)
    heard.add(sounds)
    assert heard.tags.counts() == {"mine": 3}


def test_killed_between_log_and_store_the_next_add_brings_it_in(heard: Library, sounds: Path) -> None:
    def killed(_: object) -> None:
        raise KeyboardInterrupt

    heard._tag_editor._write = killed  # type: ignore[method-assign, assignment]
    with pytest.raises(KeyboardInterrupt):
        heard.tags.add("mine", [str(sounds / "0.wav")])
    with (heard.folder / "tags.jsonl").open("ab") as log:
        log.write(b'{"id": "torn')
    again = Library.open(heard.folder)
    again.add(sounds)
    assert again.tags.counts() == {"mine": 3}
    again.tags.add("more", [str(sounds / "1.wav")])
    assert len([json.loads(line) for line in (heard.folder / "tags.jsonl").read_text().splitlines()]) == 2


def test_a_damaged_log_is_refused_with_the_remedy(heard: Library, sounds: Path) -> None:
    (heard.folder / "tags.jsonl").write_text('nonsense\n{"id": "1", "decisions": []}\n')
    with pytest.raises(LibraryError, match=r"log of tags .* is damaged"):
        heard.add(sounds)


def test_export_to_csv_and_audacity(library: Library, tmp_path: Path) -> None:
    library.tags.remove("old", [PATHS[0]])
    library.tags.add('say "hi"', [(PATHS[0], 0.0, 2.0), (PATHS[0], 3.0, 4.0)])
    library.tags.add("siren", [PATHS[2], (PATHS[0], 1.0, 2.0)])
    assert library.tags.export(tmp_path / "out" / "labels.csv") == 8
    with (tmp_path / "out" / "labels.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows[:4] == [
        ["path", "start", "end", "label", "score"],
        [PATHS[0], "0.0", "1.0", 'say "hi"', ""],
        [PATHS[0], "1.0", "2.0", 'say "hi"', ""],
        [PATHS[0], "1.0", "2.0", "siren", ""],
    ]
    assert library.tags.export(tmp_path / "tracks") == 8
    files = {str(file.relative_to(tmp_path / "tracks")): file.read_text() for file in tmp_path.glob("tracks/**/*.txt")}
    assert files == {
        "a.wav.txt": '0.000000\t2.000000\tsay "hi"\n1.000000\t2.000000\tsiren\n3.000000\t4.000000\tsay "hi"\n',
        "deep/it's.wav.txt": "0.000000\t4.000000\tsiren\n",
    }
    with pytest.raises(InvalidArgumentError, match=r"end it in \.csv"):
        library.tags.export(tmp_path / "labels.xlsx")
    with pytest.raises(ResourceError, match="cannot write"):
        library.tags.export(tmp_path / "out" / "labels.csv" / "below.csv")


def test_ids_are_kept_when_only_tags_change(library: Library) -> None:
    rows = library.index().rows
    first = Segments(rows, 1)
    numbers = first.numbers
    same, fewer = Segments(rows, 2), Segments(rows.slice(1), 2)
    for later in (same, fewer):
        later.share_ids(first)
    assert same.numbers is numbers
    assert fewer.numbers is not numbers


def test_many_edits_leave_few_pieces_and_the_index_stays(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(editor, "_FRAGMENTS", 5)
    index = library.index()
    monkeypatch.setattr(SearchIndex, "build", None)  # tags alone never need it
    expected = tags(library)
    edits = []
    for number in range(30):
        one = library.index().segments.at([number % 12])[0]
        edits.append(library.tags.add(f"t{number}", [one]))
        place = (one.path, one.start)
        expected[place] = tuple(sorted({*expected.get(place, ()), f"t{number}"}))
        assert library._store.small_fragments <= 6
        assert tags(library) == expected
    assert library.index().version == library._store.version
    assert np.array_equal(library.index().vectors, index.vectors)
    assert [hit.tags for hit in library.search_embedding(np.ones(16, np.float32), 12, where="array_has(tags, 't29')")]
    edits[3].revert()
    assert "t3" not in library.tags.counts()


def test_pieces_are_left_to_who_adds_files(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(editor, "_FRAGMENTS", 0)
    library.index()
    with FileLock(library.folder / "add.lock"):
        library.tags.add("x", [PATHS[1]])
        fragments = library._store.small_fragments
        assert fragments > 1
    library.tags.add("y", [PATHS[1]])
    assert library._store.small_fragments < fragments
    assert library.tags.counts() == {"old": 4, "x": 4, "y": 4}


def test_an_edit_sees_what_was_committed_after_it_had_begun(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    path, other = min(library.files()), Library.open(library.folder)
    apply_pending = TagEditor._apply_pending

    def meanwhile(editor: TagEditor) -> None:
        monkeypatch.setattr(TagEditor, "_apply_pending", apply_pending)
        other.tags.add("second", [path])

    library.tags.counts()
    monkeypatch.setattr(TagEditor, "_apply_pending", meanwhile)
    library.tags.add("first", [path])
    assert set(library.tags.counts()) == {"first", "old", "second"} == set(other.tags.counts())
