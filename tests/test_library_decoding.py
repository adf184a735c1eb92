"""Decoding as a setting of a library: its files and its queries are decoded by the same options."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest
import soundfile

import soundloom
from helpers.command_line import run
from soundloom import Library
from soundloom.audio import DecodeOptions
from soundloom.errors import AudioError, LibraryError
from soundloom.library import hits_picture
from soundloom.pictures import Excerpt
from sounds import tone

RATE = 16000


def noise(seconds: float, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.5, 0.5, round(seconds * RATE)).astype(np.float32)


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bat call of 192 kHz, a file whose channels cancel, and one with something else on each side."""
    folder = tmp_path_factory.mktemp("sounds")
    call = 0.001 * np.random.default_rng(1).normal(size=192000).astype(np.float32)
    call[96000:115200] += tone(40000, 192000, 0.1)
    soundfile.write(folder / "bat.wav", call, 192000, subtype="FLOAT")
    sound = noise(2.0, 2)
    soundfile.write(folder / "inverted.wav", np.stack([sound, -sound], 1), RATE, subtype="FLOAT")
    soundfile.write(folder / "sides.wav", np.stack([sound, tone(300, RATE, 2.0)], 1), RATE, subtype="FLOAT")
    return folder


def test_a_library_decodes_its_files_and_its_queries_by_its_options(sounds: Path, tmp_path: Path) -> None:
    options = DecodeOptions(channels="left")
    library = Library.create(tmp_path / "l.loom", "logmel", decoding=options)
    library.add(sounds)
    opened = Library.open(tmp_path / "l.loom")
    assert opened.settings.decoding == options
    model = soundloom.load("logmel")
    rows = opened.rows(["path", "embedding"])
    for path, embedding in zip(rows["path"].to_pylist(), rows["embedding"].to_pylist(), strict=True):
        np.testing.assert_array_equal(np.array(embedding, np.float32), model.embed(path, options=options))
    # Both hold one sound on the left: whoever mixed the channels would find silence, and a tone.
    hits = opened.search(sounds / "inverted.wav")
    assert Path(hits[0].path).name == "sides.wav"
    assert hits[0].similarity == pytest.approx(1.0, abs=1e-5)


def test_at_another_speed_times_stay_those_of_the_file(sounds: Path, tmp_path: Path) -> None:
    library = Library.create(tmp_path / "l.loom", "logmel", window=2.0, decoding=DecodeOptions(speed=0.1))
    report = library.add(sounds / "bat.wav")
    assert report.seconds == pytest.approx(1.0)
    rows = library.rows(["start", "end", "duration"]).to_pydict()
    assert rows["start"] == pytest.approx([0.0, 0.2, 0.4, 0.6, 0.8])
    assert rows["end"] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert rows["duration"] == pytest.approx([1.0] * 5)
    found = library.search(sounds / "bat.wav", start=0.5, end=0.6, include_query=True)
    assert found[0].start == pytest.approx(0.4)


def test_arrays_are_queries_with_their_rate(sounds: Path, tmp_path: Path) -> None:
    for seed in range(5):
        soundfile.write(tmp_path / f"{seed}.wav", noise(2.0, seed) * np.linspace(0, 1, 2 * RATE), RATE)
    library = Library.create(tmp_path / "l.loom", "logmel", decoding=DecodeOptions(channels="right"))
    library.add([sounds / "bat.wav", *(tmp_path / f"{seed}.wav" for seed in range(5))])
    pcm, rate = soundfile.read(tmp_path / "3.wav", dtype="int16")
    (hit,) = library.search(pcm, 1, sample_rate=rate)
    assert (Path(hit.path).name, round(hit.similarity, 3)) == ("3.wav", 1.0)
    assert library.explain(pcm, [hit], sample_rate=rate)
    with pytest.raises(AudioError, match="give its sample_rate"):
        library.search(pcm)


def test_a_silent_query_is_refused_and_one_that_mixes_to_silence_is_noticed(sounds: Path, tmp_path: Path) -> None:
    library = Library.create(tmp_path / "l.loom", "logmel")
    library.add(sounds)
    with pytest.raises(AudioError, match="digital silence: every sample is 0, and there is nothing to search by"):
        library.search(np.zeros(RATE, np.float32))
    mixed = run("search", sounds / "inverted.wav", "-l", tmp_path / "l.loom")
    assert "cancel each other" in mixed.stderr
    taken = run("search", sounds / "inverted.wav", "-l", tmp_path / "l.loom", "--channels", "left")
    assert taken.exit_code == 0
    assert "cancel" not in taken.stderr


def test_a_library_made_before_there_were_options_opens(sounds: Path, tmp_path: Path) -> None:
    folder = tmp_path / "l.loom"
    Library.create(folder, "logmel").add(sounds)
    settings = json.loads((folder / "library.json").read_text())
    del settings["decoding"], settings["checksum"]
    (folder / "library.json").write_text(json.dumps(settings))
    assert Library.open(folder).settings.decoding == DecodeOptions()
    settings["decoding"] = {"channels": "upper"}
    (folder / "library.json").write_text(json.dumps(settings))
    with pytest.raises(LibraryError, match=r"library\.json' are damaged \(channels is 'upper'"):
        Library.open(folder)


