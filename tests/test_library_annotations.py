"""Annotations of a library: kept by content, with sites and hours; the commands."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from helpers.marked_recordings import NAMES, marks, recorded_library, sound
from soundloom.annotations import Annotation, read_annotations, write_annotations
from soundloom.audio import DecodeOptions
from soundloom.cli import main
from soundloom.errors import FileTableError, InvalidArgumentError, LibraryError, QueryError
from soundloom.library import (
    AnnotationFilter,
    Deployment,
    Deployments,
    Library,
    LibraryQuery,
    RecordingFilter,
    RowFilter,
    verify_library,
)
from soundloom.library.library_files import ANNOTATIONS_FILE
from soundloom.library.library_merge import merge_libraries
from soundloom.library.search.fields.deployments import site_by_name


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return recorded_library(tmp_path)


def test_annotations_follow_a_file_that_moves(library: Library, tmp_path: Path) -> None:
    folder = tmp_path / "sounds"
    assert library.annotations.add(marks(folder)) == 3
    assert library.annotations.add(marks(folder)) == 0  # known already
    assert library.annotations.all() == sorted(marks(folder), key=lambda one: one.path)
    (folder / NAMES[0]).rename(folder / "renamed.wav")
    (folder / "copy.wav").write_bytes((folder / NAMES[1]).read_bytes())
    library.add(workers=1)
    found = Library.open(library.folder).annotations.all()
    assert [(Path(one.path).name, one.label) for one in found] == [
        (NAMES[2], "crow"), (NAMES[1], "owl"), ("copy.wav", "owl"), ("renamed.wav", "crow"),
    ]  # fmt: skip
    assert (found[-1].low, found[-1].annotator, found[-1].score) == (500.0, "ada", 0.75)
    sound(folder / NAMES[2], 9)  # edited in place
    library.add(workers=1)
    assert [one.label for one in library.annotations.all() if one.path.endswith(NAMES[2])] == ["crow"]
    assert library.annotations.labels() == {"crow": 2, "owl": 1}


def test_an_annotation_whose_content_is_gone_stays_at_the_last_place_known(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    library.annotations.add(marks(tmp_path / "sounds"))

    def places() -> list[str]:
        told = CliRunner().invoke(main, ["annotations", "export", "-l", "sounds.loom", "out.csv"])
        assert told.exit_code == 0
        found = [one.path for one in read_annotations("out.csv").annotations]
        gone = len(library.annotations.lost())
        said = f"; {gone} of content that is gone, at the last place known\n" if gone else "out.csv\n"
        assert told.stderr.endswith(said)
        return sorted(str(Path(path).relative_to(tmp_path)) for path in found)

    for seed in (30, 31):
        sound(tmp_path / "sounds" / f"{seed}.wav", seed)
    library.add(workers=1)
    (tmp_path / "sounds").rename(tmp_path / "moved")
    library.add("moved", workers=1)
    sound(tmp_path / "moved" / NAMES[0], 20)
    library.add(workers=1)
    assert len(library.annotations.lost()) == 1
    assert places() == sorted(f"moved/{name}" for name in NAMES)
    # Replaced during the move of the folder, renamed after it was replaced, removed after it was renamed.
    (tmp_path / "moved").rename(tmp_path / "away")
    library.add("away", workers=1, prune=True)
    sound(tmp_path / "away" / NAMES[1], 21)
    (tmp_path / "away").rename(tmp_path / "here")
    library.add("here", workers=1)
    assert len(library.annotations.lost()) == 2
    assert places() == sorted(f"here/{name}" for name in NAMES)
    (tmp_path / "here" / NAMES[0]).rename(tmp_path / "here" / "renamed.wav")
    library.add(workers=1)
    assert places() == sorted(["here/renamed.wav", *(f"here/{name}" for name in NAMES[1:])])
    (tmp_path / "here").rename(tmp_path / "there")
    library.roots.relocate(tmp_path / "here", tmp_path / "there")
    library.roots.forget(tmp_path / "there")
    assert len(library.annotations.lost()) == 3
    assert places() == sorted(["there/renamed.wav", *(f"there/{name}" for name in NAMES[1:])])


def test_removed_annotations_stay_removed_until_they_are_added_again(library: Library, tmp_path: Path) -> None:
    library.annotations.add(marks(tmp_path / "sounds"))
    assert library.annotations.remove(AnnotationFilter(label="crow")) == 2
    assert [one.label for one in library.annotations.all()] == ["owl"]
    assert library.annotations.add(marks(tmp_path / "sounds")) == 2
    assert len(library.annotations.all()) == 3


def test_what_is_not_in_the_library_is_refused(library: Library) -> None:
    with pytest.raises(QueryError, match=r"gone\.wav.*not in the library"):
        library.annotations.add([Annotation("/gone.wav", 0, 1, "crow")])


def test_a_damaged_log_says_where(library: Library, tmp_path: Path) -> None:
    library.annotations.add(marks(tmp_path / "sounds"))
    log = library.folder / ANNOTATIONS_FILE
    whole = log.read_bytes()
    log.write_bytes(whole + b'{"id": "cut off')  # by a process that was killed
    assert len(library.annotations.all()) == 3
    assert library.annotations.add([Annotation(str(tmp_path / "sounds" / NAMES[0]), 1, 2, "jay")]) == 1
    assert len(library.annotations.all()) == 4
    log.write_bytes(b"nonsense\n" + whole)
    with pytest.raises(LibraryError, match="line 1 of the annotations"):
        library.annotations.all()


def test_a_deleted_log_is_noticed(library: Library, tmp_path: Path) -> None:
    library.annotations.add(marks(tmp_path / "sounds"))
    sound(tmp_path / "sounds" / "new.wav", 7)
    library.add(workers=1)
    (library.folder / ANNOTATIONS_FILE).unlink()
    assert [Path(one.path).name for one in verify_library(library.folder)] == [ANNOTATIONS_FILE]


def test_hours_and_sites(library: Library, tmp_path: Path) -> None:
    annotations = library.annotations
    annotations.add(marks(tmp_path / "sounds"))

    def labels(**where: object) -> list[str]:
        return [f"{Path(one.path).name[:4]} {one.label}" for one in annotations.all(AnnotationFilter(**where))]

    assert labels(site="POND") == ["POND crow", "POND owl"]
    assert labels(hours=(4, 6)) == ["HILL crow", "POND crow"]
    assert labels(hours=(22, 5)) == ["POND crow", "POND owl"]
    assert labels(hours=(5, 22), label="crow", site="HILL") == ["HILL crow"]
    with pytest.raises(InvalidArgumentError, match="0 to 24"):
        AnnotationFilter(hours=(4, 25))


def test_sites_are_those_of_the_table_or_of_the_names(tmp_path: Path) -> None:
    table = tmp_path / "sites.csv"
    table.write_text(
        "Folder;Station;Lat;Lon;Device;Deployed\n"
        "sd1;North;48,5;-9.25;A17;2024-04-01 12:00\n"
        "sd1;South;;;A17;2024-05-01\n"
        "sd1/AB;East;;;;\n"
    )
    found = Deployments.read(table)
    assert found.rows[0] == Deployment(
        path="sd1", site="North", latitude=48.5, longitude=-9.25, recorder="A17", start=datetime(2024, 4, 1, 12)
    )
    april, may = datetime(2024, 4, 3), datetime(2024, 5, 3)
    assert [found.of("/m/sd1/1.wav", moment).site for moment in (april, may)] == ["North", "South"]
    assert found.of("/m/sd1/AB_7.wav", may).site == "East"
    assert found.of("/m/sd2/POND_20240501_043000.wav").site == "POND"
    german = "Standort;Pfad;Breite;Länge;Rekorder;Beginn\nNorth;sd1;48,5;-9,25;A17;1.04.2024 12:00\n"
    assert Deployments.of_text(german.encode()).rows == found.rows[:1]
    assert found.sites(["/m/sd1/1.wav", "/m/sd2/POND_20240501_043000.wav"]) == ["North", "POND", "South"]
    assert site_by_name("/m/pond/20240501_043000.wav") == "pond"
    assert site_by_name("/m/pond/song.wav") == "pond"
    found.write(tmp_path / "again.csv")
    assert Deployments.read(tmp_path / "again.csv").rows == found.rows


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n1,2\n", "path"),
        ("path,site,lat\nx,y,95\n", r"latitude '95'.*-90 to 90"),
        ("path,site,start\nx,y,soon\n", "line 2.*'soon' is no time"),
        ("path,site\nx,\n", "needs a path and a site"),
    ],
)
def test_a_table_of_sites_that_makes_no_sense_says_where(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "sites.csv").write_text(text)
    with pytest.raises(FileTableError, match=said):
        Deployments.read(tmp_path / "sites.csv")


def test_a_merge_takes_annotations_over(library: Library, tmp_path: Path) -> None:
    library.annotations.add(marks(tmp_path / "sounds"))
    target = Library.create(tmp_path / "all.loom", "mfcc", window=1.0)
    merge_libraries(target.folder, library.folder)
    assert Library.open(target.folder).annotations.all() == library.annotations.all()


def test_commands(library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    named = [*marks(tmp_path / "sounds"), Annotation("/elsewhere/a.wav", 0.0, 1.0, "crow")]
    write_annotations(named, tmp_path / "marks.csv")
    assert library.annotations.import_table(tmp_path / "marks.csv").elsewhere == ("/elsewhere/a.wav",)
    library.annotations.remove(AnnotationFilter())
    (tmp_path / "sites.csv").write_text("path,site\nHILL,Hill top\n")

    def run(*words: str) -> str:
        result = CliRunner().invoke(main, ["annotations", *words, "-l", "sounds.loom"], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.stdout

    assert "3 annotations added" in run("import", "marks.csv")
    assert "3 known already" in run("import", "marks.csv")
    assert "1 deployment, 1 file" in run("deploy", "sites.csv")
    (tmp_path / "more.csv").write_text("path,site\nHILL,Hill top\nMOOR,Moor\n")
    told = CliRunner().invoke(main, ["annotations", "deploy", "more.csv", "-l", "sounds.loom"])
    assert (
        told.stderr
        == "deployments that no file fits: MOOR\n2 files in no deployment, with sites by their names: POND\n"
    )
    assert [one["label"] for one in json.loads(run("list", "--site", "Hill top", "--json"))] == ["crow"]
    counts = json.loads(run("counts", "-o", "hours.png", "--json"))
    assert counts["sites"]["POND"][4] == counts["sites"]["POND"][22] == counts["sites"]["Hill top"][5] == 1
    assert (tmp_path / "hours.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads(run("counts", "--of", "marks.csv", "--label", "owl", "--json"))["sites"] == {
        "POND": [0] * 22 + [1, 0]
    }
    assert json.loads(run("counts", "--label", "none such", "-o", "empty.png", "--json"))["sites"] == {}
    for label, said in (("none such", "nothing was counted"), ("crow", "")):
        counted = CliRunner().invoke(main, ["annotations", "counts", "-l", "sounds.loom", "--label", label])
        assert said in counted.stderr
        assert "by the names of files" not in counted.stderr  # a table says where they were
    assert (tmp_path / "empty.png").read_bytes().startswith(b"\x89PNG")
    run("export", "out.selections.txt", "--label", "crow")
    assert len(read_annotations("out.selections.txt").annotations) == 2
    assert "2 annotations removed" in run("remove", "--label", "crow")
    assert CliRunner().invoke(main, ["annotations", "remove", "-l", "sounds.loom"]).exit_code == 2


def test_a_detector_learns_from_a_library(library: Library, tmp_path: Path) -> None:
    library.annotations.add(marks(tmp_path / "sounds"))
    words = ["detector", "train", "crow", "--from", str(library.folder), "-m", "mfcc", "-j", "1"]
    out = str(tmp_path / "crow.detector")
    result = CliRunner().invoke(main, [*words, "-o", out, "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["examples"] == 3


def test_a_detector_of_a_library_takes_sounds_at_its_speed(tmp_path: Path) -> None:
    for number, name in enumerate(NAMES):
        sound(tmp_path / "sounds" / name, number)
    library = Library.create(tmp_path / "slow.loom", "mfcc", window=1.0, decoding=DecodeOptions(speed=0.5))
    library.add(tmp_path / "sounds", workers=1)
    library.annotations.add(marks(tmp_path / "sounds"))
    words = ["detector", "train", "crow", "--from", str(library.folder), "-m", "mfcc", "-j", "1"]
    for asked, speed in (([], 0.5), (["--speed", "0.25"], 0.25)):
        out = str(tmp_path / f"{speed}.detector")
        result = CliRunner().invoke(main, [*words, *asked, "-o", out, "--json"], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        assert json.loads(result.stdout)["decoding"]["speed"] == speed


def test_segments_are_found_by_site_hour_and_the_segments_own_time(library: Library, tmp_path: Path) -> None:
    """A segment that begins a second after midnight is of the next day, though its recording is not."""
    late = tmp_path / "sounds" / "POND_20240501_235959.wav"
    sound(late, 7)
    library.add(workers=1)

    def found(**given: object) -> list[tuple[str, float]]:
        matches = library.find(LibraryQuery(filter=RowFilter(**given), every_segment=True), 50)  # type: ignore[arg-type]
        return [(Path(one.path).name, one.start) for one in matches]

    assert found(after=date(2024, 5, 2)) == [(late.name, 1.0)]
    assert found(before=date(2024, 5, 1)) == []
    assert {name for name, _ in found(site="hill")} == {NAMES[2]}
    assert [start for name, start in found(hours=(23.5, 24)) if name == late.name] == [0.0]
    assert {name for name, _ in found(hours=(22, 5), site="POND")} == {NAMES[0], NAMES[1], late.name}
    with pytest.raises(QueryError, match="did you mean 'HILL'"):
        found(site="HIL")
    with pytest.raises(InvalidArgumentError, match="from 0 to 24"):
        found(hours=(1, 25))
    table = tmp_path / "sites.csv"
    table.write_text("path,site\nPOND_2024,marsh\n")
    library.annotations.deploy(table)
    assert {name for name, _ in found(site="marsh")} == {NAMES[0], NAMES[1], late.name}
    assert library.facets(["site"]).counts == {"site": {"marsh": 3, "HILL": 1}}
    shown = CliRunner().invoke(main, ["search", "-l", str(library.folder), "--site", "HILL", "--hours", "5-6"])
    assert NAMES[2] in shown.output, shown.output


@pytest.mark.parametrize(
    ("hours", "begun", "seconds", "expected"),
    [
        ((4, 8), datetime(2024, 5, 1, 3, 59), 59, []),
        ((4, 8), datetime(2024, 5, 1, 3, 59), 61, [(60, 61)]),
        ((4, 8), datetime(2024, 5, 1, 8, 0), 19 * 3600, []),
        ((4, 8), datetime(2024, 5, 1, 6, 0), 23 * 3600, [(0, 2 * 3600), (22 * 3600, 23 * 3600)]),
        ((4, 8), datetime(2024, 4, 30, 6, 0), 25 * 3600, [(22 * 3600, 25 * 3600)]),
        ((4, 8), datetime(2024, 4, 30, 20, 0), 3600, []),
        ((4, 8), datetime(2024, 5, 2, 6, 0), 25 * 3600, [(0, 2 * 3600)]),
        ((22, 4), datetime(2024, 5, 1, 3, 0), 24 * 3600, [(0, 3600), (19 * 3600, 24 * 3600)]),
        ((22, 4), datetime(2024, 5, 2, 23, 0), 7 * 3600, [(0, 3600)]),
        ((12, 12), datetime(2024, 5, 1, 6, 0), 40 * 3600, [(0, 40 * 3600)]),
        (None, datetime(2024, 4, 30, 23, 0), 100 * 3600, [(3600, 49 * 3600)]),
        ((4, 8), None, 60, []),
    ],
)
def test_hours_of_all_days_of_a_recording_are_meant(
    hours: tuple[float, float] | None, begun: datetime | None, seconds: float, expected: list[tuple[float, float]]
) -> None:
    where = RecordingFilter(site="here", hours=hours, after=date(2024, 5, 1), before=date(2024, 5, 3))
    assert where.spans("Here", begun, seconds) == expected
    assert where.spans("there", begun, seconds) == []
    # What is meant by itself is what lies in the stretches.
    for second in np.arange(0, min(seconds, 49 * 3600), 1801.0) if begun is not None else []:
        moment = begun + timedelta(seconds=float(second))
        assert where.admits("HERE", moment) == any(start <= second < end for start, end in expected), second
