"""Sounds at addresses: the samples of the file, few bytes for a region, failed requests sent again, errors named."""

from __future__ import annotations

import gc
import io
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from helpers.command_line import run
from helpers.range_server import FileServer, serving_files
from soundloom import audio
from soundloom.errors import AudioError
from soundloom.library import Library
from soundloom.remote import file_status, http_ranges, open_binary, remote_files
from soundloom.remote.ranged_file import BLOCK

RATE = 8000


def encoded(samples: np.ndarray, kind: str, rate: int = RATE) -> bytes:
    target = io.BytesIO()
    with soundfile.SoundFile(target, "w", rate, 1, format=kind) as file:
        for first in range(0, len(samples), rate):  # libvorbis takes no more at once
            file.write(samples[first : first + rate])
    return target.getvalue()


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remote files are looked at anew, and failed requests sent again at once."""
    monkeypatch.setattr(remote_files, "_REMOTE", remote_files._RemoteFiles())
    monkeypatch.setattr(http_ranges, "FIRST_WAIT", 0.001)


@pytest.fixture(scope="module")
def noise() -> np.ndarray:
    return np.asarray(0.1 * np.random.default_rng(0).normal(size=240 * RATE), np.float32)


@pytest.fixture(scope="module")
def sounds(noise: np.ndarray) -> dict[str, bytes]:
    long = {"s.wav": encoded(noise, "WAV"), "s.flac": encoded(noise, "FLAC")}
    return long | {f"s.{kind.lower()}": encoded(noise[: 10 * RATE], kind) for kind in ("OGG", "MP3")}


@pytest.fixture
def server(sounds: dict[str, bytes]) -> Iterator[FileServer]:
    with serving_files(sounds) as server:
        yield server


@pytest.mark.parametrize("name", ["s.wav", "s.flac"])
def test_a_region_at_an_address_is_that_of_the_file_and_fetches_little(
    server: FileServer, name: str, tmp_path: Path
) -> None:
    file = tmp_path / name
    file.write_bytes(server.files[name])
    expected = audio.read(file, RATE, start=200, end=202)
    assert np.array_equal(audio.read(f"{server.address}/{name}", RATE, start=200, end=202), expected)
    assert server.sent < len(server.files[name]) / 120 + 20 * BLOCK


@pytest.mark.parametrize("name", ["s.ogg", "s.mp3"])
def test_lossy_files_at_an_address_have_the_samples_of_the_file(server: FileServer, name: str, tmp_path: Path) -> None:
    file = tmp_path / name
    file.write_bytes(server.files[name])
    for start, end in ((0, None), (4, 5)):
        expected = audio.read(file, RATE, start=start, end=end)
        assert np.array_equal(audio.read(f"{server.address}/{name}", RATE, start=start, end=end), expected)


def test_a_whole_file_is_fetched_once_in_few_requests(server: FileServer, noise: np.ndarray) -> None:
    found = audio.read(f"{server.address}/s.flac", RATE)
    size = len(server.files["s.flac"])
    assert len(found) == len(noise)
    assert server.sent < 1.3 * size
    assert len(server.requests) < size / BLOCK / 3


def test_what_ffmpeg_decodes_is_read_by_ranges_too(
    server: FileServer, sounds: dict[str, bytes], tmp_path: Path
) -> None:
    av = pytest.importorskip("av")
    server.files["s.mka"] = _as_matroska(av, tmp_path / "s.flac", sounds["s.flac"])
    (tmp_path / "s.mka").write_bytes(server.files["s.mka"])
    expected = audio.read(tmp_path / "s.mka", RATE, start=1, end=2)
    assert np.array_equal(audio.read(f"{server.address}/s.mka", RATE, start=1, end=2), expected)
    with audio.AvProcess() as process:
        found = audio.read(f"{server.address}/s.mka", RATE, start=1, end=2, av=process)
    assert np.array_equal(found, expected)
    assert server.sent < len(server.files["s.mka"]) / 2


def _as_matroska(av, file: Path, content: bytes) -> bytes:  # type: ignore[no-untyped-def]
    file.write_bytes(content)
    target = io.BytesIO()
    with av.open(str(file)) as source, av.open(target, "w", format="matroska") as out:
        stream = source.streams.audio[0]
        copy = out.add_stream_from_template(stream)
        for packet in source.demux(stream):
            if packet.dts is not None:
                packet.stream = copy
                out.mux(packet)
    return target.getvalue()


def test_requests_that_fail_or_are_cut_are_sent_again(server: FileServer, noise: np.ndarray) -> None:
    server.failures, server.cut = 3, 0
    assert file_status(f"{server.address}/s.wav").size == len(server.files["s.wav"])
    server.cut = 3
    with open_binary(f"{server.address}/s.wav") as file:
        assert file.read() == server.files["s.wav"]
    server.failures = 1000
    server.files["t.wav"] = server.files["s.wav"]
    with pytest.raises(AudioError, match="the server answers 503"):
        audio.info(f"{server.address}/t.wav")
    assert server.failures > 990


def test_a_server_without_ranges_sends_the_file_once(server: FileServer, noise: np.ndarray) -> None:
    server.ranges = False
    assert len(audio.read(f"{server.address}/s.flac", RATE, start=100, end=101)) == RATE
    assert server.sent == len(server.files["s.flac"])


def test_a_file_that_changes_while_it_is_read_is_an_error(server: FileServer) -> None:
    with open_binary(f"{server.address}/s.wav") as file:
        server.files["s.wav"] = server.files["s.wav"][:-2] + b"xx"
        with pytest.raises(OSError, match="changed while it was read"):
            file.read()


def test_addresses_without_a_sound_are_named(server: FileServer) -> None:
    server.files |= {"page.wav": b"<!DOCTYPE html><html></html>", "empty.wav": b""}
    reasons = {"none.wav": "no such file on the server", "page.wav": "an HTML page", "empty.wav": "is empty"}
    for name, message in reasons.items():
        with pytest.raises(AudioError, match=message):
            audio.read(f"{server.address}/{name}", RATE)
    with pytest.raises(AudioError, match="only http, https, s3, gs and az are read"):
        audio.read("ftp://127.0.0.1/a.wav", RATE)
    with pytest.raises(AudioError, match="the server gives no answer"):
        audio.read("http://127.0.0.1:9/a.wav", RATE)


def test_refused_requests_leave_no_connection_open(server: FileServer) -> None:
    for name, failures in (("none.wav", 0), ("t.wav", 1000)):
        server.failures = failures
        with pytest.raises(AudioError):
            audio.info(f"{server.address}/{name}")
    gc.collect()  # one that is open would be told of here, which fails this test


def test_a_library_is_searched_by_a_region_at_an_address(server: FileServer, tmp_path: Path) -> None:
    hiss, tone = np.random.default_rng(1).normal(size=4 * RATE), np.sin(np.arange(4 * RATE) * 2.0)
    for name, samples in (("hiss", hiss), ("tone", tone)):
        soundfile.write(tmp_path / f"{name}.wav", 0.1 * samples, RATE)
    library = Library.create(tmp_path / "library.loom", "mfcc")
    library.add([tmp_path / "hiss.wav", tmp_path / "tone.wav"])
    server.files["tone.flac"] = encoded(0.1 * np.sin(np.arange(60 * RATE) * 2.0), "FLAC")
    arguments = ["search", f"{server.address}/tone.flac@50-54", "-l", str(library.folder), "--json"]
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    assert Path(json.loads(result.stdout)[0]["path"]).name == "tone.wav"
    result = run("search", f"{server.address}/none.flac", "-l", library.folder)
    assert result.exit_code == 1
    assert "no such file on the server: check the address" in result.stderr
