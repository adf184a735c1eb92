"""Reading: every container, rates, regions, long files, and everything that can be wrong with a file."""

from __future__ import annotations

import csv
import os
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile

from soundloom.audio import AudioInfo, AvProcess, DecodeOptions, info, read, read_regions, stream
from soundloom.errors import AudioError
from sounds import tone, write_with_av, written


def level(samples: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))


def loudest_frequency(samples: np.ndarray, sample_rate: int) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * sample_rate / len(samples))


# What comes out


@pytest.mark.parametrize("native", [8000, 11025, 16000, 17990, 22050, 44100, 48000, 96000, 192000])
def test_a_tone_keeps_its_level_and_frequency(tmp_path: Path, native: int) -> None:
    file = written(tmp_path / "tone.wav", tone(1000, native, 2), native, subtype="FLOAT")
    samples = read(file, 16000)
    assert samples.dtype == np.float32
    assert len(samples) == 32000
    np.testing.assert_allclose(samples[1000:-1000], tone(1000, 16000, 2)[1000:-1000], atol=2e-4)


@pytest.mark.parametrize("native", [22050, 44100, 48000, 96000])
def test_a_tone_above_the_new_nyquist_frequency_vanishes(tmp_path: Path, native: int) -> None:
    file = written(tmp_path / "tone.wav", tone(9000, native, 2), native, subtype="FLOAT")
    assert level(read(file, 16000)[1000:-1000]) < 1e-5


def test_upsampling_adds_no_image(tmp_path: Path) -> None:
    samples = read(written(tmp_path / "tone.wav", tone(3000, 8000, 2), 8000, subtype="FLOAT"), 48000)
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    frequencies = np.fft.rfftfreq(len(samples), 1 / 48000)
    assert spectrum[frequencies > 4000].max() < 1e-5 * spectrum.max()


@pytest.mark.parametrize("channels", [1, 2, 3, 6, 32])
def test_channels_are_averaged(tmp_path: Path, channels: int) -> None:
    sound = np.random.default_rng(0).uniform(-1, 1, (70000, channels)).astype(np.float32)
    file = written(tmp_path / "many.wav", sound, 16000, subtype="FLOAT")
    np.testing.assert_allclose(read(file, 16000), sound.mean(axis=1), atol=1e-6)
    assert info(file).channels == channels


def test_at_the_native_rate_nothing_is_touched(tmp_path: Path) -> None:
    sound = np.random.default_rng(0).uniform(-1, 1, 70000).astype(np.float32)
    np.testing.assert_array_equal(read(written(tmp_path / "s.wav", sound, 8000, subtype="FLOAT"), 8000), sound)


def test_overshoot_is_part_of_the_sound(tmp_path: Path) -> None:
    square = np.sign(tone(100, 44100, 1)) * np.float32(1)
    loud = written(tmp_path / "loud.wav", 3 * square, 44100, subtype="FLOAT")
    np.testing.assert_array_equal(read(loud, 44100), 3 * square)
    assert read(loud, 16000).max() > 3


@pytest.mark.parametrize(("native", "length"), [(44100, 44100), (17990, 30011), (48000, 70001), (8000, 3), (16000, 5)])
def test_length_is_the_duration_rounded(tmp_path: Path, native: int, length: int) -> None:
    file = written(tmp_path / "s.wav", np.zeros(length), native)
    for sample_rate in (16000, 44100, 22050, 7919):
        assert len(read(file, sample_rate)) == int(length * sample_rate / native + 0.5)


@pytest.mark.parametrize("sample_rate", [8000, 44100, 192000])
def test_a_single_sample_is_a_sound(tmp_path: Path, sample_rate: int) -> None:
    samples = read(written(tmp_path / "one.wav", np.array([0.5]), 44100), sample_rate)
    assert len(samples) == max(1, round(sample_rate / 44100))
    assert samples.max() > 0.1


def test_silence_is_a_sound(tmp_path: Path) -> None:
    samples = read(written(tmp_path / "silence.flac", np.zeros(44100), 44100), 16000)
    assert len(samples) == 16000
    assert not samples.any()


