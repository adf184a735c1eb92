"""Containers: every one that counts its sound refuses a cut file, and files joined end to end are decoded through."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import soundfile

from soundloom.audio import DecodeOptions, Notice, info, may_differ, read
from soundloom.errors import AudioError
from sounds import write_with_av

RATE = 8000
TAKEN = DecodeOptions(accept_truncated=True)
# libsndfile reads no headerless files by themselves, and Sound Designer II keeps its header in another file.
LEFT_OUT = {"RAW", "SD2"}
# Neither frames nor bytes stand in their headers; libsndfile writes XI without its length.
UNCOUNTED = {"IRCAM", "PAF", "PVF", "XI"}
FORMATS = sorted(set(soundfile.available_formats()) - LEFT_OUT)
SUFFIXES = {"MAT4": "mat", "MAT5": "mat", "MPC2K": "snd", "RF64": "wav", "WAVEX": "wav", "NIST": "sph", "SVX": "8svx"}
# Of packets, one or two at the end are never missed.
PACKET = 8192


def sweep(seconds: float, rate: int) -> np.ndarray:
    """A rising tone with some noise, float32 [samples], so that packets of all codecs have about one length."""
    times = np.arange(round(seconds * rate)) / rate
    noise = np.random.default_rng(0).normal(0, 0.02, len(times))
    return (0.3 * np.sin(2 * np.pi * 200 * times * (1 + times)) + noise).astype(np.float32)


def written(folder: Path, container: str, subtype: str | None = None, seconds: float = 4.0) -> tuple[Path, np.ndarray]:
    """A sound in a container of libsndfile, and what libsndfile reads from it."""
    path = folder / f"whole.{SUFFIXES.get(container, container.lower())}"
    subtype = subtype or soundfile.default_subtype(container)
    soundfile.write(path, sweep(seconds, RATE), RATE, format=container, subtype=subtype)
    return path, soundfile.read(path, dtype="float32")[0]


def decoded(path: Path, **how: DecodeOptions) -> tuple[np.ndarray, list[str]]:
    """The waveform at the file's own rate, and the codes of its notices."""
    notices: list[Notice] = []
    return read(path, info(path, **how).sample_rate, notices=notices, **how), [notice.code for notice in notices]


@pytest.mark.parametrize("container", FORMATS)
def test_a_cut_file_is_refused_where_its_header_counts(tmp_path: Path, container: str) -> None:
    path, whole = written(tmp_path, container)
    assert len(decoded(path)[0]) == len(whole)
    path.write_bytes(path.read_bytes()[: int(0.6 * path.stat().st_size)])
    if container in UNCOUNTED:
        samples, codes = decoded(path)
        assert codes == []
    else:
        with pytest.raises(AudioError, match=r"\d\.\d\d s .*(are there|promises|counts).*accept_truncated"):
            decoded(path)
        samples, codes = decoded(path, options=TAKEN)
        assert codes == ["truncated"]
    assert 0.6 * len(whole) - 2 * PACKET <= len(samples) <= 0.65 * len(whole)
    np.testing.assert_allclose(samples[:-PACKET], whole[: len(samples) - PACKET], atol=1e-3)


@pytest.mark.parametrize(
    ("container", "codec", "suffix"),
    [
        ("apm", "adpcm_ima_apm", "apm"),
        ("ast", "pcm_s16be_planar", "ast"),
        ("flv", "aac", "flv"),
        ("sox", "pcm_s32le", "sox"),
        ("adx", "adpcm_adx", "adx"),
        ("kvag", "adpcm_ima_ssi", "vag"),
        ("mmf", "adpcm_yamaha", "mmf"),
        ("swf", "libmp3lame", "swf"),
    ],
)
def test_a_cut_file_of_ffmpegs_containers_is_refused(tmp_path: Path, container: str, codec: str, suffix: str) -> None:
    path = tmp_path / f"whole.{suffix}"
    rate = 44100
    write_with_av(path, sweep(4.0, rate)[None], rate, codec, container=container)
    whole = decoded(path)[0]
    assert len(whole) == pytest.approx(4 * rate, abs=5000)
    path.write_bytes(path.read_bytes()[: int(0.6 * path.stat().st_size)])
    with pytest.raises(AudioError, match=r"2\.\d\d s .*(are there|promises)"):
        decoded(path)
    samples, codes = decoded(path, options=TAKEN)
    assert codes == ["truncated"]
    assert len(samples) == pytest.approx(0.6 * len(whole), abs=5000)


def test_a_compressed_flash_film_whose_end_would_be_lost_is_refused(tmp_path: Path) -> None:
    path, rate = tmp_path / "whole.swf", 44100
    write_with_av(path, sweep(2.0, rate)[None], rate, "libmp3lame", container="swf")
    content = path.read_bytes()
    path.write_bytes(b"CWS" + content[3:4] + struct.pack("<I", len(content)) + zlib.compress(content[8:]))
    with pytest.raises(AudioError, match=r"a compressed Flash film, .*: save it uncompressed"):
        decoded(path)


JOINED = ("AIFF", "AU", "AVR", "CAF", "HTK", "MAT4", "MAT5", "MPC2K", "NIST", "RF64", "SDS", "SVX", "VOC", "W64", "WVE")


