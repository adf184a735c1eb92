"""Files that commands write: what is replaced is named, what failed replaces nothing, and folders are not invented."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import Result

import soundloom
from helpers.command_line import run
from soundloom import tagger_choice
from soundloom.cli import progress_bars
from soundloom.cli.match_table import written_region
from soundloom.library import FileProgress, Match
from soundloom.objectives.labels import LabelHead, LabelSettings
from soundloom.tagger import Tagger

RATE = 16000


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    soundfile.write("tone.wav", 0.1 * np.sin(np.arange(RATE) / 20), RATE)
    soundfile.write("nan.wav", np.full(RATE, np.nan, np.float32), RATE, subtype="FLOAT")


def embed(*arguments: str) -> Result:
    return run("embed", "-m", "mfcc", "-j", "1", *arguments)


@pytest.mark.parametrize("ending", ["csv", "parquet", "npz"])
def test_a_failed_export_leaves_the_earlier_file(tmp_path: Path, ending: str) -> None:
    out = tmp_path / f"out.{ending}"
    for arguments in (("nan.wav",), ("tone.wav", "--track", "2")):
        failed = embed(*arguments, "-o", str(out))
        assert (failed.exit_code, out.exists()) == (1, False)
        assert f"nothing was written to {out}" in failed.stdout
    out.write_text("earlier")
    failed = embed("nan.wav", "-o", str(out))
    assert (failed.exit_code, out.read_text()) == (1, "earlier")
    assert "replaced" not in failed.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["nan.wav", f"out.{ending}", "tone.wav"]


def test_a_replaced_file_is_named() -> None:
    first, second = embed("tone.wav", "-o", "e.csv"), embed("tone.wav", "-o", "e.csv")
    assert (first.exit_code, second.exit_code) == (0, 0)
    assert "replaced" not in first.stderr
    assert second.stderr.splitlines()[-1] == "replaced e.csv"


@pytest.mark.parametrize("options", [("--window", "0"), ("--window", "nan"), ("--window", "1", "--hop", "2"),
                                     ("--hop", "0"), ("--hop", "nan"), ("--hop", "inf"),
                                     ("--window", "whole", "--hop", "1"), ("-m", "")])  # fmt: skip
def test_wrong_options_are_refused_before_anything_is_read(options: tuple[str, ...]) -> None:
    result = embed("tone.wav", "-o", "e.csv", *options)
    assert (result.exit_code, Path("e.csv").exists()) == (2, False)
    assert options[0] in result.stderr or "segment must be longer" in result.stderr


@pytest.mark.parametrize("speed", ["0", "nan", "-1"])
def test_a_speed_that_is_none_is_refused(speed: str) -> None:
    result = embed("tone.wav", "-o", "e.csv", "--speed", speed)
    assert result.exit_code != 0
    assert speed in result.stderr
    assert not Path("e.csv").exists()


@pytest.mark.parametrize("arguments", [("embed", "tone.wav", "-o", "no/e.csv"), ("tag", "tone.wav", "-o", "no/t.csv"),
                                       ("search", "tone", "-o", "no/s.csv"), ("search", "tone", "--copy-to", "no/f"),
                                       ("map", "--out", "no/m.png"), ("export", "mfcc", "no/m.onnx")])  # fmt: skip
def test_a_folder_that_does_not_exist_is_refused(arguments: tuple[str, ...]) -> None:
    result = run(*arguments)
    assert (result.exit_code, Path("no").exists()) == (2, False)
    assert "there is no folder 'no': make it first" in result.stderr


@pytest.mark.parametrize("arguments", [("embed", "tone.wav", "-o", "-"), ("tag", "tone.wav", "-o", "-"),
                                       ("search", "tone", "-o", "-"), ("tags", "-o", "-"),
                                       ("tag", "--tag", "x", "--yes", "a", "-o", "-")])  # fmt: skip
def test_no_folder_called_a_hyphen_is_made(arguments: tuple[str, ...]) -> None:
    result = run(*arguments)
    assert (result.exit_code, Path("-").exists()) == (2, False)
    assert "standard output is not written to: name a file, such as out.csv" in result.stderr


@pytest.mark.parametrize(
    ("day", "accepted"),
    [("2024-06-01", True), ("2024-06-01T04:30", True), ("2024-06-01 04:30:05", True), ("01.05.2024", True),
     ("2024-13-01", False), ("20240601", False)],
)  # fmt: skip
def test_a_day_is_written_as_in_the_example(day: str, accepted: bool) -> None:
    result = run("search", "tone", "--after", day, "-l", "none.loom")
    assert ("such as 2024-05-31 or 2024-05-31T04:30" in result.stderr) is not accepted
    assert "%Y" not in result.stderr
    assert result.exit_code == (1 if accepted else 2)


def test_notices_and_failures_of_tagged_files_are_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    model = soundloom.load("logmel")
    head = LabelHead(LabelSettings(hidden=0), model.dim, 2)
    tagger = Tagger(model, head, LabelSettings(hidden=0), ("a", "b"))
    monkeypatch.setattr(tagger_choice, "load_tagger", lambda *_, **__: tagger)
    left = 0.1 * np.sin(np.arange(RATE) / 20)
    soundfile.write("stereo.wav", np.stack([left, -left], axis=1), RATE)
    result = run("tag", "stereo.wav", "tone.wav", "nan.wav", "-j", "1")
    assert "1 file could not be tagged:\n  failed" in result.stderr
    assert "noticed" in result.stderr
    assert f"{Path('stereo.wav').resolve()}" in result.stderr
    assert f"{Path('tone.wav').resolve()}" not in result.stderr
    assert result.exit_code == 1


def test_an_empty_library_name_is_refused() -> None:
    result = run("search", "tone", "-l", "")
    assert (result.exit_code, "the path is empty" in result.stderr) == (2, True)


def test_progress_is_printed_with_the_time_left_where_there_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 0.0
    monkeypatch.setattr(progress_bars.time, "monotonic", lambda: now)
    with progress_bars.step_bar("fingerprints", "files") as steps, progress_bars.progress_bar("indexing") as files:
        for done in range(1, 101):
            steps(done, 100)
            files(FileProgress(done, 100, float(done), "a.wav"))
            now += 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[:2] == [
        "fingerprints: 31 of 100 files, 1:06 left",
        "indexing: 31 of 100 files, 1:06 left",
    ]
    assert len(lines) == 2 * 3


def test_a_written_match_has_what_the_table_shows() -> None:
    match = Match("/s/owl.wav", 1.0, 2.0, 3.0, ["night"], similarity=0.5, percentile=0.9)
    plain = {"percentile": 0.9, "found_by": "filter", "tags": ["night"], "codec": "pcm"}
    assert written_region(match, "owl", {"codec": "pcm"}).columns == plain
    asked = replace(match, probability=0.25, found_by=("word",))
    assert written_region(asked, "owl", {}).columns == {
        "percentile": 0.9,
        "probability": 0.25,
        "found_by": "word",
        "tags": ["night"],
    }


def test_embeddings_are_not_strewn_among_other_files() -> None:
    Path("project").mkdir()
    Path("project/notes.md").write_text("mine")
    refused = embed("tone.wav", "-o", "project")
    assert refused.exit_code == 2
    assert "holds other files than embeddings, such as 'notes.md'" in refused.stderr
    assert [path.name for path in Path("project").iterdir()] == ["notes.md"]
    for _ in range(2):  # what was written so may be written again
        assert embed("tone.wav", "-o", "embeddings").exit_code == 0
