"""Pictures of a query and its hits: always a PNG of the promised size, whatever the sounds and their names."""

from __future__ import annotations

import dataclasses
import logging
import struct
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib import pyplot

from soundloom.pictures import Excerpt, hits_picture, part_colours
from soundloom.pictures.excerpt import RANGE, mel, mel_decibels, outline
from soundloom.pictures.typography import DPI, fitted, font

PARTS = {"pitch": 0.9, "timbre": 0.4, "waveform": -0.2, "neuralogram": 0.7}


def excerpt(seconds: float = 0.5, sample_rate: int = 16_000, frequency: float = 1000.0, **changes) -> Excerpt:
    samples = 0.3 * np.sin(2 * np.pi * frequency * np.arange(max(1, round(seconds * sample_rate))) / sample_rate)
    settings = {"title": "tone.wav", "samples": samples, "sample_rate": sample_rate, "start": 1.0, "end": 1.0 + seconds}
    return Excerpt(**(settings | changes))


def size(path: Path) -> tuple[int, int]:
    """Width and height from a PNG's header."""
    head = path.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    return struct.unpack(">II", head[16:24])


# The page


@pytest.mark.parametrize(("hits", "rows"), [(5, 2), pytest.param(20, 5, marks=pytest.mark.slow)])
def test_a_page_is_as_wide_as_ever_and_as_high_as_its_rows(tmp_path, hits, rows):
    path = tmp_path / "page.png"
    hits_picture(excerpt(), [excerpt(similarity=0.5, parts=PARTS)] * hits, path)
    width, height = size(path)
    assert width == 1680
    assert height == pytest.approx(DPI * (3.6 + rows * (2.15 + 0.2 * len(PARTS))), abs=1)


def test_a_page_needs_neither_parts_nor_similarities(tmp_path):
    hits_picture(excerpt(), [excerpt()], tmp_path / "bare.png")
    assert size(tmp_path / "bare.png") == (1680, round(DPI * (3.6 + 2.15)))


@pytest.mark.parametrize(
    "odd",
    [
        excerpt(seconds=1 / 16_000),
        excerpt(seconds=0.01),
        excerpt(seconds=90.0, sample_rate=8000),
        excerpt(sample_rate=96_000),
        excerpt(samples=np.zeros(4000)),
        excerpt(samples=np.full(4000, np.nan)),
        excerpt(samples=np.full(4000, 1e-30, np.float32)),
        excerpt(similarity=float("nan"), parts={"pitch": float("nan"), "timbre": 7.0, "waveform": float("-inf")}),
        excerpt(parts={f"part {n}": n / 13 for n in range(13)}),
        excerpt(start=86_399.5, end=86_400.0),
    ],
    ids=["one sample", "10 ms", "long", "96 kHz", "silence", "nan", "faint", "odd parts", "many parts", "a day in"],
)
def test_odd_sounds_are_drawn(tmp_path, odd):
    hits_picture(odd, [odd], tmp_path / "odd.png")
    assert size(tmp_path / "odd.png")[0] == 1680


@pytest.mark.parametrize(
    "title",
    [
        "",
        "録音された鳥の声_2024年春.flac",
        "العربية.wav",
        "🐦 bird.wav",
        r"a$b_{x}$ \frac{ %s",
        "\ud800\n\t\x00.wav",
        "W" * 400,
    ],
    ids=["empty", "Japanese", "Arabic", "emoji", "formula", "no text", "wide"],
)
def test_odd_names_are_drawn_without_a_warning(tmp_path, title, caplog):
    hit = excerpt(title=title, parts={title: 0.5})
    with caplog.at_level(logging.WARNING):
        hits_picture(excerpt(title=title), [hit], tmp_path / "name.png")
    assert size(tmp_path / "name.png")[0] == 1680
    assert not caplog.records


def test_a_page_is_the_same_every_time_and_leaves_matplotlib_alone(tmp_path):
    before = dict(matplotlib.rcParams)
    for name in ("one.png", "two.png"):
        hits_picture(excerpt(), [excerpt(similarity=0.5, parts=PARTS)], tmp_path / name)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    assert dict(matplotlib.rcParams) == before
    assert pyplot.get_fignums() == []


def test_a_hits_colours_are_on_the_page(tmp_path):
    from matplotlib.image import imread

    hits_picture(excerpt(), [excerpt(parts=PARTS | {"waveform": 0.5})], tmp_path / "page.png")
    pixels = (imread(tmp_path / "page.png")[..., :3] * 255).round().astype(int)
    # Below the query's half: only bars are there, and the spectrogram, whose colours are others.
    below = pixels[int(3.6 * DPI) :].reshape(-1, 3)
    for colour in part_colours(PARTS).values():
        rgb = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
        assert (below == rgb).all(1).sum() > 500, colour


