"""Detectors of several labels, each in windows that suit its calls; recordings of which some hours are searched."""

from __future__ import annotations

import csv
import json
import os
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from click.testing import CliRunner
from safetensors.numpy import load_file, save_file

import soundloom
from soundloom import audio
from soundloom.annotations import Annotation, read_annotations, write_annotations
from soundloom.cli import main
from soundloom.detectors import Aim, Calibration, Detector, detection, frame_windows
from soundloom.detectors.label_detector import average_precision_interval
from soundloom.detectors.next_examples import windows_to_mark
from soundloom.detectors.training_windows import TrainingWindow, embed_windows
from soundloom.errors import InvalidArgumentError
from soundloom.library import RecordingFilter

RATE = 16_000
MODEL = "logmel"
LABELS = {"chirp": 0.5, "whistle": 4.0}
ANY = Aim(probability=0.01)


def recording(path: Path, calls: dict[str, list[float]], *, seconds: int, seed: int) -> list[Annotation]:
    """Noise with rising chirps of half a second and steady whistles of four, and where they are."""
    sound = 0.02 * np.random.default_rng(seed).normal(size=seconds * RATE)
    found = []
    for label, starts in calls.items():
        length = LABELS[label]
        times = np.arange(round(length * RATE)) / RATE
        phase = 1500 * times + 2000 * times**2 if label == "chirp" else 900 * times
        for start in starts:
            sound[round(start * RATE) :][: len(times)] += 0.3 * np.sin(2 * np.pi * phase) * np.hanning(len(times))
            found.append(Annotation(str(path), start, start + length, label))
    soundfile.write(path, sound, RATE)
    return found


@pytest.fixture(scope="module")
def marked(tmp_path_factory: pytest.TempPathFactory) -> list[Annotation]:
    folder = tmp_path_factory.mktemp("marked")
    times: list[dict[str, list[float]]] = [
        {"chirp": [3, 30.2, 47, 80], "whistle": [11, 60]},
        {"chirp": [8.5, 51], "whistle": [20, 33, 90]},
        {"chirp": [14, 33.3, 70], "whistle": [41, 100]},
    ]
    found = [recording(folder / f"{seed}.wav", some, seconds=120, seed=seed) for seed, some in enumerate(times)]
    return [one for some in found for one in some]


@pytest.fixture(scope="module")
def detector(marked: list[Annotation]) -> Detector:
    return Detector.train(list(LABELS), marked, model=MODEL, workers=1)


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Annotation]]:
    path = tmp_path_factory.mktemp("night") / "POND_20240501_035900.wav"
    calls: dict[str, list[float]] = {"chirp": [5, 31.2, 79, 141], "whistle": [12, 100, 145.5]}
    return path, recording(path, calls, seconds=150, seed=9)


