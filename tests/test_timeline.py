"""Timelines: spectra and indices of long recordings at any rate, similarity over time, the picture and the command."""

from __future__ import annotations

import csv
from datetime import datetime
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

import soundloom
import soundloom.timeline
from soundloom import audio
from soundloom.annotations import Annotation, write_annotations
from soundloom.audio import DecodeOptions
from soundloom.cli import main
from soundloom.detectors.frame_windows import embed_stream
from soundloom.errors import InvalidArgumentError
from soundloom.timeline import long_spectrum, similarity_over_time, timeline_picture
from soundloom.timeline.long_spectrum import FRAME


def tone(path: Path, rate: int, hertz: float, seconds: float, *, pulses: float = 0.0, offset: float = 0.0) -> Path:
    """A tone in noise, steady or in so many pulses per second, from some second on."""
    times = np.arange(round(seconds * rate)) / rate
    sound = 0.3 * np.sin(2 * np.pi * hertz * times) * (times >= offset)
    if pulses:
        sound *= (times * pulses) % 1 < 0.3
    soundfile.write(path, sound + 0.001 * np.random.default_rng(0).normal(size=len(times)), rate, "FLOAT")
    return path


@pytest.mark.parametrize(
    ("rate", "hertz", "seconds"), [(250, 40.0, 120.0), (16_000, 3000.0, 5.0), (500_000, 90_000.0, 0.5)]
)
def test_times_and_frequencies_are_the_files_own(tmp_path: Path, rate: int, hertz: float, seconds: float) -> None:
    path = tone(tmp_path / "a.wav", rate, hertz, seconds, offset=seconds / 2)
    spectrum = long_spectrum(path, seconds=16 * FRAME / rate if rate == 250 else 10 * FRAME / rate)
    assert spectrum.duration == pytest.approx(seconds)
    peak = spectrum.frequencies[spectrum.mean_spectrum().argmax()]
    assert peak == pytest.approx(hertz, abs=rate / FRAME)
    loud = spectrum.average.max(axis=1) > -30
    first = loud.argmax() * spectrum.seconds
    assert first == pytest.approx(seconds / 2, abs=1.01 * spectrum.seconds)
    # A sine of amplitude 0.3 has 20 log10(0.3) - 3 dB, of which its bin holds most.
    assert spectrum.average.max() == pytest.approx(-13.5, abs=2.0)


def test_indices_distinguish_pulses_from_a_steady_tone(tmp_path: Path) -> None:
    steady = long_spectrum(tone(tmp_path / "a.wav", 16_000, 3000, 8), seconds=4)
    pulsed = long_spectrum(tone(tmp_path / "b.wav", 16_000, 3000, 8, pulses=2), seconds=4)
    bin_ = round(3000 / 16_000 * FRAME)
    assert pulsed.aci[0, bin_] > 5 * steady.aci[0, bin_]
    assert pulsed.entropy[0, bin_] > 0.2 > steady.entropy[0, bin_]
    assert pulsed.events[0, bin_] == pytest.approx(2, abs=0.3)
    assert steady.events[0, bin_] == 0
    colours = pulsed.false_colours()
    assert colours.shape == (*pulsed.average.shape, 3)
    assert 0 <= colours.min() < colours.max() <= 1
    records = list(pulsed.records())
    assert [one["start"] for one in records] == [0, 4]
    assert records[1]["end"] == pytest.approx(8)
    assert all(0 <= one[name] <= 1 for one in records for name in ("temporal_entropy", "spectral_entropy"))


def test_columns_that_are_too_short_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match=r"take 0\.064 s or more"):
        long_spectrum(tone(tmp_path / "a.wav", 16_000, 3000, 2), seconds=0.05)