# Containers

WAV_SUBTYPES = [kind for kind in soundfile.available_subtypes("WAV") if not kind.startswith(("NMS", "MPEG"))]


@pytest.mark.parametrize(
    ("suffix", "how", "tolerance"),
    [
        *((".wav", {"subtype": kind}, 0.02) for kind in WAV_SUBTYPES),
        *((".aiff", {"subtype": kind}, 0.02) for kind in ("PCM_S8", "PCM_16", "PCM_24", "FLOAT", "ULAW")),
        *((".caf", {"subtype": kind}, 0.02) for kind in ("PCM_16", "FLOAT", "ALAC_16", "ALAC_24")),
        *((".flac", {"subtype": kind}, 0.01) for kind in ("PCM_S8", "PCM_16", "PCM_24")),
        (".ogg", {"format": "OGG", "subtype": "VORBIS"}, 0.02),
        (".opus", {"format": "OGG", "subtype": "OPUS"}, 0.05),
        (".mp3", {"format": "MP3"}, 0.02),
        (".au", {}, 0.01),
        (".w64", {"format": "W64"}, 0.01),
        (".rf64", {"format": "RF64"}, 0.01),
        (".voc", {"format": "VOC"}, 0.01),
        (".svx", {"format": "SVX", "subtype": "PCM_16"}, 0.01),
    ],
)
def test_what_libsndfile_writes_is_read(tmp_path: Path, suffix: str, how: dict[str, str], tolerance: float) -> None:
    native = 8000 if how.get("subtype") in {"GSM610", "G721_32"} else 48000
    file = written(tmp_path / f"tone{suffix}", tone(440, native, 1.5), native, **how)
    about = info(file)
    assert (about.sample_rate, about.channels, about.decoder) == (native, 1, "soundfile")
    assert about.duration == pytest.approx(1.5, abs=0.1)
    samples = read(file, 16000)
    assert len(samples) == pytest.approx(24000, abs=1600)
    assert loudest_frequency(samples, 16000) == pytest.approx(440, abs=2)
    assert level(samples[2000:20000]) == pytest.approx(0.5 / np.sqrt(2), abs=tolerance)


FFMPEG_FILES = [
    ("talk.m4a", "aac", 44100, {}),
    ("talk.aac", "aac", 44100, {}),
    ("lossless.m4a", "alac", 44100, {}),
    ("film.mp4", "aac", 44100, {"pictures": True}),
    ("film.mov", "pcm_s16le", 48000, {"pictures": True}),
    ("film.avi", "ac3", 48000, {"pictures": True}),
    ("film.mkv", "flac", 44100, {"pictures": True}),
    ("page.webm", "libopus", 48000, {}),
    ("talk.wma", "wmav2", 44100, {}),
    ("film.ts", "aac", 48000, {}),
]


@pytest.fixture(scope="module")
def ffmpeg_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("ffmpeg")
    files = {}
    for name, codec, native, how in FFMPEG_FILES:
        both = np.stack([tone(440, native, 3, 0.5), tone(440, native, 3, 0.3)])
        files[name] = write_with_av(folder / name, both, native, codec, **how)
    return files


@pytest.mark.parametrize(("name", "codec", "native", "how"), FFMPEG_FILES)
def test_what_only_ffmpeg_reads_is_read(
    ffmpeg_files: dict[str, Path], name: str, codec: str, native: int, how: dict[str, bool]
) -> None:
    about = info(ffmpeg_files[name])
    assert (about.sample_rate, about.channels, about.decoder) == (native, 2, "pyav")
    assert codec.removeprefix("lib") in about.codec
    assert about.duration == pytest.approx(3, abs=0.2)
    samples = read(ffmpeg_files[name], 16000)
    assert len(samples) == pytest.approx(48000, abs=2000)
    assert loudest_frequency(samples, 16000) == pytest.approx(440, abs=1)
    assert level(samples[4000:40000]) == pytest.approx(0.4 / np.sqrt(2), abs=0.01)


