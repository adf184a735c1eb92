"""The loop of a detector: windows to mark next, rounds that are remembered, and call density from a checked sample."""

from __future__ import annotations

import csv
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner, Result

from soundloom.annotations import UNMARKED, Annotation, read_annotations, within_ends, write_annotations
from soundloom.cli import main
from soundloom.detectors import Detector, find_detectors
from soundloom.detectors.call_density import call_density, density_sample
from soundloom.detectors.events import ScoredWindows
from soundloom.errors import DetectorError, InvalidArgumentError, ModelError

RATE = 16_000


def scored(probabilities: np.ndarray, path: str = "/s/night.wav") -> ScoredWindows:
    starts = np.arange(len(probabilities), dtype=np.float64)
    return ScoredWindows(path, starts, starts + 1, probabilities[:, None], 0.0, float(starts[-1] + 1))


@pytest.mark.parametrize(("share", "sharpness"), [(0.01, 3.0), (0.05, 2.0), (0.3, 1.0)])
def test_the_interval_of_a_density_holds_the_density(share: float, sharpness: float) -> None:
    """Of detectors that rank well and badly, whose probabilities are twice what they should be, 60 windows checked."""
    inside, widths = [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        truth = rng.random(4000) < share
        scores = sharpness * truth + rng.normal(size=4000)
        probabilities = 2 * share * np.exp(sharpness * scores)
        probabilities = probabilities / (1 + probabilities)
        sample = [
            replace(one, label="crow" if truth[round(one.start)] else "")
            for one in density_sample([scored(probabilities)], 0, 1.0, 60, seed=seed)
        ]
        found = call_density(sample, "crow")
        inside.append(found.low <= truth.mean() <= found.high)
        widths.append(found.high - found.low)
    assert np.mean(inside) >= 0.9
    assert np.mean(widths) < max(0.12, share)


def test_a_density_sample_is_of_every_score() -> None:
    probabilities = np.linspace(0, 1, 1000)
    sample = density_sample(
        [scored(probabilities[:600], "/s/a.wav"), scored(probabilities[600:], "/s/b.wav")], 0, 1.0, 52
    )
    assert len(sample) == 52
    bins = [[one for one in sample if one.columns["bin"] == bin_] for bin_ in range(5)]
    assert [len(some) for some in bins] == [10, 10, 10, 11, 11]
    assert [some[0].columns["share"] for some in bins] == [0.5, 0.25, 0.125, 0.063, 0.062]
    assert max(one.score or 0 for one in bins[0]) < min(one.score or 0 for one in bins[1])
    assert all(one.label == UNMARKED for one in sample)
    with pytest.raises(InvalidArgumentError, match="5 windows or more"):
        density_sample([scored(probabilities[:3])], 0, 1.0, 52)


def test_a_density_of_what_was_not_checked_is_refused() -> None:
    sample = density_sample([scored(np.linspace(0, 1, 1000))], 0, 1.0, 50)
    with pytest.raises(InvalidArgumentError, match="no region is checked"):
        call_density(sample, "crow")
    with pytest.raises(InvalidArgumentError, match="sample --by density"):
        call_density([Annotation("/s/a.wav", 0, 1, "crow")], "crow")


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three recordings with chirps in every tenth second, and where they are."""
    folder = tmp_path_factory.mktemp("recordings")
    time = np.arange(RATE // 2) / RATE
    call = 0.3 * np.sin(2 * np.pi * (1500 * time + 2000 * time**2)) * np.hanning(len(time))
    marks = []
    for number in range(3):
        sound = 0.02 * np.random.default_rng(number).normal(size=60 * RATE)
        for start in range(5, 60, 10):
            sound[start * RATE : start * RATE + len(call)] += call
            marks.append(Annotation(str(folder / f"{number}.wav"), start, start + 0.5, "chirp"))
        soundfile.write(folder / f"{number}.wav", sound, RATE)
    write_annotations(marks, folder / "truth.csv")
    return folder


def test_a_detector_goes_to_the_hub_and_comes_from_it(
    recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    huggingface_hub = pytest.importorskip("huggingface_hub")
    published = tmp_path / "hub"

    class Api:
        def __init__(self, token: str | None = None) -> None:
            assert token in ("secret", None)

        def create_repo(self, repository: str, *, private: bool | None, exist_ok: bool) -> str:
            assert (private, exist_ok) == (True, True)
            return f"https://hub/{repository}"

        def upload_folder(self, *, folder_path: str, **_: object) -> None:
            shutil.copytree(folder_path, published)

    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda **_: str(published))
    marks = read_annotations(recordings / "truth.csv").annotations
    detector = Detector.train(["chirp"], marks, model="mfcc", workers=1)
    assert detector.push_to_hub("someone/chirp", private=True, token="secret") == "https://hub/someone/chirp"
    shutil.rmtree(published)
    detector.save(tmp_path / "chirp.detector")
    words = ["detector", "push", str(tmp_path / "chirp.detector"), "someone/chirp", "--private"]
    assert CliRunner().invoke(main, words).output == "https://hub/someone/chirp\n"
    assert str(recordings) not in (published / "examples.csv").read_text()
    again = Detector.load("hf:someone/chirp")
    assert again.identity() == detector.identity()
    assert {one.path for one in again.examples} == {f"{number}.wav" for number in range(3)}
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda **_: str(tmp_path / "none"))
    with pytest.raises(DetectorError):
        Detector.load("hf:someone/owl")
    # Without a route, by whichever library the hub's is.
    unreachable = next(one for one in huggingface_hub.errors.HfHubHTTPError.__mro__ if one.__name__ == "HTTPError")

    def fails(*_: object, **__: object) -> None:
        raise unreachable("no route\nsee the manual")

    monkeypatch.setattr(Api, "create_repo", fails)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", fails)
    with pytest.raises(ModelError, match=r"cannot publish someone/chirp: no route$"):
        detector.push_to_hub("someone/chirp")
    with pytest.raises(DetectorError, match=r"cannot fetch .* of hf:someone/owl: no route$"):
        Detector.load("hf:someone/owl")


def test_rounds_of_marking(recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SOUNDLOOM_HOME", str(tmp_path / "home"))
    truth = read_annotations(recordings / "truth.csv").annotations
    write_annotations([one for one in truth if one.start < 30 and not one.path.endswith("2.wav")], "marks.csv")

    def run(*words: str) -> str:
        result = CliRunner().invoke(main, ["detector", *words], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.stdout

    def fill_in(table: str) -> None:
        with Path(table).open(newline="") as file:
            rows = list(csv.DictReader(file))
        for row in rows:
            called = [one for one in truth if one.path == row["path"]]
            touch = any(one.start < float(row["end"]) - 0.2 and float(row["start"]) + 0.2 < one.end for one in called)
            row["label"] = "chirp" if touch else ""
        rows[0]["label"] = UNMARKED if "bin" not in rows[0] else rows[0]["label"]
        with Path(table).open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)

    run("train", "chirp", "--from", "marks.csv", "-m", "mfcc", "-j", "1")
    for rule in ("diversity", "doubt", "random"):
        wanted = f"-d chirp -n 8 --by {rule} -o {rule}.csv -j 1"
        run("sample", os.path.relpath(recordings), *wanted.split())
        asked = read_annotations(f"{rule}.csv").annotations
        assert len(asked) == 8
        marked = read_annotations("marks.csv").annotations
        for one in asked:
            assert one.label == UNMARKED
            others = [other for other in (*asked, *marked) if other is not one and other.path == one.path]
            assert all(one.end <= other.start or other.end <= one.start for other in others)
    fill_in("doubt.csv")
    window = Detector.load("chirp.detector").windows[0]
    # Model and windows are those of the detector before: marked windows are longer than the calls in them.
    run("train", "chirp", "--from", "chirp.detector", "--from", "doubt.csv", "-j", "1")
    assert (Detector.load("chirp.detector").windows, Detector.load("chirp.detector").model_name) == ((window,), "mfcc")
    described = json.loads(run("info", "chirp", "--json"))
    assert described["examples"] == 6 + 7  # one was left unclear
    card = run("info", "chirp")
    assert "| 1 | chirp | 6 | 0 |" in card
    assert "| 2 | chirp |" in card
    assert "Average precision counts every unlabelled window as no" in card
    assert len(Detector.load("chirp.detector/former").examples) == 6
    assert [path.name for path in find_detectors(Path())] == ["chirp.detector"]
    run("sample", str(recordings), "-d", "chirp", "-n", "50", "--by", "density", "-o", "check.csv", "-j", "1")
    fill_in("check.csv")
    density = json.loads(run("density", "check.csv", "--label", "chirp", "--json"))
    assert density["checked"] == 50
    with Path("check.csv").open(newline="") as file:
        cells = [
            [cell if cell.endswith(".wav") else cell.replace(".", ",") for cell in row] for row in csv.reader(file)
        ]
    Path("german.csv").write_text("".join(f"{';'.join(row)}\n" for row in cells))
    assert json.loads(run("density", "german.csv", "--label", "chirp", "--json")) == density
    # A chirp of half a second every ten, and windows of one: as the rule of `fill_in` has it, in an eighth of them.
    assert 0.05 < density["density"]["low"] < density["density"]["value"] < density["density"]["high"] < 0.4
    assert CliRunner().invoke(main, ["detector", "density", "doubt.csv", "--label", "chirp"]).exit_code == 1


def test_a_detector_passes_its_background_on(recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two rounds with the same background compare; one without it does not, and says so."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(recordings, "rec")
    truth = [replace(one, path=os.path.basename(one.path)) for one in read_annotations("rec/truth.csv").annotations]
    write_annotations([one for one in truth if one.path == "0.wav"], "rec/marks.csv")
    write_annotations([one for one in truth if one.path == "1.wav"][:3], "rec/next.csv")

    def train(*words: str) -> str:
        made = ["detector", "train", "chirp", "--from", *words, "-o", "chirp.detector", "-m", "mfcc", "-j", "1"]
        result = CliRunner().invoke(main, made, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    def unlabelled() -> int:
        return Detector.load("chirp.detector").labels[0].quality.unlabelled

    train("rec/marks.csv", "--background", "rec")
    with_background = unlabelled()
    said = train("chirp.detector", "--from", "rec/next.csv")
    assert f"background as before: {tmp_path / 'rec'}" in said
    assert f"| 1 | chirp | 6 | 0 | {with_background} |" in said
    assert "| 2 | chirp |" in said
    assert "compare" not in said
    assert Path("chirp.detector/README.md").read_text() in said
    assert unlabelled() > 0.8 * with_background
    assert Detector.load("chirp.detector").background == (str(tmp_path / "rec"),)
    named = replace(Detector.load("chirp.detector"), background=(str(tmp_path / "gone"),))
    named.save("chirp.detector")
    said = train("chirp.detector")
    assert f"learned without this background: {tmp_path / 'gone'}; figures do not compare" in said
    assert "Rounds 1 to 3 had another background" in said
    assert "| 4 | chirp |" not in said
    assert "| 3 | chirp |" not in said
    replace(named, background=None).save("chirp.detector")
    assert "that of the detector before, which it does not name" in train("chirp.detector")


def test_regions_that_wait_for_a_mark_teach_nothing(
    recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    truth = list(read_annotations(recordings / "truth.csv").annotations)
    waiting = [replace(one, label=UNMARKED, start=one.start + 3, end=one.end + 3) for one in truth]
    for name, regions in (("none", waiting), ("some", [*truth, *waiting[:4]])):
        write_annotations(regions, f"{name}.csv")

    def train(name: str) -> Result:
        return CliRunner().invoke(main, ["detector", "train", "chirp", "--from", name, "-m", "mfcc", "-j", "1"])

    refused = train("none.csv")
    assert (refused.exit_code, "nobody has marked 'none.csv' yet, 18 of 18 regions are ?" in refused.stderr) == (
        1,
        True,
    )
    assert "some.csv: 4 of 22 regions left out that nobody has marked yet (?)" in train("some.csv").stderr
    made = Detector.train(["chirp"], [*truth, *waiting], model="mfcc", workers=1)  # and so in Python
    assert made.labels[0].quality.negative == 0
    assert len(made.examples) == len(truth)


def test_a_label_is_text_and_a_folder_need_not_be(recordings: Path, tmp_path: Path) -> None:
    marks = read_annotations(recordings / "truth.csv").annotations
    with pytest.raises(InvalidArgumentError, match=r"the label t\\xfc is no text in UTF-8"):
        Detector.train(["t\udcfc"], [replace(one, label="t\udcfc") for one in marks], model="mfcc")
    Detector.train(["chirp"], marks, model="mfcc", workers=1).save(tmp_path / "x\udcfc.detector")
    assert Detector.load(tmp_path / "x\udcfc").labels[0].label == "chirp"
    assert (tmp_path / "x\udcfc.detector" / "README.md").read_text().startswith("# x\\xfc\n")


def test_regions_beyond_the_end_of_a_file_are_named() -> None:
    marks = [Annotation("a.wav", *times, "x") for times in ((1, 2), (9, 10.05), (9, 12), (11, 12))]
    kept, found = within_ends([*marks, Annotation("b.wav", 0, 99, "x")], {"a.wav": 10.0})
    assert [(one.start, one.end) for one in kept] == [(1, 2), (9, 10.05), (9, 10), (0, 99)]
    assert list(found) == ["a.wav"]
    said = "2 regions beyond its end at 10 s ('x' at 9 to 12 s cut, 'x' at 11 to 12 s left out): are they of this file"
    assert found["a.wav"].startswith(said)
    _, found = within_ends([Annotation("a.wav", 20 + number, 30, "") for number in range(5)], {"a.wav": 10.0})
    assert "(20 to 30 s left out, 21 to 30 s left out, 22 to 30 s left out, and 2 more)" in found["a.wav"]


def test_only_what_was_learned_from_stays_among_the_examples_wherever_they_are_read(
    recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(recordings)
    good = [Annotation("0.wav", start, start + 0.5, "chirp") for start in (5, 15, 25)]
    bad = [("0.wav", 59.5, 62.0), ("0.wav", 70.0, 71.0), ("gone.wav", 5.0, 5.5)]
    write_annotations([*good, *(Annotation(*one, "chirp") for one in bad)], tmp_path / "bad.csv")

    def train(*words: str) -> tuple[int, str]:
        made = ["detector", "train", "chirp", *words, "-o", str(tmp_path / "chirp.detector"), "-m", "mfcc", "-j", "1"]
        result = CliRunner().invoke(main, made, catch_exceptions=False)
        return result.exit_code, result.output

    code, said = train("--from", str(tmp_path / "bad.csv"))
    assert code == 1
    assert "Learned from 4 marked regions" in said
    assert said.index("('chirp' at 59.5 to 62 s cut, 'chirp' at 70 to 71 s left out)") < said.index("kept in")
    examples = Detector.load(tmp_path / "chirp.detector").examples
    path = str(recordings / "0.wav")
    assert [(one.path, one.start, one.end) for one in examples] == [
        (path, 5, 5.5), (path, 15, 15.5), (path, 25, 25.5), (path, 59.5, 60)
    ]  # fmt: skip
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    code, said = train("--from", "../chirp.detector")
    assert (code, "Learned from 4 marked regions" in said, "beyond" in said) == (0, True, False)


@pytest.mark.parametrize("times", ["300-301", "1:30-1:31", "31.6-30.7"])
def test_a_region_on_the_command_line_that_its_file_does_not_have_is_named(recordings: Path, times: str) -> None:
    mark = f"{recordings / '0.wav'}:{times}"
    result = CliRunner().invoke(main, ["detector", "train", "chirp", "--yes", mark, "-m", "mfcc"])
    assert result.exit_code == 1
    assert f"{mark!r} is no region of its file, which lasts 60 s" in result.stderr
