"""What is done with the hits of a search: written, copied, played and drawn, also where files are gone."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner, Result

from soundloom.annotations import Annotation, write_annotations
from soundloom.cli import main
from soundloom.errors import InvalidArgumentError
from soundloom.library import Library, SavedSearches


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four sounds of which one is gone, another far above the range of the model, and their library."""
    chance = np.random.default_rng(0)
    for number in range(4):
        path = tmp_path / "sounds" / f"rain {number}.wav"
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, 0.1 * chance.normal(size=8000), 16000, subtype="PCM_16")
    high = 0.3 * np.sin(2 * np.pi * 40_000 * np.arange(48_000) / 96_000)
    soundfile.write(tmp_path / "high.wav", high, 96_000)
    Library.create(tmp_path / "l.loom", "mfcc").add(tmp_path / "sounds", workers=1)
    (tmp_path / "sounds" / "rain 1.wav").rename(tmp_path / "gone.wav")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["search", *map(str, arguments), "-l", "l.loom"])


@pytest.mark.parametrize("cut", [(), ("--cut",)])
def test_what_is_there_is_copied_and_what_is_gone_is_named(place: Path, cut: tuple[str, ...]) -> None:
    result = run("rain", "--names", "--copy-to", "picked", "--json", *cut)
    assert len(list((place / "picked").iterdir())) == 3
    assert result.exit_code == 1
    assert len(json.loads(result.stdout)) == 4
    assert "3 regions copied" in result.stderr if cut else "3 files copied" in result.stderr
    assert "1 hit could not be copied:" in result.stderr
    assert "rain 1.wav" in result.stderr
    assert "relocate" not in result.stderr


def test_an_absent_folder_is_named_with_what_to_do(place: Path) -> None:
    (place / "sounds").rename(place / "elsewhere")
    result = run("rain", "--names", "--copy-to", "picked")
    assert result.exit_code == 1
    assert f"soundloom roots -l l.loom relocate {place / 'sounds'} NEW" in result.stderr