@pytest.mark.parametrize(("rate", "seconds"), [(250, 1200), (16_000, 2), (16_000, 20), (16_000, 600), (384_000, 1)])
def test_columns_are_fine_enough_for_calls(tmp_path: Path, rate: int, seconds: int) -> None:
    """A call of a hundredth of the recording is not smeared over several of its lengths."""
    path = tone(tmp_path / "a.wav", rate, rate / 8, seconds, offset=0.5 * seconds)
    spectrum = long_spectrum(path)
    assert min(240, seconds * rate // 1024 - 1) <= len(spectrum.average) <= 1200
    assert spectrum.duration == pytest.approx(seconds)
    assert spectrum.frequencies[-1] == rate / 2
    loud = spectrum.average.max(axis=1) > -30
    assert (loud.argmax() * spectrum.seconds) == pytest.approx(seconds / 2, abs=spectrum.seconds)
    peak = spectrum.frequencies[spectrum.mean_spectrum().argmax()]
    assert peak == pytest.approx(rate / 8, abs=rate / 128)


def test_the_similarity_is_highest_where_the_sound_is(tmp_path: Path) -> None:
    model = soundloom.load("mfcc")
    path = tone(tmp_path / "a.wav", 16_000, 3000, 40, offset=30)
    query = model.embed(tone(tmp_path / "q.wav", 16_000, 3000, 3))
    times, similarity = similarity_over_time(path, query, model)
    assert len(times) == len(similarity) == 38
    assert np.median(similarity[times > 32]) > np.quantile(similarity[times < 28], 0.9) + 0.1


def test_parts_that_are_centred_are_not_scaled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = soundloom.load("logmel+mfcc")
    path = tone(tmp_path / "a.wav", 16_000, 3000, 12, offset=6)
    rate = model.sample_rate
    query = model.embed(path, start=9, end=11)
    blocks = audio.stream(path, rate)
    windows = embed_stream(model, blocks, origin=0, first=0, sizes=[rate], step=rate, count=None)
    rows = np.concatenate([vectors[0] for vectors, _ in windows]).astype(np.float64)

    def expected(centred: tuple[str, ...]) -> np.ndarray:
        total = 0.0
        for part, columns in model.parts.items():
            deviations = rows[:, columns].std(axis=0)
            scale = np.sqrt(np.square(deviations).mean()) if part in centred else deviations + 1e-9
            one, other = ((each[..., columns] - rows[:, columns].mean(axis=0)) / scale for each in (rows, query))
            cosine = (one @ other) / np.linalg.norm(one, axis=1) / np.linalg.norm(other)
            total = total + model.balance.get(part, 1.0) * cosine
        return total / sum(model.balance.get(part, 1.0) for part in model.parts)

    for centred in ((), ("logmel",), ("logmel", "mfcc")):
        monkeypatch.setattr(model, "centred", centred)
        _, similarity = similarity_over_time(path, query, model, window=1, hop=1)
        np.testing.assert_allclose(similarity, expected(centred), atol=1e-5)
    assert np.abs(expected(()) - expected(("logmel", "mfcc"))).max() > 0.02


def test_the_similarity_of_ultrasound_is_that_of_the_slowed_sound(tmp_path: Path) -> None:
    model, options = soundloom.load("mfcc"), DecodeOptions(speed=0.1)
    path = tone(tmp_path / "a.wav", 256_000, 45_000, 4, offset=3)
    query = model.embed(tone(tmp_path / "q.wav", 256_000, 45_000, 0.3), options=options)
    times, similarity = similarity_over_time(path, query, model, options=options)
    assert np.diff(times)[0] == pytest.approx(0.1)
    assert times[-1] < 4
    assert np.median(similarity[times > 3.2]) > np.quantile(similarity[times < 2.8], 0.9) + 0.1


def test_a_picture_shows_what_was_found(tmp_path: Path) -> None:
    spectrum = long_spectrum(tone(tmp_path / "a.wav", 16_000, 3000, 20, pulses=1))
    regions = [Annotation("a", 2.0, 3.0, "crow", 0.9), Annotation("a", 5.0, 5.1, "jay"), Annotation("a", 7.0, 9.0, "")]
    curve = np.arange(20.0), np.sin(np.arange(20.0))
    plain, full = tmp_path / "plain.png", tmp_path / "full.png"
    timeline_picture(spectrum, plain, title="a.wav")
    timeline_picture(
        spectrum, full, title="a $wav$", regions=regions, similarity=curve, recorded=datetime(2024, 5, 1, 23, 59, 50)
    )
    heights = [matplotlib.image.imread(path).shape[0] for path in (plain, full)]
    assert heights[1] > heights[0] + 100
    assert matplotlib.image.imread(plain).std() > 0.1


def test_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tone(tmp_path / "POND_20240501_043000.wav", 16_000, 3000, 20)
    write_annotations([Annotation(str(path), 1.0, 2.0, "crow"), Annotation("/other.wav", 1.0, 2.0, "jay")], "found.csv")
    words = ["timeline", path.name, "--detections", "found.csv", "--seconds", "5", "--indices", "indices.csv"]
    result = CliRunner().invoke(main, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert (tmp_path / f"{path.name}.timeline.png").read_bytes().startswith(b"\x89PNG")
    with open("indices.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4
    assert float(rows[0]["level"]) < 0
    assert "in columns of 4.99 s" in result.output
    assert "is of this file" not in result.output
    write_annotations([Annotation("/other.wav", 1.0, 2.0, "jay")], "other.csv")
    result = CliRunner().invoke(main, ["timeline", path.name, "--detections", "other.csv"], catch_exceptions=False)
    assert "none of the 1 region of other.csv is of this file" in result.stderr
    for region, code in ((f"{path.name}@1-3", 0), (f"{path.name}@0:01-0:03.5", 0), ("none.wav@1-3", 1)):
        assert CliRunner().invoke(main, ["timeline", path.name, "--like", region]).exit_code == code


def test_the_command_decodes_as_it_is_asked_to_and_else_as_the_library_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tone(tmp_path / "sounds.wav", 16_000, 3000, 20)
    library = soundloom.Library.create("bats.loom", "mfcc", decoding=DecodeOptions(speed=0.5))
    library.add(path, workers=1)
    speeds: list[float] = []
    monkeypatch.setattr(
        soundloom.timeline, "similarity_over_time",
        lambda *_, options: speeds.append(options.speed) or (np.arange(2.0), np.arange(2.0)),
    )  # fmt: skip
    for words in ([], ["-l", "bats.loom"], ["-l", "bats.loom", "--speed", "0.25"]):
        result = CliRunner().invoke(main, ["timeline", path.name, "--like", path.name, *words], catch_exceptions=False)
        assert result.exit_code == 0, result.output
    assert speeds == [1.0, 0.5, 0.25]
