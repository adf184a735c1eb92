"""Lengths of sounds whose headers contradict their data, and of files cut short."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from helpers.swept import RATE, decoded, pcm, sweep
from soundloom.audio import DecodeOptions, Notice, info, read
from soundloom.errors import AudioError
from sounds import write_with_av

TAKEN = DecodeOptions(accept_truncated=True)


LIST = b"LIST" + struct.pack("<I", 26) + b"INFOISFT" + struct.pack("<I", 14) + b"Lavf58.29.100\0"


def sized(
    container: str, data: int, file: int | None, subtype: str = "PCM_16"
) -> Callable[[Path], tuple[bytearray, np.ndarray]]:
    """A file whose sizes of the sound and of the whole are what is given."""

    def make(path: Path) -> tuple[bytearray, np.ndarray]:
        content, sound = pcm(path, container, subtype)
        order = ">" if container == "AIFF" else "<"
        place = content.find(b"SSND" if container == "AIFF" else b"data") + 4
        struct.pack_into(order + "I", content, place, data)
        if file is not None:
            struct.pack_into(order + "I", content, 4, file)
        if container == "AIFF" and data < len(sound):
            struct.pack_into(">I", content, content.find(b"COMM") + 10, data // 2)
        return content, sound

    return make


@pytest.mark.parametrize(
    "make",
    [
        *(sized("WAV", size, None) for size in (0, 0xFFFFFFFF, 0x7FFFFFFF, 0x80000000 - 44, 40000)),
        *(sized("WAV", size, size) for size in (0, 0xFFFFFFFF, 40000)),
        sized("WAV", 0, 4088),
        sized("WAV", 0, 0, "FLOAT"),
        sized("WAV", 40000, None, "PCM_24"),
        sized("WAV", 0, None, "PCM_U8"),
        *(sized("AIFF", size, None) for size in (0, 0xFFFFFFFF, 40000)),
        sized("AIFF", 0, 0),
    ],
)
def test_a_size_that_the_data_contradict_is_repaired(
    tmp_path: Path, make: Callable[[Path], tuple[bytearray, np.ndarray]]
) -> None:
    file = tmp_path / "sound.bin"
    content, sound = make(file)
    file.write_bytes(content)
    samples, codes = decoded(file)
    assert codes == ["repaired"]
    np.testing.assert_allclose(samples, sound, atol=1e-7)


@pytest.mark.parametrize(
    ("container", "mark", "at", "form"),
    [("AU", b".snd", 8, ">I"), ("CAF", b"data", 4, ">q"), ("W64", b"data\xf3\xac", 16, "<Q")],
)
@pytest.mark.parametrize("claimed", [0, 40000])
def test_sizes_of_other_containers_are_repaired(
    tmp_path: Path, container: str, mark: bytes, at: int, form: str, claimed: int
) -> None:
    file = tmp_path / "sound.bin"
    content, sound = pcm(file, container)
    struct.pack_into(form, content, content.find(mark) + at, claimed)
    file.write_bytes(content)
    samples, codes = decoded(file)
    assert codes == ["repaired"]
    np.testing.assert_allclose(samples, sound, atol=1e-7)


@pytest.mark.parametrize(
    "after", [LIST, LIST + LIST, b"TAG" + bytes(125), b"ID3\x03" + bytes(300), bytes(5000), b"iXML\4\0\0\0<a/>"]
)
@pytest.mark.parametrize("counted", [True, False])
def test_what_follows_the_sound_does_not_become_sound(tmp_path: Path, after: bytes, counted: bool) -> None:
    file = tmp_path / "sound.wav"
    content, sound = pcm(file, "WAV")
    if counted:
        struct.pack_into("<I", content, 4, len(content) - 8 + len(after))
    file.write_bytes(content + after)
    samples, codes = decoded(file)
    assert codes == []
    np.testing.assert_array_equal(samples, sound)


def test_a_short_count_before_a_chunk_ends_at_the_chunk(tmp_path: Path) -> None:
    file = tmp_path / "sound.wav"
    content, sound = pcm(file, "WAV")
    struct.pack_into("<I", content, 40, 40000)
    struct.pack_into("<I", content, 4, len(content) - 8 + len(LIST))
    file.write_bytes(content + LIST)
    samples, codes = decoded(file)
    assert codes == ["repaired"]
    np.testing.assert_array_equal(samples, sound)


def test_noise_after_a_whole_wav_is_no_sound(tmp_path: Path) -> None:
    file = tmp_path / "sound.wav"
    content, sound = pcm(file, "WAV")
    file.write_bytes(content + np.random.default_rng(0).bytes(40000))
    np.testing.assert_array_equal(decoded(file)[0], sound)


@pytest.mark.parametrize("riff", [0xFFFFFFFF, 0x20000024])
@pytest.mark.parametrize("claimed", [0xFFFFFFFF, 0x20000000])
def test_a_wav_beyond_4_gigabytes_and_its_end(tmp_path: Path, riff: int, claimed: int) -> None:
    # 4.5 GB of silence that take no room on the disk, and a tone at the end.
    size, sound = (1 << 32) + 0x20000000, (32767 * sweep(1)).astype("<i2")
    file = tmp_path / "long.wav"
    head = b"RIFF" + struct.pack("<I", riff) + b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, RATE, 2 * RATE, 2, 16)
    with open(file, "wb") as out:
        out.write(head + b"data" + struct.pack("<I", claimed))
        out.seek(44 + size - sound.nbytes)
        out.write(sound.tobytes())
    seconds = size / 2 / RATE
    assert info(file).duration == pytest.approx(seconds)
    notices: list[Notice] = []
    begin = (size - sound.nbytes) // 2 / RATE
    samples = read(file, RATE, start=begin, notices=notices)
    assert [notice.code for notice in notices] == ["repaired"]
    np.testing.assert_array_equal(samples[-RATE:], sound / np.float32(32768))


# Cut files: one rule

CUT = [
    ("wav", {"format": "WAV"}),
    ("ima.wav", {"format": "WAV", "subtype": "IMA_ADPCM"}),
    ("aiff", {"format": "AIFF"}),
    ("au", {"format": "AU"}),
    ("w64", {"format": "W64"}),
    ("rf64", {"format": "RF64"}),
    ("caf", {"format": "CAF"}),
    ("flac", {"format": "FLAC"}),
    ("mp3", {"format": "MP3"}),
    ("vorbis.ogg", {"format": "OGG", "subtype": "VORBIS"}),
    ("opus.ogg", {"format": "OGG", "subtype": "OPUS"}),
]


def write_noisy(file: Path, seconds: float, rate: int, **how: str) -> None:
    noise = np.random.default_rng(0).normal(0, 0.05, round(seconds * rate)).astype(np.float32)
    soundfile.write(file, sweep(seconds, rate) + noise, rate, **how)


@pytest.mark.parametrize(("suffix", "how"), CUT)
def test_a_cut_file_is_refused_or_taken_as_far_as_it_goes(tmp_path: Path, suffix: str, how: dict[str, str]) -> None:
    file = tmp_path / f"sound.{suffix}"
    write_noisy(file, 8, 48000, **how)
    whole, content = read(file, 48000), file.read_bytes()
    file.write_bytes(content[: len(content) * 6 // 10])
    with pytest.raises(AudioError, match=r"[345]\.\d\d s .*DecodeOptions\(accept_truncated=True\)"):
        read(file, 48000)
    notices: list[Notice] = []
    samples = read(file, 48000, options=TAKEN, notices=notices)
    assert [notice.code for notice in notices] == ["truncated"]
    assert 3 < len(samples) / 48000 < 6
    np.testing.assert_allclose(samples[:100000], whole[:100000], atol=2e-3)


@pytest.mark.parametrize("name", ["s.m4a", "s.mkv"])
def test_a_cut_film_is_judged_alike(tmp_path: Path, name: str) -> None:
    how = {"options": {"movflags": "faststart"}} if name.endswith("m4a") else {}
    file = write_with_av(tmp_path / name, sweep(8)[None], RATE, "aac", **how)
    content = file.read_bytes()
    file.write_bytes(content[: len(content) * 6 // 10])
    with pytest.raises(AudioError, match=r"\d\.\d\d s .*DecodeOptions\(accept_truncated=True\)"):
        read(file, RATE)
    notices: list[Notice] = []
    samples = read(file, RATE, options=TAKEN, notices=notices)
    assert [notice.code for notice in notices] == ["truncated"]
    assert 2 < len(samples) / RATE < 7


def test_uncompressed_sound_that_lacks_its_last_packets_is_cut(tmp_path: Path) -> None:
    file = write_with_av(tmp_path / "s.smjpeg", sweep(8)[None], RATE, "pcm_s16le", container="smjpeg")
    content = file.read_bytes()
    file.write_bytes(content[: round(len(content) * 0.97)])
    with pytest.raises(AudioError, match=r"7\.\d\d s of the 8\.00 s"):
        read(file, RATE)


def test_an_mp4_without_its_index_is_refused_by_name(tmp_path: Path) -> None:
    file = write_with_av(tmp_path / "s.m4a", sweep(2)[None], RATE, "aac")
    content = file.read_bytes()
    file.write_bytes(content[: content.index(b"moov") - 4])
    with pytest.raises(AudioError, match="moov box"):
        read(file, RATE)


@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT"])
@pytest.mark.parametrize("container", ["WAV", "AIFF"])
def test_chunked_files_joined_end_to_end(tmp_path: Path, container: str, subtype: str) -> None:
    one, other, file = tmp_path / "one", tmp_path / "other", tmp_path / "joined"
    soundfile.write(one, sweep(2), RATE, format=container, subtype=subtype)
    soundfile.write(other, sweep(1, 22050), 22050, format=container, subtype=subtype)
    whole = one.read_bytes() + other.read_bytes() + one.read_bytes()
    file.write_bytes(whole)
    samples, codes = decoded(file)
    assert codes == ["joined"]
    assert len(samples) == 5 * RATE
    first = soundfile.read(one, dtype="float32")[0]
    np.testing.assert_array_equal(samples[: 2 * RATE], first)
    np.testing.assert_allclose(samples[2 * RATE : 3 * RATE], read(other, RATE), atol=1e-6)
    np.testing.assert_array_equal(samples[3 * RATE :], first)
    file.write_bytes(whole[: -len(one.read_bytes()) // 2])
    with pytest.raises(AudioError, match="cut short"):
        read(file, RATE)


@pytest.mark.parametrize("tail", [b"LIST\x0a\0\0\0INFOabcdef", b"RIFF", b"RIFF\x10\0\0\0WAVE", bytes(100)])
def test_what_programs_append_to_a_wave_file_is_no_sound(tmp_path: Path, tail: bytes) -> None:
    file = tmp_path / "tail.wav"
    soundfile.write(file, sweep(1), RATE)
    expected, _ = decoded(file)
    file.write_bytes(file.read_bytes() + tail)
    samples, codes = decoded(file)
    assert codes == []
    np.testing.assert_array_equal(samples, expected)


def test_a_voc_file_of_several_blocks_is_one_sound(tmp_path: Path) -> None:
    file = tmp_path / "s.voc"
    soundfile.write(file, sweep(), RATE, format="VOC")
    content, whole = file.read_bytes(), soundfile.read(file, dtype="float32")[0]
    begin = 26
    # A block of type 9: type, three bytes of size, twelve bytes of format, samples. Type 2 goes on with samples alone.
    assert content[begin] == 9
    samples = content[begin + 16 : begin + 16 + 2 * len(whole)]
    half = len(samples) // 4 * 2
    first = b"\x09" + (12 + half).to_bytes(3, "little") + content[begin + 4 : begin + 16] + samples[:half]
    second = b"\x02" + (len(samples) - half).to_bytes(3, "little") + samples[half:]
    file.write_bytes(content[:begin] + first + second + b"\0")
    np.testing.assert_array_equal(read(file, RATE), whole)
    file.write_bytes((content[:begin] + first + second)[:-40000])
    with pytest.raises(AudioError, match="cut short"):
        read(file, RATE)