def test_hits_that_are_gone_are_neither_played_nor_drawn(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    player = place / "ffplay"
    player.write_text("#!/bin/sh\nexit 0\n")
    player.chmod(0o755)
    monkeypatch.setenv("PATH", str(place))
    played = run("rain", "--names", "--play")
    assert (played.exit_code, played.stderr.count("playing"), "could not be played" in played.stderr) == (1, 3, True)
    drawn = run("sounds/rain 0.wav", "--picture", "hits.png")
    assert (drawn.exit_code, (place / "hits.png").is_file()) == (0, True), drawn.output
    assert "drawn to hits.png, without what is absent: rain 1.wav" in drawn.stderr


def test_a_player_that_plays_nothing_and_says_so_has_failed(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    player = place / "ffplay"
    player.write_text("#!/bin/sh\necho Failed to open file >&2\n")
    player.chmod(0o755)
    monkeypatch.setenv("PATH", str(place))
    played = run("rain 0", "--names", "--play")
    assert (played.exit_code, "ffplay cannot play: Failed to open file" in played.stderr) == (1, True)


def test_labels_are_not_strewn_among_other_files(place: Path) -> None:
    project = place / "project"
    project.mkdir()
    (project / "notes.txt").write_text("mine")
    refused = run("rain", "--names", "--out", "project")
    assert (refused.exit_code, "holds other files than label tracks, such as 'notes.txt'" in refused.stderr) == (
        2,
        True,
    )
    region = [Annotation(str(place / "sounds" / f"rain {number}.wav"), 0, 0.1, "rain") for number in (0, 2)]
    with pytest.raises(InvalidArgumentError, match="name a new or empty folder"):
        write_annotations(region, place / "project.txt")
    assert [path.name for path in project.iterdir()] == ["notes.txt"]
    for _ in range(2):  # what was written so may be written again
        assert run("rain", "--names", "--out", "tracks").exit_code == 0
    assert len(list((place / "tracks").iterdir())) == 4
    again = run("rain", "--names", "--out", "tracks")
    assert ("replaced 4 label tracks in tracks" in again.stderr, "of before" in again.stderr) == (True, False)
    other = run("rain 2", "--names", "--out", "tracks")
    assert "replaced 1 label track in tracks" in other.stderr
    assert "tracks still holds 3 label tracks of before, such as rain 0.wav.txt: what reads the folder" in other.stderr
    assert "tracks" not in run("rain 2", "--names", "--out", "tracks.txt").stderr.replace("tracks.txt", "")


def test_the_page_names_the_query_and_marks_what_is_absent(place: Path) -> None:
    run("rain", "--names", "--out", "hits.html")
    page = (place / "hits.html").read_text()
    assert "<title>rain</title>" in page
    assert page.count("(absent)") == page.count("rain 1.wav (absent)</td>") == 1


@pytest.mark.parametrize("second", [("--like", "high.wav"), ("--unlike", "high.wav")])
def test_a_remark_names_the_sound_that_it_is_about(place: Path, second: tuple[str, str]) -> None:
    said = run("sounds/rain 0.wav", *second).stderr
    assert "high.wav: 100% of the energy lies above 8 kHz" in said
    assert "rain 0.wav: " not in said
    assert "a library indexed with --speed 0.1" in said
    alone = run("--unlike", "high.wav").stderr
    assert alone.startswith("high.wav: 100% of the energy")


def test_searches_that_the_page_saved_are_listed(place: Path) -> None:
    SavedSearches(place / "l.loom").save("rain at dawn", "text=rain")
    listed = CliRunner().invoke(main, ["info", "-l", "l.loom"])
    assert "searches  1 saved in the page: rain at dawn" in listed.stdout


def test_a_search_that_the_page_saved_is_asked_by_its_name(place: Path) -> None:
    library = Library.open(place / "l.loom")
    segments = library.index().segments
    (rain,) = segments.at(segments.rows_of([place / "sounds" / "rain 0.wav"])[:1])
    saved = SavedSearches(place / "l.loom")
    saved.save("rain at dawn", "text=rain&field=sample_rate:16000&view=map&k=100&sort=-duration")
    saved.save("like it", f"like={rain.id}&start=0&end=0.5&folder=.&min_duration=0.5&weights=mfcc:2")
    saved.save("upload", "upload=abc")
    saved.save("gone", "like=0123456789abcdef")
    saved.save("odd", "min_duration=long")
    assert {one["path"] for one in json.loads(run("--saved", "rain at dawn", "--json").stdout)} == {
        one["path"] for one in json.loads(run("rain", "--names", "--json").stdout)
    }
    asked = library.saved_query("rain at dawn")
    assert (asked.where, asked.sort) == ('"sample_rate" = 16000', ("-duration",))
    found = run("--saved", "like it", "-k", "2")
    assert found.exit_code == 0, found.stderr
    assert "rain 0.wav@0-0.5" in found.stdout + found.stderr
    asked = library.saved_query("like it")
    assert (asked.filter.longer, asked.weights, asked.filter.folder) == (0.5, {"mfcc": 2.0}, str(place / "sounds"))
    assert (asked.like[0].start, asked.like[0].end, str(asked.like[0].source)) == (0.0, 0.5, rain.path)
    for name, said in (
        ("dusk", "there is no saved search 'dusk': there are 'rain at dawn', 'like it', 'upload', 'gone', 'odd'"),
        ("upload", "only the page can answer it, as it has upload"),
        ("gone", "a sound of the saved search 'gone' is not in the library any more: save it anew"),
        ("odd", "cannot be read (could not convert string to float: 'long')"),
    ):
        refused = run("--saved", name)
        assert (refused.exit_code, said in refused.stderr) == (1, True), refused.stderr
    for more in (("rain",), ("--tag", "x"), ("--names",)):
        refused = run("--saved", "like it", *more)
        assert (refused.exit_code, "--saved is a whole question: leave out" in refused.stderr) == (2, True)
