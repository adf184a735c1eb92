"""Detectors: learned from marked calls in synthetic recordings, kept, and run on others."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from click.testing import CliRunner

import soundloom
from soundloom import audio
from soundloom.annotations import Annotation, read_annotations, write_annotations
from soundloom.cli import main
from soundloom.detectors import Aim, Detector, detection, frame_windows
from soundloom.detectors.events import ScoredWindows, events
from soundloom.detectors.training_windows import fitting_window, training_windows
from soundloom.errors import AudioError, DetectorError, InvalidArgumentError, ModelMismatchError

RATE = 16_000


MODEL = "logmel"


def recording(path: Path, calls: list[float], *, seconds: int = 60, seed: int = 0) -> list[Annotation]:
    """Noise with rising calls of half a second, and where they are."""
    rng = np.random.default_rng(seed)
    sound = 0.02 * rng.normal(size=seconds * RATE)
    time = np.arange(RATE // 2) / RATE
    call = 0.3 * np.sin(2 * np.pi * (1500 * time + 2000 * time**2)) * np.hanning(len(time))
    for start in calls:
        first = round(start * RATE)
        sound[first : first + len(call)] += call
    soundfile.write(path, sound, RATE)
    return [Annotation(str(path), start, start + 0.5, "chirp") for start in calls]


@pytest.fixture(scope="module")
def marked(tmp_path_factory: pytest.TempPathFactory) -> list[Annotation]:
    folder = tmp_path_factory.mktemp("marked")
    times = ([3, 11, 30.2, 47], [8.5, 20, 51], [14, 33.3])
    calls = [recording(folder / f"{n}.wav", [*map(float, some)], seconds=120, seed=n) for n, some in enumerate(times)]
    return [one for some in calls for one in some]


@pytest.fixture(scope="module")
def detector(marked: list[Annotation]) -> Detector:
    return Detector.train(["chirp"], marked, model=MODEL, workers=1)


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Annotation]]:
    path = tmp_path_factory.mktemp("night") / "night.wav"
    return path, recording(path, [5.0, 17.4, 18.6, 40.0, 55.1], seconds=90, seed=9)


def test_figures_of_a_single_marked_region_are_not_measured(marked: list[Annotation], tmp_path: Path) -> None:
    one = Detector.train(["chirp"], marked[:1], model=MODEL, workers=1)
    (label,) = one.labels
    assert (label.quality.held_out, label.quality.average_precision) == ("nothing", None)
    one.save(tmp_path / "one.detector")
    (row,) = [line for line in (tmp_path / "one.detector/README.md").read_text().splitlines() if "| chirp |" in line]
    assert row.count("not measured") == 2
    assert row.endswith("| not measured |")


def test_calls_are_found_in_a_recording_of_which_nothing_was_marked(
    detector: Detector, night: tuple[Path, list[Annotation]]
) -> None:
    path, calls = night
    report = detector.detect([path], Aim(recall=0.9))
    assert (report.files, report.failed) == (1, {})
    assert report.seconds == pytest.approx(90)
    for call in calls:
        assert any(one.start < call.end and call.start < one.end for one in report.events), call
    touching = [any(one.start < call.end and call.start < one.end for call in calls) for one in report.events]
    assert np.mean(touching) > 0.7
    assert all(one.label == "chirp" and one.score is not None and 0 < one.score <= 1 for one in report.events)


def test_quality_is_of_held_out_recordings(detector: Detector, marked: list[Annotation]) -> None:
    quality = detector.labels[0].quality
    assert quality.held_out == "recordings"
    assert quality.average_precision is not None
    assert quality.average_precision.low <= quality.average_precision.value <= quality.average_precision.high
    assert quality.average_precision.value > 0.8
    one_recording = [one for one in marked if one.path.endswith("0.wav")]
    alone = Detector.train(["chirp"], one_recording, model=MODEL, workers=1).labels[0].quality
    assert alone.held_out == "blocks of time"
    assert alone.average_precision is not None
    assert alone.average_precision.value > 0.8


def test_a_detector_that_was_kept_is_the_same(
    detector: Detector, night: tuple[Path, list[Annotation]], tmp_path: Path
) -> None:
    detector.save(tmp_path / "chirp.detector")
    again = Detector.load(tmp_path / "chirp")
    assert again.identity() == detector.identity()
    assert again.examples == detector.examples
    assert again.labels[0].quality == detector.labels[0].quality
    model = soundloom.load(MODEL)
    vectors = np.random.default_rng(0).normal(size=(1, 5, model.dim)).astype(np.float32)
    np.testing.assert_array_equal(again.probabilities(vectors), detector.probabilities(vectors))
    aim = Aim(precision=0.9)
    assert again.detect([night[0]], aim) == detector.detect([night[0]], aim)
    assert "chirp" in (tmp_path / "chirp.detector" / "README.md").read_text()


def test_a_folder_that_holds_no_detector_is_refused(detector: Detector, tmp_path: Path) -> None:
    with pytest.raises(DetectorError, match="there is no detector"):
        Detector.load(tmp_path / "owl")
    folder = detector.save(tmp_path / "owl.detector")
    plain = json.loads((folder / "detector.json").read_text())
    (folder / "detector.json").write_text(json.dumps({**plain, "version": 99}))
    with pytest.raises(DetectorError, match="newer soundloom"):
        Detector.load(folder)
    (folder / "detector.json").write_text(json.dumps(plain))
    (folder / "weights.safetensors").write_bytes(b"x")
    with pytest.raises(DetectorError, match="cannot be read"):
        Detector.load(folder)
    with pytest.raises(ModelMismatchError, match="train it again"):
        replace(detector, fingerprint="other").load_model()


@pytest.mark.parametrize("frames", [True, False])
def test_a_run_that_was_killed_goes_on_within_the_file(
    detector: Detector, night: tuple[Path, list[Annotation]], tmp_path: Path, monkeypatch, frames: bool
) -> None:
    for module in (detection, frame_windows):
        monkeypatch.setattr(module, "BLOCK", 5.0)
    path, detector = night[0], replace(detector, frames=frames)
    whole = detector.detect([path])
    model = soundloom.load(MODEL)
    name, count = ("shared_frames", 12) if frames else ("embed_samples", round(60 / detector.hop))
    compute = getattr(model, name)

    def until_killed(*samples: Any) -> Any:
        nonlocal count
        count -= 1
        if count < 0:
            raise AudioError(path, "killed")
        return compute(*samples)

    monkeypatch.setattr(model, name, until_killed)
    assert detector.detect([path], model=model, journal=tmp_path, workers=1).failed == {str(path): "killed"}
    (file,) = tmp_path.glob("*.windows")
    file.write_bytes(file.read_bytes() + b"\x00")  # a row that was written in part
    monkeypatch.setattr(model, name, compute)
    resumed = detector.detect([path], model=model, journal=tmp_path)
    assert resumed.events == whole.events
    window = detector.windows[0]
    assert 90 - 60 <= resumed.computed < 90 - 60 + 5 + 2 * window
    again = detector.detect([path], model=model, journal=tmp_path)
    assert (again.computed, again.events) == (0, whole.events), "the last window, too, was done before"


@pytest.mark.parametrize(
    ("seconds", "size", "step"), [(61.3, 3.0, 0.5), (24.0, 2.0, 2.0), (48.2, 5.0, 2.5), (0.7, 3, 1)]
)
def test_windows_that_share_frames_are_those_of_segments(seconds: float, size: float, step: float) -> None:
    model = soundloom.load(MODEL)
    samples = np.random.default_rng(0).normal(0, 0.1, round(seconds * RATE)).astype(np.float32)
    blocks = np.array_split(samples, 7)
    expected = list(audio.segments(iter(blocks), RATE, size, step))
    lengths: dict[str, Any] = {"sizes": [round(size * RATE)], "step": round(step * RATE)}
    some = list(frame_windows.embed_stream(model, blocks, origin=0, first=0, count=None, **lengths))
    rows = np.concatenate([vectors[0] for vectors, _ in some])
    assert len(rows) == len(expected)
    assert some[-1][1] == round(expected[-1].end * RATE)
    alone = np.stack([model.embed_samples(one.samples) for one in expected])
    assert np.corrcoef(rows.ravel(), alone.ravel())[0, 1] > 0.97
    if seconds > 48:
        # From a later window on: the same bits.
        origin = round(frame_windows.BLOCK * RATE)
        first = -(-origin // lengths["step"])
        rest = samples[origin - round(frame_windows.LEAD * RATE) :]
        again = frame_windows.embed_stream(model, [rest], origin=origin, first=first, count=3, **lengths)
        np.testing.assert_array_equal(np.concatenate([vectors[0] for vectors, _ in again]), rows[first : first + 3])


def test_overlapping_windows_cost_what_they_add(monkeypatch: pytest.MonkeyPatch) -> None:
    model = soundloom.load("loom")
    seen = 0
    compute = model.shared_frames

    def counted(waveforms: torch.Tensor, lead: float) -> object:
        nonlocal seen
        seen += waveforms.shape[1]
        return compute(waveforms, lead)

    monkeypatch.setattr(model, "shared_frames", counted)
    samples = np.random.default_rng(0).normal(0, 0.1, 30 * RATE).astype(np.float32)
    found = frame_windows.embed_stream(
        model, [samples], origin=0, first=0, sizes=[3 * RATE], step=RATE // 2, count=None
    )  # fmt: skip
    assert sum(vectors.shape[1] for vectors, _ in found) == 55
    assert seen == len(samples) + round((frame_windows.LEAD + frame_windows.MARGIN) * RATE)


def test_what_is_found_does_not_depend_on_pieces_and_workers(
    detector: Detector, night: tuple[Path, list[Annotation]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (detection, frame_windows):
        monkeypatch.setattr(module, "BLOCK", 6.0)
    whole = detector.detect([night[0]], Aim(probability=0.01), workers=1)
    assert whole.events
    for seconds in (7.0, 20.0):
        monkeypatch.setattr(detection, "PIECE", seconds)
        assert detector.detect([night[0]], Aim(probability=0.01), workers=3).events == whole.events


def test_windows_above_the_threshold_are_merged() -> None:
    starts = np.arange(6.0)
    probabilities = np.array([[0.9, 0], [0.1, 0], [0.6, 0], [0.8, 0.7], [0.2, 0], [0.95, 0]])
    windows = ScoredWindows("/s/a.wav", starts, starts + 2, probabilities, 0, 7.0)
    found = events(windows, ["crow", "jay"], [0.5, 0.5])
    assert [(one.label, one.start, one.end, one.score) for one in found] == [
        ("crow", 0.0, 1.5, 0.9), ("crow", 2.5, 4.5, 0.8), ("jay", 3.5, 4.5, 0.7), ("crow", 5.5, 7.0, 0.95),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("rate", "speed", "length", "hertz"), [(384_000, 0.1, 0.02, (60e3, 35e3)), (250, 20.0, 8.0, (14.0, 28.0))]
)
def test_ultrasound_and_infrasound_are_found_at_their_own_times(
    tmp_path: Path, rate: int, speed: float, length: float, hertz: tuple[float, float]
) -> None:
    unit = length * 25

    def night(name: str, calls: list[float], seed: int) -> list[Annotation]:
        sound = 0.01 * np.random.default_rng(seed).normal(size=round(16 * unit * rate))
        times = np.arange(round(length * rate)) / rate
        phase = hertz[0] * times + (hertz[1] - hertz[0]) / (2 * length) * times**2
        call = 0.2 * np.sin(2 * np.pi * phase) * np.hanning(len(times))
        for each in calls:
            first = round(each * unit * rate)
            sound[first : first + len(call)] += call
        soundfile.write(tmp_path / name, sound, rate)
        return [Annotation(str(tmp_path / name), each * unit, each * unit + length, "call") for each in calls]

    marks = [*night("a.wav", [2, 5.3, 11], 0), *night("b.wav", [3.1, 9], 1), *night("c.wav", [4, 7.2, 13], 2)]
    calls = night("d.wav", [3.3, 8, 12.2], 3)
    decoding = audio.DecodeOptions(speed=speed)
    detector = Detector.train(["call"], marks, decoding=decoding, workers=1)
    report = detector.detect([tmp_path / "d.wav"], Aim(probability=0.3), workers=1)
    assert report.seconds == pytest.approx(16 * unit)
    assert len(report.events) == len(calls)
    for found, call in zip(report.events, calls, strict=True):
        assert found.start < call.end
        assert call.start < found.end
        assert found.end - found.start < 3 * detector.windows[0]


def test_windows_to_learn_from_touch_nothing_that_was_marked() -> None:
    yes = [Annotation("a", 10.0, 11.0, "crow"), Annotation("a", 50.0, 58.0, "crow")]
    no = [Annotation("a", 30.0, 31.0, "jay")]
    assert fitting_window(yes[:1]) == 1.5
    assert fitting_window([Annotation("a", 0.0, end, "dog") for end in (0.25, 0.5, 2.0, 3.0, 3.0)]) == 2.5
    assert fitting_window([Annotation("bat", 0.5, 0.505, "bat")], speed=0.1) == 0.1
    assert fitting_window([Annotation("whale", 30.0, 60.0, "whale")], speed=20) == 40
    windows = training_windows(yes, no, ["b"], {"a": 60.0, "b": 1.0}, 2.0, 1.0)
    assert next((one.start, one.end) for one in windows if one.labels == {"crow"}) == (9.5, 11.5)
    assert len([one for one in windows if one.labels == {"crow"}]) == 5
    assert [one.start for one in windows if one.labels == frozenset()] == [29.5]
    free = [one for one in windows if one.labels is None]
    assert [one.end for one in free if one.path == "b"] == [1.0]
    for one in (one for one in free if one.path == "a"):
        assert all(one.end <= mark.start or mark.end <= one.start for mark in [*yes, *no])


def test_what_nothing_can_be_learned_from_is_refused(marked: list[Annotation]) -> None:
    with pytest.raises(InvalidArgumentError, match=r"no region is labelled 'owl', .*chirp"):
        Detector.train(["owl"], marked, model=MODEL)
    with pytest.raises(InvalidArgumentError, match="hop"):
        Detector.train(["chirp"], marked, model=MODEL, window=1.0, hop=2.0)


def test_commands(marked: list[Annotation], night: tuple[Path, list[Annotation]], tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SOUNDLOOM_HOME", str(tmp_path / "home"))
    write_annotations(marked, "marks.selections.txt")

    def run(*words: str) -> str:
        result = CliRunner().invoke(main, [*words], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    assert "Raven" in run("detector", "train", "chirp", "--from", "marks.selections.txt", "-m", MODEL, "-j", "1")
    assert "chirp.detector" in run("detector", "list")
    assert json.loads(run("detector", "info", "chirp", "--json"))["examples"] == 9
    said = run("detect", str(night[0]), "--detector", "chirp", "--recall", "0.9", "-o", "found.selections.txt")
    assert "expected precision" in said
    found = read_annotations("found.selections.txt").annotations
    assert any(one.start < 5.5 and one.end > 5.0 for one in found)
    assert "of it done before)" in run("detect", str(night[0]), "--detector", "chirp", "--above", "0.5")


def test_a_recording_that_is_cut_short_is_searched_as_far_as_it_goes(
    detector: Detector, night: tuple[Path, list[Annotation]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the failure advises is an option of the command that failed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SOUNDLOOM_HOME", str(tmp_path / "home"))
    data = night[0].read_bytes()
    Path("cut.wav").write_bytes(data[: len(data) // 2])
    detector.save("chirp.detector")
    for words in (["detect", "cut.wav", "-o", "f.csv"], ["detector", "sample", "cut.wav", "-n", "5", "-o", "f.csv"]):
        refused = CliRunner().invoke(main, [*words, "-d", "chirp", "-j", "1"])
        assert (refused.exit_code, "with --accept-truncated" in refused.stderr) == (1, True)
        taken = CliRunner().invoke(main, [*words, "-d", "chirp", "-j", "1", "--accept-truncated"])
        assert taken.exit_code == 0, taken.output
        assert read_annotations("f.csv").annotations
