"""Options of decoding: the channel and the speed that are taken, and what is noticed of a sound."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
import soundfile

from soundloom.audio import AvProcess, DecodeOptions, Notice, read, stream
from soundloom.errors import AudioError, OptionError, SoundloomError
from sounds import tone, write_with_av

RATE = 16000


def stereo(left: np.ndarray, right: np.ndarray, path: Path, sample_rate: int = RATE) -> Path:
    """A file of two channels, exact to the bit."""
    soundfile.write(path, np.stack([left, right], axis=1), sample_rate, subtype="FLOAT")
    return path


def noticed(file: Path, **options: object) -> list[str]:
    """The codes of what is noticed of a file."""
    notices: list[Notice] = []
    read(file, RATE, options=DecodeOptions(**options), notices=notices)  # type: ignore[arg-type]
    return [notice.code for notice in notices]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[np.ndarray, np.ndarray, Path]:
    """A quiet left channel and a loud right one, and the file that holds them."""
    left, right = tone(440, RATE, 1, 0.1), tone(1000, RATE, 1, 0.6)
    return left, right, stereo(left, right, tmp_path_factory.mktemp("pair") / "pair.wav")


@pytest.mark.parametrize(
    ("channels", "place"), [("left", 0), ("right", 1), ("1", 0), ("2", 1), ("loudest", 1), ("mix", None)]
)
def test_a_channel_is_taken_as_it_is(
    pair: tuple[np.ndarray, np.ndarray, Path], channels: str, place: int | None
) -> None:
    left, right, file = pair
    expected = (left * np.float32(0.5) + right * np.float32(0.5)) if place is None else (left, right)[place]
    np.testing.assert_array_equal(read(file, RATE, options=DecodeOptions(channels=channels)), expected)


@pytest.mark.parametrize("child", [False, True])
@pytest.mark.parametrize(("channels", "frequency"), [("left", 440), ("2", 1000), ("loudest", 1000)])
def test_ffmpeg_takes_the_same_channel_here_and_in_a_child(
    tmp_path: Path, channels: str, frequency: int, child: bool
) -> None:
    both = np.stack([tone(440, 44100, 3, 0.1), tone(1000, 44100, 3, 0.6)])
    file = write_with_av(tmp_path / "pair.m4a", both, 44100, "alac")
    with ExitStack() as stack:
        av = stack.enter_context(AvProcess()) if child else None
        samples = read(file, RATE, av=av, options=DecodeOptions(channels=channels))
    amplitude = 0.1 if frequency == 440 else 0.6
    np.testing.assert_allclose(samples[100:-100], tone(frequency, RATE, 3, amplitude)[100:-100], atol=2e-3)


@pytest.mark.parametrize("channels", ["mix", "left", "right", "loudest", "1"])
def test_a_file_of_one_channel_has_it_on_both_sides(tmp_path: Path, channels: str) -> None:
    sound = tone(440, RATE, 1)
    soundfile.write(tmp_path / "one.wav", sound, RATE, subtype="FLOAT")
    np.testing.assert_array_equal(read(tmp_path / "one.wav", RATE, options=DecodeOptions(channels=channels)), sound)


@pytest.mark.parametrize("name", ["pair.wav", "pair.m4a"])
def test_a_channel_that_is_not_there_is_named(tmp_path: Path, name: str) -> None:
    both = np.stack([tone(440, RATE, 1), tone(440, RATE, 1)])
    if name.endswith("wav"):
        stereo(both[0], both[1], tmp_path / name)
    else:
        write_with_av(tmp_path / name, both, RATE, "alac")
    with pytest.raises(AudioError, match="no channel 3 in it, only 2"):
        read(tmp_path / name, RATE, options=DecodeOptions(channels="3"))
    with AvProcess() as av, pytest.raises(AudioError, match="no channel 3 in it, only 2"):
        read(tmp_path / name, RATE, av=av, options=DecodeOptions(channels="3"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"channels": "both"},
        {"channels": "0"},
        {"channels": "-1"},
        {"channels": 1},
        {"track": 0},
        {"track": True},
        {"track": "1"},
        {"accept_truncated": 1},
        {"speed": 0},
        {"speed": -0.1},
        {"speed": float("nan")},
        {"speed": float("inf")},
        {"speed": "0.1"},
    ],
)
def test_a_value_that_is_not_allowed_is_named(wrong: dict[str, object]) -> None:
    (name,) = wrong
    with pytest.raises(OptionError, match=f"^{name} is") as caught:
        DecodeOptions(**wrong)  # type: ignore[arg-type]
    assert isinstance(caught.value, SoundloomError)


def test_options_survive_being_written_as_data() -> None:
    options = DecodeOptions(channels="2", track=3, accept_truncated=True, speed=0.1)
    assert DecodeOptions.from_data(options.to_data()) == options
    assert DecodeOptions.from_data({}) == DecodeOptions()
    with pytest.raises(OptionError, match="unknown decoding options volume: there are channels, "):
        DecodeOptions.from_data({"volume": 2})


# Speed


@pytest.mark.parametrize("native", [16000, 44100, 192000, 256000])
@pytest.mark.parametrize("speed", [0.1, 0.25, 1 / 3, 2.0])
def test_at_another_speed_a_tone_moves_and_the_sound_is_longer(tmp_path: Path, native: int, speed: float) -> None:
    soundfile.write(tmp_path / "t.wav", tone(3000, native, 1), native, subtype="FLOAT")
    samples = read(tmp_path / "t.wav", RATE, options=DecodeOptions(speed=speed))
    assert len(samples) == round(RATE / speed)
    expected = tone(3000 * speed, RATE, 1 / speed)
    np.testing.assert_allclose(samples[1000:-1000], expected[1000:-1000], atol=1e-3)


def test_at_another_speed_regions_are_seconds_of_the_file(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).uniform(-0.5, 0.5, 44100 * 3).astype(np.float32)
    soundfile.write(tmp_path / "n.wav", noise, 44100, subtype="FLOAT")
    options = DecodeOptions(speed=0.1)
    whole = read(tmp_path / "n.wav", RATE, options=options)
    region = read(tmp_path / "n.wav", RATE, start=1.25, end=2.5, options=options)
    np.testing.assert_allclose(region, whole[200000:400000], atol=1e-5)
    with pytest.raises(AudioError, match=r"no region from 3\.5 s"):
        read(tmp_path / "n.wav", RATE, start=3.5, options=options)


def test_a_file_of_few_hertz_comes_in_small_blocks(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "slow.wav", tone(5, 100, 4000), 100, subtype="FLOAT")
    blocks = stream(tmp_path / "slow.wav", RATE)
    assert sum(map(len, (block for block in blocks if len(block) <= 1 << 23))) == 4000 * RATE


# What is noticed


def test_silence_is_noticed(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "s.wav", np.zeros(44100), 44100)
    assert noticed(tmp_path / "s.wav") == ["silent"]


@pytest.mark.parametrize("child", [False, True])
@pytest.mark.parametrize("name", ["inverted.wav", "inverted.m4a"])
def test_channels_that_cancel_are_noticed_and_one_can_be_taken(tmp_path: Path, name: str, child: bool) -> None:
    sound = tone(440, RATE, 2)
    file = tmp_path / name
    if name.endswith("wav"):
        stereo(sound, -sound, file)
    else:
        write_with_av(file, np.stack([sound, -sound]), RATE, "alac")
    with ExitStack() as stack:
        av = stack.enter_context(AvProcess()) if child else None
        notices: list[Notice] = []
        read(file, RATE, av=av, notices=notices)
        assert [notice.code for notice in notices] == ["cancelled"]
        assert "DecodeOptions(channels=...)" in notices[0].text
        taken: list[Notice] = []
        samples = read(file, RATE, av=av, options=DecodeOptions(channels="left"), notices=taken)
    assert taken == []
    np.testing.assert_allclose(samples, sound, atol=1e-4)


def test_channels_that_nearly_cancel_are_noticed(tmp_path: Path) -> None:
    sound = tone(440, RATE, 1)
    assert noticed(stereo(sound, -0.95 * sound, tmp_path / "a.wav")) == ["cancelled"]
    assert noticed(stereo(sound, -0.5 * sound, tmp_path / "b.wav")) == []


@pytest.mark.parametrize("channels", [2, 8, 32])
def test_independent_channels_do_not_count_as_cancelling(tmp_path: Path, channels: int) -> None:
    noise = np.random.default_rng(2).normal(0, 0.1, (RATE, channels))
    soundfile.write(tmp_path / "n.wav", noise, RATE)
    assert noticed(tmp_path / "n.wav") == []


def test_one_silent_channel_is_noticed_only_where_it_is_taken(tmp_path: Path) -> None:
    file = stereo(tone(440, RATE, 1), np.zeros(RATE, np.float32), tmp_path / "half.wav")
    assert noticed(file) == noticed(file, channels="left") == noticed(file, channels="loudest") == []
    assert noticed(file, channels="right") == ["silent"]


def test_energy_above_what_a_rate_can_hold_is_noticed_with_a_speed_that_helps(tmp_path: Path) -> None:
    call = tone(45000, 192000, 1) + np.float32(0.2)  # Recorders add an offset, which is no sound.
    soundfile.write(tmp_path / "bat.wav", call, 192000, subtype="FLOAT")
    notices: list[Notice] = []
    read(tmp_path / "bat.wav", RATE, notices=notices)
    (notice,) = notices
    assert notice.code == "ultrasonic"
    assert "DecodeOptions(speed=0.0625) " in notice.text
    assert "8 kHz" in notice.text
    assert noticed(tmp_path / "bat.wav", speed=0.0625) == []
    soundfile.write(tmp_path / "low.wav", tone(4500, 192000, 1), 192000)
    assert noticed(tmp_path / "low.wav") == []


def test_an_unknown_code_of_a_notice_is_refused() -> None:
    with pytest.raises(ValueError, match="notice code 'odd': the codes are silent, "):
        Notice("odd", "something")
