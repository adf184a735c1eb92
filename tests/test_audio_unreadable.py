"""Files that cannot be read: each is refused with its reason, whatever it is."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from soundloom.audio import read
from soundloom.errors import AudioError
from sounds import write_silent_film, written


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="no such file: check the name"):
        read(tmp_path / "none.wav", 16000)


def test_a_folder(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="a folder: name the files in it"):
        read(tmp_path, 16000)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    with pytest.raises(AudioError, match="not a regular file"):
        read(tmp_path / "pipe.wav", 16000)


def test_a_name_that_no_system_takes(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="the system cannot open it"):
        read("a\0b.wav", 16000)
    with pytest.raises(AudioError, match="the system cannot open it"):
        read(tmp_path / ("x" * 5000), 16000)


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "empty.wav").touch()
    with pytest.raises(AudioError, match=r"empty \(0 bytes\)"):
        read(tmp_path / "empty.wav", 16000)


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "locked.wav"
    file.write_bytes(b"RIFF")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    # Not by the file's mode, which the superuser may read whatever it is.
    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(AudioError, match="no permission to read it: change its mode"):
        read(file, 16000)


@pytest.mark.parametrize("suffix", [".wav", ".mp3", ".m4a", ".txt"])
@pytest.mark.parametrize(
    "content",
    [b"Dear diary,\nthis is not a sound.\n" * 50, b"\0" * 5000, bytes(range(256)) * 40, b"x", b"RIFF", b"ID3"],
)
def test_what_is_not_audio(tmp_path: Path, suffix: str, content: bytes) -> None:
    file = tmp_path / f"file{suffix}"
    file.write_bytes(content)
    with pytest.raises(AudioError, match=r"not audio|all zero|no sound|not those of|sound"):
        read(file, 16000)


@pytest.mark.parametrize("suffix", [".wav", ".m4a", ".bin"])
def test_noise_bytes_never_escape_as_another_error(tmp_path: Path, suffix: str) -> None:
    for seed in range(20):
        file = tmp_path / f"noise{suffix}"
        file.write_bytes(np.random.default_rng(seed).bytes(3000))
        with pytest.raises(AudioError):
            read(file, 16000)


def test_a_playlist_fetches_nothing(tmp_path: Path) -> None:
    file = tmp_path / "list.m3u8"
    file.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n")
    with pytest.raises(AudioError):
        read(file, 16000)


def test_zero_samples(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="no sound in it"):
        read(written(tmp_path / "none.wav", np.zeros(0), 16000), 16000)


def test_a_film_without_sound(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="no sound track in it, only video"):
        read(write_silent_film(tmp_path / "film.mp4"), 16000)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("sample_rate", [16000, 44100])
@pytest.mark.parametrize("channels", [1, 2])
def test_samples_that_are_no_levels(tmp_path: Path, wrong: float, sample_rate: int, channels: int) -> None:
    sound = np.zeros((3 * 44100, channels))
    sound[round(2.5 * 44100), 0] = wrong
    sound[round(2.5 * 44100), -1] = wrong
    file = written(tmp_path / "wrong.wav", sound, 44100, subtype="DOUBLE")
    with pytest.raises(AudioError, match=r"sample at 2\.500 s is .*, not a finite level"):
        read(file, sample_rate)


@pytest.mark.parametrize("wrong", [65.0, -1e30])
def test_a_peak_above_64_is_no_level(tmp_path: Path, wrong: float) -> None:
    sound = np.zeros(3 * 44100)
    sound[round(2.5 * 44100)] = wrong
    file = written(tmp_path / "wrong.wav", sound, 44100, subtype="DOUBLE")
    with pytest.raises(AudioError, match=r"sample at 2\.500 s is -?(65|1e\+30), and full scale is 1 .*: its samples"):
        read(file, 16000)
    sound[round(2.5 * 44100)] = 63
    assert read(written(tmp_path / "loud.wav", sound, 44100, subtype="FLOAT"), 44100).max() == 63


def test_opposite_infinities(tmp_path: Path) -> None:
    sound = np.zeros((100, 2))
    sound[50] = [np.inf, -np.inf]
    with pytest.raises(AudioError, match="not a finite level"):
        read(written(tmp_path / "wrong.wav", sound, 1000, subtype="FLOAT"), 1000)