@pytest.mark.parametrize("container", JOINED)
def test_files_joined_end_to_end_are_decoded_through(tmp_path: Path, container: str) -> None:
    path, whole = written(tmp_path, container, seconds=1.0)
    content = path.read_bytes()
    path.write_bytes(3 * content)
    samples, codes = decoded(path)
    assert codes == ["joined"]
    np.testing.assert_array_equal(samples, np.tile(whole, 3))
    assert info(path).duration == pytest.approx(len(samples) / info(path).sample_rate)
    path.write_bytes(content + content[: len(content) * 6 // 10])
    with pytest.raises(AudioError, match="cut short"):
        decoded(path)


@pytest.mark.parametrize(
    ("container", "codec", "suffix"),
    [
        ("aiff", "adpcm_ima_qt", "aifc"),
        ("aiff", "pcm_mulaw", "aifc"),
        ("au", "pcm_mulaw", "au"),
        ("avi", "mp2", "avi"),
        ("caf", "alac", "caf"),
        ("matroska", "flac", "mka"),
        ("mov", "alac", "mov"),
        ("mp4", "aac", "m4a"),
        ("tta", "tta", "tta"),
        ("voc", "pcm_u8", "voc"),
        ("w64", "pcm_mulaw", "w64"),
        ("wv", "wavpack", "wv"),
    ],
)
def test_joined_files_of_ffmpeg_are_decoded_through(tmp_path: Path, container: str, codec: str, suffix: str) -> None:
    path, rate = tmp_path / f"one.{suffix}", 44100
    write_with_av(path, sweep(1.0, rate)[None], rate, codec, container=container)
    whole = decoded(path)[0]
    path.write_bytes(2 * path.read_bytes())
    samples, codes = decoded(path)
    assert codes == ["joined"]
    np.testing.assert_array_equal(samples, np.tile(whole, 2))


def test_a_file_joined_to_one_without_an_end_is_named(tmp_path: Path) -> None:
    path = write_with_av(tmp_path / "one.flv", sweep(2.0, 44100)[None], 44100, "aac")
    whole = decoded(path)[0]
    path.write_bytes(2 * path.read_bytes())
    samples, codes = decoded(path)
    assert codes == ["joined"]
    np.testing.assert_array_equal(samples, whole)


@pytest.mark.parametrize(
    ("subtype", "endian"), [("PCM_24", "LITTLE"), ("PCM_24", "BIG"), ("PCM_32", "LITTLE"), ("GSM610", "FILE")]
)
def test_every_code_of_aiff_is_read(tmp_path: Path, subtype: str, endian: str) -> None:
    path = tmp_path / "one.aiff"
    soundfile.write(path, sweep(2.0, RATE), RATE, format="AIFF", subtype=subtype, endian=endian)
    np.testing.assert_array_equal(decoded(path)[0], soundfile.read(path, dtype="float32")[0])


def test_g721_is_decoded_by_the_library_that_encoded_it(tmp_path: Path) -> None:
    sound = sweep(1.0, RATE)
    theirs = write_with_av(tmp_path / "ffmpeg.au", sound[None], RATE, "g726le", bit_rate=4 * RATE)
    soundfile.write(tmp_path / "sun.au", sound, RATE, format="AU", subtype="G721_32")
    for path, decoder in ((theirs, "pyav"), (tmp_path / "sun.au", "soundfile")):
        assert info(path).decoder == decoder
        assert np.sqrt(np.mean((decoded(path)[0][500:RATE] - sound[500:]) ** 2)) < 0.015


def test_a_count_of_samples_instead_of_frames_is_no_damage(tmp_path: Path) -> None:
    path = tmp_path / "stereo.avr"
    soundfile.write(path, np.stack([sweep(1.0, RATE)] * 2, 1), RATE, format="AVR", subtype="PCM_16")
    content = bytearray(path.read_bytes())
    content[26:30] = (2 * RATE).to_bytes(4, "big")
    path.write_bytes(content)
    assert len(decoded(path)[0]) == RATE


def test_an_upgrade_looks_again_at_irregular_files_only(tmp_path: Path) -> None:
    path = written(tmp_path, "AU", seconds=1.0)[0]
    assert not may_differ(str(path), 2, 16000)
    assert may_differ(str(path), 1, 16000)
    path.write_bytes(2 * path.read_bytes())
    assert may_differ(str(path), 2, RATE)


def test_a_nut_file_without_its_index_is_noticed(tmp_path: Path) -> None:
    path = write_with_av(tmp_path / "one.nut", sweep(2.0, 44100)[None], 44100, "mp2")
    assert decoded(path)[1] == []
    path.write_bytes(path.read_bytes()[: int(0.6 * path.stat().st_size)])
    samples, codes = decoded(path)
    assert codes == ["unclosed"]
    assert len(samples) == pytest.approx(1.2 * 44100, abs=5000)


def test_a_flash_video_that_lacks_three_packets_is_refused(tmp_path: Path) -> None:
    path = write_with_av(tmp_path / "one.flv", sweep(2.0, 44100)[None], 44100, "aac")
    assert decoded(path)[1] == []
    path.write_bytes(path.read_bytes()[:-1100])
    with pytest.raises(AudioError, match="cut short"):
        decoded(path)


def test_a_cut_realmedia_file_is_refused(tmp_path: Path) -> None:
    path = write_with_av(tmp_path / "one.rm", sweep(2.0, 44100)[None], 44100, "aac")
    assert len(decoded(path)[0]) == pytest.approx(2 * 44100, abs=5000)
    path.write_bytes(path.read_bytes()[: int(0.6 * path.stat().st_size)])
    with pytest.raises(AudioError, match="cut short"):
        decoded(path)
