"""Lengths of MPEG audio, ADTS, Ogg and FLAC, whose headers count wrongly or not at all."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from helpers.swept import RATE, decoded, sweep
from soundloom.audio import AvProcess, Notice, info, read
from sounds import write_with_av

# FLAC


def with_total(content: bytes, change: Callable[[int], int]) -> bytes:
    """The same FLAC file with another count of samples."""
    facts = int.from_bytes(content[18:26], "big")
    total = facts & ((1 << 36) - 1)
    return content[:18] + (facts - total + change(total)).to_bytes(8, "big") + content[26:]


@pytest.mark.parametrize(
    ("change", "codes"),
    [
        (lambda n: 2 * n, ["repaired"]),
        (lambda n: n // 2, ["repaired"]),
        (lambda _: 0, []),
        (lambda n: n - 1, ["repaired"]),
    ],
)
def test_a_flac_is_as_long_as_its_frames(tmp_path: Path, change: Callable[[int], int], codes: list[str]) -> None:
    file = tmp_path / "sound.flac"
    soundfile.write(file, sweep(), RATE)
    whole = soundfile.read(file, dtype="float32")[0]
    file.write_bytes(with_total(file.read_bytes(), change))
    samples, noticed = decoded(file)
    assert noticed == codes
    np.testing.assert_array_equal(samples, whole)
    np.testing.assert_array_equal(read(file, RATE, start=1.5), whole[round(1.5 * RATE) :])


def test_flac_files_joined_end_to_end(tmp_path: Path) -> None:
    one, other, file = tmp_path / "one.flac", tmp_path / "other.flac", tmp_path / "joined.flac"
    soundfile.write(one, sweep(2), RATE)
    soundfile.write(other, sweep(1, 22050), 22050)
    file.write_bytes(one.read_bytes() + one.read_bytes() + other.read_bytes())
    samples, codes = decoded(file)
    assert codes == ["joined"]
    first = soundfile.read(one, dtype="float32")[0]
    np.testing.assert_array_equal(samples[: 4 * RATE], np.concatenate([first, first]))
    assert len(samples) == 5 * RATE
    np.testing.assert_allclose(samples[4 * RATE :], read(other, RATE), atol=1e-6)
    np.testing.assert_array_equal(read(file, RATE, start=3, end=3.5), samples[3 * RATE : round(3.5 * RATE)])


# MPEG audio, ADTS and Ogg


def mpeg(path: Path, sound: np.ndarray, rate: int, codec: str = "mp3", *, counted: bool = False) -> bytes:
    """MPEG audio at a constant rate of bits, mostly without a header that counts it."""
    options = {} if counted else {"write_xing": "0", "id3v2_version": "0"}
    write_with_av(path, sound[None], rate, codec, options=options if path.suffix == ".mp3" else {})
    return path.read_bytes()


@pytest.mark.parametrize(
    ("name", "codec"), [("s.mp3", "mp3"), ("s.mp2", "mp2"), ("s.wav", "mp3"), ("s.aac", "aac"), ("s.ac3", "ac3")]
)
def test_what_no_header_counts_is_decoded_to_the_end(tmp_path: Path, name: str, codec: str) -> None:
    file = tmp_path / name
    mpeg(file, sweep(3), RATE, codec)
    samples = read(file, RATE)
    assert len(samples) / RATE == pytest.approx(3, abs=0.08)
    assert info(file).duration == pytest.approx(len(samples) / RATE, abs=0.03)
    with AvProcess() as av:
        np.testing.assert_array_equal(read(file, RATE, av=av), samples)


@pytest.mark.parametrize(("suffix", "codec"), [("mp3", "mp3"), ("aac", "aac"), ("mkv", "aac"), ("mp2", "mp2")])
def test_a_region_far_into_a_stream_is_a_slice_of_the_whole(tmp_path: Path, suffix: str, codec: str) -> None:
    noise = np.random.default_rng(0).normal(0, 0.05, 40 * RATE).astype(np.float32)
    file = tmp_path / f"s.{suffix}"
    mpeg(file, sweep(40) + noise, RATE, codec)
    whole = read(file, RATE)
    for start, end in ((25.0123, 26.0), (38.5, None)):
        region = read(file, RATE, start=start, end=end)
        np.testing.assert_allclose(region, whole[round(start * RATE) : end and round(end * RATE)], atol=1e-4)


@pytest.mark.parametrize("counted", [False, True])
@pytest.mark.parametrize("rate", [RATE, 22050])
def test_mp3_files_joined_end_to_end(tmp_path: Path, rate: int, counted: bool) -> None:
    one = mpeg(tmp_path / "one.mp3", sweep(2), RATE, counted=counted)
    other = mpeg(tmp_path / "other.mp3", sweep(3, rate), rate, counted=counted)
    file = tmp_path / "joined.mp3"
    file.write_bytes(one + other)
    notices: list[Notice] = []
    samples = read(file, RATE, notices=notices)
    assert len(samples) / RATE == pytest.approx(5, abs=0.2)
    if counted or rate != RATE:
        assert [notice.code for notice in notices] == ["joined"]


@pytest.mark.parametrize("factor", [2, 0.5])
def test_a_wrong_count_of_mp3_frames_is_repaired(tmp_path: Path, factor: float) -> None:
    file = tmp_path / "s.mp3"
    content = bytearray(mpeg(file, sweep(3), RATE, counted=True))
    whole, place = read(file, RATE), max(content.find(b"Xing"), content.find(b"Info")) + 8
    struct.pack_into(">I", content, place, round(struct.unpack_from(">I", content, place)[0] * factor))
    file.write_bytes(content)
    samples, codes = decoded(file)
    assert codes == ["repaired"]
    assert abs(len(samples) - len(whole)) <= 1152
    np.testing.assert_allclose(samples[:100000], whole[:100000], atol=1e-4)


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_chained_ogg_is_decoded_through(tmp_path: Path, subtype: str) -> None:
    one, file = tmp_path / "one.ogg", tmp_path / "chained.ogg"
    soundfile.write(one, sweep(2, 48000), 48000, format="OGG", subtype=subtype)
    file.write_bytes(one.read_bytes() * 3)
    samples, codes = decoded(file, 48000)
    assert codes == ["joined"]
    alone = read(one, 48000)
    np.testing.assert_array_equal(samples, np.concatenate([alone] * 3))
