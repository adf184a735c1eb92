"""A library in use: its clusters, distances between its sounds, near duplicates, export and import, watched folders."""

from __future__ import annotations

import csv
import json
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner
from pyarrow import parquet

from helpers.library_factory import DIM, PARTS, clustered, filled
from soundloom.annotations import read_annotations
from soundloom.cli import main
from soundloom.errors import InvalidArgumentError, LibraryError, QueryError, SoundloomError
from soundloom.library import AddReport, Library, LibraryQuery, RowFilter
from soundloom.library.embedding_import import import_embeddings
from soundloom.library.exports.distance_table import write_distances
from soundloom.library.exports.library_export import export_library
from soundloom.library.folder_watch import watch_folders
from soundloom.library.search.vector_index import pairwise

KINDS = ("dog", "owl", "rain")
PATHS = [f"/s/{kind}/{kind}_{number:02d}.wav" for kind in KINDS for number in range(10)]
TAGS = {path: ["bark"] for path in PATHS[:10]}


@pytest.fixture
def library(tmp_path: Path) -> Library:
    """Three kinds of ten files; those of the first kind have a tag, and the last two files are nearly the same."""
    embeddings = clustered(3, 10)
    embeddings[-1] = embeddings[-2] + 1e-3
    return filled(tmp_path / "l.loom", PATHS, embeddings, tags=TAGS)


def test_clusters_have_names_words_and_an_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = clustered(2, 10, spread=0.1)
    library = filled(tmp_path / "l.loom", [*PATHS[:10], *PATHS[20:]], vectors, tags=TAGS)
    centre = vectors[:10].mean(axis=0)

    def scores(embeddings: np.ndarray) -> tuple[tuple[str, ...], np.ndarray]:
        near = (np.linalg.norm(embeddings - centre, axis=1) < 1).astype(float)
        return ("dog", "thing"), np.stack([0.05 + 0.9 * near, np.full(len(near), 0.5)], axis=1)

    monkeypatch.setattr(library.maps._words, "word_scores", scores)
    found = library.maps.clusters()
    described = {cluster.name: (cluster.words, cluster.segments, cluster.files) for cluster in found}
    assert described == {"bark": (("dog",), 10, 10), "rain": ((), 10, 10)}
    assert [cluster.example.split("/")[2] for cluster in found if cluster.name == "bark"] == ["dog"]
    shown = CliRunner().invoke(main, ["clusters", "-l", str(library.folder)])
    assert (shown.exit_code, "bark" in shown.stdout, "rain" in shown.stdout) == (0, True, True)
    table = tmp_path / "clusters.csv"
    assert CliRunner().invoke(main, ["clusters", "-l", str(library.folder), "-o", str(table)]).exit_code == 0
    assert sorted(one.label for one in read_annotations(table).annotations) == ["bark"] * 10 + ["rain"] * 10
    single = filled(tmp_path / "one.loom", PATHS[:1], np.zeros((1, DIM), np.float32))
    assert [cluster.segments for cluster in single.maps.clusters()] == [1]
    assert Library.create(tmp_path / "empty.loom", "mfcc").maps.clusters() == []


def brute_force(library: Library) -> np.ndarray:
    """Similarities of all rows by the definition: the mean of the parts' cosines."""
    vectors = library.index().vectors
    return sum(vectors[:, slice(*columns)] @ vectors[:, slice(*columns)].T for columns in PARTS.values()) / len(PARTS)


