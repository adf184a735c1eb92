"""Files that are no audio, by any name: the refusal says what they are, and no decoder prints to the terminal."""

from __future__ import annotations

import gzip
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

from soundloom.audio import AvProcess, info, read
from soundloom.errors import AudioError

ENDINGS = ("mp3", "wav", "flac", "ogg", "m4a", "aac", "wma", "")


def archive() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("a.txt", "x" * 500)
    return buffer.getvalue()


NOISE = np.random.default_rng(0).integers(0, 256, 5000, np.uint8).tobytes()
KINDS = {
    "an HTML page": b"\n<!DOCTYPE html>\n<html><head><title>404 Not Found</title></head></html>\n" * 3,
    "an XML document": b'<?xml version="1.0"?>\n<Error><Code>AccessDenied</Code></Error>\n',
    "JSON text": b'{"error": "not found", "code": 404}\n',
    "this is text": b"a plain text\n" * 600,
    "text, not audio": "caf\u00e9, 16 bits a character".encode("utf-16"),
    "a JPEG picture": b"\xff\xd8\xff\xe0\0\x10JFIF\0" + NOISE[:3000],
    "a PNG picture": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + NOISE[:500],
    "a ZIP archive": archive(),
    "compressed by gzip": gzip.compress(NOISE),
    "a MIDI file": b"MThd\0\0\0\6\0\0\0\1\0\x60MTrk\0\0\0\4\0\xff\x2f\0",
    "git lfs pull": b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
    "is empty": b"",
    "all zero": bytes(5000),
}


@pytest.fixture(scope="module")
def av() -> AvProcess:
    with AvProcess() as process:
        yield process


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("said", KINDS)
def test_what_is_no_audio_is_named(
    tmp_path: Path, av: AvProcess, capfd: pytest.CaptureFixture[str], said: str, ending: str
) -> None:
    file = tmp_path / f"sound.{ending}".rstrip(".")
    file.write_bytes(KINDS[said])
    with pytest.raises(AudioError, match=said) as refused:
        read(file, 16000, av=av)
    assert "libsndfile" not in refused.value.reason
    assert "\n" not in refused.value.reason
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("ending", ENDINGS[:-1])
def test_random_bytes_are_said_not_to_be_what_the_name_says(tmp_path: Path, av: AvProcess, ending: str) -> None:
    file = tmp_path / f"sound.{ending}"
    file.write_bytes(NOISE)
    with pytest.raises(AudioError, match=rf"its name ends in \.{ending}, but its bytes are not those of"):
        info(file, av)


@pytest.mark.parametrize("ending", ["g726", "raw", "pcm"])
def test_samples_without_a_header_are_named(tmp_path: Path, av: AvProcess, ending: str) -> None:
    file = tmp_path / f"sound.{ending}"
    file.write_bytes(NOISE)
    with pytest.raises(AudioError, match=rf"end in \.{ending} hold samples without a header.*convert it to WAV"):
        info(file, av)


def test_junk_called_mp3_prints_nothing_without_a_process_given(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "page.mp3"
    file.write_bytes(KINDS["an HTML page"])
    with pytest.raises(AudioError, match="HTML"):
        info(file)
    assert capfd.readouterr().err == ""


def test_a_sound_under_a_wrong_ending_is_still_judged_as_the_sound_it_is(tmp_path: Path) -> None:
    file = tmp_path / "wave.flac"
    soundfile.write(file, np.zeros(8000), 8000, format="WAV")
    assert info(file).codec == "WAV PCM_16"
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    with pytest.raises(AudioError, match="cut short"):
        read(file, 8000)