def test_no_hits_make_no_page(tmp_path):
    with pytest.raises(ValueError, match="no hits to draw"):
        hits_picture(excerpt(), [], tmp_path / "page.png")
    assert not (tmp_path / "page.png").exists()


# Colours


def test_colours_depend_on_the_names_and_not_on_their_order():
    assert part_colours(PARTS) == part_colours(reversed(list(PARTS)))
    assert len(set(part_colours(f"part {n}" for n in range(10)).values())) == 10
    assert len(part_colours(f"part {n}" for n in range(25))) == 25


def test_a_known_part_keeps_its_colour_from_model_to_model():
    together = part_colours(PARTS)
    assert together == {"pitch": "#e69f00", "timbre": "#009e73", "waveform": "#cc79a7", "neuralogram": "#0072b2"}
    for name in PARTS:
        assert part_colours([name]) == {name: together[name]}


# Excerpts


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"samples": np.zeros(0)}, r"mono samples are needed, got shape \(0,\)"),
        ({"sample_rate": 0}, "sample_rate must be positive, got 0"),
        ({"end": 1.0}, r"end must come after the start, got 1\.0 to 1\.0 s"),
        ({"end": float("nan")}, "end must come after the start"),
    ],
)
def test_impossible_excerpts_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(excerpt(), **changes)


@pytest.mark.parametrize("frequency", [300.0, 1000.0, 5000.0])
@pytest.mark.parametrize("sample_rate", [16_000, 44_100])
def test_a_tone_is_darkest_where_its_frequency_is(frequency, sample_rate):
    decibels = mel_decibels(excerpt(frequency=frequency, sample_rate=sample_rate), 8000.0, 100)
    bands = len(decibels)
    loudest = decibels[:, 10:-10].argmax(0)
    expected = mel(frequency) / mel(8000.0) * (bands + 1) - 1
    assert np.abs(loudest - expected).max() <= 1.0
    assert decibels.max() == 0.0
    assert decibels.min() == -RANGE


def test_what_a_rate_cannot_carry_stays_empty():
    decibels = mel_decibels(excerpt(sample_rate=8000, samples=np.random.default_rng(0).normal(size=4000)), 16_000.0, 50)
    nyquist = int(mel(4000.0) / mel(16_000.0) * len(decibels))
    assert (decibels[nyquist + 2 :] == -RANGE).all()
    assert (decibels[: nyquist - 2] > -RANGE).all()


@pytest.mark.parametrize("seconds", [0.002, 0.3, 30.0])
def test_a_sound_has_as_many_columns_as_there_is_room_for(seconds):
    decibels = mel_decibels(excerpt(seconds), 8000.0, 200)
    assert decibels.shape[1] == min(200, round(seconds * 16_000))


def test_a_moment_of_a_long_sound_is_drawn_where_it_happens():
    samples = np.zeros(40_000)
    samples[30_000:30_400] = np.random.default_rng(0).normal(size=400)
    loudest = mel_decibels(excerpt(2.5, samples=samples), 8000.0, 100).max(0).argmax()
    assert loudest in (74, 75, 76)


def test_an_outline_reaches_every_sample():
    samples = np.random.default_rng(0).uniform(-1, 1, 1003)
    times, lowest, highest = outline(excerpt(samples=samples), 100)
    assert len(times) == 100
    assert times[0] == 1.0
    assert times[-1] < 1.5
    starts = np.linspace(0, 1003, 100, endpoint=False).astype(int)
    for i, (start, end) in enumerate(zip(starts, [*starts[1:], 1002], strict=True)):
        assert lowest[i] == samples[start : end + 1].min()
        assert highest[i] == samples[start : end + 1].max()


# Lettering


def test_a_long_title_loses_its_middle_and_only_as_much_as_it_must():
    title = "recording-of-a-very-long-evening-in-the-marsh-0001.wav"
    short = fitted(title, font(10.0), 2.0)
    left, right = short.split("…")
    assert title.startswith(left)
    assert title.endswith(right)
    assert abs(len(left) - len(right)) <= 1
    assert fitted(short.replace("…", ""), font(10.0), 20.0) == short.replace("…", "")
    wider = fitted(title, font(10.0), 2.3)
    assert len(short) < len(wider) < len(title)
    assert fitted(title, font(10.0), 20.0) == title


def test_letters_that_no_font_has_become_boxes():
    assert fitted("a\n\tb  c", font(10.0), 20.0) == "a b c"
    assert fitted("x\U0010fffd\ud800y", font(10.0), 20.0) == "x□□y"
