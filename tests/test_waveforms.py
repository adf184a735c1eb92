"""Arrays as sounds: the same bits as the file that holds them, and a reason where they cannot be right."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

import soundloom
from soundloom.audio import DecodeOptions, read, stream
from soundloom.embedder import Embedder
from soundloom.errors import AudioError, ModelError
from soundloom.hear import HearModel, get_scene_embeddings
from sounds import tone


@cache
def model() -> Embedder:
    return soundloom.load("logmel")


def noise(seconds: float, sample_rate: int, seed: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.5, 0.5, round(seconds * sample_rate)).astype(np.float32)


# Types and rates


@pytest.mark.parametrize("rate", [16000, 44100, 8000, 48000])
@pytest.mark.parametrize("kind", ["float32", "float64", "int16", "int32"])
def test_an_array_gives_the_bits_of_the_file_it_was_read_from(tmp_path: Path, rate: int, kind: str) -> None:
    file = tmp_path / "n.wav"
    soundfile.write(file, noise(2.3, rate), rate, subtype="PCM_16")
    samples, native = soundfile.read(file, dtype=kind)
    assert model().embed(samples, native).tobytes() == model().embed(file).tobytes()
    for ours, theirs in zip(model().embed_frames(samples, native), model().embed_frames(file), strict=True):
        assert ours.tobytes() == theirs.tobytes()


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_other_sample_formats_agree_with_their_files(tmp_path: Path, subtype: str) -> None:
    file = tmp_path / "n.wav"
    soundfile.write(file, noise(1.5, 22050), 22050, subtype=subtype)
    kind = {"PCM_24": "int32", "PCM_32": "int32", "FLOAT": "float32"}.get(subtype, "float64")
    samples, rate = soundfile.read(file, dtype=kind)
    np.testing.assert_allclose(model().embed(samples, rate), model().embed(file), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("kind", "lowest", "middle", "highest"),
    [
        ("int8", -128, 0, 127),
        ("uint8", 0, 128, 255),
        ("int16", -(2**15), 0, 2**15 - 1),
        ("uint16", 0, 2**15, 2**16 - 1),
        ("int32", -(2**31), 0, 2**31 - 1),
        ("uint32", 0, 2**31, 2**32 - 1),
    ],
)
def test_integers_are_scaled_by_their_type(kind: str, lowest: int, middle: int, highest: int) -> None:
    samples = read(np.array([lowest, middle, highest], kind), 16000, sound_rate=16000)
    assert samples[0] == -1.0
    assert samples[1] == 0.0
    assert 0.99 < samples[2] <= 1.0


@pytest.mark.parametrize("kind", ["int8", "uint8", "int16", "int32"])
def test_integers_without_their_rate_are_refused(kind: str) -> None:
    with pytest.raises(AudioError, match=f"'waveform': its samples are {kind}.* give its sample_rate"):
        model().embed(np.ones(16000, kind))


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_floating_point_without_a_rate_has_the_models(kind: type) -> None:
    sound = (noise(1.0, 16000) * 64).round().astype(kind) / kind(64)  # exact in every one of the types
    expected = model().embed(sound.astype(np.float32), 16000)
    assert model().embed(sound).tobytes() == expected.tobytes()


@pytest.mark.parametrize("rate", [16000, np.int64(16000), 16000.0, np.float32(16000)])
def test_a_rate_is_any_whole_number(rate: Any) -> None:
    sound = noise(1.0, 16000)
    assert model().embed(sound, rate).tobytes() == model().embed(sound).tobytes()


@pytest.mark.parametrize("rate", [0, -44100, 44100.5, float("nan"), float("inf"), True, "44100", 2**40])
def test_a_rate_that_is_none_is_refused(rate: Any) -> None:
    with pytest.raises(AudioError, match="sample_rate is"):
        model().embed(noise(1.0, 16000), rate)


def test_the_second_argument_is_the_rate_and_a_third_is_an_error() -> None:
    sound = noise(1.0, 48000)
    assert model().embed(sound, 48000).tobytes() == model().embed(sound, sample_rate=48000).tobytes()
    assert model().embed(sound, 48000).tobytes() != model().embed(sound).tobytes()
    with pytest.raises(TypeError, match="positional argument"):
        model().embed(sound, 0.0, 1.0)  # type: ignore[misc]
    with pytest.raises(TypeError, match="positional argument"):
        model().embed_frames(sound, 0.0, 1.0)  # type: ignore[call-overload]


def test_a_file_knows_its_rate(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "n.wav", noise(1.0, 16000), 16000)
    with pytest.raises(AudioError, match=r"n\.wav': a file knows its own rate, got 1.0 too: regions have start="):
        model().embed(tmp_path / "n.wav", 1.0)


def test_tensors_are_arrays() -> None:
    sound = noise(1.0, 16000)
    expected = model().embed(sound).tobytes()
    assert model().embed(torch.from_numpy(sound).requires_grad_()).tobytes() == expected
    pcm = torch.tensor([0, 2**14, -(2**15)] * 3000, dtype=torch.int16)
    assert model().embed(pcm, 16000).tobytes() == model().embed(pcm.numpy(), 16000).tobytes()


def test_an_array_is_left_as_it_was() -> None:
    sound = 3 * noise(1.0, 16000)
    kept = sound.copy()
    for block in stream(sound, 16000):
        block[:] = 7
    np.testing.assert_array_equal(sound, kept)


# What is refused


@pytest.mark.parametrize(
    ("waveform", "message"),
    [
        (np.zeros((2, 100), np.float32), r"\[2, 100\], and one channel .* with waveform\.mean\(axis=0\)$"),
        (np.zeros((100, 2), np.int16), r"\[100, 2\], .* with waveform\.mean\(axis=1\)\.astype\('int16'\)$"),
        (np.zeros((1, 2, 100)), r"\[1, 2, 100\]: a sound is one mono waveform"),
        (np.zeros(0, np.float32), "not empty"),
        (np.float32(0.5), "not empty"),
        (np.array([0.0, np.nan]), "the sample at 0.000 s is nan"),
        (np.array([0.0, np.inf]), "the sample at 0.000 s is inf"),
        (np.array([0.0, -65.0]), r"is -65, and full scale is 1 \(at most 64 is taken\): divide by"),
        (np.array([0.0, 1e300]), "is inf"),
        (np.arange(-2000.0, 2000.0), "is -2000, and full scale is 1"),
        (np.zeros(100, np.int64), "its samples are int64: give floating point"),
        (np.zeros(100, np.bool_), "its samples are bool"),
        (np.zeros(100, np.complex64), "its samples are complex64"),
        (np.array([0.5, None]), "'sound 0 of the list': this is a float, 0\\.5, and a file or an array is wanted"),
        (np.array([["a", "b"], ["c", "d"]]), r"this is a ndarray of str, .* one column of files, table\['path'\]"),
        (None, "this is a NoneType, and a sound is a file's name or an array of samples; several are a list"),
        (b"RIFF", "this is a bytes, and a sound is"),
        ((one for one in "ab"), "this is a generator, and a sound is"),
        (io.BufferedReader(io.BytesIO(b"RIFF")), "this is a BufferedReader, and a sound is"),
        (torch.zeros(100, dtype=torch.bfloat16), "numpy makes no array of this Tensor"),
        ({"sound": 1}, "this is a dict"),
    ],
)
def test_what_is_no_waveform_is_refused(waveform: Any, message: str) -> None:
    with pytest.raises(AudioError, match=message):
        model().embed(waveform, 16000)
    with pytest.raises(AudioError, match=message):
        model().embed_frames(waveform, 16000)


@pytest.mark.parametrize(
    ("sound", "message"),
    [(None, "this is a NoneType"), (float("nan"), "this is a float, nan"), (b"RIFF", "this is a bytes"),
     ([0.5], r"this is a list, \[0\.5\], and"), (np.zeros((2, 100)), "one channel .* is wanted")],
)  # fmt: skip
def test_the_sound_of_a_list_that_is_refused_is_named(sound: Any, message: str) -> None:
    with pytest.raises(AudioError, match=f"^'sound 1 of the list': .*{message}"):
        model().embed([noise(1.0, 16000), sound])
    with pytest.raises(AudioError, match=f"^'sound 1 of the list': .*{message}"):
        model().embed_frames([noise(1.0, 16000), sound])


@pytest.mark.parametrize("files", [["a.wav", "b.wav"], np.array(["a.wav", "b.wav"])])
def test_a_list_of_files_where_one_sound_is_wanted_is_named(files: Any) -> None:
    kind = type(files).__name__
    with pytest.raises(AudioError, match=rf"a {kind} of str, and a sound is .* samples: only one is taken here"):
        read(files, 16000)


def test_columns_of_files_are_lists_of_them(tmp_path: Path) -> None:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    files = [str(tmp_path / "a.wav"), str(tmp_path / "b.wav")]
    for file in files:
        soundfile.write(file, noise(1.0, 16000), 16000)
    rows = model().embed(files)
    for column in (np.array(files), pd.Series(files), pd.Series(files, dtype=object), pl.Series(files), pa.array(files),
                   np.array([Path(file) for file in files])):  # fmt: skip
        np.testing.assert_array_equal(model().embed(column), rows)
    with pytest.raises(AudioError, match=r"'sound 1 of the list': this is a (float, nan|NoneType)"):
        model().embed(pd.Series([files[0], None]))
    sound = noise(1.0, 16000)
    np.testing.assert_array_equal(model().embed(pd.Series(sound)), model().embed(sound))


def test_beyond_full_scale_is_part_of_the_sound_up_to_a_peak_of_64() -> None:
    assert np.isfinite(model().embed(np.full(16000, 64.0, np.float32))).all()


@pytest.mark.parametrize(
    ("start", "end"),
    [(-1.0, None), (2.0, None), (3.0, 4.0), (1.0, 1.0), (1.5, 0.5), (float("nan"), None), (0.0, float("nan"))],
)
def test_regions_are_checked_alike_for_files_and_arrays(tmp_path: Path, start: float, end: float | None) -> None:
    sound = noise(2.0, 16000)
    soundfile.write(tmp_path / "n.wav", sound, 16000)
    for source in (tmp_path / "n.wav", sound):
        with pytest.raises(AudioError, match=r"no region from .*the sound is 2\.000 s long"):
            model().embed(source, start=start, end=end)
        with pytest.raises(AudioError, match=r"no region from .*the sound is 2\.000 s long"):
            model().embed_frames(source, start=start, end=end)


def test_regions_of_an_array_are_those_of_its_file(tmp_path: Path) -> None:
    sound = noise(5.0, 44100)
    soundfile.write(tmp_path / "n.wav", sound, 44100, subtype="FLOAT")
    for region in ({"start": 1.25, "end": 2.5}, {"start": 3.0}, {"end": 0.75}, {"start": 4.5, "end": 70.0}):
        ours, theirs = model().embed(sound, 44100, **region), model().embed(tmp_path / "n.wav", **region)
        assert ours.tobytes() == theirs.tobytes()


# Lists


def test_a_list_gives_the_rows_of_its_sounds_one_by_one(tmp_path: Path) -> None:
    sound = noise(1.2, 16000)
    soundfile.write(tmp_path / "a.wav", noise(3.0, 44100), 44100)
    sounds = [tmp_path / "a.wav", str(tmp_path / "a.wav"), sound, torch.from_numpy(sound[:9000])]
    for some in (sounds, tuple(sounds)):
        rows = model().embed(some)
        assert rows.shape == (4, model().dim)
        assert [row.tobytes() for row in rows] == [model().embed(one).tobytes() for one in sounds]
    pairs = model().embed_frames(sounds)
    assert [values.tobytes() for values, _ in pairs] == [model().embed_frames(one)[0].tobytes() for one in sounds]
    rows = model().embed([sound, sound], 44100, start=0.1)
    assert rows[1].tobytes() == model().embed(sound, 44100, start=0.1).tobytes()
    assert model().embed([]).shape == (0, model().dim)


@pytest.mark.parametrize("sounds", [[0.5, 0.25], [[0.5], [0.25]], [np.zeros(9000, np.float32), 1]])
def test_a_list_of_numbers_is_no_waveform(sounds: list[Any]) -> None:
    with pytest.raises(AudioError, match=r"sound \d of the list': this is a .*numpy\.array"):
        model().embed(sounds)


# Speed


def test_frames_at_another_speed_are_timed_in_seconds_of_the_file(tmp_path: Path) -> None:
    call = np.zeros(192000, np.float32)
    call[96000:105600] = tone(40000, 192000, 0.05)
    soundfile.write(tmp_path / "bat.wav", call, 192000)
    options = DecodeOptions(speed=0.1)
    values, times = model().embed_frames(tmp_path / "bat.wav", options=options)
    assert 0.49 < times[int(values.mean(axis=1).argmax())] < 0.56
    assert times[-1] < 1.0
    shorter, later = model().embed_frames(tmp_path / "bat.wav", start=0.4, end=0.6, options=options)
    assert 0.49 < later[int(shorter.mean(axis=1).argmax())] < 0.56


# Other doors


def test_hear_refuses_what_cannot_be_right() -> None:
    hearing = HearModel(model())
    sound = torch.from_numpy(noise(1.0, hearing.sample_rate))[None]
    assert get_scene_embeddings(sound, hearing).shape == (1, model().dim)
    with pytest.raises(ModelError, match=r"floating point in \[-1, 1\] at 16000 Hz, got torch.int16"):
        get_scene_embeddings((sound * 32767).to(torch.int16), hearing)
    with pytest.raises(ModelError, match="within"):
        get_scene_embeddings(sound * 32767, hearing)
    with pytest.raises(ModelError, match="finite"):
        get_scene_embeddings(sound * torch.nan, hearing)
