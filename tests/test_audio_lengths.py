"""Lengths: what headers do not count, count wrongly or leave open is decoded whole, noticed, or refused by name."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from soundloom.audio import AvProcess, DecodeOptions, Notice, info, read, stream
from soundloom.audio.containers import inspect
from soundloom.errors import AudioError
from sounds import tone, write_with_av

RATE = 44100
TAKEN = DecodeOptions(accept_truncated=True)
LIST = b"LIST" + struct.pack("<I", 26) + b"INFOISFT" + struct.pack("<I", 14) + b"Lavf58.29.100\0"


def sweep(seconds: float = 2.0, rate: int = RATE) -> np.ndarray:
    """A tone that rises, which is like itself at no other place."""
    times = np.arange(round(seconds * rate)) / rate
    return (0.4 * np.sin(2 * np.pi * 200 * times * (1 + times))).astype(np.float32)


def decoded(file: Path, rate: int = RATE, **how: DecodeOptions) -> tuple[np.ndarray, list[str]]:
    """The waveform and the codes of its notices; the length that is shown is the length decoded."""
    notices: list[Notice] = []
    samples = read(file, rate, notices=notices, **how)
    shown = info(file, **how).duration
    assert shown is not None
    assert shown == pytest.approx(len(samples) / rate, abs=0.06)
    return samples, [notice.code for notice in notices]


# WAV and its kin


def pcm(path: Path, container: str, subtype: str = "PCM_16") -> tuple[bytearray, np.ndarray]:
    """A file of libsndfile, and what it holds."""
    soundfile.write(path, sweep(), RATE, subtype, format=container)
    return bytearray(path.read_bytes()), soundfile.read(path, dtype="float32")[0]


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