@pytest.mark.parametrize("block", [40, 2**24])
def test_the_nearest_are_those_of_all_pairs(
    library: Library, tmp_path: Path, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pairwise, "_BLOCK", block)
    every = brute_force(library)
    assert write_distances(library, tmp_path / "d.csv", nearest=3) == 90
    with open(tmp_path / "d.csv", newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    for number, path in enumerate(PATHS):
        mine = [row for row in rows if row["path"] == path]
        order = [other for other in np.argsort(-every[number], kind="stable") if other != number][:3]
        assert [row["other"] for row in mine] == [PATHS[other] for other in order]
        assert [float(row["similarity"]) for row in mine] == pytest.approx(every[number, order], abs=1e-5)
        assert [float(row["distance"]) for row in mine] == pytest.approx(1 - every[number, order], abs=1e-5)
    count = write_distances(
        library, tmp_path / "d.parquet", nearest=None, query=LibraryQuery(filter=RowFilter(folder="owl"))
    )
    table = parquet.read_table(tmp_path / "d.parquet")
    assert (count, table.num_rows, set(table["path"].to_pylist())) == (90, 90, set(PATHS[10:20]))
    with pytest.raises(QueryError, match="at least 1"):
        write_distances(library, tmp_path / "d.csv", nearest=0)
    with pytest.raises(LibraryError, match=r"\.csv or \.parquet"):
        write_distances(library, tmp_path / "d.xlsx")


def test_near_duplicates_by_embedding(library: Library) -> None:
    (group,) = library.duplicates.find(similar=0.999).groups
    assert {copy.path for copy in group} == set(PATHS[-2:])
    assert all(copy.agreement > 0.999 and not copy.exact for copy in group)
    assert len(library.duplicates.find(similar=0.2).groups[0]) > 2
    with pytest.raises(InvalidArgumentError, match="least similarity"):
        library.duplicates.find(similar=1.5)


def test_most_segments_of_the_longer_file_must_correspond(tmp_path: Path) -> None:
    long, short = clustered(1, 4, spread=1.0), clustered(1, 4, spread=1.0)[:2]
    other = clustered(1, 26, spread=1.0, seed=9)
    embeddings = np.concatenate([long, short, other[:2], other[2:]])
    paths = ["/s/a.wav", "/s/b.wav", *(f"/s/{letter}.wav" for letter in "cdefg")]
    library = filled(tmp_path / "l.loom", paths, np.concatenate([embeddings, other[:4]])[:28], segments=4)
    # The second file has two of the first one's four segments, and two others.
    assert len(library.duplicates.find(similar=0.999, coverage=0.5).groups) == 1
    assert library.duplicates.find(similar=0.999, coverage=0.6).groups == []


@pytest.mark.parametrize("ending", [".parquet", ".npz", ".csv"])
def test_an_exported_library_can_be_imported_again(library: Library, tmp_path: Path, ending: str) -> None:
    out = tmp_path / f"all{ending}"
    assert export_library(library, out) == (30, 30)
    assert import_embeddings(out, tmp_path / "again.loom") == (30, 30)
    again = Library.open(tmp_path / "again.loom")
    columns = ["path", "start", "end", "embedding"] + ([] if ending == ".csv" else ["tags"])
    assert again.rows(columns).equals(library.rows(columns))
    if ending == ".csv":
        return
    about = json.loads(
        parquet.read_schema(out).metadata[b"soundloom"]
        if ending == ".parquet"
        else str(np.load(out, allow_pickle=False)["about"])
    )
    assert {"model", "fingerprint", "engine", "sample_rate", "window"} <= about.keys()
    assert (again.settings.model, again.settings.fingerprint, again.settings.parts, again.settings.window) == (
        *(library.settings.model, library.settings.fingerprint, library.settings.parts),
        library.settings.window,
    )


def test_a_library_is_exported_to_what_can_be_read_again(library: Library, tmp_path: Path) -> None:
    with pytest.raises(LibraryError, match=r"\.parquet, \.npz, \.csv"):
        export_library(library, tmp_path / "all.xlsx")
    run = CliRunner().invoke(main, ["export", str(library.folder), str(tmp_path / "all.parquet")])
    assert (run.exit_code, "30 segments of 30 files" in run.stdout) == (0, True)
    run = CliRunner().invoke(main, ["export", str(library.folder), str(tmp_path / "cut.parquet"), "--seconds", "5"])
    assert (run.exit_code, "--seconds is for models" in run.stderr) == (2, True)


def test_a_watched_folder_is_indexed_when_files_have_settled(tmp_path: Path) -> None:
    sounds = tmp_path / "s"
    sounds.mkdir()
    rng = np.random.default_rng(0)

    def record(name: str) -> None:
        soundfile.write(sounds / name, 0.1 * rng.normal(size=8000), 16000)

    record("a.wav")
    library = Library.create(tmp_path / "l.loom", "mfcc")
    reports: list[AddReport] = []
    stop = threading.Event()

    def indexed(report: AddReport) -> None:
        reports.append(report)
        if len(reports) == 1:
            record("b.wav")
        else:
            stop.set()

    def refused(error: SoundloomError) -> None:
        raise error

    watch = threading.Timer(60, stop.set)  # the test fails below rather than wait for ever
    watch.start()
    watch_folders(library, [sounds], interval=0.05, workers=1, indexed=indexed, failed=refused, stop=stop)
    watch.cancel()
    assert [report.new for report in reports] == [1, 1]
    assert [Path(path).name for path in library.files()] == ["a.wav", "b.wav"]
    with pytest.raises(InvalidArgumentError, match="above 0"):
        watch_folders(library, [sounds], interval=0)


def test_a_watch_goes_on_while_another_process_adds(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    soundfile.write(tmp_path / "s" / "a.wav", np.random.default_rng(0).normal(size=8000) / 10, 16000)
    library, stop = Library.create(tmp_path / "l.loom", "mfcc"), threading.Event()
    refusals: list[SoundloomError] = []
    with library._add_lock.held():
        other = Library.open(tmp_path / "l.loom")

        def refused(error: SoundloomError) -> None:
            refusals.append(error)
            if len(refusals) == 2:
                stop.set()

        watch_folders(other, [tmp_path / "s"], interval=0.01, workers=1, failed=refused, stop=stop)
    assert "adding" in str(refusals[0])
    assert len(library) == 0
