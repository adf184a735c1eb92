"""Libraries of one model merged into one: rows, tags, what both hold, and what cannot be merged."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from helpers.command_line import run
from helpers.library_factory import clustered, filled
from helpers.server import write_sound
from soundloom.errors import LibraryError
from soundloom.library import Library, verify_library
from soundloom.library.library_merge import MergeReport, merge_libraries

ONE, TWO = ["/s/a.wav", "/s/b.wav"], ["/s/b.wav", "/t/c.wav", "/t/d.wav"]


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Library, Library]:
    """Two libraries of two-second files, which have one path in common."""
    vectors = clustered(5, 2)
    one = filled(tmp_path / "one.loom", ONE, vectors[:4], segments=2)
    two = filled(tmp_path / "two.loom", TWO, vectors[4:], segments=2)
    one.tags.add("mine", ["/s/a.wav"])
    two.tags.add("theirs", [("/t/c.wav", 1.0, 2.0)])
    two.tags.add("both", ["/s/b.wav"])
    return one, two


def test_rows_and_tags_are_taken_over(pair: tuple[Library, Library]) -> None:
    one, two = pair
    before = two.rows(["path", "start", "embedding", "tags"])
    assert merge_libraries(one.folder, two.folder) == MergeReport(files=2, segments=4, known=1)
    merged = Library.open(one.folder)
    assert merged.files() == ["/s/a.wav", "/s/b.wav", "/t/c.wav", "/t/d.wav"]
    assert merged.tags.counts() == {"both": 2, "mine": 2, "theirs": 1}
    rows = merged.rows(["path", "start", "embedding", "tags"], "path LIKE '/t/%'").to_pylist()
    assert rows == [row for row in before.to_pylist() if row["path"].startswith("/t/")]
    own = merged.rows(["embedding"], "path = '/s/b.wav'")["embedding"].to_pylist()
    np.testing.assert_array_equal(own, clustered(5, 2)[2:4])  # not the other's
    assert two.rows(["path", "start", "embedding", "tags"]).equals(before)
    query = clustered(5, 2)[6]
    assert merged.search_embedding(query, 1)[0].path == "/t/c.wav"
    assert merge_libraries(one.folder, two.folder) == MergeReport(files=0, segments=0, known=3)
    assert len((merged.folder / "tags.jsonl").read_text().splitlines()) >= 3  # decisions, which outlive tables


def test_a_library_that_does_not_exist_is_made_like_the_first(pair: tuple[Library, Library], tmp_path: Path) -> None:
    one, two = pair
    done = run("merge", one.folder, two.folder, "-l", tmp_path / "all.loom")
    assert done.exit_code == 0, done.stderr
    merged = Library.open(tmp_path / "all.loom")
    assert merged.files() == ["/s/a.wav", "/s/b.wav", "/t/c.wav", "/t/d.wav"]
    assert merged.tags.counts() == {"both": 2, "mine": 2, "theirs": 1}
    assert replace(merged.settings, checksums=one.settings.checksums) == one.settings
    assert list(verify_library(merged.folder)) == []


def test_what_is_known_of_files_is_taken_over_though_they_are_away(tmp_path: Path) -> None:
    for number, name in enumerate(("a/one.wav", "b/two.wav", "b/three.wav")):
        write_sound(tmp_path / name, 300 + 100 * number)
    libraries = []
    for name, site in (("a", "roof"), ("b", "pond")):
        (tmp_path / f"{name}.csv").write_text(f"path,site,rank\n{'one' if name == 'a' else 'two'}.wav,{site},1\n")
        library = Library.create(tmp_path / f"{name}.loom", "logmel")
        library.add(tmp_path / name, workers=1)
        library.add_columns(tmp_path / f"{name}.csv")
        library.index()
        (tmp_path / name).rename(tmp_path / f"away-{name}")
        libraries.append(library)
    (libraries[1].folder / "deployments.csv").write_text("path,site\nb,pond\n")
    for library in libraries:
        merge_libraries(tmp_path / "all.loom", library.folder)
    fields = Library.open(tmp_path / "all.loom").index().fields
    assert fields.column("sample_rate").to_pylist() == [16000] * 3
    assert fields.column("peak").null_count == 0
    assert fields.column("rank").to_pylist() == [1, None, 1]
    assert [site for site in fields.column("site").to_pylist() if site in ("roof", "pond")] == ["roof", "pond", "pond"]
    assert (tmp_path / "all.loom" / "deployments.csv").is_file()
    assert list(verify_library(tmp_path / "all.loom")) == []


def test_what_differs_is_refused(pair: tuple[Library, Library]) -> None:
    one, two = pair
    with pytest.raises(LibraryError, match="into itself"):
        merge_libraries(one.folder, one.folder)
    for change, message in (
        ({"fingerprint": "1" * 64}, "differ in their fingerprint"),
        ({"window": 2.0, "hop": 2.0}, "differ in their window, hop"),
    ):
        settings = two.settings
        replace(settings, **change).write(two.folder)  # type: ignore[arg-type]
        with pytest.raises(LibraryError, match=message):
            merge_libraries(one.folder, two.folder)
        settings.write(two.folder)


def test_the_command_says_what_it_did(pair: tuple[Library, Library]) -> None:
    one, two = pair
    done = run("merge", two.folder, "-l", one.folder)
    assert done.exit_code == 0, done.stderr
    assert f"2 files, 4 segments taken over into {one.folder}, 1 held already." in done.stdout
    for wrong, said in (([], "-l is the one that takes them"), ([str(one.folder.parent)], "soundloom index ")):
        refused = run("merge", *wrong, "-l", one.folder)
        assert refused.exit_code
        assert said in refused.stderr


def test_one_that_differs_among_several_is_refused_before_anything_is_made(
    pair: tuple[Library, Library], tmp_path: Path
) -> None:
    one, two = pair
    replace(two.settings, window=3.0, hop=3.0).write(two.folder)
    merged = tmp_path / "merged.loom"
    done = run("merge", one.folder, two.folder, "-l", merged)
    assert (done.exit_code, "differ in their window, hop" in done.stderr) == (1, True)
    assert not merged.exists()
