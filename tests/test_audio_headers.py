"""Absurd headers, several tracks, lists of files: what they say is judged, and no other file is opened."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from helpers.swept import RATE, decoded, pcm, sweep
from soundloom.audio import DecodeOptions, read, stream
from soundloom.audio.containers import inspect
from soundloom.errors import AudioError
from sounds import tone


@pytest.mark.parametrize("container", ["CAF", "W64", "AIFF"])
def test_damaged_headers_end_in_samples_or_an_audio_error(tmp_path: Path, container: str) -> None:
    file, rng = tmp_path / "sound.bin", np.random.default_rng(0)
    content = pcm(file, container)[0]
    decoded, refused = [], 0
    for at in range(120):
        damaged = bytearray(content)
        damaged[at : at + 4] = bytes([(0x7F, 0xFF, 0x00)[rng.integers(0, 3)]]) * 4
        file.write_bytes(damaged)
        # Any other error fails the test.
        try:
            decoded.append(next(stream(file, 16000)).dtype == np.float32)
        except AudioError:
            refused += 1
    assert all(decoded)
    assert len(decoded) > 5
    assert refused > 5


# Tracks, absurd headers, lists of files


def two_tracks(path: Path, first: np.ndarray, second: np.ndarray) -> Path:
    import av

    with av.open(str(path), "w") as file:
        tracks = [file.add_stream("flac", rate=RATE, layout="mono") for _ in range(2)]
        for at in range(0, len(first), 1024):
            for track, sound in zip(tracks, (first, second), strict=True):
                whole = (32767 * sound[None, at : at + 1024]).astype(np.int16)
                frame = av.AudioFrame.from_ndarray(whole, format="s16", layout="mono")
                frame.sample_rate, frame.pts = RATE, at
                file.mux(track.encode(frame))
        for track in tracks:
            file.mux(track.encode(None))
    return path


def test_the_first_track_that_is_not_silent_is_taken(tmp_path: Path) -> None:
    file = two_tracks(tmp_path / "film.mkv", np.zeros(RATE, np.float32), tone(440, RATE, 1))
    samples, codes = decoded(file)
    assert codes == ["track"]
    assert samples.max() > 0.4
    assert not read(file, RATE, options=DecodeOptions(track=1)).any()
    np.testing.assert_array_equal(read(file, RATE, options=DecodeOptions(track=2)), samples)
    with pytest.raises(AudioError, match="no audio track 3 in it, only 2"):
        read(file, RATE, options=DecodeOptions(track=3))


def test_absurd_headers_are_refused_by_name(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "slow.wav", np.zeros(500_000), 1)
    with pytest.raises(AudioError, match=r"header says 1 Hz, .*DecodeOptions\(speed="):
        next(stream(tmp_path / "slow.wav", 16000))
    head = b"RIFF" + struct.pack("<I", 80036) + b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 8000, RATE, 1, 16000, 16)
    (tmp_path / "wide.wav").write_bytes(head + b"data" + struct.pack("<I", 80000) + bytes(80000))
    with pytest.raises(AudioError):
        read(tmp_path / "wide.wav", 16000)


@pytest.mark.parametrize(
    "text",
    [
        "#EXTM3U\n#EXTINF:1,\n{name}\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{name}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile {name}\n",
        "[playlist]\nFile1={name}\nNumberOfEntries=1\n",
        'FILE "{name}" WAVE\n  TRACK 01 AUDIO\n    INDEX 01 00:00:00\n',
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nt=0 0\nm=audio 9 RTP/AVP 0\n",
        '<?xml version="1.0"?>\n<playlist version="1"><track><location>{name}</location></track></playlist>',
        '<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period/></MPD>',
        "file {name}\n",
    ],
)
@pytest.mark.parametrize("suffix", [".m3u8", ".wav", ".mpd", ".ffconcat", ".sdp"])
def test_a_list_of_files_reads_none_of_them(tmp_path: Path, text: str, suffix: str) -> None:
    soundfile.write(tmp_path / "other.wav", sweep(), RATE)
    file = tmp_path / f"list{suffix}"
    file.write_text(text.format(name="other.wav"))
    with pytest.raises(AudioError):
        read(file, RATE)


def test_ffmpeg_itself_opens_no_other_file(tmp_path: Path) -> None:
    from soundloom.audio.decoders.av_container import open_container

    soundfile.write(tmp_path / "other.wav", sweep(), RATE)
    file = tmp_path / "list.ffconcat"
    file.write_text("ffconcat version 1.0\nfile other.wav\n")
    with pytest.raises(AudioError, match="neither libsndfile nor FFmpeg"):
        open_container(str(file), None)
    # Nor where the demuxer is named outright.
    with pytest.raises(AudioError):
        open_container(str(file), None, "concat")


def test_an_address_is_no_path() -> None:
    for address in ("ftp://127.0.0.1:9/a.wav", "file:///etc/passwd"):
        with pytest.raises(AudioError, match="this is an address, and only http, https, s3, gs and az are read"):
            read(address, RATE)
    with pytest.raises(AudioError, match="this names a whole bucket"):
        read("s3://bucket", RATE)


def test_whole_files_need_no_second_look(tmp_path: Path) -> None:
    for name, how in (("s.wav", {}), ("s.flac", {}), ("s.ogg", {"subtype": "VORBIS"}), ("s.mp3", {}), ("s.aiff", {})):
        soundfile.write(tmp_path / name, sweep(), RATE, **how)
        layout = inspect(str(tmp_path / name))
        assert layout == type(layout)()