@pytest.mark.parametrize("frames", [True, False])
def test_each_label_is_found_in_its_own_windows(
    detector: Detector, night: tuple[Path, list[Annotation]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    frames: bool,
) -> None:  # fmt: skip
    assert (detector.windows, detector.hop) == ((1.0, 5.0), 0.5)
    assert [(one.label, one.window) for one in detector.labels] == [("chirp", 1.0), ("whistle", 5.0)]
    path, calls = night
    detector = replace(detector, frames=frames)
    report = detector.detect([path], Aim(probability=0.5), workers=1)
    for call in calls:
        here = [
            one for one in report.events if one.label == call.label and one.start < call.end and call.start < one.end
        ]
        assert here, call
    assert len(report.events) <= len(calls) + 2
    # Neither the pieces nor where a run begins again changes what is found.
    whole = detector.detect([path], ANY, workers=1)
    monkeypatch.setattr(detection, "PIECE", 20.0)
    assert detector.detect([path], ANY, workers=2, journal=tmp_path).events == whole.events
    (last,) = (file for file in tmp_path.glob("*.windows") if b'"count": null' in file.read_bytes().split(b"\n")[0])
    last.write_bytes(last.read_bytes()[:-17])
    assert detector.detect([path], ANY, workers=2, journal=tmp_path).events == whole.events


def test_folders_of_the_version_before_are_read(marked: list[Annotation], tmp_path: Path) -> None:
    """All labels had one window and one space then."""
    detector = Detector.train(list(LABELS), marked, model=MODEL, window=2.0, workers=1)
    folder = detector.save(tmp_path / "both.detector")
    plain = json.loads((folder / "detector.json").read_text())
    plain |= {"version": 2, "window": 2.0}
    for one in plain["labels"]:
        del one["window"]
    (folder / "detector.json").write_text(json.dumps(plain))
    arrays = load_file(folder / "weights.safetensors")
    save_file({name.replace("space.0.", "space."): array for name, array in arrays.items()},
              folder / "weights.safetensors")  # fmt: skip
    assert Detector.load(folder).identity() == detector.identity()


def test_windows_to_mark_are_those_of_the_label(detector: Detector, night: tuple[Path, list[Annotation]]) -> None:
    model = detector.load_model()
    windows = list(detection.scored_windows(detector, [night[0]], {}, model=model))
    for label, length in (("chirp", 1.0), ("Whistle", 5.0)):
        for by in ("diversity", "density"):
            found = windows_to_mark(detector, windows, label, 6, by=by, model=model)
            assert [one.end - one.start for one in found] == pytest.approx([length] * 6)


def test_labels_that_differ_in_case_alone_are_one(marked: list[Annotation]) -> None:
    other = [replace(one, label=one.label.title()) if number % 2 else one for number, one in enumerate(marked)]
    same, mixed = (Detector.train(["chirp"], some, model=MODEL, workers=1) for some in (marked, other))
    assert mixed.identity() == same.identity()
    assert mixed.remarks == {"chirp": "'Chirp' (5 regions) taken for the same label"}
    assert mixed.examples == tuple(other)
    # Somebody else says the same of the same regions: that is no further evidence.
    twice = [*marked, *(replace(one, annotator="bob", label=one.label.upper()) for one in marked)]
    assert Detector.train(["chirp"], twice, model=MODEL, workers=1).identity() == same.identity()
    assert [one.label for one in Detector.train(["CHIRP", "chirp"], other, model=MODEL, workers=1).labels] == ["CHIRP"]


def test_only_the_hours_that_are_asked_for_are_decoded(
    detector: Detector, night: tuple[Path, list[Annotation]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The recording begins at 03:59; what is from 04:00 on begins with its second minute."""
    monkeypatch.setattr(detection, "PIECE", 20.0)
    monkeypatch.setattr(detection, "BLOCK", 5.0)
    monkeypatch.setattr(frame_windows, "BLOCK", 5.0)
    decoded: dict[str, int] = {}
    stream = audio.stream

    def counted(path: Any, rate: int, **options: Any) -> Any:
        for block in stream(path, rate, **options):
            decoded[Path(path).name] = decoded.get(Path(path).name, 0) + len(block)
            yield block

    monkeypatch.setattr(audio, "stream", counted)
    whole = detector.detect([night[0]], ANY, workers=1)
    decoded.clear()
    other = night[0].with_name("POND_20240501_120000.wav")
    other.write_bytes(night[0].read_bytes())
    asked = RecordingFilter(hours=(4, 4 + 50 / 3600), after=date(2024, 5, 1))
    reached: list[tuple[float, float]] = []
    found = detector.detect(
        [night[0], other], ANY, where=asked, workers=1, journal=tmp_path, progress=lambda *now: reached.append(now)
    )
    assert reached[-1] == pytest.approx((found.seconds, 50), abs=2)
    assert len({total for _, total in reached[:-1]}) == 1
    assert (found.files, found.failed) == (1, {})
    assert 49 < found.seconds < 52
    assert 50 < decoded[night[0].name] / RATE < 100  # three pieces, each with the windows around its own
    assert other.name not in decoded
    assert [one for one in found.events if one.start > 62 and one.end < 108] == [
        one for one in whole.events if one.start > 62 and one.end < 108
    ]
    assert all(60 <= one.start < 110 and one.duration == 150 for one in found.events)
    # Whole pieces are kept for other hours.
    assert detector.detect([night[0]], ANY, journal=tmp_path, workers=1).events == whole.events
    end = detector.detect([night[0]], ANY, where=RecordingFilter(hours=(4 + 1 / 60, 5)), workers=1)
    assert end.seconds == pytest.approx(30)
    assert end.events[-1].end == pytest.approx(whole.events[-1].end)


def test_commands_take_hours(
    detector: Detector, night: tuple[Path, list[Annotation]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SOUNDLOOM_HOME", str(tmp_path / "home"))
    detector.save("both.detector")
    hours = ["--hours", "4-5", "--site", "pond"]

    def run(*words: str) -> str:
        result = CliRunner().invoke(main, [*words, *hours, "-j", "1"], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return str(result.output)

    said = run("detect", str(night[0]), "-d", "both", "--above", "0.01", "-o", "found.csv")
    with open("found.csv", newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            begun = datetime(2024, 5, 1, 3, 59) + timedelta(seconds=float(row["start"]))
            assert (row["site"], datetime.fromisoformat(row["recorded"])) == ("POND", begun)
            assert len(row["recorded"]) in (19, 23)  # seconds, or milliseconds
    assert "\nsites by the names of files and folders: POND; otherwise: --deployments" in said
    words = ["detect", str(night[0]), "-d", "both", "-j", "1"]
    refused = CliRunner().invoke(main, [*words, "--site", "Teich"])
    assert (refused.exit_code, "a site 'Teich': there are 'POND'" in refused.stderr) == (1, True)
    Path("sites.csv").write_text("Pfad;Standort\nHILL;Hügel\n", encoding="utf-8")
    told = CliRunner().invoke(main, [*words, "--deployments", "sites.csv", "--hours", "12-13"], catch_exceptions=False)
    assert (
        "deployments that no file fits: HILL\n1 file in no deployment, with sites by their names: POND" in told.stderr
    )
    CliRunner().invoke(main, [*words, "--hours", "12-13", "-o", "none.csv"], catch_exceptions=False)
    heads = [Path(name).read_text(encoding="utf-8").splitlines()[0] for name in ("none.csv", "found.csv")]
    assert heads[0] == heads[1] == "path,start,end,label,score,site,recorded"
    run("detector", "sample", str(night[0]), "-d", "both", "--label", "WHISTLE", "-n", "6", "-o", "next.csv")
    for name in ("found.csv", "next.csv"):
        regions = read_annotations(name).annotations
        assert regions
        assert min(one.start for one in regions) >= 58
    write_annotations([replace(one, label="Chirp") for one in regions], "done.csv")
    assert "'Chirp' (6 regions) taken for the same label" in run_train("done.csv", tmp_path)


def test_broken_files_outside_of_what_is_asked_are_named_and_fail_nothing(
    detector: Detector, night: tuple[Path, list[Annotation]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of another site, at another hour, and of an unknown time; one that is meant fails."""
    monkeypatch.chdir(tmp_path)
    detector.save("both.detector")
    folder = tmp_path / "recordings"
    folder.mkdir()
    (folder / night[0].name).write_bytes(night[0].read_bytes())
    for name in ("HILL_20240501_040000.wav", "POND_20240501_220000.wav", "POND.wav"):
        (folder / name).write_bytes(b"")
    where = RecordingFilter(site="pond", hours=(3, 5))
    found = detector.detect([folder], ANY, where=where, workers=1)
    assert found.events == detector.detect([folder / night[0].name], ANY, where=where, workers=1).events
    assert (found.files, found.failed) == (1, {})
    assert sorted(map(os.path.basename, found.unread)) == [
        "HILL_20240501_040000.wav", "POND.wav", "POND_20240501_220000.wav"
    ]  # fmt: skip
    words = ["detect", "recordings", "-d", "both", "-j", "1", "--site", "POND", "--hours", "3-5"]
    result = CliRunner().invoke(main, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "3 files of another site, hour or day cannot be read, and nothing is lost: HILL_2" in result.stderr
    sample = ["detector", "sample", *words[1:], "-n", "2", "-o", "next.csv"]
    result = CliRunner().invoke(main, sample, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "3 files of another site, hour or day cannot be read, and nothing is lost: HILL_2" in result.stderr
    (folder / "POND_20240501_043000.wav").write_bytes(b"")
    for command in (words, sample):
        result = CliRunner().invoke(main, command, catch_exceptions=False)
        assert result.exit_code == 1
        assert "POND_20240501_043000.wav" in result.stderr
    nowhere = CliRunner().invoke(main, [*sample, "--site", "MOOR"])
    assert "nothing here was recorded at a site 'MOOR': there are 'HILL', 'POND'" in nowhere.stderr
    assert "POND_20240501_043000.wav" in result.stderr


def run_train(table: str, folder: Path) -> str:
    words = ["detector", "train", "chirp", "--from", "both.detector", "--from", table, "-m", MODEL, "-j", "1"]
    return str(CliRunner().invoke(main, words, catch_exceptions=False).output)


@pytest.mark.parametrize("shared", [True, False])
def test_windows_to_learn_from_go_through_the_model_once_where_they_lie_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared: bool
) -> None:
    path = tmp_path / "a.wav"
    recording(path, {"chirp": [5, 31.2, 79], "whistle": [12, 100]}, seconds=120, seed=3)
    model = soundloom.load(MODEL)
    if not shared:
        monkeypatch.setattr(type(model), "shares_frames", False)
    near = [(start, start + size) for start in np.arange(20.0, 60.0, 0.7) for size in (1.0, 5.0)]
    windows = [TrainingWindow(str(path), start, end, None) for start, end in [(100.0, 105.0), *near, (119.5, 120.0)]]
    seconds: list[float] = []
    through = type(model).shared_frames

    def counted(self: Any, waveforms: torch.Tensor, lead: float = 0.0) -> Any:
        seconds.append(waveforms.shape[1] / RATE)
        return through(self, waveforms, lead)

    monkeypatch.setattr(type(model), "shared_frames", counted)
    done: list[tuple[int, int]] = []
    found = embed_windows(
        [*windows, windows[0]], model, {str(path): 120.0}, decoding=audio.DEFAULT_OPTIONS, workers=2,
        progress=lambda *each: done.append(each),
    )  # fmt: skip
    assert found.windows == tuple(windows)
    assert done[-1] == (len(windows), len(windows))
    # From 19 s to 65.9 s, at the second block 3 s again, and the two that lie apart with a second on either side.
    assert sum(seconds) == pytest.approx((46.9 + 3 + 7 + 1.5) if shared else 0)
    sound = audio.read(path, RATE)
    for window, row in zip(windows, found.embeddings, strict=True):
        track = frame_windows.WindowTrack(model, 0)
        track.add(sound, last=True)
        expected = track.embed(round(window.start * RATE), round(window.end * RATE))
        np.testing.assert_allclose(row, expected, rtol=0, atol=(1e-2 if shared else 0) * np.abs(expected).max())
    some = found.only([windows[3], windows[1]])
    assert some.windows == (windows[3], windows[1])
    np.testing.assert_array_equal(some.embeddings, found.embeddings[[3, 1]])


def test_a_recording_of_which_a_stretch_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    recording(path, {}, seconds=20, seed=3)
    windows = [TrainingWindow(str(path), start, start + 1, None) for start in (2.0, 60.0)]
    found = embed_windows(windows, soundloom.load(MODEL), {str(path): 70.0}, decoding=audio.DEFAULT_OPTIONS, workers=1)
    assert found.windows == ()
    assert list(found.failed) == [str(path)]


def test_a_label_whose_recordings_are_not_there_is_refused(marked: list[Annotation], tmp_path: Path) -> None:
    gone = [Annotation("elsewhere/a.wav", start, start + 1, "owl") for start in (1.0, 5.0)]
    for examples in (gone, [*marked, *gone]):
        with pytest.raises(
            InvalidArgumentError, match=r"no region of 'owl' could be read \(.*elsewhere/a\.wav: .*from here"
        ):
            Detector.train(["owl"], examples, model=MODEL, workers=1)
    detector = Detector.train(["chirp"], [*marked, *gone], model=MODEL, workers=1)
    assert list(detector.failed) == [os.path.abspath("elsewhere/a.wav")]


def test_calls_that_are_all_found_leave_room_for_one_that_is_not() -> None:
    others = np.linspace(0, 1, 500)
    few, many = (average_precision_interval(np.full(count, 2.0), others) for count in (5, 50))
    assert (few.value, few.high) == (many.value, many.high) == (1.0, 1.0)
    assert few.low < 0.7 < many.low < 0.95
    others = np.random.default_rng(0).normal(size=500)
    for count, least, most in ((5, 0.5, 0.6), (50, 0.8, 0.9)):
        positive = 12 + np.random.default_rng(1).normal(size=count)
        recall = Calibration.fit(positive, others[:0], others).point(Aim(probability=0.5)).recall
        assert recall.value > 0.95
        assert least < recall.low < most