def test_a_container_without_a_duration(tmp_path: Path) -> None:
    sound = tone(440, 48000, 2)[None]
    file = write_with_av(tmp_path / "live.webm", sound, 48000, "libopus", options={"live": "1"})
    assert info(file).duration is None
    assert len(read(file, 16000)) == pytest.approx(32000, abs=400)
    with pytest.raises(AudioError, match="unknown length"):
        read(file, 16000, start=5)


def test_every_format_found_in_the_wild(shared_audio: Path) -> None:
    with open(shared_audio / "formats.csv", newline="") as table:
        rows = list(csv.DictReader(table))
    assert len(rows) == 38
    for row in rows:
        file = shared_audio / row["path"]
        about = info(file)
        assert isinstance(about, AudioInfo)
        assert (about.sample_rate, about.channels) == (int(row["samplerate"]), int(row["channels"])), file
        assert about.duration == pytest.approx(float(row["seconds"]), abs=1e-3), file
        assert len(read(file, 16000)) == pytest.approx(float(row["seconds"]) * 16000, abs=2), file


# Streams and regions


@pytest.fixture(scope="module")
def long_files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A minute of two tones and some noise, in what libsndfile and FFmpeg seek in differently."""
    folder = tmp_path_factory.mktemp("long")
    noise = np.random.default_rng(0).normal(0, 0.01, 60 * 44100).astype(np.float32)
    sound = tone(440, 44100, 60, 0.3) + tone(3000, 44100, 60, 0.2) + noise
    files = []
    for name, how in (
        ("s.wav", {}),
        ("s.flac", {}),
        ("s.mp3", {"format": "MP3"}),
        ("s.ogg", {"format": "OGG", "subtype": "VORBIS"}),
    ):
        with soundfile.SoundFile(folder / name, "w", 44100, 1, **how) as file:
            for begin in range(0, len(sound), 44100):
                file.write(sound[begin : begin + 44100])
        files.append(folder / name)
    files.append(write_with_av(folder / "s.m4a", sound[None], 44100, "alac"))
    files.append(write_with_av(folder / "s.mkv", sound[None], 44100, "flac"))
    return files


@pytest.mark.parametrize(
    "sample_rate", [16000, *(pytest.param(rate, marks=pytest.mark.slow) for rate in (44100, 48000))]
)
def test_a_region_is_a_slice_of_the_whole(long_files: list[Path], sample_rate: int) -> None:
    for file in long_files:
        whole = read(file, sample_rate)
        for start, end in ((0, 1), (0.0123, 0.05), (2.3456, 9), (29.999, 31.5), (55.5, None), (59.9, 70), (0, None)):
            region = read(file, sample_rate, start=start, end=end)
            expected = whole[round(start * sample_rate) : None if end is None else round(end * sample_rate)]
            assert region.shape == expected.shape, (file.name, start, end)
            np.testing.assert_allclose(region, expected, atol=1e-5, err_msg=f"{file.name} {start} {end}")


@pytest.mark.parametrize("sample_rate", [16000, pytest.param(44100, marks=pytest.mark.slow)])
def test_read_is_the_stream_joined_however_slowly_it_is_consumed(long_files: list[Path], sample_rate: int) -> None:
    for file in long_files:
        for region in ({}, {"start": 3.3, "end": 21.7}):
            at_once = read(file, sample_rate, **region)
            interleaved = [[], []]
            for pair in zip(stream(file, sample_rate, **region), stream(file, sample_rate, **region), strict=True):
                for kept, block in zip(interleaved, pair, strict=True):
                    assert block.dtype == np.float32
                    kept.append(block.copy())
                    block[:] = 7  # The caller's own: nothing that comes later may change.
            for kept in interleaved:
                np.testing.assert_array_equal(np.concatenate(kept), at_once)


@pytest.mark.parametrize(
    ("start", "end"), [(2, None), (2.5, 3), (-0.1, None), (1, 1), (1, 0.5), (float("nan"), None), (0, float("inf"))]
)
def test_a_region_that_does_not_exist_names_the_duration(tmp_path: Path, start: float, end: float | None) -> None:
    file = written(tmp_path / "two.wav", tone(440, 44100, 2), 44100)
    with pytest.raises(AudioError, match=r"no region from .*the sound is 2\.000 s long"):
        read(file, 16000, start=start, end=end)


def test_a_region_past_the_end_of_a_film_names_the_duration(ffmpeg_files: dict[str, Path]) -> None:
    with pytest.raises(AudioError, match=r"no region from 60 s to the end, the sound is 3\.\d+ s long"):
        read(ffmpeg_files["film.mp4"], 16000, start=60)


def test_hours_stream_in_bounded_memory(tmp_path: Path) -> None:
    # Two hours of silence that take no room on the disk: a header, and a hole.
    seconds, rate = 7200, 8000
    file = tmp_path / "hours.wav"
    size = seconds * rate
    with open(file, "wb") as out:
        out.write(
            b"RIFF" + struct.pack("<I", 36 + size) + b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, rate, rate, 1, 8)
        )
        out.write(b"data" + struct.pack("<I", size))
        out.truncate(44 + size)
    tracemalloc.start()
    try:
        heard = sum(len(block) for block in stream(file, 16000))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert heard == seconds * 16000
    assert peak < 8e6  # The whole would take 460 MB.


def test_a_sample_rate_must_be_positive(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="sample_rate is 0 Hz"):
        read(tmp_path / "any.wav", 0)


# Names


@pytest.mark.parametrize(
    "name", ["a b", "c#d", "e\nf", "g'\"h", "犬の声", "100%d", "-i", "http:x", os.fsdecode(b"i\xff"), "j?k*[l]", "~"]
)
def test_any_name_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    sound = tone(440, 44100, 0.2)
    plain = written(tmp_path / "plain.wav", sound, 44100)
    film = write_with_av(tmp_path / "plain.m4a", sound[None], 44100, "aac")
    os.rename(plain, f"{name}.wav")
    os.rename(film, f"{name}.m4a")
    assert len(read(f"{name}.wav", 16000)) == 3200
    assert len(read(f"{name}.m4a", 16000)) == pytest.approx(3200, abs=800)
    os.rename(f"{name}.m4a", f"{name}.txt")
    assert info(Path(f"{name}.txt")).decoder == "pyav"


@pytest.mark.parametrize("name", ["s.flac", "s.mp3", "s.ogg"])
def test_a_damaged_stretch_is_an_error(long_files: list[Path], tmp_path: Path, name: str) -> None:
    content = bytearray(next(file for file in long_files if file.name == name).read_bytes())
    middle = len(content) // 2
    content[middle : middle + 20000] = np.random.default_rng(0).bytes(20000)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(AudioError, match=r"decoding (ends|fails) after"):
        read(tmp_path / name, 16000)


def test_a_film_cut_short_says_where(tmp_path: Path) -> None:
    sound = tone(440, 44100, 20)[None]
    file = write_with_av(tmp_path / "s.mp4", sound, 44100, "aac", options={"movflags": "faststart"})
    content = file.read_bytes()
    file.write_bytes(content[: len(content) * 6 // 10])
    with pytest.raises(AudioError, match=r"decoding (ends|fails) after 1\d\.\d+ s"):
        read(file, 16000)


def test_a_flac_that_does_not_tell_its_length(tmp_path: Path) -> None:
    file = written(tmp_path / "piped.flac", tone(440, 44100, 3), 44100)
    content = bytearray(file.read_bytes())
    # STREAMINFO: after "fLaC" and a block header of 4 bytes, the count of samples is the last 36 bits of bytes 10-17.
    content[8 + 13] &= 0xF0
    content[8 + 14 : 8 + 18] = bytes(4)
    file.write_bytes(content)
    assert info(file).duration == 3
    assert len(read(file, 16000)) == 48000


@pytest.mark.parametrize("channels", [1, 2])
def test_integers_of_64_bits(tmp_path: Path, channels: int) -> None:
    samples = np.stack([0.5 * sweep_of(0.5), -0.25 * sweep_of(0.5)][:channels])
    content = np.round(samples.T * 2.0**63).astype("<i8").tobytes()
    head = struct.pack("<HHIIHH", 1, channels, 44100, 44100 * 8 * channels, 8 * channels, 64)
    body = b"WAVEfmt " + struct.pack("<I", 16) + head + b"data" + struct.pack("<I", len(content)) + content
    (tmp_path / "wide.wav").write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    np.testing.assert_allclose(read(tmp_path / "wide.wav", 44100), samples.mean(axis=0), atol=1e-6)
    with AvProcess() as av:
        np.testing.assert_allclose(read(tmp_path / "wide.wav", 44100, av=av), samples.mean(axis=0), atol=1e-6)


def sweep_of(seconds: float) -> np.ndarray:
    times = np.arange(round(seconds * 44100)) / 44100
    return np.sin(2 * np.pi * (200 + 300 * times) * times)


@pytest.mark.parametrize(("tag", "dtype"), [(3, "<f4"), (3, "<f8"), (1, "<i2")])
def test_an_extensible_header_of_wave64_names_the_samples(tmp_path: Path, tag: int, dtype: str) -> None:
    samples = 0.5 * sweep_of(0.5)
    width = np.dtype(dtype).itemsize
    content = (samples if tag == 3 else np.round(samples * 32767)).astype(dtype).tobytes()
    guid = bytes.fromhex("f3acd3118cd100c04f8edb8a")
    named = struct.pack("<H", tag) + bytes.fromhex("000000001000800000aa00389b71")
    fmt = struct.pack("<HHIIHHHHI", 0xFFFE, 1, 44100, 44100 * width, width, 8 * width, 22, 8 * width, 4) + named
    body = b"wave" + guid + b"fmt " + guid + struct.pack("<Q", 24 + len(fmt)) + fmt
    body += b"data" + guid + struct.pack("<Q", 24 + len(content)) + content
    head = bytes.fromhex("726966662e91cf11a5d628db04c10000") + struct.pack("<Q", 24 + len(body))
    for after in (b"", bytes(4096)):
        (tmp_path / "s.w64").write_bytes(head + body + after)
        np.testing.assert_allclose(read(tmp_path / "s.w64", 44100), samples, atol=1e-4)
    (tmp_path / "cut.w64").write_bytes((head + body)[: len(body) // 2])
    with pytest.raises(AudioError, match=r"cut short: 0\.2"):
        read(tmp_path / "cut.w64", 44100)
    taken = read(tmp_path / "cut.w64", 44100, options=DecodeOptions(accept_truncated=True))
    np.testing.assert_allclose(taken, samples[: len(taken)], atol=1e-4)


@pytest.mark.parametrize("ending", ["wav", "flac", "ogg", "opus", "mp3", "mka"])
@pytest.mark.parametrize("rate", [48_000, 16_000])
def test_several_regions_are_read_as_each_alone(tmp_path: Path, ending: str, rate: int) -> None:
    noise = (0.1 * np.random.default_rng(0).standard_normal(40 * 48_000)).astype(np.float32)
    if ending == "mka":
        file = write_with_av(tmp_path / "noise.mka", noise[None], 48_000, "flac")
    else:
        how = {"format": "OGG", "subtype": "OPUS"} if ending == "opus" else {}
        file = written(tmp_path / f"noise.{ending}", noise, 48_000, **how)
    # Back to the beginning, too, which is where no decoder needs to go when it begins.
    regions = [(0.0, 0.5), (0.7, 0.9), (12.3, 12.5), (39.0, 40.0), (0.0, 0.25), (5.0, 5.5)]
    for samples, (start, end) in zip(read_regions(file, rate, regions), regions, strict=True):
        np.testing.assert_allclose(samples, read(file, rate, start=start, end=end), atol=1e-6)