def test_index_keeps_the_options_it_began_with(sounds: Path, tmp_path: Path) -> None:
    folder = tmp_path / "l.loom"
    result = run("index", sounds, "-l", folder, "-m", "logmel", "--channels", "right", "--speed", 0.5, "--track", 1)
    assert result.exit_code == 0, result.output
    assert Library.open(folder).settings.decoding == DecodeOptions(channels="right", speed=0.5, track=1)
    for same in ((), ("--channels", "right"), ("--speed", 0.5)):
        assert run("index", "-l", folder, *same).exit_code == 0
    other = run("index", "-l", folder, "--speed", 0.1)
    assert other.exit_code == 1
    assert "channels right, track 1, speed 0.5, cut files refused: leave out" in other.stderr
    wrong = run("index", sounds, "-l", tmp_path / "new.loom", "--channels", "both")
    assert wrong.exit_code == 1
    assert "channels is 'both': choose mix, left, right, loudest, or" in wrong.stderr
    assert not (tmp_path / "new.loom").exists()


def test_windows_that_are_asked_for_are_seconds_of_the_file(sounds: Path, tmp_path: Path) -> None:
    folder, slow = tmp_path / "l.loom", ("--speed", "0.1")
    result = run("index", sounds / "bat.wav", "-l", folder, "-m", "logmel", *slow, "--window", 0.3, "--hop", 0.1)
    assert result.exit_code == 0, result.output
    library = Library.open(folder)
    assert (library.settings.window, library.settings.hop) == (3.0, 1.0)
    # Without what a product of a speed leaves, such as 0.30000000000000004.
    assert library.rows(["start"])["start"].to_pylist() == [number / 10 for number in range(8)]
    assert "segments of 0.3 s every 0.1 s" in run("info", "-l", folder).stdout
    assert run("index", "-l", folder, "--window", 0.3, "--hop", 0.1).exit_code == 0
    other = run("index", "-l", folder, "--window", 3, "--hop", 1)
    assert "cuts files into segments of 0.3 s every 0.1 s: leave out --window" in other.stderr
    assert run("index", sounds, "-l", tmp_path / "b.loom", *slow, "--window", 0.3, "--hop", 0.4).exit_code == 2
    asked = run("search", sounds / "bat.wav", "-l", folder, "--include-query")
    assert "longer than the library's window of 0.3 s" in asked.stderr
    out = tmp_path / "e.parquet"
    assert run("embed", sounds / "bat.wav", "-o", out, "-m", "logmel", *slow, "--window", 0.1).exit_code == 0
    assert pyarrow.parquet.read_table(out)["start"].to_pylist() == [number / 10 for number in range(10)]
    # The default is ten seconds of what the model takes.
    assert run("embed", sounds / "bat.wav", "-o", out, "-m", "logmel", *slow).exit_code == 0
    assert pyarrow.parquet.read_table(out)["end"].to_pylist() == [1.0]


def test_embed_and_tag_take_the_options(sounds: Path, tmp_path: Path) -> None:
    out = tmp_path / "e.parquet"
    result = run("embed", sounds / "sides.wav", "-o", out, "-m", "logmel", "--channels", "2", "--window", "whole")
    assert result.exit_code == 0, result.output
    (row,) = pyarrow.parquet.read_table(out)["embedding"].to_pylist()
    expected = soundloom.load("logmel").embed(tone(300, RATE, 2.0))
    np.testing.assert_array_equal(np.array(row, np.float32), expected)
    frames = tmp_path / "f.parquet"
    assert run("embed", sounds / "bat.wav", "-o", frames, "-m", "logmel", "--speed", 0.1, "--frames").exit_code == 0
    assert max(pyarrow.parquet.read_table(frames)["end"].to_pylist()) == pytest.approx(1.0, abs=0.01)


def test_a_picture_shows_the_query_and_its_hits_as_each_was_decoded(
    sounds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Library.create(tmp_path / "l.loom", "logmel").add([sounds / "inverted.wav", sounds / "sides.wav"])
    drawn: list[Excerpt] = []
    monkeypatch.setattr(hits_picture, "hits_picture", lambda asked, found, _: drawn.extend([asked, *found]))
    found = run(
        *("search", sounds / "inverted.wav", "-l", tmp_path / "l.loom", "--channels", "left", "--include-query"),
        *("--picture", tmp_path / "hits.png"),
    )
    assert found.exit_code == 0, found.output
    asked = drawn.pop(0)
    hit = next(excerpt for excerpt in drawn if excerpt.title == "inverted.wav")
    assert np.abs(asked.samples).max() == pytest.approx(0.5, abs=0.01)
    assert np.abs(hit.samples).max() == 0
